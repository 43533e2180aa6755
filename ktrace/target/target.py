"""Which cluster and which Jaeger a command is about: a stack's, or those that its options name."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from ktrace.addresses import without_login
from ktrace.bundle import session
from ktrace.components import CONTAINERD
from ktrace.errors import UsageError
from ktrace.jaeger import Jaeger, Origin, origin
from ktrace.jaeger import store as stores
from ktrace.jaeger.store import Store
from ktrace.target.stack import stack_outputs
from runtime_observability.core.naming import ClusterNames
from runtime_observability.core.stores import NONE
from runtime_observability.host import crashes

_BROKEN = (ValueError, LookupError, TypeError, AttributeError, RecursionError, yaml.YAMLError)
"""What a text raises that is not YAML of the expected shape."""
_HOST = re.compile(r"[^\s\x00-\x1f\x7f]+")


@dataclass(frozen=True)
class Target:
    """``outputs`` are the stack's; empty for a cluster that this project did not make."""

    jaeger_url: str | None
    kubeconfig: Path | None
    outputs: dict[str, Any] = field(default_factory=dict, repr=False)
    named: Origin | None = None
    """The stack that --stack names, where Pulumi does not know it."""
    asked: str | None = None
    """The value of --stack."""

    @property
    def jaeger(self) -> str:
        """Jaeger's URL; UsageError when none is known."""
        if self.has_no_jaeger:
            raise UsageError(
                "the stack keeps no traces (traceStore: none), and no Jaeger that has them is "
                "known: name it with `pulumi config set queryUrl URL` and `pulumi up`, or with "
                "--jaeger URL"
            )
        if self.jaeger_url is None:
            raise UsageError(
                "no Jaeger is known: give its address with --jaeger URL, or a stack with "
                "--stack NAME"
            )
        return self.jaeger_url

    @property
    def has_no_jaeger(self) -> bool:
        """Whether it is a stack whose traces no known Jaeger has."""
        return self.jaeger_url is None and self.outputs.get("traceStore") == NONE

    @property
    def traces_runtime(self) -> bool:
        """Whether the probe of the stack's last `up` has found spans of containerd."""
        return CONTAINERD in (self.outputs.get("tracedComponents") or ())

    @property
    def left_out(self) -> str:
        """Why the stack's Jaeger lacks traces by choice; empty where it gets all of them, and where
        that is not known."""
        chosen = self.outputs.get("tracing")
        return f"Jaeger gets only what the stack's tracing chooses ({chosen})" if chosen else ""

    @property
    def collector(self) -> str:
        """URL that takes spans over OTLP/HTTP; empty if none is known."""
        return str(self.outputs.get("otlpHttpEndpoint") or "")

    @property
    def is_shared(self) -> bool:
        """Whether that Jaeger may have the traces of other stacks: it is not the stack's own."""
        own = self.outputs.get("jaegerUrl")
        return self.jaeger_url != own or self.outputs.get("traceStore") == NONE

    @property
    def stack(self) -> Origin | None:
        """The stack as its spans name it; None without a stack, or if an older release made it."""
        return self.named or origin.of_attributes(self.outputs.get("resourceAttributes"))

    def connect(self, timeout: float = 10) -> Jaeger:
        """A client of that Jaeger for this stack; ``timeout`` in seconds is that of a request."""
        return session.current().jaeger(
            lambda http: Jaeger(
                self.jaeger,
                timeout,
                self.store,
                stack=self.stack,
                shared=self.is_shared,
                http=http,
                why_down=self._why_down,
            )
        )

    def _why_down(self) -> str:
        """Why the stack's own Jaeger does not keep running; empty if that is not known."""
        cluster = self.outputs.get("clusterName")
        if not cluster or self.is_shared:
            return ""
        from ktrace.target import docker_daemon  # noqa: PLC0415  for a Jaeger that is down alone

        docker_daemon.use_that_of(self.asked)
        return crashes.why_down(ClusterNames(cluster).jaeger)

    @property
    def store(self) -> Store:
        """What that Jaeger keeps its traces in; a stack without the output has only memory."""
        if self.is_shared:
            return stores.UNKNOWN
        retention = self.outputs.get("traceRetention")
        return stores.of(self.outputs.get("traceStore", stores.MEMORY.name), retention)

    @property
    def cluster(self) -> Path:
        """The cluster's kubeconfig; UsageError when none is known or it cannot be used."""
        if self.kubeconfig is None:
            raise UsageError(
                "no cluster is known: give its kubeconfig with --kubeconfig PATH, or a stack with "
                "--stack NAME"
            )
        refuse_a_wrong_kubeconfig(self.kubeconfig)
        return self.kubeconfig


def choose(stack: str | None, jaeger: str | None, kubeconfig: Path | None) -> Target:
    """What the options name; the stack provides only what they leave open.

    With --jaeger or --kubeconfig, and without --stack, Pulumi is not needed. With --jaeger a stack
    that Pulumi does not know is named as its spans name it.
    """
    given = stack, jaeger, kubeconfig
    return session.current().target(lambda: _choose(stack, jaeger, kubeconfig), *given)


def _choose(stack: str | None, jaeger: str | None, kubeconfig: Path | None) -> Target:
    if jaeger is not None:
        refuse_what_is_no_url(jaeger)
    if stack is None and (jaeger or kubeconfig):
        return Target(jaeger, kubeconfig)
    try:
        if stack and "@" in stack:
            raise UsageError(
                f"--stack {stack!r} is a stack of a Jaeger that many share: write "
                "ORGANIZATION/PROJECT/STACK@OWNER, and name that Jaeger with --jaeger URL"
            )
        outputs = stack_outputs(stack)
    except UsageError as error:
        if jaeger is None or stack is None:
            raise
        if named := origin.named(stack):
            return Target(jaeger, kubeconfig, named=named)
        raise UsageError(
            f"{error}. Of a stack that is not known here, write ORGANIZATION/PROJECT/STACK"
        ) from None
    if kubeconfig is None:
        kubeconfig = Path(outputs["kubeconfig"])
        refuse_a_foreign_context(kubeconfig, outputs.get("clusterName", ""))
    return Target(
        jaeger or outputs["jaegerUrl"] or None,
        kubeconfig,
        outputs,
        asked=stack,
    )


def refuse_a_wrong_kubeconfig(file: Path) -> None:
    """UsageError unless it has a current context, and that context's cluster has an address."""
    if not file.is_file():
        raise UsageError(
            f"there is no kubeconfig {file}: is the stack up? --kubeconfig PATH names another"
        )
    server = None
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
        (context,) = (
            entry["context"]
            for entry in document["contexts"]
            if entry["name"] == document["current-context"]
        )
        clusters = {entry["name"]: entry["cluster"] for entry in document["clusters"]}
        server = clusters[context["cluster"]].get("server")
    except OSError as error:
        raise UsageError(
            f"{file} cannot be read: {error.strerror}; --kubeconfig PATH names another"
        ) from None
    except _BROKEN:
        raise UsageError(
            f"{file} is not a kubeconfig with a current context and its cluster: name another with "
            "--kubeconfig PATH"
        ) from None
    if not is_url(server):
        raise UsageError(
            f"{file}: the server of its cluster, {server!r}, is not https://HOST:PORT: correct it, "
            "or name another file with --kubeconfig PATH"
        )


def refuse_a_foreign_context(file: Path, cluster: str) -> None:
    """UsageError where the kubeconfig of the stack's ``cluster`` leads to another one."""
    from runtime_observability.host.kubeconfig import (  # noqa: PLC0415  40 ms, with its HTTP client
        foreign_context,
    )

    if context := foreign_context(file, cluster):
        raise UsageError(
            f"the current context of {file} is {context}, which is another cluster's: run "
            f"`kubectl config use-context k3d-{cluster}`, or name the cluster with "
            "--kubeconfig PATH"
        )


def refuse_what_is_no_url(jaeger: str) -> None:
    """UsageError unless ``jaeger`` is http://HOST:PORT or https://HOST:PORT."""
    if not is_url(jaeger):
        raise UsageError(
            f"--jaeger {without_login(jaeger)!r} is not http://HOST:PORT, the address of Jaeger's "
            "page"
        )


def is_url(text: object) -> bool:
    """Whether ``text`` is http://HOST:PORT or https://HOST:PORT, with or without port and path."""
    if not isinstance(text, str):
        return False
    try:
        url = urlsplit(text)
        host, port = url.hostname or "", url.port
    except ValueError:  # the port is not a port number
        return False
    return url.scheme in ("http", "https") and bool(_HOST.fullmatch(host)) and port != 0
