"""The plugin protocol: one gRPC server for any set of resource types."""
# ruff: noqa: N802 - the protocol names its methods

from __future__ import annotations

import contextlib
import functools
import os
import re
import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar

import grpc
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import (
    engine_pb2,
    engine_pb2_grpc,
    plugin_pb2,
    provider_pb2,
    provider_pb2_grpc,
    status_pb2,
)

from lab.providers import properties, wire
from lab.providers.properties import Changes, Field, Schema
from lab.providers.wire import Properties

ENGINE_POLL_SECONDS = 5


class ProviderError(Exception):
    """The operation failed and changed nothing in the stack's state."""


class InitializationError(Exception):
    """The object exists but is incomplete: its state is kept, and the update fails."""

    def __init__(self, identity: str, state: Properties, reason: str) -> None:
        super().__init__(reason)
        self.identity, self.state = identity, state


@dataclass(frozen=True)
class Call:
    """One create, update or delete: its log, and how long it may take."""

    urn: str
    seconds: float | None
    """The limit of the resource's own customTimeouts; None: no limit."""
    log: Callable[[str], None]
    """Shows a status line at the resource while the operation runs."""
    cancelled: threading.Event

    @property
    def name(self) -> str:
        """The resource's name in the program."""
        return _name(self.urn)


class Resource(ABC):
    """One resource type."""

    covers: ClassVar[str]
    """The type's token, as in `docker:index/network:Network`."""
    deletes_before_replacing: ClassVar[bool] = False

    @abstractmethod
    def check(self, inputs: Properties) -> Iterator[tuple[str, str]]:
        """Yield (property, reason) for every refused input."""

    def fill(self, inputs: Properties) -> Properties:
        """Return checked inputs with their defaults."""
        return inputs

    @abstractmethod
    def diff(self, state: Properties, old: Properties, new: Properties) -> Changes:
        """Compare the state and its old inputs with new inputs."""

    @abstractmethod
    def planned(self, state: Properties, inputs: Properties) -> Properties:
        """Return what a preview shows; `state` is empty for a create."""

    @abstractmethod
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        """Create the object; return its id and state."""

    @abstractmethod
    def update(
        self, call: Call, identity: str, state: Properties, inputs: Properties
    ) -> Properties:
        """Change the object in place; return its state."""

    def read(self, identity: str, state: Properties) -> Properties | None:
        """Return the object's present state; None when it is gone."""
        return state

    @abstractmethod
    def delete(self, call: Call, identity: str, state: Properties) -> None:
        """Remove the object; it is no error if it is gone already."""


@dataclass(frozen=True)
class Configuration:
    """The provider's own configuration."""

    schema: Schema
    effective: Callable[[Properties], Properties]
    """Returns the configuration with what the environment gives where it has no value."""
    use: Callable[[Properties], None]
    """Uses a configuration from now on; raises ProviderError where that is impossible."""


def _rpc(method: Callable[[Any, Any, Any], Any]) -> Callable[[Any, Any, Any], Any]:
    """Turn the errors of an RPC into the statuses that the engine knows."""

    @functools.wraps(method)
    def reported(self: Any, request: Any, context: Any) -> Any:
        try:
            return method(self, request, context)
        except InitializationError as error:
            context.set_trailing_metadata((("grpc-status-details-bin", _made_but_failed(error)),))
            return context.abort(grpc.StatusCode.UNKNOWN, str(error))
        except ProviderError as error:
            return context.abort(grpc.StatusCode.UNKNOWN, str(error))

    return reported


def _made_but_failed(error: InitializationError) -> bytes:
    """Return the `google.rpc.Status` that tells the engine that the object exists."""
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(error))
    status.details.add().Pack(
        provider_pb2.ErrorResourceInitFailed(
            id=error.identity, properties=wire.write(error.state), reasons=[str(error)]
        )
    )
    return bytes(status.SerializeToString())


class Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """The protocol for a set of types. Every public method is one RPC of provider.proto."""

    def __init__(
        self,
        version: str,
        resources: Sequence[Resource],
        configuration: Configuration,
        engine: str | None,
    ) -> None:
        self._version, self._configuration = version, configuration
        self._resources = {resource.covers: resource for resource in resources}
        self._cancelled = threading.Event()
        self._engine = engine_pb2_grpc.EngineStub(grpc.insecure_channel(engine)) if engine else None

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=self._version)

    @_rpc
    def CheckConfig(self, request: Any, context: Any) -> Any:
        inputs = wire.read(request.news)
        schema = {"version": Field(str), **self._configuration.schema}
        return _checked(inputs, properties.check(schema, inputs))

    def DiffConfig(self, request: Any, context: Any) -> Any:
        kinds = provider_pb2.DiffResponse
        effective = self._configuration.effective
        same = effective(wire.read(request.olds)) == effective(wire.read(request.news))
        return kinds(changes=kinds.DIFF_NONE if same else kinds.DIFF_SOME)

    @_rpc
    def Configure(self, request: Any, context: Any) -> Any:
        self._configuration.use(wire.read(request.args))
        # Secrets arrive as plain values, and the engine marks the output of the same name as
        # secret: the same result as infer's default (ensureDefaultSecrets).
        return provider_pb2.ConfigureResponse(supportsPreview=True)

    @_rpc
    def Check(self, request: Any, context: Any) -> Any:
        resource, inputs = self._resource(request.urn), wire.read(request.news)
        failures = list(resource.check(inputs))
        if not failures:
            inputs = resource.fill(inputs)
        return _checked(inputs, failures)

    @_rpc
    def Diff(self, request: Any, context: Any) -> Any:
        resource = self._resource(request.urn)
        changes = resource.diff(
            wire.read(request.olds), wire.read(request.old_inputs), wire.read(request.news)
        )
        return diff_response(changes, resource.deletes_before_replacing)

    @_rpc
    def Create(self, request: Any, context: Any) -> Any:
        resource, inputs = self._resource(request.urn), wire.read(request.properties)
        if request.preview:
            identity, state = "", resource.planned({}, inputs)
        else:
            identity, state = resource.create(self._call(request), inputs)
        return provider_pb2.CreateResponse(id=identity, properties=wire.write(state))

    @_rpc
    def Update(self, request: Any, context: Any) -> Any:
        resource, inputs = self._resource(request.urn), wire.read(request.news)
        state = wire.read(request.olds)
        if request.preview:
            state = resource.planned(state, inputs)
        else:
            state = resource.update(self._call(request), request.id, state, inputs)
        return provider_pb2.UpdateResponse(properties=wire.write(state))

    @_rpc
    def Read(self, request: Any, context: Any) -> Any:
        resource, inputs = self._resource(request.urn), wire.read(request.inputs)
        before = wire.read(request.properties)
        if not before:
            raise ProviderError("the lab's stand-in plugins cannot import or look up resources")
        state = resource.read(request.id, before)
        if state is None:
            return provider_pb2.ReadResponse()
        # bridge, ExtractInputsFromOutputs: a refresh copies what was read into existing inputs.
        inputs = {name: state.get(name, value) for name, value in inputs.items()}
        return provider_pb2.ReadResponse(
            id=request.id, properties=wire.write(state), inputs=wire.write(inputs)
        )

    @_rpc
    def Delete(self, request: Any, context: Any) -> Any:
        resource, state = self._resource(request.urn), wire.read(request.properties)
        resource.delete(self._call(request), request.id, state)
        return Empty()

    def Cancel(self, request: Any, context: Any) -> Any:
        self._cancelled.set()
        return Empty()

    def _resource(self, urn: str) -> Resource:
        token = urn.split("::")[2].rpartition("$")[2]
        if token not in self._resources:
            raise ProviderError(
                f"the lab's stand-in plugin does not cover the type {token};"
                f" it covers {', '.join(self._resources)}"
            )
        return self._resources[token]

    def _call(self, request: Any) -> Call:
        return Call(
            request.urn, request.timeout or None, self._logger(request.urn), self._cancelled
        )

    def _logger(self, urn: str) -> Callable[[str], None]:
        def log(message: str) -> None:
            if self._engine:
                with contextlib.suppress(grpc.RpcError):
                    self._engine.Log(
                        engine_pb2.LogRequest(
                            severity=engine_pb2.INFO, message=message, urn=urn, ephemeral=True
                        )
                    )

        return log


def diff_response(changes: Changes, deletes_before_replacing: bool) -> Any:
    """Return `changes` in the protocol's form."""
    kinds = provider_pb2.DiffResponse
    names = {path: re.split(r"[.\[]", path, maxsplit=1)[0] for path in changes}
    replaces = sorted({names[path] for path, (_change, replacing) in changes.items() if replacing})
    detailed = {
        path: provider_pb2.PropertyDiff(
            kind=provider_pb2.PropertyDiff.Kind.Value(change + ("_REPLACE" if replacing else ""))
        )
        for path, (change, replacing) in changes.items()
    }
    return kinds(
        changes=kinds.DIFF_SOME if changes else kinds.DIFF_NONE,
        replaces=replaces,
        diffs=sorted(set(names.values())),
        detailedDiff=detailed,
        hasDetailedDiff=True,
        deleteBeforeReplace=bool(replaces) and deletes_before_replacing,
    )


def _name(urn: str) -> str:
    return urn.rpartition("::")[2]


def _checked(inputs: Properties, failures: Any) -> Any:
    return provider_pb2.CheckResponse(
        inputs=wire.write(inputs),
        failures=[
            provider_pb2.CheckFailure(property=name, reason=reason) for name, reason in failures
        ],
    )


def serve(make: Callable[[str | None], Servicer], arguments: Sequence[str]) -> None:
    """Serve until the engine ends this process; print the port, which the engine reads."""
    engine = next((word for word in arguments if not word.startswith("-")), None)
    server = grpc.server(ThreadPoolExecutor(max_workers=64))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(make(engine), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    # The engine ends its plugins with SIGINT and waits up to 5 s; a Go program ends at once.
    signal.signal(signal.SIGINT, lambda _signal, _frame: os._exit(0))
    print(port, flush=True)
    parent = os.getppid()
    while os.getppid() == parent:
        server.wait_for_termination(ENGINE_POLL_SECONDS)
    # The engine was killed: running operations are finished first, as in the real plugins.
    server.stop(grace=None)
