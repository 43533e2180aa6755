"""When a phase of an operation has begun, and every row of the kill matrix.

What a phase is reached by is what Docker, the stack's folder, its processes or its cluster show.
"""

from __future__ import annotations

from collections.abc import Callable

import httpx

from runtime_observability.core.naming import NODE_IMAGE, Names
from tests.live.nodes import upstream_containerd
from tests.live.stack import Stack
from tests.soak.kills import Case, Ids, Phase, Settings, Victim, cases

_PROBE = "ktrace.pipeline.probe"
_OTHER_ARGUMENTS = {"k3sArgs": ["--kubelet-arg=max-pods=50@server:*"]}


def of_the_cluster(config: Settings) -> Settings:
    """What of a row's ``config`` only a replacement changes: the next case keeps it."""
    return {key: config[key] for key in _OTHER_ARGUMENTS if key in config}


def agent(stack: Stack) -> str:
    """The first agent's container."""
    return f"k3d-{stack.cluster}-agent-0"


def _has_network(stack: Stack, _: Ids) -> bool:
    return bool(stack.docker.networks(f"name={stack.cluster}"))


def _has(name: str) -> Callable[[Stack, Ids], bool]:
    """Whether the container that is the stack's ``name`` exists."""
    return lambda stack, _: stack.docker.exists(getattr(stack, name))


def _has_files(stack: Stack, _: Ids) -> bool:
    return any((stack.directory / "node").glob("*"))


def _rehearses(stack: Stack, _: Ids) -> bool:
    return stack.docker.exists(f"k3d-{stack.rehearsal}-server-0")


def _has_rehearsed(stack: Stack, before: Ids) -> bool:
    """The kubeconfig comes when k3d has ended, and goes last."""
    kubeconfig = Names(stack.name, stack.folder).rehearsal_directory / "kubeconfig"
    return kubeconfig.exists() and not _rehearses(stack, before)


def _has_new_node(stack: Stack, before: Ids) -> bool:
    return stack.ids().get(stack.server, "") not in ("", before.get(stack.server))


def _api_answers(stack: Stack, before: Ids) -> bool:
    """By any status: the server may want credentials."""
    if not _has_new_node(stack, before):
        return False
    try:
        url = f"https://127.0.0.1:{stack.ports['kubeApiPort']}/readyz"
        return bool(httpx.get(url, verify=False, timeout=1).status_code)  # noqa: S501
    except httpx.HTTPError:
        return False


def _works(command: str) -> Callable[[Stack, Ids], bool]:
    """Whether a process with ``command`` in its command line works on the stack."""
    return lambda stack, _: any(command in line for line in stack.orphans().values())


def _lost(name: str) -> Callable[[Stack, Ids], bool]:
    """Whether the container that was the stack's ``name`` before is gone."""
    return lambda stack, before: not stack.docker.exists(before[getattr(stack, name)])


def _lost_volume(suffix: str) -> Callable[[Stack, Ids], bool]:
    return lambda stack, _: not stack.docker.volumes(f"name={stack.cluster}-{suffix}$")


def _lost_network(stack: Stack, before: Ids) -> bool:
    return not _has_network(stack, before)


def _lost_files(stack: Stack, before: Ids) -> bool:
    return not _has_files(stack, before)


def _is_stopped(stack: Stack, _: Ids) -> bool:
    return not stack.docker.running(stack.server)


def _starts(name: Callable[[Stack], str]) -> Callable[[Stack, Ids], bool]:
    """Whether k3d waits for a node that runs: a node runs before k3d starts only if it is old."""

    def look(stack: Stack, before: Ids) -> bool:
        return _works("k3d cluster start")(stack, before) and stack.docker.running(name(stack))

    return look


def _has_agent(stack: Stack, _: Ids) -> bool:
    return stack.docker.exists(agent(stack))


def _is_drained(stack: Stack, _: Ids) -> bool:
    asked = ("get", "node", agent(stack), "-o", "jsonpath={.spec.unschedulable}")
    return stack.kubectl(*asked, check=False) == "true"


def _left_kubernetes(stack: Stack, _: Ids) -> bool:
    asked = ("get", "node", agent(stack), "--ignore-not-found", "-o", "name")
    return not stack.kubectl(*asked) and stack.docker.exists(agent(stack))


def _lost_agent(stack: Stack, before: Ids) -> bool:
    return not stack.docker.exists(before[agent(stack)])


def _runs_its_pod(stack: Stack, before: Ids) -> bool:
    """Whether the probe has created its pod."""
    return _works(_PROBE)(stack, before) and bool(probes_pods(stack))


def probes_pods(stack: Stack) -> list[str]:
    """Names of the pods that a probe has made."""
    listed = stack.kubectl("get", "pods", "-o", "name", check=False).split()
    return [name for name in listed if "/trace-probe-" in name]


def _another_cluster(stack: Stack) -> Settings:
    """Settings with which the cluster must be replaced."""
    return {} if "k3sArgs" in stack.config else _OTHER_ARGUMENTS


def _with_an_unbuilt_image(stack: Stack) -> Settings:
    """Settings of nodes whose image has to be built; it is removed if another test has built it."""
    for image in stack.docker("image", "ls", "-q", NODE_IMAGE).split():
        stack.docker("image", "rm", image)
    return upstream_containerd(stack)[0]


_NODE = Phase("the node exists", _has_new_node, k3d=True)
UP = cases(
    "up",
    (
        Phase("the network exists", _has_network),
        Phase("the nodes' files are written", _has_files),
        Phase("Jaeger exists", _has("jaeger")),
        Phase("the collector exists", _has("collector")),
        _NODE,
        Phase("the API server answers", _api_answers),
    ),
)
OUTLIVED = Case("up", _NODE, Victim.ENGINE, "destroy and up")
_BADGER = {"traceStore": "badger"}
DESTROY = cases(
    "destroy",
    (
        Phase("the node is gone", _lost("server")),
        Phase("the cluster's volume is gone", _lost_volume("images")),
        Phase("Jaeger is gone", _lost("jaeger")),
        Phase("the collector is gone", _lost("collector")),
        Phase("the volume of traces is gone", _lost_volume("traces"), before=_BADGER),
        Phase("the network is gone", _lost_network),
        Phase("the nodes' files are gone", _lost_files),
    ),
)
REPLACEMENT = cases(
    "up",
    (
        Phase(
            "the node image is built",
            _works("docker build"),
            old_cluster=True,
            wanted=_with_an_unbuilt_image,
        ),
        Phase(
            "the rehearsal's node exists",
            _rehearses,
            k3d=True,
            old_cluster=True,
            wanted=_another_cluster,
        ),
        Phase(
            "the rehearsal's node is gone",
            _has_rehearsed,
            old_cluster=True,
            network_goes=True,
            wanted=_another_cluster,
        ),
        Phase("the old node is gone", _lost("server"), wanted=_another_cluster),
        Phase("the new node exists", _has_new_node, k3d=True, wanted=_another_cluster),
        Phase("the new API server answers", _api_answers, wanted=_another_cluster),
    ),
)
PULL = cases("up", (Phase("the node image is pulled", _works("docker pull")),))
"""Seen only while a registry is slow: the test has one."""
_SAMPLING = {"nodeSamplingPerMillion": 500_000}
_AGENT = {"agents": 1}
IN_PLACE = cases(
    "up",
    (
        Phase("the node is stopped", _is_stopped, wanted=lambda _: _SAMPLING),
        Phase(
            "the node starts again",
            _starts(lambda stack: stack.server),
            k3d=True,
            wanted=lambda _: _SAMPLING,
        ),
        Phase("the agent exists", _has_agent, wanted=lambda _: _AGENT),
        Phase("the agent starts", _starts(agent), k3d=True, wanted=lambda _: _AGENT),
        Phase("the agent is drained", _is_drained, before=_AGENT),
        Phase("the agent has left Kubernetes", _left_kubernetes, before=_AGENT),
        Phase("the agent is gone", _lost_agent, before=_AGENT),
        Phase("the probe runs", _runs_its_pod, wanted=lambda _: {"traceProbe": True}),
    ),
)
"""The cluster stands before and afterwards."""
