"""Adds agents to a standing cluster and removes them.

`k3d node create` names its nodes otherwise, gives them the environment of the node that it copies
(whose name would be in the new node's spans) and none of the arguments (k3d v5.9.0
pkg/client/node.go NodeAddToCluster). So the container is created here as a copy of the first
server's with what is an agent's own, and k3d starts it like any other.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from runtime_observability.core import transition
from runtime_observability.core.cluster_spec import ClusterSpec
from runtime_observability.host import (
    agent_volumes,
    cordon,
    daemon,
    disruption_budgets,
    finalizers,
    node_kubectl,
    node_volumes,
    progress,
    runner,
)
from runtime_observability.host.docker import Owned
from runtime_observability.host.files import write_private
from runtime_observability.host.node_kubectl import AgentsError

_DRAIN_SECONDS = 120
_LONGEST_DRAIN_SECONDS = 3600
_BEYOND_SECONDS = 60
"""How long a drain goes on when every pod has had its time to end."""
_DELETE_SECONDS = 20
_WEBHOOK_SECONDS = 30
"""What a request may wait for one webhook at most."""
_CREATE_SECONDS = 120
_KEPT = "node-password.k3s"
_DRAIN = ("--ignore-daemonsets", "--delete-emptydir-data", "--force")
_LEFT = "There are pending nodes to be drained:"
_REFUSED = re.compile(r"^(error when evicting .*) \(will retry after \w+\): (.+)$", re.MULTILINE)


def not_added(error: Exception, missing: Sequence[str], wanted: Sequence[str]) -> AgentsError:
    """What to raise when those that were ``missing`` are removed again because of ``error``.

    Where they are not the last of the ``wanted``, fewer agents would cost one that stands.
    """
    left = len(wanted) - len(missing)
    are_last = [*wanted[left:]] == [*missing]
    fewer = f", or `pulumi config set agents {left}`" if are_last else ""
    return AgentsError(
        f"{error}\nthe new agents are removed again, and the cluster works as before: correct "
        f"what they get{fewer}"
    )


def create(
    server: str,
    agent: str,
    index: int,
    spec: ClusterSpec,
    labels: Mapping[str, str],
    *,
    folder: Path,
) -> None:
    """Creates the container of an agent, which the next `k3d cluster start` starts.

    ``folder`` is the stack's own: a docker in a snap reads nothing in /tmp. Raises CommandError if
    Docker refuses it.
    """
    copied = json.loads(runner.run(["docker", "inspect", server]).checked())[0]
    # Files, because both have the cluster's token.
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        variables, marks = Path(scratch) / "environment", Path(scratch) / "labels"
        write_private(variables, _lines(_variables(copied, index, spec)))
        write_private(marks, _lines(_labels(copied, labels)))
        argv = [
            *("docker", "create", "--name", agent, "--hostname", agent),
            *("--env-file", str(variables), "--label-file", str(marks)),
            *_options(copied, index, spec),
            *(copied["Image"], "agent"),  # its tag may be gone, or name another image by now
            *transition.of_node(spec.config, "arg", "agent", index),
        ]
        environment = _without_settings(Path(scratch))
        runner.run(argv, timeout=_CREATE_SECONDS, environment=environment).checked()


def _without_settings(empty: Path) -> dict[str, str]:
    """The environment of a docker command without its user's settings, of a folder that has none.

    Their `proxies` would be in the environment of the container (docker CLI v28.2.2
    cli/config/configfile/file.go, ParseProxyConfig), and k3d gives no other node any: not even its
    server would be reached without them.
    """
    own = {"DOCKER_CONFIG": str(empty), "DOCKER_CERT_PATH": daemon.folder_of_certificates()}
    return runner.surroundings() | own


def unfinished(added: Collection[Owned]) -> list[str]:
    """Those of agents, whose making was interrupted, that Docker did not finish and in which no
    container runs.

    Raises CommandError.
    """
    running = {node.name for node in added if node.state == "running"}
    lacking = node_volumes.lacking(added)
    return [name for name in lacking if name not in running or not _runs_a_container(name)]


def _runs_a_container(agent: str) -> bool:
    return "containerd-shim" in runner.run(["docker", "top", agent]).checked()


def refuse_to_remove(agent: str, *, server: str, drain: bool) -> None:
    """Raises AgentsError, with nothing changed, if persistent volumes would be lost with an agent.

    With ``drain``, also if the API server would not evict each of its pods, for instance because of
    a PodDisruptionBudget, or would not let them or the Node go afterwards, as where a webhook
    refuses that, or where finalizers may keep them: a drain has ended pods by then, which nothing
    may make again.
    """
    if volumes := agent_volumes.lost_with(agent, server=server):
        raise AgentsError(
            f"{agent} stays, because data would be lost with it: {', '.join(volumes)}. If nobody "
            "needs that, delete the claims (`kubectl delete pvc`), then each of these volumes that "
            "is still there (`kubectl delete pv`), or keep as many agents; then run `pulumi up` "
            "again"
        )
    if drain:
        _drain(agent, "--dry-run=server", server=server)
        _refuse_pods_that_would_stay(agent, server=server)
        forget([agent], "--dry-run=server", server=server)
        _refuse_finalizers(agent, server=server)


def remove(agent: str, *, server: str, drain: bool, cordons: bool) -> None:
    """Removes an agent from Kubernetes and from Docker; with ``drain``, its pods have left before,
    first those that a PodDisruptionBudget may keep: it allows one after the other, and another one
    only where that runs again elsewhere. The others have not ended if it does not.

    Raises AgentsError when that is not possible. The agent is still there then, and with
    ``cordons``, where the drain alone has kept pods away, they come again.
    """
    try:
        if drain:
            seconds = _time_to_drain(agent, server=server)
            for selector in disruption_budgets.selectors(*_pods_of(agent), server=server):
                _drain(agent, f"--pod-selector={selector}", server=server, seconds=seconds)
            _drain(agent, server=server, seconds=seconds)
        forget([agent], server=server)
    except AgentsError:
        if cordons:
            cordon.lift(agent, server=server)
        raise
    runner.run(["docker", "rm", "-fv", agent]).checked()


def _time_to_drain(agent: str, *, server: str) -> int:
    """Seconds; long enough for each of the agent's pods to end, of which the slowest is told.

    Once the time is over, the others have ended, and the next drain begins anew.
    """
    periods = {
        node_kubectl.name_of(pod): int(period)
        for pod in node_kubectl.objects(*_pods_of(agent), server=server)
        if node_kubectl.is_drained(pod)
        and (period := pod.get("spec", {}).get("terminationGracePeriodSeconds"))
    }
    slowest = max(periods, key=lambda name: periods[name], default="")
    seconds = periods.get(slowest, 0) + _BEYOND_SECONDS
    if seconds <= _DRAIN_SECONDS:
        return _DRAIN_SECONDS
    progress.log(f"{agent}: {slowest} may take {periods[slowest]} s to end, and is waited for")
    return min(seconds, _LONGEST_DRAIN_SECONDS)


def _drain(agent: str, *options: str, server: str, seconds: int = _DRAIN_SECONDS) -> None:
    """Drains an agent, if it has joined. Raises AgentsError."""
    drained = node_kubectl.run(
        server, "drain", agent, *_DRAIN, f"--timeout={seconds}s", *options, seconds=seconds + 30,
    )  # fmt: skip
    if drained.code and f'nodes "{agent}" not found' not in drained.stderr:
        reasons = [*_reasons(drained), *finalizers.keeping(*_pods_of(agent), server=server)]
        pods = "that pod" if len(_reasons(drained)) == 1 else "these pods"
        raise AgentsError(
            f"{agent} cannot be drained and stays: {'; '.join(reasons).rstrip('.')}. Free it of "
            f"{pods}, or keep as many agents, then run `pulumi up` again"
        )


def _reasons(drained: runner.Result) -> list[str]:
    """Why a drain failed, a line for each pod: kubectl says them after the nodes that are left.

    Of an eviction that it has tried again and again it says there that the time is over; why the
    API server refused it, it has said each time.
    """
    refused = dict(_REFUSED.findall(drained.stderr))
    _, _, end = drained.stderr.partition(_LEFT)
    pods = [line.partition(": ") for line in end.splitlines() if line.startswith("err")]
    reasons = [f"{pod}: {refused.get(pod, why)}" for pod, _, why in pods]
    return reasons or [node_kubectl.last_line(drained)]


def _refuse_pods_that_would_stay(agent: str, *, server: str) -> None:
    """Raises AgentsError if the agent's kubelet may not delete its pods: those that were evicted
    have ended by then, and stay as they are."""
    tried = node_kubectl.run(
        server, "delete", "pods", "--all-namespaces", f"--field-selector=spec.nodeName={agent}",
        f"--as=system:node:{agent}", "--as-group=system:nodes", "--ignore-not-found",
        "--dry-run=server", seconds=_DRAIN_SECONDS,
    )  # fmt: skip
    if tried.code:
        reasons = dict.fromkeys(re.findall(r"^Error.*$", tried.stderr, re.MULTILINE))
        raise AgentsError(
            f"{agent} cannot be drained and stays, because its kubelet may not delete pods: "
            f"{'; '.join(reasons) or node_kubectl.last_line(tried)}. Remove what prevents it, or "
            "keep as many agents, then run `pulumi up` again"
        )


def _pods_of(agent: str) -> tuple[str, ...]:
    return "pods", "--all-namespaces", f"--field-selector=spec.nodeName={agent}"


def _refuse_finalizers(agent: str, *, server: str) -> None:
    """Raises AgentsError if the agent's Node, or a pod that a drain waits for, has finalizers of
    others. Their controllers may remove them, and where none runs it is there for good."""
    of_node = finalizers.of_others(f"node/{agent}", server=server)
    if kept := [*of_node, *finalizers.of_others(*_pods_of(agent), server=server)]:
        raise AgentsError(
            f"{agent} stays, and nothing has ended, because finalizers may keep what goes with it: "
            f"{'; '.join(kept)}. Remove them, keep as many agents, or see whether they let go: "
            f"`kubectl drain {agent} {' '.join(_DRAIN)} && kubectl delete node {agent}`; then run "
            "`pulumi up` again"
        )


def forget(agents: Sequence[str], *options: str, server: str) -> None:
    """Removes agents from Kubernetes alone, where it has them. Raises AgentsError."""
    _delete(agents, [f"node/{name}" for name in agents], *options, server=server)


def free_names(gone: Collection[str], again: Collection[str], *, server: str) -> None:
    """Removes agents whose containers are ``gone`` from Kubernetes, but those that are made
    ``again``: they have their Nodes then, with labels, taints and pods. Raises AgentsError."""
    if gone:
        _delete(
            sorted(gone), [f"node/{name}" for name in sorted({*gone} - {*again})], server=server
        )


def _delete(agents: Sequence[str], objects: Sequence[str], *options: str, server: str) -> None:
    """Deletes ``objects`` and the passwords of ``agents``.

    k3s keeps the password of each node and refuses a new one of that name; it removes the password
    with the Node, and that of a node that never joined after ten minutes or not at all (k3s
    pkg/nodepassword). Raises AgentsError.
    """
    named = [*objects, *(f"secret/{name}.{_KEPT}" for name in agents)]
    deleted = node_kubectl.run(
        server, "delete", *named, "--namespace=kube-system", "--ignore-not-found",
        f"--timeout={_DELETE_SECONDS}s", *options,
        seconds=_DELETE_SECONDS + _WEBHOOK_SECONDS * len(named),
    )  # fmt: skip
    if deleted.code:
        kept = finalizers.keeping(*named, "--namespace=kube-system", server=server)
        reasons = [node_kubectl.last_line(deleted), *kept]
        raise AgentsError(
            f"{', '.join(agents)} cannot be removed from Kubernetes: {'; '.join(reasons)}. Remove "
            "what prevents it, then run `pulumi up` again"
        )


def discard(agent: str, *, server: str, keeps_node: bool) -> None:
    """Removes an agent that has not become ready, also where Kubernetes does not answer; with
    ``keeps_node`` only its container, as its Node has the pods of an earlier one."""
    if not keeps_node:
        with suppress(runner.CommandError):
            forget([agent], server=server)
    runner.run(["docker", "rm", "-fv", agent]).checked()


def _options(server: Mapping[str, Any], index: int, spec: ClusterSpec) -> list[str]:
    """As k3d creates a node (pkg/runtimes/docker/translate.go), with the agent's own mounts."""
    config, host = server["Config"], server["HostConfig"]
    of_the_server = transition.of_node(spec.config, "volume", "server", 0)
    shared = [bind for bind in host["Binds"] or () if bind not in of_the_server]
    return [
        "--privileged",
        "--init",
        f"--restart={host['RestartPolicy']['Name']}",
        f"--cgroupns={host['CgroupnsMode'] or 'private'}",
        f"--userns={host['UsernsMode'] or 'host'}",
        f"--network={spec.config['network']}",
        f"--entrypoint={config['Entrypoint'][0]}",
        *(f"--security-opt={option}" for option in host["SecurityOpt"] or ()),
        *(f"--tmpfs={path}" for path in host["Tmpfs"] or ()),
        *(
            f"--volume={bind}"
            for bind in [*transition.of_node(spec.config, "volume", "agent", index), *shared]
        ),
    ]


def _variables(server: Mapping[str, Any], index: int, spec: ClusterSpec) -> Iterator[str]:
    name = server["Name"].removeprefix("/")
    yield from transition.of_node(spec.config, "envVar", "agent", index)
    yield from (text for text in server["Config"]["Env"] if text.startswith("K3S_TOKEN="))
    yield f"K3S_URL=https://{name}:6443"


def _labels(server: Mapping[str, Any], own: Mapping[str, str]) -> Iterator[str]:
    """k3d's labels of the cluster, and the stack's ``own``."""
    for label, value in server["Config"]["Labels"].items():
        if label == "app" or (label.startswith("k3d.") and not label.startswith("k3d.server.")):
            yield f"{label}={'agent' if label == 'k3d.role' else value}"
    yield from (f"{label}={value}" for label, value in own.items())


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
