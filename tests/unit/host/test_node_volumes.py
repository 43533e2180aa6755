"""What a node leaves in Docker without a label is noted before it can go."""

from __future__ import annotations

from runtime_observability.core.naming import Names
from runtime_observability.host import node_volumes
from tests.fakes.daemon import FakeDaemon

OF_SERVER, OF_AGENT, GONE = "a" * 64, "b" * 64, "d" * 64


def nodes(daemon: FakeDaemon, names: Names) -> list[str]:
    """A server and an agent, each with a volume that Docker has made, and with what is no such."""
    found = [daemon.node(names, role) for role in ("server", "agent")]
    for node, volume in zip(found, (OF_SERVER, OF_AGENT), strict=True):
        daemon.volume(volume)
        node.mounts += [
            {"Type": "volume", "Name": volume, "Destination": "/var/lib/kubelet"},
            {"Type": "volume", "Name": f"k3d-{names.cluster}-images", "Destination": "/k3d/images"},
            {"Type": "bind", "Source": "/certificates", "Destination": "/etc/ssl"},
        ]
    return [node.name for node in found]


def noted(names: Names) -> list[str]:
    return names.node_volumes.read_text().split()


def test_the_volumes_without_a_name_are_noted_for_this_user_alone(
    daemon: FakeDaemon, names: Names
) -> None:
    node_volumes.note(names, nodes(daemon, names))
    assert noted(names) == [OF_SERVER, OF_AGENT]
    assert names.node_volumes.stat().st_mode & 0o777 == 0o600


def test_those_of_a_node_that_is_gone_stay_noted_until_docker_has_them_no_more(
    daemon: FakeDaemon, names: Names
) -> None:
    """As after `docker rm` of it: `up` makes another node."""
    server, agent = nodes(daemon, names)
    names.directory.mkdir(parents=True)
    names.node_volumes.write_text(f"{GONE}\n{OF_AGENT}\n")
    daemon.containers[:] = [found for found in daemon.containers if found.name != agent]
    node_volumes.note(names, [server])
    assert noted(names) == [OF_SERVER, OF_AGENT]


def test_a_note_that_somebody_has_spoilt_is_written_again(daemon: FakeDaemon, names: Names) -> None:
    names.directory.mkdir(parents=True)
    names.node_volumes.write_bytes(b"\xff\xfe{{{\n" + OF_AGENT.encode())
    node_volumes.note(names, nodes(daemon, names))
    assert noted(names) == [OF_SERVER, OF_AGENT]


def test_nothing_is_written_or_asked_again_where_all_are_noted(
    daemon: FakeDaemon, names: Names
) -> None:
    names.directory.mkdir(parents=True)
    names.node_volumes.write_text(f"{GONE}\n{OF_SERVER}\n{OF_AGENT}\n")
    node_volumes.note(names, nodes(daemon, names))
    assert noted(names) == [GONE, OF_SERVER, OF_AGENT]
