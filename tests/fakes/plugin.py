"""The engine's side of a provider plugin: its calls, over gRPC, with plain properties."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc, status_pb2

from lab.providers import wire
from lab.providers.server import Servicer
from lab.providers.wire import Properties


class PluginError(Exception):
    """A call failed. `left`: id and state of an object that exists all the same."""

    def __init__(self, status: str, message: str, left: tuple[str, Properties] | None) -> None:
        super().__init__(message)
        self.status, self.left = status, left


@dataclass(frozen=True)
class Made:
    """A resource as the engine keeps it."""

    urn: str
    id: str
    inputs: Properties
    state: Properties


@dataclass(frozen=True)
class Difference:
    """What the engine makes of a plugin's Diff."""

    paths: dict[str, str]
    """The kind of each change, as in the protocol: UPDATE_REPLACE and the like."""
    replaces: bool
    deletes_first: bool


NO_CHANGE = Difference({}, False, False)


class Plugin:
    """One plugin, called as the engine calls it."""

    def __init__(self, channel: Any) -> None:
        self._stub = provider_pb2_grpc.ResourceProviderStub(channel)

    def check_config(self, config: Properties) -> Properties:
        """Return what the state keeps of the provider's configuration."""
        request = provider_pb2.CheckRequest(news=wire.write(config))
        answer = self._call("CheckConfig", request)
        assert not answer.failures, answer.failures
        return wire.read(answer.inputs)

    def diff_config(self, state: Properties, config: Properties) -> bool:
        """Return whether the provider shows as changed."""
        request = provider_pb2.DiffRequest(olds=wire.write(state), news=wire.write(config))
        answer = self._call("DiffConfig", request)
        return bool(answer.changes == provider_pb2.DiffResponse.DIFF_SOME)

    @property
    def version(self) -> str:
        """The release that the plugin says it is."""
        return str(self._call("GetPluginInfo", None).version)

    def configure(self, config: Properties | None = None) -> None:
        """Configure the plugin with what the state or the program has of its configuration."""
        request = provider_pb2.ConfigureRequest(args=wire.write(config or {}))
        answer = self._call("Configure", request)
        assert answer.supportsPreview, "the engine would not ask for the plan of a create"

    def check(self, kind: str, inputs: Properties) -> Properties:
        """Return the program's inputs as the plugin completes them."""
        request = provider_pb2.CheckRequest(urn=_urn(kind, "x"), news=wire.write(inputs))
        answer = self._call("Check", request)
        assert not answer.failures, answer.failures
        return wire.read(answer.inputs)

    def preview(self, kind: str, inputs: Properties) -> Properties:
        """Return the state that a preview of a create shows."""
        request = provider_pb2.CreateRequest(
            urn=_urn(kind, "x"), properties=wire.write(self.check(kind, inputs)), preview=True
        )
        return wire.read(self._call("Create", request).properties)

    def create(self, kind: str, inputs: Properties, name: str = "x", seconds: float = 0) -> Made:
        """Check the inputs and create the resource."""
        checked, urn = self.check(kind, inputs), _urn(kind, name)
        request = provider_pb2.CreateRequest(
            urn=urn, properties=wire.write(checked), timeout=seconds
        )
        answer = self._call("Create", request)
        return Made(urn, answer.id, checked, wire.read(answer.properties))

    def diff(self, made: Made, inputs: Properties) -> Difference:
        """Compare with the program's inputs."""
        kind = made.urn.split("::")[2]
        request = provider_pb2.DiffRequest(
            id=made.id,
            urn=made.urn,
            olds=wire.write(made.state),
            old_inputs=wire.write(made.inputs),
            news=wire.write(self.check(kind, inputs)),
        )
        answer = self._call("Diff", request)
        kinds = provider_pb2.PropertyDiff.Kind
        return Difference(
            {path: kinds.Name(found.kind) for path, found in answer.detailedDiff.items()},
            bool(answer.replaces),
            answer.deleteBeforeReplace,
        )

    def refresh(self, made: Made) -> Made | None:
        """Read the resource; None when it is gone."""
        request = provider_pb2.ReadRequest(
            id=made.id,
            urn=made.urn,
            properties=wire.write(made.state),
            inputs=wire.write(made.inputs),
        )
        answer = self._call("Read", request)
        if not answer.id:
            return None
        return Made(made.urn, answer.id, wire.read(answer.inputs), wire.read(answer.properties))

    def update(self, made: Made, inputs: Properties, *, preview: bool = False) -> Made:
        """Change the resource in place, or return what a preview shows of that."""
        checked = self.check(made.urn.split("::")[2], inputs)
        request = provider_pb2.UpdateRequest(
            id=made.id,
            urn=made.urn,
            olds=wire.write(made.state),
            news=wire.write(checked),
            preview=preview,
        )
        answer = self._call("Update", request)
        return Made(made.urn, made.id, checked, wire.read(answer.properties))

    def delete(self, made: Made) -> None:
        """Delete the resource."""
        request = provider_pb2.DeleteRequest(
            id=made.id, urn=made.urn, properties=wire.write(made.state)
        )
        self._call("Delete", request)

    def cancel(self) -> None:
        """End what runs."""
        self._call("Cancel", None)

    def _call(self, method: str, request: Any) -> Any:
        from google.protobuf.empty_pb2 import Empty

        try:
            return getattr(self._stub, method)(request or Empty(), timeout=30)
        except grpc.RpcError as error:
            failed: Any = error
            raise PluginError(failed.code().name, failed.details(), _left(failed)) from None


def _urn(kind: str, name: str) -> str:
    return f"urn:pulumi:dev::traced::{kind}::{name}"


def _left(error: Any) -> tuple[str, Properties] | None:
    """Return the object of an initialization error (sdk: ErrorResourceInitFailed)."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            status = status_pb2.Status.FromString(value)
            left = provider_pb2.ErrorResourceInitFailed()
            assert status.details[0].Unpack(left)
            return left.id, wire.read(left.properties)
    return None


@contextmanager
def serving(servicer: Servicer) -> Iterator[Plugin]:
    """Serve a plugin in this process."""
    server = grpc.server(ThreadPoolExecutor(max_workers=4))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield Plugin(channel)
    finally:
        server.stop(grace=None)
