"""What the shell offers for a word: stacks, namespaces, and objects of the stack's cluster.

The shell waits for it, and has no place for a message: where a source cannot be read, nothing is
offered.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import typer

from ktrace.text import cleaned

_MOST = 500
"""Objects of a kind."""
_NO_FILES = ":4"
"""A directive of kubectl's: ShellCompDirectiveNoFileComp of spf13/cobra."""
_PODS = "/api/v1/namespaces/{namespace}/pods"
_PATHS = {
    "pod": _PODS,
    "deployment": "/apis/apps/v1/namespaces/{namespace}/deployments",
    "statefulset": "/apis/apps/v1/namespaces/{namespace}/statefulsets",
    "daemonset": "/apis/apps/v1/namespaces/{namespace}/daemonsets",
    "replicaset": "/apis/apps/v1/namespaces/{namespace}/replicasets",
    "job": "/apis/batch/v1/namespaces/{namespace}/jobs",
}
_SHORT = {"deploy": "deployment", "sts": "statefulset", "ds": "daemonset", "rs": "replicaset"}
_KINDS = {**{kind: kind for kind in _PATHS}, **_SHORT}
"""How a kind may be written before the slash."""


def stacks(incomplete: str) -> list[str]:
    """The Pulumi stacks of the project."""
    from ktrace.target import stack  # noqa: PLC0415  options complete without it

    return _beginning(incomplete, stack.names)


def namespaces(ctx: typer.Context, incomplete: str) -> list[str]:
    return _beginning(incomplete, lambda: _listed(ctx, "/api/v1/namespaces"))


def pods_and_workloads(ctx: typer.Context, incomplete: str) -> list[str]:
    """``NAME`` of pods, and ``KIND/NAME`` of the kind that the word begins with."""
    written, slash, _ = incomplete.partition("/")
    kinds = [kind for kind in _KINDS if kind == written or (not slash and kind.startswith(written))]

    def found() -> Iterable[str]:
        if not slash:
            yield from _listed(ctx, _PODS)
        for kind in kinds if written else ():
            yield from (f"{kind}/{name}" for name in _listed(ctx, _PATHS[_KINDS[kind]]))

    return _beginning(incomplete, found)


def _beginning(incomplete: str, find: Callable[[], Iterable[str]]) -> list[str]:
    from ktrace.failures import FAILURES  # noqa: PLC0415

    try:
        return sorted(name for name in set(find()) if name.startswith(incomplete))
    except FAILURES:
        return []


def _listed(ctx: typer.Context, path: str) -> list[str]:
    """The names of the objects at ``path``, of the cluster and the namespace in the line so far."""
    from ktrace.podstart import cluster  # noqa: PLC0415
    from ktrace.target import target  # noqa: PLC0415
    from runtime_observability.host import api_server  # noqa: PLC0415

    said: dict[str, Any] = ctx.params
    file = said.get("kubeconfig")
    chosen = target.choose(said.get("stack"), said.get("jaeger_url"), Path(file) if file else None)
    namespace = quote(said.get("namespace") or "default", safe="")
    with cluster.connected(chosen.kubeconfig) as api:
        if isinstance(api, str):
            return []
        try:
            found = cleaned(api.get(f"{path.format(namespace=namespace)}?limit={_MOST}"))
            return [str(item["metadata"]["name"]) for item in found["items"]]
        except (*api_server.FAILURES, LookupError, TypeError):
            return []


def for_kubectl() -> None:
    """Prints what kubectl offers after ``kubectl ktrace``, given the words so far; the last one may
    be empty. Its last line tells kubectl not to offer files."""
    from ktrace.cli import main  # noqa: PLC0415

    words = sys.argv[1:] or [""]
    os.environ |= {
        "_KTRACE_COMPLETE": "complete_bash",
        "COMP_WORDS": shlex.join(["ktrace", *words]),
        "COMP_CWORD": str(len(words)),
    }
    sys.argv[1:] = []
    try:
        main()
    finally:
        print(_NO_FILES)
