"""The guards' scripts, run by the machine's sh: what they remove, keep and print.

Pulumi's state contains these scripts and runs them from there. So the tests run the text that the
guards get, with an environment of only PATH and the guard's values.
"""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from components import _commands
from runtime_observability.core.naming import Names
from tests.fakes.daemon import FakeDaemon

REHEARSAL = _commands.in_turn(["sweep_rehearsal.sh"])
CLUSTER = _commands.in_turn(["sweep_cluster.sh"])
CLUSTER_GUARD = _commands.in_turn(["refuse_kept.sh", "sweep_cluster.sh"])
KEEP = _commands.in_turn(["keep_cluster.sh"])
RELEASE = _commands.in_turn(["release_cluster.sh"])
STACK = _commands.in_turn(
    ["refuse_alone.sh", "sweep_rehearsal.sh", "sweep_cluster.sh", "sweep_stack.sh"]
)
CLAIM = _commands.in_turn(["claim_stack.sh"])
HOLD = _commands.in_turn(["refuse_connected.sh"])
NETWORK = _commands.in_turn(["refuse_alone.sh", "detach_network.sh"])
WRITE = _commands.in_turn(["write_file.sh"])
REMOVE = _commands.in_turn(["remove_file.sh"])


def sh(text: str, daemon: FakeDaemon, stdin: str = "", **environment: str) -> Any:
    """As Pulumi's Command runs ``text`` of a guard."""
    return subprocess.run(
        ["/bin/sh", "-c", 'eval "$DELETE"'],
        env={"PATH": daemon.path, "DELETE": text, **environment},
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )


def values(names: Names) -> dict[str, str]:
    """The environment that the guards set for their delete scripts."""
    return {
        "OWNER": names.owner,
        "STACK": names.stack,
        "CLUSTER": names.cluster,
        "REHEARSAL": names.rehearsal,
        "NETWORK": names.network,
        "DIRECTORY": str(names.directory),
        "NOTE": names.kept.name,
    }


def cluster(daemon: FakeDaemon, names: Names, owner: str | None = None) -> None:
    """A k3d cluster: two nodes, and the tools container and volume, which have no owner label."""
    for role in ("server", "agent"):
        daemon.node(names, role, owner=owner or names.owner)
    labels = {"k3d.cluster": names.cluster}
    daemon.container(f"k3d-{names.cluster}-tools", labels=labels | {"k3d.role": "noRole"})
    daemon.volume(f"k3d-{names.cluster}-images", labels=labels)


def kubeconfig(names: Names) -> Path:
    names.directory.mkdir(parents=True)
    for file in (names.kubeconfig, names.directory / "cluster.json"):
        file.write_text("{}")
    return names.kubeconfig


def busy(names: Names) -> None:
    """The mark of a run that was killed."""
    names.directory.mkdir(parents=True, exist_ok=True)
    (names.directory / "cluster.busy").touch()


@pytest.fixture
def neighbour(daemon: FakeDaemon, tmp_path: Path) -> Names:
    """Another complete stack in the same daemon, which no script may change."""
    other = Names("dev-2", tmp_path / "project")
    cluster(daemon, other)
    daemon.container(other.jaeger, labels=other.labels)
    daemon.network(other.network, labels=other.labels)
    daemon.container("postgres")
    daemon.network("bridge")
    return other


def test_functions_and_options_of_the_users_bash_change_nothing(
    daemon: FakeDaemon, names: Names, tmp_path: Path
) -> None:
    """A bash that is the machine's sh takes those that were exported: a docker that is another
    engine's, an rm that asks, and `set -x`, which would show a search engine's login."""
    cluster(daemon, names)
    kubeconfig(names)
    bash = tmp_path / "sh"
    bash.symlink_to(shutil.which("bash") or "bash")
    exported = {f"BASH_FUNC_{name}%%": "() { :\n}" for name in ("docker", "rm")}
    done = subprocess.run(
        [bash, "-c", 'eval "$DELETE"'],
        env={"PATH": daemon.path, "SHELLOPTS": "xtrace", **exported}
        | {**values(names), "DELETE": CLUSTER},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert daemon.names == set()
    assert not names.kubeconfig.exists()
    assert names.cluster not in done.stderr


# --- the cluster ----------------------------------------------------------------------------------


def test_our_cluster_goes_and_nothing_else(
    daemon: FakeDaemon, names: Names, neighbour: Names
) -> None:
    before = daemon.names
    cluster(daemon, names)
    config = kubeconfig(names)
    done = sh(CLUSTER, daemon, **values(names))
    assert (done.returncode, done.stderr) == (0, "")
    assert daemon.names == before
    assert not config.exists()
    assert not (names.directory / "cluster.json").exists()


@pytest.mark.parametrize(
    ("digest", "goes"),
    [("a" * 16, True), ("b" * 16, False), ("", True)],
    ids=["its", "older", "none"],
)
def test_the_guard_of_an_older_state_leaves_the_cluster_that_was_made_since(
    daemon: FakeDaemon, names: Names, digest: str, goes: bool
) -> None:
    """Its digest is not the nodes'. A guard of an earlier release knows none."""
    for role in ("server", "agent"):
        daemon.node(names, role, spec="a" * 16)
    done = sh(CLUSTER, daemon, **values(names), **({"DIGEST": digest} if digest else {}))
    assert done.returncode == 0
    assert (daemon.names == set()) is goes
    assert ("older than cluster traced-dev" in done.stderr) is not goes


def test_a_guard_deletes_a_cluster_whose_nodes_have_no_digest(
    daemon: FakeDaemon, names: Names
) -> None:
    daemon.node(names, "server")
    assert sh(CLUSTER, daemon, **values(names), DIGEST="a" * 16).returncode == 0
    assert daemon.names == set()


def test_a_destroy_takes_along_what_an_older_guard_leaves(daemon: FakeDaemon, names: Names) -> None:
    daemon.node(names, "server", spec="a" * 16)
    daemon.volume(f"k3d-{names.cluster}-images", labels={"k3d.cluster": names.cluster})
    assert sh(CLUSTER, daemon, **values(names), DIGEST="b" * 16).returncode == 0
    assert sh(STACK, daemon, **values(names)).returncode == 0
    assert daemon.names == set()


@pytest.mark.parametrize("role", ["server", "agent"])
def test_one_node_of_another_owner_is_enough_to_leave_the_cluster_alone(
    daemon: FakeDaemon, names: Names, role: str
) -> None:
    """Whatever the role: of an incomplete cluster, the other kind of node may be missing."""
    cluster(daemon, names)
    daemon.node(names, role, 1, owner="0123456789abcdef")
    before = daemon.names
    assert "is not removed" in sh(CLUSTER, daemon, **values(names)).stderr
    assert daemon.names == before


@pytest.mark.parametrize("role", ["server", "agent"])
def test_a_single_node_of_ours_goes_whatever_its_role(
    daemon: FakeDaemon, names: Names, role: str
) -> None:
    daemon.node(names, role)
    assert sh(CLUSTER, daemon, **values(names)).returncode == 0
    assert daemon.names == set()


def test_a_cluster_of_another_owner_is_left_alone(daemon: FakeDaemon, names: Names) -> None:
    cluster(daemon, names, owner="0123456789abcdef")
    before = daemon.names
    config = kubeconfig(names)
    done = sh(CLUSTER, daemon, **values(names))
    assert done.returncode == 0
    assert "cluster traced-dev belongs to another stack or folder and is not removed" in done.stderr
    assert daemon.names == before
    assert config.exists()
    assert not daemon.calls_to("docker", "rm")


@pytest.mark.parametrize("role", ["server", "agent"])
def test_a_node_that_somebody_added_goes_with_the_cluster(
    daemon: FakeDaemon, names: Names, neighbour: Names, role: str
) -> None:
    """`k3d node create` gives it k3d's labels alone, and leaves its tools container behind."""
    before = daemon.names
    cluster(daemon, names)
    labels = {"k3d.cluster": names.cluster, "k3d.role": role}
    daemon.container("k3d-extra-0", labels=labels)
    kubeconfig(names)
    done = sh(STACK, daemon, **values(names))
    assert (done.returncode, done.stderr) == (0, "")
    assert daemon.names == before
    assert not names.directory.exists()


def test_a_node_that_somebody_added_goes_when_the_others_are_gone(
    daemon: FakeDaemon, names: Names, neighbour: Names
) -> None:
    """By hand, for instance: what is left of the cluster is in the stack's own network."""
    before = daemon.names
    daemon.network(names.network, labels=names.labels)
    daemon.container(
        "k3d-extra-0",
        labels={"k3d.cluster": names.cluster, "k3d.role": "agent"},
        networks=[f"id-of-{names.network}"],
        state="restarting",
    )
    daemon.volume(f"k3d-{names.cluster}-images", labels={"k3d.cluster": names.cluster})
    done = sh(CLUSTER, daemon, **values(names))
    assert (done.returncode, done.stderr) == (0, "")
    assert daemon.names - before == {names.network}


def test_a_cluster_whose_nodes_have_no_owner_is_left_alone_and_said_so(
    daemon: FakeDaemon, names: Names
) -> None:
    """Somebody's own cluster of that name, in a network of its own."""
    daemon.network(names.network, labels=names.labels)
    daemon.container(
        "k3d-traced-dev-server-0",
        labels={"k3d.cluster": names.cluster, "k3d.role": "server"},
        networks=["id-of-k3d-traced-dev"],
    )
    done = sh(CLUSTER, daemon, **values(names))
    assert done.returncode == 0
    assert done.stderr == (
        "cluster traced-dev has no node of this stack and is not removed; "
        "`k3d cluster delete traced-dev` removes it\n"
    )
    assert daemon.names == {"k3d-traced-dev-server-0", names.network}


@pytest.mark.parametrize("owner", ["", "0123456789abcdef"])
def test_an_added_node_does_not_make_a_cluster_of_another_owner_ours(
    daemon: FakeDaemon, names: Names, owner: str
) -> None:
    cluster(daemon, names, owner="0123456789abcdef")
    labels = {"k3d.cluster": names.cluster, "k3d.role": "agent"}
    daemon.container("k3d-extra-0", labels=labels | {"runtime-observability.owner": owner})
    before = daemon.names
    assert "is not removed" in sh(CLUSTER, daemon, **values(names)).stderr
    assert daemon.names == before


def test_remains_without_a_node_are_ours(daemon: FakeDaemon, names: Names) -> None:
    """k3d's tools container and volume have no owner label: without a node they are removed."""
    labels = {"k3d.cluster": names.cluster}
    daemon.container("k3d-traced-dev-tools", labels=labels | {"k3d.role": "noRole"})
    daemon.volume("k3d-traced-dev-images", labels=labels)
    assert sh(CLUSTER, daemon, **values(names)).returncode == 0
    assert daemon.names == set()


@pytest.mark.parametrize("checks", [1, 2, 3])
def test_an_orphaned_k3d_is_waited_for(daemon: FakeDaemon, names: Names, checks: int) -> None:
    """A k3d whose run was killed continues: a node appears after a check that found nothing."""
    labels = names.labels | {"k3d.cluster": names.cluster, "k3d.role": "server"}
    daemon.container(names.node("server", 0), labels=labels)
    daemon.container(names.node("server", 1), labels=labels, after_checks=checks)
    busy(names)
    assert sh(CLUSTER, daemon, **values(names)).returncode == 0
    assert daemon.calls_to("docker", "rm")[-1].argv[-1] == names.node("server", 1)
    assert daemon.names == set()


@pytest.mark.parametrize("was_killed", [True, False])
def test_after_a_killed_run_nothing_is_seen_twice_before_it_is_believed(
    daemon: FakeDaemon, names: Names, *, was_killed: bool
) -> None:
    if was_killed:
        busy(names)
    assert sh(CLUSTER, daemon, **values(names)).returncode == 0
    calls = daemon.calls_to("docker", "ps")
    checks = 2 if was_killed else 1
    assert len(calls) == 1 + checks, "one for the owner, and those that find nothing"


def test_a_node_that_stays_fails_by_name(daemon: FakeDaemon, names: Names) -> None:
    daemon.node(names, stuck=True)
    config = kubeconfig(names)
    done = sh(CLUSTER, daemon, **values(names))
    assert done.returncode == 1
    assert "cluster traced-dev: could not remove: k3d-traced-dev-server-0" in done.stderr
    assert "device busy" in done.stderr
    assert config.exists(), "the remaining cluster can still be inspected"


@pytest.mark.parametrize("text", [CLUSTER, STACK, NETWORK], ids=["cluster", "stack", "network"])
def test_without_docker_nothing_is_proven(daemon: FakeDaemon, names: Names, text: str) -> None:
    daemon.down = True
    config = kubeconfig(names)
    done = sh(text, daemon, **values(names))
    assert done.returncode != 0
    assert "Cannot connect to the Docker daemon" in done.stderr
    assert config.exists()


# --- the cluster that is kept ---------------------------------------------------------------------


@pytest.fixture
def kept(daemon: FakeDaemon, names: Names) -> set[str]:
    """A cluster on its network, which its guard keeps; what is in Docker."""
    daemon.network(names.network, labels=names.labels)
    daemon.node(names, "server", spec="a" * 16)
    done = sh(KEEP, daemon, DIRECTORY=str(names.directory), NOTE=names.kept.name, DIGEST="a" * 16)
    assert (done.returncode, done.stderr) == (0, "")
    assert names.kept.read_text() == f"{'a' * 16}\n"
    assert stat.S_IMODE(names.kept.stat().st_mode) == 0o600
    return set(daemon.names)


def test_a_guard_that_pulumi_was_told_to_replace_keeps_the_cluster(
    daemon: FakeDaemon, names: Names, kept: set[str]
) -> None:
    done = sh(CLUSTER_GUARD, daemon, **values(names), DIGEST="a" * 16)
    assert done.returncode == 1
    assert "cluster traced-dev was not removed: this is no `pulumi destroy`" in done.stderr
    assert "If this is an older release of the program, run the newer one" in done.stderr
    assert "`pulumi state untaint --all`" in done.stderr
    assert "then `pulumi destroy` if that was meant" in done.stderr
    assert daemon.names == kept


def test_a_destroy_removes_a_kept_cluster(daemon: FakeDaemon, names: Names, kept: set[str]) -> None:
    assert sh(RELEASE, daemon, **values(names)).returncode == 0
    assert sh(CLUSTER_GUARD, daemon, **values(names), DIGEST="a" * 16).returncode == 0
    assert daemon.names == {names.network}
    assert sh(RELEASE, daemon, **values(names)).returncode == 0, "once more"


def test_a_cluster_goes_once_another_was_rehearsed(
    daemon: FakeDaemon, names: Names, kept: set[str]
) -> None:
    names.kept.write_text(f"{'b' * 16}\n")
    assert sh(CLUSTER_GUARD, daemon, **values(names), DIGEST="a" * 16).returncode == 0
    assert daemon.names == {names.network}
    assert names.kept.exists(), "the next cluster is kept"


def test_nodes_without_their_network_are_kept_too(
    daemon: FakeDaemon, names: Names, kept: set[str]
) -> None:
    """They are connected to the next one."""
    daemon.networks.clear()
    assert sh(CLUSTER_GUARD, daemon, **values(names), DIGEST="a" * 16).returncode == 1
    assert daemon.names == kept - {names.network}


@pytest.mark.parametrize("case", ["told to", "gone", "another", "connected", "destroy"])
def test_no_network_is_replaced_that_nodes_of_a_kept_cluster_are_on(
    daemon: FakeDaemon, names: Names, kept: set[str], case: str
) -> None:
    if case == "gone":
        daemon.networks.clear()
    if case in ("another", "connected"):  # one that this run or a killed one has made
        daemon.networks[0].id = "id-of-the-next-one"
    if case == "connected":  # by ensure
        daemon.containers[0].networks[:] = ["id-of-the-next-one"]
    if case == "destroy":
        sh(RELEASE, daemon, **values(names))
    network = f"id-of-{names.network}"
    done = sh(HOLD, daemon, **values(names) | {"NETWORK": network})
    told = "cluster traced-dev was not removed: this is no `pulumi destroy`" in done.stderr
    assert (done.returncode, told) == ((1, True) if case == "told to" else (0, False))
    assert daemon.names == kept - ({names.network} if case == "gone" else set())


@pytest.mark.parametrize("case", ["gone", "another"])
def test_the_guard_of_a_network_that_is_gone_stops_nothing(
    daemon: FakeDaemon, names: Names, kept: set[str], case: str
) -> None:
    """Jaeger may still be in Docker, stopped, after a refresh that has dropped it."""
    network = daemon.networks.pop()
    daemon.container(names.jaeger, labels=names.labels, networks=[network.id], state="exited")
    if case == "another":
        daemon.network(names.network, labels=names.labels)
        daemon.networks[0].id = "id-of-the-next-one"
    before = set(daemon.names)
    done = sh(NETWORK, daemon, **values(names))
    assert (done.returncode, done.stderr) == (0, "")
    assert daemon.names == before


def test_no_cluster_is_kept_where_there_is_none(
    daemon: FakeDaemon, names: Names, kept: set[str]
) -> None:
    sh(f"docker rm -fv k3d-{names.cluster}-server-0", daemon)
    assert sh(CLUSTER_GUARD, daemon, **values(names), DIGEST="a" * 16).returncode == 0


# --- the stack ------------------------------------------------------------------------------------


def test_all_that_a_stack_owns_goes(daemon: FakeDaemon, names: Names, neighbour: Names) -> None:
    before = daemon.names
    daemon.network(names.network, labels=names.labels)
    network = f"id-of-{names.network}"
    daemon.container(names.jaeger, labels=names.labels, networks=[network])
    daemon.container(names.collector, labels=names.labels, networks=[network], state="created")
    daemon.volume("traces", labels=names.labels)
    kubeconfig(names)
    done = sh(STACK, daemon, **values(names))
    assert (done.returncode, done.stderr) == (0, "")
    assert daemon.names == before
    assert not names.directory.exists()


def test_the_volumes_of_nodes_that_are_gone_go_with_the_stack(
    daemon: FakeDaemon, names: Names
) -> None:
    """They have no label; the note has stale names, too, and there are volumes of others."""
    kubeconfig(names)
    own, used, of_others = "a" * 64, "b" * 64, "c" * 64
    for name in (own, used, of_others):
        daemon.volume(name)
    names.node_volumes.write_text(f"{own}\n{used}\n{'d' * 64}\n")
    daemon.container("rescue").mounts.append({"Type": "volume", "Name": used})
    done = sh(STACK, daemon, **values(names))
    assert done.returncode == 0
    assert daemon.names == {used, of_others, "rescue"}
    assert f"volume {used} of a node stays, because rescue has it" in done.stderr
    assert not names.directory.exists()


def test_a_volume_of_a_node_that_stays_fails_the_delete(daemon: FakeDaemon, names: Names) -> None:
    kubeconfig(names)
    daemon.volume("a" * 64, stuck=True)
    names.node_volumes.write_text(f"{'a' * 64}\n")
    done = sh(STACK, daemon, **values(names))
    assert done.returncode == 1
    assert f"could not remove: {'a' * 64} (" in done.stderr
    assert names.node_volumes.exists(), "for the next try"


@pytest.mark.parametrize("guard", [STACK, NETWORK], ids=["stack", "network"])
def test_a_guard_that_is_replaced_alone_takes_no_cluster_along(
    daemon: FakeDaemon, names: Names, neighbour: Names, guard: str
) -> None:
    """As after `pulumi state taint`: a destroy has deleted the cluster or Jaeger before."""
    cluster(daemon, names)
    daemon.network(names.network, labels=names.labels)
    daemon.container(names.jaeger, labels=names.labels, networks=[f"id-of-{names.network}"])
    config, before = kubeconfig(names), daemon.names
    done = sh(guard, daemon, **values(names))
    assert done.returncode == 1
    assert "nothing was removed" in done.stderr
    assert "`k3d cluster delete traced-dev`" in done.stderr
    assert daemon.names == before
    assert config.exists()
    sh(f"docker rm -fv {names.jaeger}", daemon)
    assert sh(guard, daemon, **values(names)).returncode == 0


def test_the_node_of_a_rehearsal_is_no_cluster_to_keep(daemon: FakeDaemon, names: Names) -> None:
    labels = names.labels | {"k3d.cluster": names.rehearsal, "k3d.role": "server"}
    daemon.container(f"k3d-{names.rehearsal}-server-0", labels=labels)
    daemon.container(names.jaeger, labels=names.labels)
    assert sh(STACK, daemon, **values(names)).returncode == 0
    assert daemon.names == set()


def test_traces_that_are_kept_stay_and_are_told(daemon: FakeDaemon, names: Names) -> None:
    daemon.volume(names.traces, labels=names.labels)
    daemon.volume(f"{names.traces}-of-before", labels=names.labels)
    kubeconfig(names)
    done = sh(STACK, daemon, **values(names), KEPT_VOLUMES=names.traces)
    assert done.returncode == 0
    assert daemon.names == {names.traces}
    assert not names.directory.exists()
    (told,) = done.stderr.splitlines()
    assert told == (
        f"stack dev: its traces stay in Docker's volume {names.traces}, where the next up with "
        f"that store finds them; `docker volume rm {names.traces}` removes them"
    )
    daemon.volume(names.open_search_traces, labels=names.labels)
    both = f"{names.traces} {names.open_search_traces}"
    assert len(sh(STACK, daemon, **values(names), KEPT_VOLUMES=both).stderr.splitlines()) == 2
    assert daemon.names == {names.traces, names.open_search_traces}
    daemon.volumes.clear()
    assert sh(STACK, daemon, **values(names), KEPT_VOLUMES=names.traces).stderr == ""


OTHERS = """\
apiVersion: v1
clusters:
- cluster:
    server: https://127.0.0.1:6550
  name: k3d-traced-dev
- cluster:
    extensions:
    - extension:
        provider: minikube.sigs.k8s.io
      name: cluster_info
    server: https://prod.example
  name: prod
contexts:
- context:
    cluster: k3d-traced-dev
    user: admin@k3d-traced-dev
  name: k3d-traced-dev
- context:
    cluster: prod
    user: ada
  name: prod
current-context: prod
kind: Config
users:
- name: ada
  user:
    token: t
- name: admin@k3d-traced-dev
  user: {}
"""


def test_a_kubeconfig_with_entries_of_others_outlives_the_cluster(
    daemon: FakeDaemon, names: Names
) -> None:
    """The next cluster's ensure takes them over."""
    cluster(daemon, names)
    kubeconfig(names).write_text(OTHERS)
    assert sh(CLUSTER, daemon, **values(names)).returncode == 0
    assert names.kubeconfig.read_text() == OTHERS
    assert not names.record.exists()


class _Indented(yaml.SafeDumper):
    """Writes lists as yq and kubectx do."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, indentless=False)


STYLES: dict[str, Callable[[Any], str]] = {
    "as kubectl": yaml.safe_dump,
    "indented": lambda document: yaml.dump(document, Dumper=_Indented, sort_keys=False),
    "indented by 4": lambda document: yaml.dump(document, Dumper=_Indented, indent=4),
    "with quotes": lambda document: yaml.safe_dump(document, default_style='"'),
    "in braces": lambda document: yaml.safe_dump(document, default_flow_style=None),
    "JSON": json.dumps,
    "JSON in lines": lambda document: json.dumps(document, indent=4),
    "of Windows": lambda document: yaml.safe_dump(document).replace("\n", "\r\n"),
}


@pytest.mark.parametrize("style", STYLES)
def test_entries_of_others_are_seen_in_every_style(
    daemon: FakeDaemon, names: Names, style: str
) -> None:
    """Where one was not, a destroy removed the credentials of other clusters without a word."""
    document = yaml.safe_load(OTHERS)
    kubeconfig(names).write_text(STYLES[style](document))
    done = sh(STACK, daemon, **values(names))
    assert {"ada", "prod"} <= set(done.stderr.split())
    assert yaml.safe_load(names.kept_kubeconfig.read_text()) == document
    names.kept_kubeconfig.unlink()
    for kind in ("clusters", "contexts", "users"):
        document[kind] = [entry for entry in document[kind] if "k3d" in entry["name"]]
    kubeconfig(names).write_text(STYLES[style](document))
    done = sh(STACK, daemon, **values(names))
    assert (done.stderr, names.kept_kubeconfig.exists()) == ("", False)


@pytest.mark.parametrize("moved", [False, True], ids=["in its place", "moved"])
def test_entries_of_others_in_the_kubeconfig_outlive_the_stack_and_are_told(
    daemon: FakeDaemon, names: Names, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, moved: bool
) -> None:
    here = Names(names.stack, tmp_path / "moved") if moved else names
    kubeconfig(here).write_text(OTHERS)
    here.kubeconfig.chmod(0o600)
    here.claim_file.write_text(f"{names.claim}\n")
    monkeypatch.chdir(here.folder)
    done = sh(STACK, daemon, **values(names), CLAIM=names.claim)
    assert done.returncode == 0
    kept = here.kept_kubeconfig if not moved else here.kept_kubeconfig.relative_to(here.folder)
    assert done.stderr.splitlines() == [
        f"stack dev: entries of others in its kubeconfig stay in {kept}, from where the next up "
        f"takes them back; `rm '{kept}'` removes them: ada prod"
    ]
    assert here.kept_kubeconfig.read_text() == OTHERS
    assert stat.S_IMODE(here.kept_kubeconfig.stat().st_mode) == 0o600
    assert not here.directory.exists()


def test_a_stranger_on_the_network_is_disconnected_and_kept(
    daemon: FakeDaemon, names: Names
) -> None:
    daemon.network(names.network, labels=names.labels)
    daemon.container("registry", networks=[f"id-of-{names.network}"])
    assert sh(STACK, daemon, **values(names)).returncode == 0
    assert daemon.names == {"registry"}


def test_a_cluster_of_another_owner_does_not_keep_the_rest(
    daemon: FakeDaemon, names: Names
) -> None:
    daemon.node(names, owner="0123456789abcdef")
    daemon.container(names.jaeger, labels=names.labels)
    kubeconfig(names)
    done = sh(STACK, daemon, **values(names))
    assert done.returncode == 0
    assert "is not removed" in done.stderr
    assert daemon.names == {names.node("server", 0)}
    assert not names.directory.exists()


def test_a_cluster_that_stays_fails_the_whole_delete(daemon: FakeDaemon, names: Names) -> None:
    daemon.node(names, stuck=True)
    kubeconfig(names)
    assert sh(STACK, daemon, **values(names)).returncode == 1
    assert names.directory.exists()


def test_what_stays_of_the_cluster_without_an_owner_fails_the_whole_delete(
    daemon: FakeDaemon, names: Names
) -> None:
    """k3d's volume has no owner label: the sweep of the stack finds nothing, and would succeed."""
    daemon.volume("k3d-traced-dev-images", labels={"k3d.cluster": names.cluster}, stuck=True)
    kubeconfig(names)
    done = sh(STACK, daemon, **values(names))
    assert done.returncode == 1
    assert "could not remove: k3d-traced-dev-images" in done.stderr
    assert names.directory.exists()


@pytest.mark.parametrize("kind", ["container", "network", "volume"])
def test_whatever_stays_fails_by_name(daemon: FakeDaemon, names: Names, kind: str) -> None:
    getattr(daemon, kind)("obstinate", labels=names.labels, stuck=True)
    kubeconfig(names)
    done = sh(STACK, daemon, **values(names))
    assert done.returncode == 1
    assert "stack dev: could not remove: obstinate" in done.stderr
    assert "device busy" in done.stderr
    assert names.directory.exists()


def test_what_comes_between_two_looks_goes_too(daemon: FakeDaemon, names: Names) -> None:
    """Three checks for the cluster, one that finds nothing of the stack, then the container."""
    daemon.container(names.jaeger, labels=names.labels, after_checks=4)
    busy(names)
    assert sh(STACK, daemon, **values(names)).returncode == 0
    assert [call.argv[-1] for call in daemon.calls_to("docker", "rm")] == [names.jaeger]
    assert daemon.names == set()


@pytest.mark.parametrize("text", [CLUSTER, STACK], ids=["cluster", "stack"])
def test_a_folder_that_cannot_be_written_fails_the_delete_with_the_reason(
    daemon: FakeDaemon, names: Names, text: str
) -> None:
    """It goes on where the folder can be written again: everything else has gone."""
    cluster(daemon, names)
    kubeconfig(names)
    daemon.executables.script("rm", "#!/bin/sh\necho 'rm: Read-only file system' >&2\nexit 1\n")
    done = sh(text, daemon, **values(names))
    assert done.returncode != 0
    reason, cure = done.stderr.splitlines()
    assert reason == "rm: Read-only file system"
    assert cure.startswith(f"{names.directory}")
    assert " was not removed, for the reason above. " in cure
    assert cure.endswith("run the same pulumi command again")
    assert daemon.names == set()


@pytest.mark.parametrize("content", ["", "a file"])
def test_a_folder_in_the_place_of_a_file_goes(
    daemon: FakeDaemon, names: Names, content: str
) -> None:
    """Docker makes one of a kubeconfig that a container mounts and that is not there."""
    cluster(daemon, names)
    for file in (names.kept, names.kubeconfig, names.record, names.claim_file):
        file.mkdir(parents=True)
        if content:
            (file / "content").write_text(content)
    for text in (RELEASE, CLUSTER_GUARD, STACK):
        done = sh(text, daemon, **values(names), DIGEST="a" * 16)
        assert (done.returncode, done.stderr) == (0, "")
    assert daemon.names == set()
    assert not names.directory.exists()


def test_no_folder_is_no_reason_to_delete_the_root(daemon: FakeDaemon, names: Names) -> None:
    done = sh(STACK, daemon, **(values(names) | {"DIRECTORY": ""}))
    assert done.returncode != 0
    assert "DIRECTORY" in done.stderr


def test_deleting_nothing_is_fine(daemon: FakeDaemon, names: Names) -> None:
    assert sh(STACK, daemon, **values(names)).returncode == 0
    assert sh(NETWORK, daemon, **values(names)).returncode == 0


# --- the network ----------------------------------------------------------------------------------


def test_the_network_is_free_of_endpoints_afterwards(
    daemon: FakeDaemon, names: Names, neighbour: Names
) -> None:
    before = daemon.names
    daemon.network(names.network, labels=names.labels)
    network = f"id-of-{names.network}"
    daemon.container("unknown-to-state", labels=names.labels, networks=[network])
    daemon.container("registry", networks=[network, "id-of-bridge"])
    done = sh(NETWORK, daemon, **values(names))
    assert (done.returncode, done.stderr) == (0, "")
    assert daemon.names - before == {names.network, "registry"}
    assert [call.argv[-1] for call in daemon.calls_to("docker", "network", "disconnect")] == [
        "id-of-registry"
    ]


def test_a_container_that_crashes_again_and_again_does_not_hold_the_network(
    daemon: FakeDaemon, names: Names
) -> None:
    """While Docker waits to start it, it is on the network and cannot be disconnected."""
    daemon.network(names.network, labels=names.labels)
    daemon.container("crashing", networks=[f"id-of-{names.network}"], state="restarting")
    done = sh(NETWORK, daemon, **values(names))
    assert (done.returncode, done.stderr) == (0, "")
    assert daemon.calls_to("docker", "network", "disconnect")


def test_a_container_that_stays_connected_is_named(daemon: FakeDaemon, names: Names) -> None:
    daemon.network(names.network, labels=names.labels)
    daemon.container("registry", networks=[f"id-of-{names.network}"], stuck=True)
    done = sh(NETWORK, daemon, **values(names))
    assert done.returncode == 1
    assert done.stderr.startswith("network traced-dev: could not disconnect: registry (")
    assert "device busy" in done.stderr
    assert done.stderr.endswith("run the same pulumi command again\n")


def test_a_network_of_another_owner_keeps_its_containers(daemon: FakeDaemon, names: Names) -> None:
    daemon.network(names.network, labels={"runtime-observability.owner": "0123456789abcdef"})
    daemon.container("theirs", networks=[f"id-of-{names.network}"])
    assert sh(NETWORK, daemon, **values(names)).returncode == 0
    assert not daemon.calls_to("docker", "network", "disconnect")


def test_only_the_network_of_that_name_loses_its_containers(
    daemon: FakeDaemon, names: Names
) -> None:
    """Its owner may have another network, whose name contains this one's."""
    for network in (names.network, f"{names.network}-2", f"my-{names.network}"):
        daemon.network(network, labels=names.labels)
        daemon.container(f"on-{network}", networks=[f"id-of-{network}"])
    assert sh(NETWORK, daemon, **values(names)).returncode == 0
    (disconnected,) = daemon.calls_to("docker", "network", "disconnect")
    assert disconnected.argv[-2:] == ("id-of-traced-dev", "id-of-on-traced-dev")


# --- the files ------------------------------------------------------------------------------------


def test_a_file_is_written_whole_for_its_owner_alone(daemon: FakeDaemon, names: Names) -> None:
    text = "endpoint: otel-collector:4317\n# $HOME `id` \\ 'quoted' \"twice\"\n"
    folder = names.node_directory
    environment = {"DIRECTORY": str(folder), "FILE": "a.yaml"}
    for _ in ("create", "update"):
        done = sh(WRITE, daemon, stdin=text, **environment)
        assert (done.returncode, done.stderr) == (0, "")
        assert (folder / "a.yaml").read_text() == text
        assert [path.name for path in folder.iterdir()] == ["a.yaml"]
    assert stat.S_IMODE((folder / "a.yaml").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_file_that_could_not_be_written_whole_leaves_the_old_one(
    daemon: FakeDaemon, names: Names
) -> None:
    folder = names.node_directory
    environment = {"DIRECTORY": str(folder), "FILE": "a.yaml"}
    assert sh(WRITE, daemon, stdin="old", **environment).returncode == 0
    daemon.executables.script("cat", "#!/bin/sh\necho half\nexit 1\n")  # as on a full disk
    assert sh(WRITE, daemon, stdin="new", **environment).returncode != 0
    assert (folder / "a.yaml").read_text() == "old"


@pytest.mark.parametrize("content", ["", "a file"])
def test_an_empty_folder_in_the_place_of_a_file_gives_way(
    daemon: FakeDaemon, names: Names, content: str
) -> None:
    writers = (
        (WRITE, names.node_directory / "a.yaml"),
        (KEEP, names.kept),
        (CLAIM, names.claim_file),
    )
    for text, file in writers:
        file.mkdir(parents=True)
        if content:
            (file / "content").write_text(content)
        more = {"FILE": file.name, "CLAIM": names.claim, "NOTE": file.name, "DIGEST": "a" * 16}
        done = sh(text, daemon, stdin="new", DIRECTORY=str(file.parent), **more)
        assert (done.returncode == 0) is not bool(content)
        assert file.is_file() is not bool(content)
        assert (str(file) in done.stderr) is bool(content)
        removed = sh(REMOVE, daemon, DIRECTORY=str(file.parent), FILE=file.name)
        assert (removed.returncode, removed.stderr) == (0, "")
        assert not file.exists()


def test_the_folder_goes_with_its_last_file(daemon: FakeDaemon, names: Names) -> None:
    folder = names.node_directory
    folder.mkdir(parents=True)
    for file in ("a.yaml", "b.yaml"):
        (folder / file).touch()
    for file, folder_stays in (("a.yaml", True), ("b.yaml", False), ("b.yaml", False)):
        environment = {"DIRECTORY": str(folder), "FILE": file}
        assert sh(REMOVE, daemon, **environment).returncode == 0
        assert folder.exists() == folder_stays


# --- the rehearsal --------------------------------------------------------------------------------


def rehearsal(daemon: FakeDaemon, names: Names, **values: Any) -> None:
    labels = {"k3d.cluster": names.rehearsal}
    daemon.container(f"k3d-{names.rehearsal}-server-0", labels=labels, **values)
    daemon.volume(f"k3d-{names.rehearsal}-images", labels=labels)
    daemon.network(f"k3d-{names.rehearsal}")
    names.rehearsal_directory.mkdir(parents=True, exist_ok=True)


def test_a_rehearsal_goes_and_nothing_else(
    daemon: FakeDaemon, names: Names, neighbour: Names
) -> None:
    cluster(daemon, names)
    before = daemon.names
    rehearsal(daemon, neighbour)
    others = daemon.names
    rehearsal(daemon, names)
    done = sh(REHEARSAL, daemon, **values(names))
    assert (done.returncode, done.stderr) == (0, "")
    assert daemon.names == others >= before
    assert not names.rehearsal_directory.exists()
    assert names.directory.exists()


def test_the_registries_in_use_leave_a_rehearsals_network_and_are_kept(
    daemon: FakeDaemon, names: Names
) -> None:
    """k3d connects them to the network of each cluster that uses them."""
    rehearsal(daemon, names)
    network = f"id-of-k3d-{names.rehearsal}"
    daemon.container("k3d-registry", networks=["id-of-bridge", network])
    done = sh(REHEARSAL, daemon, REHEARSAL=names.rehearsal, DIRECTORY=str(names.directory))
    assert done.returncode == 0, done.stderr
    assert daemon.names == {"k3d-registry"}
    assert daemon.containers[0].networks == ["id-of-bridge"]


def test_a_rehearsal_that_a_k3d_goes_on_with_goes_too(daemon: FakeDaemon, names: Names) -> None:
    rehearsal(daemon, names)
    late = f"k3d-{names.rehearsal}-server-0-late"
    daemon.container(late, labels={"k3d.cluster": names.rehearsal}, after_checks=1)
    assert sh(REHEARSAL, daemon, **values(names)).returncode == 0
    assert daemon.names == set()


def test_a_rehearsal_that_cannot_be_removed_is_told(daemon: FakeDaemon, names: Names) -> None:
    rehearsal(daemon, names, stuck=True)
    done = sh(REHEARSAL, daemon, **values(names))
    assert done.returncode == 1
    assert "device busy" in done.stderr


def test_destroy_takes_a_rehearsal_along(daemon: FakeDaemon, names: Names) -> None:
    rehearsal(daemon, names)
    assert sh(STACK, daemon, **values(names)).returncode == 0
    assert daemon.names == set()


# --- the claim on the stack's folder --------------------------------------------------------------


def test_a_claim_is_written_for_its_owner_alone(daemon: FakeDaemon, names: Names) -> None:
    claim = replace(names, pulumi_stack='acme/it\'s "$HOME" %s\\n/dev').claim
    environment = {"DIRECTORY": str(names.directory), "CLAIM": claim}
    for _ in range(2):
        assert sh(CLAIM, daemon, **environment).returncode == 0
        assert names.claim_file.read_text() == f"{claim}\n"
    assert stat.S_IMODE(names.claim_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(names.directory.stat().st_mode) == 0o700
    assert [file.name for file in names.directory.iterdir()] == ["stack.json"]


def test_a_claim_that_cannot_be_written_fails(daemon: FakeDaemon, names: Names) -> None:
    names.state_folder.write_text("a file where the folder belongs")
    failed = sh(CLAIM, daemon, DIRECTORY=str(names.directory), CLAIM=names.claim)
    assert failed.returncode != 0
    assert str(names.state_folder) in failed.stderr


@pytest.mark.parametrize("claim", ["own", "another", "broken", "none"])
def test_a_folder_that_was_moved_loses_the_stacks_own(
    daemon: FakeDaemon, names: Names, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, claim: str
) -> None:
    """Pulumi runs a delete in the project's folder, and $DIRECTORY is below the one before."""
    moved = tmp_path / "moved"
    here = Names(names.stack, moved).directory
    here.mkdir(parents=True)
    another = Names(names.stack, tmp_path / "elsewhere").claim
    texts = {"own": f"{names.claim}\n", "another": f"{another}\n", "broken": names.claim[:9]}
    if claim in texts:
        (here / "stack.json").write_text(texts[claim])
    names.node_directory.mkdir(parents=True)  # by Docker, when a node has started since
    daemon.volume("a" * 64)
    (here / "node.volumes").write_text(f"{'a' * 64}\n")
    monkeypatch.chdir(moved)
    done = sh(STACK, daemon, **values(names), CLAIM=names.claim)
    assert (done.returncode, done.stderr) == (0, "")
    assert here.exists() is (claim != "own")
    assert bool(daemon.volumes) is (claim != "own")
    assert names.folder.exists() is (claim != "own")


def test_a_folder_that_docker_made_where_the_project_was_is_told(
    daemon: FakeDaemon, names: Names, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is root's: the user's rm cannot remove it."""
    here = Names(names.stack, tmp_path / "moved").directory
    here.mkdir(parents=True)
    (here / "stack.json").write_text(f"{names.claim}\n")
    names.node_directory.mkdir(parents=True)
    rm = shutil.which("rm")
    refuse = f'[ "$2" != "{names.directory}" ] || exit 1'
    daemon.executables.script("rm", f'#!/bin/sh\n{refuse}\nexec {rm} "$@"\n')
    monkeypatch.chdir(tmp_path / "moved")
    done = sh(STACK, daemon, **values(names), CLAIM=names.claim)
    assert done.returncode == 0
    assert f"`sudo rmdir -p '{names.node_directory}'` removes them" in done.stderr
    assert not here.exists()
