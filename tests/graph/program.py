"""Runs the whole program on mocks that record what it registers."""

from __future__ import annotations

import gc
import hashlib
import json
import logging
import os
import runpy
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import pulumi
from pulumi.runtime import mocks
from pulumi.runtime.rpc import deserialize_properties
from pulumi.runtime.settings import get_root_resource

from runtime_observability.core.naming import PROJECT as PROJECT_NAME
from runtime_observability.core.observation import Observation
from runtime_observability.host import daemon, preflight, runner
from tests.configuration import PROJECT, defaults

COMMAND = "command:local:Command"
CONTAINER = "docker:index/container:Container"
DOCKER_PROVIDER = "pulumi:providers:docker"
ENVIRONMENT = "traced"
"""The environment's name in __main__. Names below leave out this prefix."""
IMAGE = "docker:index/remoteImage:RemoteImage"
NETWORK = "docker:index/network:Network"
STACK_REFERENCE = "pulumi:pulumi:StackReference"
SOCKET = "unix:///var/run/docker.sock"
"""What docker uses where DOCKER_HOST is not set."""


@dataclass(frozen=True)
class Resource:
    """One registration, in the engine's terms."""

    urn: str
    type: str
    name: str
    parent: str
    custom: bool
    inputs: Mapping[str, Any] = field(repr=False)
    dependencies: frozenset[str] = field(repr=False)
    property_dependencies: Mapping[str, frozenset[str]] = field(repr=False)
    delete_before_replace: bool = False
    ignore_changes: tuple[str, ...] = ()
    before_create: tuple[str, ...] = ()
    """Names of hooks."""
    before_update: tuple[str, ...] = ()
    provider: str = ""
    """URN and id of the provider that makes it, where the program names one."""
    earlier_names: tuple[str, ...] = ()
    """Its aliases at the root of the stack."""

    @property
    def environment(self) -> Mapping[str, str]:
        """Of a Command."""
        found: Mapping[str, str] = self.inputs["environment"]
        return found

    @property
    def stdin(self) -> Any:
        """Of a Command that reads a document."""
        return json.loads(self.inputs["stdin"])


@dataclass(frozen=True)
class Run:
    """``error`` is the message that ended the program; ``said`` are its log lines: level, text."""

    resources: tuple[Resource, ...]
    exports: Mapping[str, Any]
    said: tuple[tuple[str, str], ...]
    error: str | None = None

    def __getitem__(self, name: str) -> Resource:
        return next(resource for resource in self.custom if resource.name == name)

    @property
    def custom(self) -> list[Resource]:
        """All but components, and the Docker provider, which makes nothing by itself."""
        return [
            resource
            for resource in self.resources
            if resource.custom and resource.type != DOCKER_PROVIDER
        ]

    @property
    def names(self) -> list[str]:
        return [resource.name for resource in self.custom]

    def of_type(self, kind: str) -> list[Resource]:
        return [resource for resource in self.resources if resource.type == kind]

    def before(self, name: str) -> set[str]:
        """Names of all custom resources that exist before the creation of ``name`` begins.

        A resource waits for its dependencies and for those of its parent. Deletes run in the
        opposite order.
        """
        by_urn = {resource.urn: resource for resource in self.resources}
        seen: set[str] = set()
        ahead = [self[name].urn]
        while ahead:
            resource = by_urn.get(ahead.pop())
            if resource is None or resource.urn in seen:
                continue
            seen.add(resource.urn)
            ahead += [*resource.dependencies, resource.parent]
        return {by_urn[urn].name for urn in seen if by_urn[urn].custom} - {name}

    def warnings(self) -> list[str]:
        return [text for level, text in self.said if level == "WARNING"]

    def outlook(self) -> list[str]:
        return [text for level, text in self.said if level == "INFO"]


class _Outputs(mocks.Mocks):
    """The outputs of each resource: its inputs, and what else the program reads."""

    def __init__(self, other_stack: Mapping[str, Any]) -> None:
        self._other_stack = dict(other_stack)

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        more: dict[str, Any] = {}
        if args.typ == IMAGE:
            more = {"imageId": "sha256:" + hashlib.sha256(args.inputs["name"].encode()).hexdigest()}
        elif args.typ == COMMAND:
            more = {"stdout": json.dumps(_printed(args.inputs))}
        elif args.typ == STACK_REFERENCE:
            more = {"outputs": self._other_stack}
        return f"id-of-{args.name}" if args.custom else None, {**args.inputs, **more}

    def call(self, args: mocks.MockCallArgs) -> Any:
        raise AssertionError(f"the program calls a function of a provider: {args.token}")


def _printed(inputs: Mapping[str, Any]) -> dict[str, Any]:
    create = inputs["create"]
    if "runtime_observability.host.rehearse" in create:
        return {"digest": inputs["environment"]["DIGEST"], "rehearsed": False, "seconds": 0.1}
    if "runtime_observability.host.ensure" in create:
        return {"instance": "container-id-of-server-0", "seconds": 9.9}
    if "ktrace.pipeline.probe" in create:
        return {"traced": ["apiserver", "kubelet"], "seconds": 0.9, "traceUrl": "http://t/1"}
    if "runtime_observability.host.build_node_image" in create:
        return {"image": "runtime-observability/k3s:containerd-2.3.4-0123456789ab", "built": True}
    return {"seconds": 0.1, "replicas": 0}


class _Recorder(mocks.MockMonitor):
    def __init__(self, other_stack: Mapping[str, Any]) -> None:
        super().__init__(_Outputs(other_stack))
        self.recorded: list[Resource] = []

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802  gRPC's name
        answer = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        if request.type != "pulumi:pulumi:Stack":
            properties = request.propertyDependencies
            self.recorded.append(
                Resource(
                    urn=answer.urn,
                    type=request.type,
                    name=request.name.removeprefix(f"{ENVIRONMENT}-"),
                    parent=request.parent,
                    custom=request.custom,
                    inputs=deserialize_properties(request.object, keep_unknowns=True),
                    dependencies=frozenset(request.dependencies),
                    property_dependencies={
                        key: frozenset(properties[key].urns) for key in properties
                    },
                    delete_before_replace=request.deleteBeforeReplace,
                    ignore_changes=tuple(request.ignoreChanges),
                    before_create=tuple(request.hooks.before_create),
                    before_update=tuple(request.hooks.before_update),
                    provider=request.provider or " ".join(request.providers.values()),
                    earlier_names=tuple(
                        alias.spec.name for alias in request.aliases if alias.spec.noParent
                    ),
                )
            )
        return answer


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.said: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append((record.levelname, record.getMessage()))


def run(
    changes: Mapping[str, Any] | None = None,
    *,
    stack: str = "dev",
    observed: Observation | None = None,
    preview: bool = False,
    others: Mapping[str, str] | None = None,
    secret_keys: Collection[str] = (),
) -> Run:
    """Runs the program on Pulumi.yaml's defaults with ``changes``; values are text, as in the CLI.

    ``others`` are keys of other namespaces, with these. ``observed`` is what preflight finds; by
    default a stack of generation 7. ``secret_keys`` are those of ``changes`` and, with their
    namespace, of ``others`` that were set with ``--secret``.
    """
    values = {key: _as_text(value) for key, value in (defaults() | dict(changes or {})).items()}
    try:
        return run_program(
            lambda: runpy.run_path(str(PROJECT / "__main__.py"), run_name="__main__"),
            {f"{PROJECT_NAME}:{key}": value for key, value in values.items()} | dict(others or {}),
            stack=stack,
            observed=observed,
            preview=preview,
            secret_keys=[key if ":" in key else f"{PROJECT_NAME}:{key}" for key in secret_keys],
        )
    finally:  # the program is the last thing that its own process does; the tests go on
        gc.unfreeze()
        gc.enable()


def run_program(
    body: Callable[[], object],
    config: Mapping[str, str] | None = None,
    *,
    project: str = PROJECT_NAME,
    stack: str = "dev",
    observed: Observation | None = None,
    preview: bool = False,
    other_stack: Mapping[str, Any] | None = None,
    secret_keys: Collection[str] = (),
    organization: str = "organization",
) -> Run:
    """Runs any program as ``project``; the keys of ``config`` have their namespace.

    ``other_stack`` are the outputs of every stack that the program refers to.
    """
    monitor, lines = _Recorder(other_stack or {}), _Lines()
    logger = logging.Logger("program")
    logger.addHandler(lines)
    exports: dict[str, Any] = {}

    def program() -> pulumi.Output[None]:
        body()
        outputs = dict(_exported())
        return pulumi.Output.all(**outputs).apply(exports.update)

    pulumi.runtime.set_mocks(
        monitor.mocks,
        project=project,
        stack=stack,
        preview=preview,
        logger=logger,
        monitor=monitor,
        organization=organization,
    )
    pulumi.runtime.set_all_config(dict(config or {}), list(secret_keys))
    _exported().clear()
    look = mock.patch.object(
        preflight, "observe", return_value=observed or Observation(generation=7)
    )
    address = mock.patch.object(
        daemon, "command_line_address", return_value=os.environ.get("DOCKER_HOST") or SOCKET
    )
    awaited: Callable[[], None] = pulumi.runtime.test(program)  # type: ignore[no-untyped-call]
    error = None
    with look, address, mock.patch.dict(runner.variables):
        try:
            awaited()
        except pulumi.RunError as refused:
            error = str(refused)
    said = tuple(line for line in lines.said if line[0] != "DEBUG")
    return Run(tuple(monitor.recorded), exports, said, error)


def _exported() -> dict[str, Any]:
    """The root's outputs. They remain after a run, as the root does."""
    root: Any = get_root_resource()
    outputs: dict[str, Any] = root.outputs
    return outputs


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
