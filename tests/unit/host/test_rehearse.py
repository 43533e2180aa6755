"""A replacement is rehearsed: the old cluster stays until the new one was seen to start."""

from __future__ import annotations

import io
import json
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from runtime_observability.core import documents, rehearsal
from runtime_observability.core.cluster_spec import ClusterSpec
from runtime_observability.core.naming import Names
from runtime_observability.core.observation import Record
from runtime_observability.core.transition import identity
from runtime_observability.host import cluster_ready, k3d, ports, rehearse, runner, store
from runtime_observability.host.cluster_ready import ReadyCluster
from runtime_observability.host.k3d import NodeWatch
from tests import configuration
from tests.configuration import parsed
from tests.fakes.daemon import FakeDaemon

FILES = documents.node_files(parsed(), cgroup_v1=False)


@pytest.fixture(autouse=True)
def _default_port_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a stack runs on this machine."""
    default, is_free = parsed().kube_api_port, ports.is_free
    monkeypatch.setattr(ports, "is_free", lambda port, kind: port == default or is_free(port, kind))


@pytest.fixture
def names(names: Names, tmp_path: Path) -> Names:
    """With its files elsewhere than in the project's folder."""
    return replace(names, own_state_folder=tmp_path / "states")


@pytest.fixture
def spec(names: Names) -> ClusterSpec:
    return configuration.spec_of(names, parsed())


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch, names: Names) -> list[str]:
    """An error's message for the wait for the rehearsal's node; empty: it becomes ready."""
    results: list[str] = []

    def wait(kubeconfig: Path, wanted: ReadyCluster, watch: NodeWatch) -> float:
        assert kubeconfig == names.rehearsal_directory / "kubeconfig"
        assert kubeconfig.read_text() == f"---\n# kubeconfig of {names.rehearsal}\n"
        assert wanted.nodes == [f"k3d-{names.rehearsal}-server-0"]
        files = names.rehearsal_directory / "node"
        assert {file.name: file.read_text() for file in files.iterdir()} == FILES
        if results:
            raise runner.CommandError(results.pop())
        return 0.1

    monkeypatch.setattr(cluster_ready, "wait", wait)
    return results


@pytest.fixture
def start(
    names: Names, monkeypatch: pytest.MonkeyPatch, no_waiting: None
) -> Callable[[ClusterSpec], int]:
    """Runs the rehearsal of a spec as a command; returns its exit code."""

    def run(spec: ClusterSpec, *, on: bool = True) -> int:
        request = {
            "stack": names.stack,
            "folder": str(names.folder),
            "stateFolder": str(names.state_folder),
            "spec": spec.document,
            "digest": identity(spec),
            "files": FILES,
            "on": on,
        }
        monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(request)))
        return rehearse.main()

    return run


@pytest.fixture
def run(start: Callable[[ClusterSpec], int], spec: ClusterSpec) -> Callable[[], int]:
    """Runs the rehearsal of ``spec`` as a command; returns its exit code."""
    return lambda: start(spec)


def created(daemon: FakeDaemon) -> list[dict[str, Any]]:
    return [yaml.safe_load(call.stdin) for call in daemon.calls_to("k3d", "cluster", "create")]


@pytest.mark.usefixtures("waits")
def test_a_replacement_is_seen_to_start_and_leaves_nothing(
    daemon: FakeDaemon,
    names: Names,
    spec: ClusterSpec,
    run: Callable[[], int],
    capfd: pytest.CaptureFixture[str],
) -> None:
    standing = daemon.node(names, spec="of another configuration")
    assert run() == 0
    (config,) = created(daemon)
    labels = config["options"]["runtime"].pop("labels")
    assert {label["label"] for label in labels} >= {f"{k}={v}" for k, v in names.labels.items()}
    expected = rehearsal.configuration(spec, names, {(parsed().kube_api_port, "tcp")})
    expected["options"]["runtime"].pop("labels")
    assert config == expected
    assert daemon.names == {standing.name}
    assert not names.rehearsal_directory.exists()
    said = capfd.readouterr()
    assert json.loads(said.out)["rehearsed"] is True
    assert "the new configuration starts, so it is replaced now" in said.err


@pytest.mark.usefixtures("waits")
def test_a_volume_that_k3s_cannot_write_its_manifests_into_is_rehearsed_empty(
    daemon: FakeDaemon,
    names: Names,
    start: Callable[[ClusterSpec], int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without what is in it: a workload of the user's would run twice."""
    folder = tmp_path / "own"
    folder.mkdir()
    file = folder / "own.yaml"
    file.write_text("kind: Pod\n")
    manifests = "/var/lib/rancher/k3s/server/manifests"
    static_pods = "/var/lib/rancher/k3s/agent/pod-manifests"
    volumes = [f"{folder}:{manifests}:ro", f"{file}:{static_pods}", f"{folder}:{static_pods}"]
    spec = configuration.spec_of(names, parsed(nodeVolumes=volumes))
    daemon.node(names, spec="of another configuration")
    mounted: dict[str, str] = {}
    run = k3d.run

    def look(argv: list[str], **options: Any) -> None:
        config = yaml.safe_load(options["stdin"])
        for entry in config["volumes"][1:]:
            source, _, rest = entry["volume"].partition(":")
            is_empty_file = Path(source).is_file() and not Path(source).read_text()
            mounted[rest] = "a file" if is_empty_file else str(sorted(Path(source).iterdir()))
        run(argv, **options)

    monkeypatch.setattr(k3d, "run", look)
    assert start(spec) == 0
    assert mounted == {f"{manifests}:ro": "[]", static_pods: "a file"}
    assert not names.rehearsal_directory.exists()


@pytest.mark.usefixtures("waits")
@pytest.mark.parametrize(
    "taken", [("kubeApiPort", "tcp"), ("publishedPorts", "tcp"), ("publishedPorts", "udp")]
)
def test_a_port_that_is_taken_meanwhile_ends_the_up(
    daemon: FakeDaemon,
    names: Names,
    start: Callable[[ClusterSpec], int],
    capfd: pytest.CaptureFixture[str],
    taken: tuple[str, str],
) -> None:
    key, kind = taken
    standing = daemon.node(names, spec="of another configuration")
    with socket.socket(type=socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM) as theirs:
        theirs.bind(("127.0.0.1", 0))
        port = theirs.getsockname()[1]
        if kind == "tcp":
            theirs.listen()
        wanted = port if key == "kubeApiPort" else [f"{port}:80/{kind}"]
        spec = configuration.spec_of(names, parsed(**{key: wanted}))
        assert start(spec) == 1
        said = capfd.readouterr()
        assert f"port {port} on 127.0.0.1 was taken meanwhile" in said.err
        assert rehearse.CURE not in said.err
        assert daemon.names == {standing.name}
        published = f"127.0.0.1:{port}->80/{kind}"
        daemon.container(names.jaeger, labels=names.labels, ports=published)
        assert start(spec) == 0, "what the stack itself holds is handed over"


@pytest.mark.usefixtures("waits")
def test_ports_that_the_stack_does_not_have_yet_are_published_for_a_trial(
    daemon: FakeDaemon, names: Names, start: Callable[[ClusterSpec], int]
) -> None:
    """A Docker without root's rights publishes none below 1024, and none says so before."""
    with socket.socket() as one, socket.socket() as two:
        for free in (one, two):
            free.bind(("127.0.0.1", 0))
        had, wanted = one.getsockname()[1], two.getsockname()[1]
    spec = configuration.spec_of(names, parsed(publishedPorts=[f"{had}:80", f"{wanted}:443"]))
    published = f"127.0.0.1:{had}->80/tcp, 127.0.0.1:{parsed().kube_api_port}->6443/tcp"
    daemon.node(names, spec="of another configuration", ports=published)
    assert start(spec) == 0
    (config,) = created(daemon)
    assert [entry["port"] for entry in config["ports"]] == [f"127.0.0.1:{wanted}:443"]
    assert "hostPort" not in config["kubeAPI"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"k3sArgs": ["--cluster-cidr=fd42::/56,172.20.0.0/16@server:*"]},
         "172.20.0.0/16 of --cluster-cidr has addresses of network traced-dev (172.20.0.0/24)"),
        ({"k3sArgs": ["--service-cidr=172.20.0.128/25"]}, "172.20.0.128/25 of --service-cidr"),
        ({"k3sArgs": ["--datastore-endpoint=https://etcd.example:2379"]},
         "is not rehearsed: --datastore-endpoint"),
        ({"nodeEnvironment": {"K3S_DATASTORE_ENDPOINT": "nats://nats.example"}},
         "is not rehearsed: K3S_DATASTORE_ENDPOINT"),
        ({"k3sArgs": ["--datastore-endpoint=sqlite:///data/state.db?cache=shared"],
          "nodeVolumes": ["/srv:/data"]}, "is not rehearsed: --datastore-endpoint"),
    ],
)  # fmt: skip
def test_what_a_rehearsal_cannot_show_ends_the_up(
    daemon: FakeDaemon,
    names: Names,
    start: Callable[[ClusterSpec], int],
    capfd: pytest.CaptureFixture[str],
    *,
    change: dict[str, Any],
    said: str,
) -> None:
    """It has a network of its own, and a datastore of all servers would be no longer empty."""
    standing = daemon.node(names, spec="of another configuration")
    daemon.network(names.network)
    left = daemon.names
    assert start(configuration.spec_of(names, parsed(**change))) == 1
    assert daemon.names == left >= {standing.name}
    assert created(daemon) == []
    assert not names.kept.exists()
    assert said in capfd.readouterr().err


@pytest.mark.usefixtures("waits")
@pytest.mark.parametrize(
    ("source", "target", "text", "said"),
    [
        ("own.yaml", "config.yaml:ro", "datastore-endpoint: nats://a.example", "is not rehearsed"),
        ("", "", "datastore-endpoint: nats://a.example", ""),
        ("own.yaml", "config.yaml.d/a.yaml", "cluster-cidr: 172.20.0.0/16", "172.20.0.0/16 of"),
        (".", "config.yaml.d", "service-cidr: 172.20.0.0/16", "172.20.0.0/16 of --service-cidr"),
        ("own.yaml", "config.yaml", "cluster-cidr: [fd42::/56, 172.20.0.0/16]", "172.20.0.0/16 of"),
        ("own.yaml", "config.yaml", "cluster-cidr+: 172.20.0.0/16", "172.20.0.0/16 of"),
        ("own.yaml", "config.yaml", "cluster-cidr: 10.42.0.0/16", ""),
        ("own.yaml", "config.yaml", "just a text", ""),
        ("own.yaml", "config.yaml", "5", ""),
        ("own.yaml", "config.yaml", "{", ""),
    ],
)
def test_what_a_file_of_k3s_says_that_a_rehearsal_cannot_show_ends_the_up(
    daemon: FakeDaemon,
    names: Names,
    start: Callable[[ClusterSpec], int],
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    *,
    source: str,
    target: str,
    text: str,
    said: str,
) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / ("own.YML" if source == "." else "own.yaml")).write_text(text)
    volumes = [f"{folder / source}:/etc/rancher/k3s/{target}"] if source else []
    daemon.node(names, spec="of another configuration")
    daemon.network(names.network)
    spec = configuration.spec_of(names, parsed(nodeVolumes=volumes))
    assert start(spec) == bool(said)
    assert said in capfd.readouterr().err
    assert len(created(daemon)) == (not said)


@pytest.mark.parametrize(
    "change",
    [
        {"k3sArgs": ["--config=/own/k3s.yaml@server:0"]},
        {"nodeEnvironment": {"K3S_CONFIG_FILE": "/own/k3s.yaml"}},
    ],
)
@pytest.mark.parametrize("file", ["k3s.yaml", "k3s.yaml.d/more.yaml"])
def test_a_file_of_k3s_is_read_wherever_it_is(
    daemon: FakeDaemon,
    names: Names,
    start: Callable[[ClusterSpec], int],
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    *,
    change: dict[str, Any],
    file: str,
) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text("datastore-endpoint: nats://a.example\n")
    daemon.node(names, spec="of another configuration")
    daemon.network(names.network)
    spec = configuration.spec_of(names, parsed(nodeVolumes=[f"{tmp_path}:/own"], **change))
    assert start(spec) == 1
    assert "is not rehearsed: --datastore-endpoint" in capfd.readouterr().err
    assert created(daemon) == []


def test_no_two_clusters_share_the_folder_that_a_file_of_k3s_names(
    daemon: FakeDaemon,
    names: Names,
    start: Callable[[ClusterSpec], int],
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("data-dir: /data\n")
    volumes = [f"{file}:/etc/rancher/k3s/config.yaml", "/srv:/data"]
    daemon.node(names, spec="of another configuration")
    daemon.network(names.network)
    assert start(configuration.spec_of(names, parsed(nodeVolumes=volumes))) == 1
    assert (
        "its new configuration is not rehearsed: /srv:/data would be the rehearsal's, too, and k3s "
        "keeps the cluster below /data, and no two nodes can share it."
    ) in capfd.readouterr().err
    assert created(daemon) == []


@pytest.mark.usefixtures("waits")
def test_a_rehearsal_does_not_have_the_pods_whose_folder_a_file_of_k3s_names(
    daemon: FakeDaemon, names: Names, start: Callable[[ClusterSpec], int], tmp_path: Path
) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("kubelet-arg: [max-pods=60, root-dir=/own]\n")
    config = f"{file}:/etc/rancher/k3s/config.yaml"
    volumes = [config, f"{tmp_path}:/own", f"{tmp_path}:/other"]
    daemon.node(names, spec="of another configuration")
    assert start(configuration.spec_of(names, parsed(nodeVolumes=volumes))) == 0
    (rehearsed,) = created(daemon)
    mounted = [entry["volume"] for entry in rehearsed["volumes"][1:]]
    assert mounted == [config, f"{tmp_path}:/other"]


@pytest.mark.usefixtures("waits")
@pytest.mark.parametrize(
    "argument",
    [
        "--cluster-cidr=10.42.0.0/16",
        "--cluster-cidr=not a range",
        "--datastore-endpoint=sqlite:///var/lib/rancher/k3s/state.db",
    ],
)
def test_what_a_rehearsal_shows_is_left_to_it(
    daemon: FakeDaemon, names: Names, start: Callable[[ClusterSpec], int], argument: str
) -> None:
    daemon.node(names, spec="of another configuration")
    daemon.network(names.network)
    assert start(configuration.spec_of(names, parsed(k3sArgs=[argument]))) == 0
    assert len(created(daemon)) == 1


def test_a_configuration_that_k3d_refuses_ends_the_up(
    daemon: FakeDaemon,
    names: Names,
    run: Callable[[], int],
    capfd: pytest.CaptureFixture[str],
) -> None:
    standing = daemon.node(names, spec="of another configuration")
    daemon.k3d_fails_after = 1
    assert run() == 1
    assert daemon.names == {standing.name}
    said = capfd.readouterr().err
    assert "k3d exited with 1" in said
    assert 'level=fatal msg="cannot listen"' in said


def test_a_node_that_does_not_become_ready_ends_the_up(
    daemon: FakeDaemon,
    names: Names,
    run: Callable[[], int],
    capfd: pytest.CaptureFixture[str],
    waits: list[str],
) -> None:
    standing = daemon.node(names, spec="of another configuration")
    waits.append("server-0: it has not joined")
    assert run() == 1
    assert daemon.names == {standing.name}
    assert not names.rehearsal_directory.exists()
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err.splitlines()[-2:] == [
        "error: the new configuration of cluster traced-dev does not start, so the cluster stays "
        "as it is: server-0: it has not joined",
        rehearse.CURE,
    ]


@pytest.mark.parametrize(
    ("reason", "cure"),
    [
        ("write /var/lib/rancher: no space left on device", ""),
        (
            "could not find an available, non-overlapping IPv4 address pool among the defaults",
            "`docker network rm NAME`",
        ),
        # Docker 27 and newer.
        ("all predefined address pools have been fully subnetted", "`docker network rm NAME`"),
    ],
)
def test_a_machine_without_room_is_not_called_a_bad_configuration(
    daemon: FakeDaemon,
    names: Names,
    run: Callable[[], int],
    capfd: pytest.CaptureFixture[str],
    waits: list[str],
    *,
    reason: str,
    cure: str,
) -> None:
    """Without a rehearsal the old cluster would go, and the new one find no room either."""
    standing = daemon.node(names, spec="of another configuration")
    waits.append(f"server-0: {reason}")
    assert run() == 1
    assert daemon.names == {standing.name}
    said = capfd.readouterr().err
    assert f"whether the new configuration starts is not known: server-0: {reason}" in said
    assert cure in said
    assert "rehearseReplacement" not in said
    assert not names.kept.exists()


def test_a_docker_that_goes_away_is_not_called_a_bad_configuration(
    daemon: FakeDaemon,
    names: Names,
    run: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    daemon.node(names, spec="of another configuration")

    def away(*_: object) -> float:
        daemon.down = True
        raise runner.CommandError("server-0: it has not joined")

    def back(_: Names) -> None:
        daemon.down = False

    monkeypatch.setattr(cluster_ready, "wait", away)
    monkeypatch.setattr(rehearse, "sweep", back)
    assert run() == 1
    said = capfd.readouterr().err
    assert "Cannot connect to the Docker daemon" in said
    assert "the rehearsal ended with: server-0: it has not joined" in said
    assert "rehearseReplacement" not in said


@pytest.mark.usefixtures("waits")
def test_the_cluster_that_is_kept_is_the_one_that_was_seen_to_start(
    daemon: FakeDaemon,
    names: Names,
    spec: ClusterSpec,
    run: Callable[[], int],
) -> None:
    """The old one may be deleted then. A configuration that was set back keeps it again."""
    names.directory.mkdir(parents=True)
    names.kept.write_text("of another configuration\n")
    daemon.node(names, spec="of another configuration")
    daemon.k3d_fails_after = 1
    assert run() == 1
    assert names.kept.read_text() == "of another configuration\n"
    daemon.k3d_fails_after = None
    assert run() == 0
    assert names.kept.read_text() == f"{identity(spec)}\n"


def test_a_rehearsal_that_is_off_starts_nothing_and_lets_the_cluster_go(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec, start: Callable[..., int]
) -> None:
    daemon.node(names, spec="of another configuration")
    assert start(spec, on=False) == 0
    assert created(daemon) == []
    assert names.kept.read_text() == f"{identity(spec)}\n"


@pytest.mark.parametrize("on", [True, False])
def test_no_cluster_goes_without_the_image_that_k3d_needs_for_another(
    daemon: FakeDaemon,
    names: Names,
    spec: ClusterSpec,
    start: Callable[..., int],
    capfd: pytest.CaptureFixture[str],
    *,
    on: bool,
) -> None:
    """That tells nothing of the configuration, and a rehearsal that is off would not help."""
    daemon.node(names, spec="of another configuration")
    daemon.pulled.clear()
    assert start(spec, on=on) == 1
    assert not names.kept.exists()
    assert created(daemon) == []
    said = capfd.readouterr().err
    assert "stays as it is, and no other one was tried: k3d starts no node without its" in said
    assert rehearse.CURE not in said


def test_a_cluster_that_another_run_changes_is_not_called_a_bad_configuration(
    names: Names,
    run: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def held(_: Names) -> None:
        raise runner.CommandError("another run has held the lock for 300 s")

    monkeypatch.setattr(rehearse, "locked", held)
    assert run() == 1
    said = capfd.readouterr().err
    assert "another run has held the lock" in said
    assert "does not start" not in said


@pytest.mark.usefixtures("waits")
def test_what_an_earlier_rehearsal_left_is_removed_first(
    daemon: FakeDaemon, names: Names, run: Callable[[], int]
) -> None:
    """Also from the ports of the next one."""
    standing = daemon.node(names, spec="of another configuration")
    labels = names.labels | {"k3d.cluster": names.rehearsal, "k3d.role": "server"}
    port = parsed().kube_api_port
    published = f"127.0.0.1:{port}->6443/tcp"
    daemon.container(f"k3d-{names.rehearsal}-server-0", labels=labels, ports=published)
    daemon.network(f"k3d-{names.rehearsal}")
    assert run() == 0
    assert daemon.names == {standing.name}
    assert created(daemon)[0]["kubeAPI"]["hostPort"] == str(port)


MIRRORED = {"registries": {"config": "mirrors: {}\n"}}


def remember(names: Names, spec: ClusterSpec) -> None:
    """The record of a cluster that ensure made of ``spec``."""
    nodes = (names.node("server", 0),)
    store.save(names, Record(1, True, identity(spec), spec.document, nodes))


@pytest.mark.usefixtures("waits")
@pytest.mark.parametrize(
    ("before", "after", "rehearsed"),
    [
        ({}, MIRRORED, True),
        (MIRRORED, {"registries": {"config": "configs: {}\n"}}, True),
        (MIRRORED, MIRRORED, False),
        (MIRRORED, {}, False),
        (MIRRORED, {**MIRRORED, "nodeSamplingPerMillion": 5}, False),
        ({}, {"nodeSamplingPerMillion": 5}, False),
    ],
)
def test_a_restart_with_other_registries_is_rehearsed(
    daemon: FakeDaemon,
    names: Names,
    start: Callable[[ClusterSpec], int],
    capfd: pytest.CaptureFixture[str],
    *,
    before: dict[str, Any],
    after: dict[str, Any],
    rehearsed: bool,
) -> None:
    """k3s does not start with a registries.yaml that it cannot read."""
    spec = configuration.spec_of(names, parsed(**after))
    standing = daemon.node(names, spec=identity(spec))
    remember(names, configuration.spec_of(names, parsed(**before)))
    assert start(spec) == 0
    assert [config["registries"] for config in created(daemon)] == (
        [after["registries"]] if rehearsed else []
    )
    assert daemon.names == {standing.name}
    assert ("so its nodes restart now" in capfd.readouterr().err) == rehearsed


def test_registries_of_a_cluster_without_a_record_are_not_compared(
    daemon: FakeDaemon, names: Names, start: Callable[[ClusterSpec], int]
) -> None:
    spec = configuration.spec_of(names, parsed(**MIRRORED))
    daemon.node(names, spec=identity(spec))
    assert start(spec) == 0
    assert created(daemon) == []


@pytest.mark.parametrize("standing", ["nothing", "the same", "an agent", "another owner's"])
def test_without_a_cluster_to_lose_nothing_is_rehearsed(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec, run: Callable[[], int], standing: str
) -> None:
    match standing:
        case "the same":
            daemon.node(names, spec=identity(spec))
        case "an agent":
            daemon.node(names, "agent", spec="other")
        case "another owner's":
            daemon.node(names, spec="other", owner="fedcba9876543210")
    assert run() == 0
    assert created(daemon) == []
