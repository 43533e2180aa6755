"""What the docker plugin's types share: the daemon, errors, an object's life cycle."""

from __future__ import annotations

import contextlib
import importlib
import os
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from lab.providers import properties
from lab.providers.properties import Changes, Field, Schema
from lab.providers.server import Call, InitializationError, ProviderError, Resource
from lab.providers.wire import Properties

DEFAULT_HOST = "unix:///var/run/docker.sock"
SECONDS_OF_A_REQUEST = 1200  # terraform, resource_docker_image.go: a pull may take 20 minutes
SECONDS_OF_A_LOOK = 60  # the default of Docker's SDK
SECONDS_FOR_REMOVAL = 30  # terraform: networkRemoveRefreshTimeout
SECONDS_BETWEEN_TRIES = 0.5
NO_DAEMON = (
    "docker native provider returned an unexpected error from Configure:"
    " failed to connect to any docker daemon"
)
"""seen: the engine fails every resource of the plugin with it, in previews too."""

Connect = Callable[[str, int, str], Any]
"""Returns a client of Docker's API for an address, whose requests last so many seconds at most,
with the certificates of a folder or, where that is empty, without TLS."""


def sdk() -> Any:
    """Return Docker's SDK, which the first call loads.

    That would be half of the time that this plugin needs to start; the engine starts the next one
    before it configures this one.
    """
    return importlib.import_module("docker")


def _unreachable() -> tuple[type[Exception], ...]:
    """Return what the SDK raises where there is no daemon."""
    return sdk().errors.DockerException, importlib.import_module("requests").RequestException


def connect(address: str, seconds: int, certificates: str) -> Any:
    """Return a client of the newest API version that both sides know."""
    tls = False
    if certificates:
        ca, *own = (f"{certificates}/{name}.pem" for name in ("ca", "cert", "key"))
        tls = sdk().tls.TLSConfig(client_cert=tuple(own), ca_cert=ca, verify=True)
        for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
            os.environ.pop(name, None)  # the SDK's HTTP client would use it in place of `ca`
    return sdk().APIClient(address, version="auto", timeout=seconds, tls=tls)


class Host:
    """The daemon that this process uses.

    Its address is `host` of the configuration or, at every configuring, DOCKER_HOST or the usual
    socket, its certificates are in `certPath` or DOCKER_CERT_PATH; what the environment gives does
    not get into the stack's state. As in the real plugin, the context of `docker context use` does
    not count, and certificates are used with each address.
    """

    schema: ClassVar[Schema] = {"host": Field(str), "certPath": Field(str)}

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._address = ""
        self._certificates = ""

    @staticmethod
    def effective(config: Properties) -> Properties:
        """Return the configuration with the address that is used where it names none."""
        return {
            "host": os.environ.get("DOCKER_HOST") or DEFAULT_HOST,
            "certPath": os.environ.get("DOCKER_CERT_PATH", ""),
            **config,
        }

    def use(self, config: Properties) -> None:
        """Use the configured daemon from now on; raise ProviderError if it does not answer.

        The real plugin follows DOCKER_CONTEXT too; this one refuses it.
        """
        if context := os.environ.get("DOCKER_CONTEXT"):
            raise ProviderError(
                f"DOCKER_CONTEXT is set to {context!r}, which the lab's stand-in docker plugin does"
                " not support; unset it and set DOCKER_HOST to the daemon's address"
            )
        effective = self.effective(config)
        self._address, self._certificates = effective["host"], effective["certPath"]
        if self._certificates and not self._address.startswith("tcp:"):
            raise ProviderError(NO_DAEMON)
        try:
            self._connect(self._address, SECONDS_OF_A_LOOK, self._certificates).close()
        except _unreachable() as error:
            raise ProviderError(NO_DAEMON) from error

    @contextlib.contextmanager
    def api(self) -> Iterator[Any]:
        """Yield a client for one operation; Docker's errors become ProviderError."""
        client = None
        try:
            client = self._connect(self._address, SECONDS_OF_A_REQUEST, self._certificates)
            yield client
        except sdk().errors.APIError as error:
            raise ProviderError(daemon_says(error)) from error
        except _unreachable() as error:
            raise ProviderError(
                f"Cannot connect to the Docker daemon at {self._address}."
                f" Is the docker daemon running? ({error})"
            ) from error
        finally:
            if client:
                client.close()


def daemon_says(error: Any) -> str:
    """Return the daemon's message, as Docker's Go client formats it."""
    return f"Error response from daemon: {error.explanation or error}"


@contextlib.contextmanager
def saying(prefix: str) -> Iterator[None]:
    """Put the real plugin's prefix before the daemon's message."""
    try:
        yield
    except sdk().errors.APIError as error:
        raise ProviderError(prefix + daemon_says(error)) from error
    except ProviderError as error:
        raise ProviderError(f"{prefix}{error}") from error


@contextlib.contextmanager
def ignoring(*texts: str) -> Iterator[None]:
    """Treat an error of the daemon that contains one of `texts` as success."""
    try:
        yield
    except sdk().errors.APIError as error:
        if not any(text in str(error.explanation) for text in texts):
            raise


class DockerResource(Resource):
    """A type whose state is read back from the daemon.

    After a failure in `make` the state has no such object; after a later failure it has the object,
    marked as failed (bridge: Create).
    """

    schema: ClassVar[Schema]

    def __init__(self, host: Host) -> None:
        self._host = host

    @abstractmethod
    def make(self, api: Any, inputs: Properties) -> str:
        """Make the object and return its id."""

    def finish(self, api: Any, identity: str, inputs: Properties) -> None:
        """Complete the object once it exists."""

    def change(self, api: Any, identity: str, state: Properties, inputs: Properties) -> None:
        """Change the object in place."""

    @abstractmethod
    def find(self, api: Any, identity: str, state: Properties) -> Properties:
        """Return what the daemon reports of the object; raise NotFound when it is gone."""

    @abstractmethod
    def remove(self, api: Any, identity: str, state: Properties) -> None:
        """Remove the object."""

    def check(self, inputs: Properties) -> Iterator[tuple[str, str]]:
        return properties.check(self.schema, inputs)

    def fill(self, inputs: Properties) -> Properties:
        return properties.with_defaults(self.schema, inputs)

    def diff(self, state: Properties, old: Properties, new: Properties) -> Changes:
        return properties.diff(self.schema, state, new)

    def planned(self, state: Properties, inputs: Properties) -> Properties:
        return {**state, **inputs} if state else properties.planned(self.schema, inputs)

    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        with self._host.api() as api, saying(_bridge("creating", call)):
            identity = self.make(api, inputs)
        try:
            with self._host.api() as api, saying(_bridge("creating", call)):
                self.finish(api, identity, inputs)
                return identity, self._read(api, identity, inputs)
        except ProviderError as error:
            raise InitializationError(identity, inputs, str(error)) from error

    def update(
        self, call: Call, identity: str, state: Properties, inputs: Properties
    ) -> Properties:
        computed = {
            name: value
            for name, value in state.items()
            if name in self.schema and self.schema[name].computed
        }
        with self._host.api() as api, saying(_bridge("updating", call)):
            self.change(api, identity, state, inputs)
            return self._read(api, identity, {**computed, **inputs})

    def read(self, identity: str, state: Properties) -> Properties | None:
        with self._host.api() as api:
            try:
                return self._read(api, identity, state)
            except sdk().errors.NotFound:
                return None

    def delete(self, call: Call, identity: str, state: Properties) -> None:
        with self._host.api() as api, saying(_bridge("deleting", call)):
            self.remove(api, identity, state)

    def _read(self, api: Any, identity: str, before: Properties) -> Properties:
        found = self.find(api, identity, before)
        return properties.settled(self.schema, before, found)


def _bridge(doing: str, call: Call) -> str:
    """Return the bridge's prefix of an error."""
    return f"{doing} {call.urn}: 1 error occurred:\n\t* "


def remove_patiently(remove: Callable[[], None], busy: str, last_state: str) -> None:
    """Call `remove` until the daemon no longer answers `busy`; the error is Terraform's.

    Cancelling the engine does not end it: the bridge's Cancel does nothing.
    """
    deadline = time.monotonic() + SECONDS_FOR_REMOVAL
    while True:
        try:
            return remove()
        except sdk().errors.NotFound:
            return None
        except sdk().errors.APIError as error:
            if busy not in str(error.explanation):
                raise
        if time.monotonic() > deadline:
            raise ProviderError(
                "timeout while waiting for state to become 'removed'"
                f" (last state: '{last_state}', timeout: {SECONDS_FOR_REMOVAL}s)"
            )
        time.sleep(SECONDS_BETWEEN_TRIES)
