"""Removes containers and networks that a killed run made and that are not in Pulumi's state, and
refuses to go on where the state itself is lost.

A before_create hook runs where the engine's state has no such resource, or when it has deleted the
one that is replaced. So an object of the same name that carries the stack's owner label is an
orphan, and it blocks that name.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pulumi

from runtime_observability.host import cluster_lock, docker, runner
from runtime_observability.host.docker import ClusterNodes, Owned


def _before_create(
    name: str,
    owner: str,
    listed: Callable[[], list[Owned]],
    remove: Callable[[Owned], object],
    check: Callable[[Owned], object] | None = None,
) -> pulumi.ResourceHook:
    """A hook that removes every orphan among ``listed``.

    It raises what ``check`` does instead, in previews too: there it may be one that is replaced.
    """

    def hook(_: pulumi.ResourceHookArgs) -> None:
        for found in listed():
            if (found.name, found.owner) != (name, owner):
                continue
            if check:
                check(found)
            if not pulumi.runtime.is_dry_run():
                remove(found)
                pulumi.log.warn(f"removed {name}, which Pulumi's state does not have")

    options = pulumi.ResourceHookOptions(on_dry_run=check is not None)
    return pulumi.ResourceHook(f"remove-orphaned-{name}", hook, options)


def no_container(name: str, owner: str, note: str = "") -> pulumi.ResourceHook:
    """Before a container is created: removes the one of its name that a killed run left.

    One whose id the file ``note`` has was in a state, and that is no longer Pulumi's: with traces
    in its memory (``Owned.has_traces_in_memory``) the hook raises CommandError and removes nothing.
    """

    def remove(container: Owned) -> None:
        if container.has_traces_in_memory and container.id == _read(note):
            raise runner.CommandError(
                f"nothing was removed, because container {name} has traces in its memory, and "
                "Pulumi's state does not have it: the state is an older one, is in another "
                "backend, or the resource was deleted or renamed there. Use the backend that has "
                f"it (`pulumi login`), {_state_back()}, take back a rename (`pulumi state rename`),"
                f" or give these traces up: `docker rm -f {name}`, then `pulumi up`"
            )
        runner.run(["docker", "rm", "--force", "--volumes", container.id]).checked()

    return _before_create(name, owner, docker.containers, remove)


def no_cluster(cluster: str, owner: str, directory: str) -> pulumi.ResourceHook:
    """Before the stack's first resource is created, in previews too: refuses a ``cluster`` that is
    there, or that a run is about to make with ``directory``, the stack's own folder, as nothing of
    it can be in a state without that resource.

    An up that came further would have the guard in this state, too: its destroy takes all that
    another state still has.
    """

    def hook(_: pulumi.ResourceHookArgs) -> None:
        if cluster_lock.is_held(Path(directory)):
            raise runner.CommandError(
                "nothing was touched, because another run is making the cluster of this stack, and "
                "Pulumi's state has nothing of it: that run has another backend, or was killed. "
                "Wait until it ends (`pgrep -af k3d` lists it), or use its backend (`pulumi login`)"
            )
        _refuse_a_cluster(cluster, owner, lacks="it", undone="touched")

    options = pulumi.ResourceHookOptions(on_dry_run=True)
    return pulumi.ResourceHook(f"find-the-state-of-{cluster}", hook, options)


def _refuse_a_cluster(cluster: str, owner: str, *, lacks: str, undone: str) -> None:
    """Raises CommandError if ``cluster`` is there. Empty: there is none with workloads.

    ``lacks`` is what Pulumi's state does not have, and ``undone`` what has happened to nothing.
    """
    if cluster and ClusterNodes.of(docker.containers(), cluster, owner).owned:
        raise runner.CommandError(
            f"nothing was {undone}, because cluster {cluster} of this stack is there with its "
            f"workloads, and Pulumi's state does not have {lacks}: the state was lost, is an older "
            "one, is in another backend, or the resource was tainted or renamed. Use the backend "
            f"that has it (`pulumi login`), {_state_back()}, take back a taint (`pulumi state "
            "untaint --all`) or a rename (`pulumi state rename`), or give the cluster up: "
            f"`k3d kubeconfig get {cluster}` opens it, to save what is in it, then `k3d cluster "
            f"delete {cluster}` and `pulumi up`"
        )


def _state_back() -> str:
    """How: what a backend in a folder keeps by itself is no file for `pulumi stack import`."""
    stack = f"{pulumi.get_project()}/{pulumi.get_stack()}"
    return (
        "give Pulumi its state back (`pulumi stack import --file EXPORT`; where the backend is a "
        f"folder, copy a file of its .pulumi/backups/{stack} from before the loss to "
        f".pulumi/stacks/{stack}.json)"
    )


def no_network(name: str, owner: str, cluster: str) -> pulumi.ResourceHook:
    """Before a network is created: removes the one of its name that a killed run left.

    A run that was killed there had nodes of no ``cluster`` on it yet. So if there are any, Pulumi
    has lost its state: the hook raises CommandError and removes nothing. It does so in a preview,
    too, also of one that Pulumi was told to replace: that up is refused, by the guards.
    """

    def refuse(network: Owned) -> None:
        on_it = ("--filter", f"network={network.id}", "--filter", f"label=k3d.cluster={cluster}")
        if runner.run(["docker", "ps", "-aq", *on_it]).checked():
            _refuse_a_cluster(cluster, owner, lacks="its network", undone="removed")

    def remove(network: Owned) -> None:
        values = {"OWNER": owner, "NETWORK": name}
        runner.run_script("detach_network.sh", values).checked()
        runner.run(["docker", "network", "rm", network.id]).checked()

    return _before_create(name, owner, docker.networks, remove, refuse)


def _read(note: str) -> str:
    """What a file has; empty where there is none."""
    try:
        return Path(note).read_text(encoding="utf-8").strip() if note else ""
    except (OSError, ValueError):
        return ""
