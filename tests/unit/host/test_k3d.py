"""Running k3d: its input and environment, when it is stopped, and the errors of failed nodes."""

from __future__ import annotations

import os
import stat
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runtime_observability.core.naming import Names
from runtime_observability.host import k3d, runner
from runtime_observability.host.k3d import NodeWatch
from tests.fakes.clock import Clock
from tests.fakes.daemon import FakeDaemon

HEALTHY = """\
time="2026-11-23T12:00:00Z" level=info msg="Starting k3s v1.34.4+k3s1"
I1123 12:00:01.000000       1 server.go:1] "Started"
"""


NOT_YET_READY = (
    'time="T" level=error msg="Sending HTTP/1.1 503 response to 127.0.0.1:4711: '
    'runtime core not ready"\n'
)
CONTAINERD_EXITED = (
    'time="T" level=error msg="Shutdown request received: containerd exited: exit status 1"\n'
)
NO_KUBECONFIG = (
    'E1201 04:24:51.244344      30 memcache.go:265] "Unhandled Error" err="cannot get server API '
    'group list: Get \\"http://localhost:8080/api?timeout=32s\\": dial tcp '
    '127.0.0.1:8080: connect: connection refused"\n'
)
UNREGISTERED = (
    'E1201 04:30:13.968314      77 kubelet_node_status.go:114] "Unable to register node with API '
    'server, error getting existing node" err="nodes \\"foo\\" is forbidden"\n'
)
NOT_REGISTERED = 'Error from server (NotFound): nodes "k3d-traced-dev-server-0" not found\n'
KUBELET_EXITED = 'time="T" level=error msg="kubelet exited: bad flag"\n'
SHUT_DOWN = 'time="T" level=error msg="Shutdown request received: apiserver failed"\n'
K3S_ERROR = 'time="T" level=error msg="soon"\n'
KLOG_ERROR = "E1123 12:00:02.000000       1 run.go:72] retrying\n"
FATAL = 'time="T" level=fatal msg="no"\n'


def reasons(watch: NodeWatch) -> list[str]:
    """The lines below what failed."""
    failure, *lines = str(watch.error("it failed")).splitlines()
    assert failure == "it failed."
    return lines


@pytest.mark.parametrize(
    ("log", "line"),
    [
        ("", "its log is empty"),
        (HEALTHY, 'I1123 12:00:01.000000       1 server.go:1] "Started"'),
        # An error of k3s explains more than one of the API server.
        (
            HEALTHY
            + "E1123 12:00:02.000000       1 run.go:72] retrying\n"
            + 'time="2026-11-23T12:00:03Z" level=error msg="soon"\n'
            + 'time="2026-11-23T12:00:03Z" level=fatal msg="the first"\n'
            + 'time="2026-11-23T12:00:04Z" level=fatal msg="the second"\n',
            'time="2026-11-23T12:00:03Z" level=fatal msg="the first"',
        ),
        (
            HEALTHY + "Incorrect Usage: flag provided but not defined: -nope\n\nNAME:\n   k3s\n",
            "Incorrect Usage: flag provided but not defined: -nope",
        ),
        (
            HEALTHY + "flag provided but not defined: -x\nI1123\n",
            "flag provided but not defined: -x",
        ),
        (HEALTHY + "Incorrect Usage. flag\nI1123\n", "Incorrect Usage. flag"),
        (HEALTHY + "Error: unknown flag: --nope\nI1123\n", "Error: unknown flag: --nope"),
        ("an Error: in the middle of a line\nI1123\n", "I1123"),
        # Each kind of line explains more than the next one, wherever they are.
        (f"Error: a flag\n{FATAL}", FATAL.strip()),
        (CONTAINERD_EXITED + "Error: a flag\n", "Error: a flag"),
        (K3S_ERROR + CONTAINERD_EXITED, CONTAINERD_EXITED.strip()),
        (K3S_ERROR + SHUT_DOWN, SHUT_DOWN.strip()),
        (K3S_ERROR + KUBELET_EXITED, KUBELET_EXITED.strip()),
        (KLOG_ERROR + K3S_ERROR + "I1123\n", K3S_ERROR.strip()),
        (NOT_YET_READY + KLOG_ERROR + "I1123\n", KLOG_ERROR.strip()),
        (
            HEALTHY
            + 'E1123 12:00:02.1       1 run.go:72] "command failed" err="bad gate"\nI1123\n',
            'E1123 12:00:02.1       1 run.go:72] "command failed" err="bad gate"',
        ),
        # k3d's entrypoint asks to uncordon the node until it has registered.
        (NOT_REGISTERED + CONTAINERD_EXITED, CONTAINERD_EXITED.strip()),
        (NOT_REGISTERED + "I1123\n", "I1123"),
        (NO_KUBECONFIG + KLOG_ERROR + "I1123\n", KLOG_ERROR.strip()),
        (NO_KUBECONFIG + "I1123\n", "I1123"),
        (KLOG_ERROR + K3S_ERROR + UNREGISTERED + "I1123\n", UNREGISTERED.strip()),
        ('time="T" level=info msg="Running etcd --log-level=error --a=b"\nI1123\n', "I1123"),
        # k3s v1.34.5 whose containerd exits; every boot logs the first of the two lines.
        (HEALTHY + NOT_YET_READY + CONTAINERD_EXITED, CONTAINERD_EXITED.strip()),
        (HEALTHY + NOT_YET_READY, NOT_YET_READY.strip()),
        (
            HEALTHY + 'time="T" level=error msg="kubelet exited: bad flag"\n',
            'time="T" level=error msg="kubelet exited: bad flag"',
        ),
    ],
)
def test_the_gravest_line_says_why(log: str, line: str) -> None:
    assert k3d.first_error(log) == line


def test_the_users_k3d_variables_do_not_reach_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """They override the configuration file (k3d v5.9.0 cmd/util/config/config.go)."""
    monkeypatch.setenv("K3D_IMAGE", "mine")
    monkeypatch.setenv("K3D_IMAGE_TOOLS", "mine")
    monkeypatch.setenv("K3D_FIX_DNS", "1")
    monkeypatch.setenv("DOCKER_HOST", "unix:///a.sock")
    monkeypatch.setenv("DOCKER_SOCK", "unix:///a.sock")
    monkeypatch.setenv("LOG_LEVEL", "trace")
    environment = k3d.environment("", "/scratch")
    assert not [name for name in environment if name.startswith("K3D_")]
    assert "DOCKER_SOCK" not in environment, "its tools container would mount that"
    assert (environment["DOCKER_HOST"], environment["TMPDIR"]) == ("unix:///a.sock", "/scratch")
    assert environment["PATH"] == os.environ["PATH"]
    assert environment["LOG_LEVEL"] == "info", "a trace has the token, and ends in Pulumi's state"
    assert environment["LOG_COLORS"] == "0", "its log is read: a colour's codes are no level"
    assert k3d.environment("tools:1", "/scratch")["K3D_IMAGE_TOOLS"] == "tools:1"


def test_an_error_about_the_kubeconfig_has_no_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    environments: list[dict[str, str]] = []

    def run(argv: list[str], *, environment: dict[str, str]) -> None:
        environments.append(environment)
        raise runner.CommandError("it failed")

    monkeypatch.setattr(runner, "run", run)
    with pytest.raises(runner.CommandError):
        k3d.kubeconfig("traced-dev")
    assert environments[0]["LOG_COLORS"] == "0"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock().drive(monkeypatch, k3d)


def check_later(watch: NodeWatch, clock: Clock, seconds: float = 3) -> str | None:
    clock.now += seconds
    return watch.check()


def test_a_node_without_k3s_is_given_up(daemon: FakeDaemon, names: Names, clock: Clock) -> None:
    node = daemon.node(names, log='level=fatal msg="no cgroup"\n')
    watch = NodeWatch([node.name])
    assert watch.check() is None
    node.top = "/bin/sh /bin/k3d-entrypoint.sh server"
    checks = [check_later(watch, clock, 2) for _ in range(5)]
    assert checks[:4] == [None] * 4, "k3s may be about to start"
    assert checks[4] == "k3s in k3d-traced-dev-server-0 has exited"


def test_a_node_that_somebody_stopped_meanwhile_is_given_up_with_the_cure(
    daemon: FakeDaemon, names: Names, clock: Clock
) -> None:
    """Docker starts one that ended by itself again: such a one is never exited."""
    node = daemon.node(names)
    watch = NodeWatch([node.name])
    assert watch.check() is None
    node.state, node.exit_code = "exited", 137
    checks = [check_later(watch, clock, 2) for _ in range(5)]
    assert checks[:4] == [None] * 4, "it may be being restarted"
    assert checks[4] == f"{node.name} has ended"
    told = "was stopped (exit code 137) while it was waited for: `pulumi up` starts it again"
    assert reasons(watch)[-1] == f"{node.name} {told}"
    assert isinstance(watch.error("it failed"), k3d.CurableError)


def test_a_node_that_somebody_removed_meanwhile_is_given_up(
    daemon: FakeDaemon, names: Names, clock: Clock
) -> None:
    """As by a destroy after a `pulumi cancel` of this run, which that does not end."""
    node = daemon.node(names)
    watch = NodeWatch([node.name])
    assert watch.check() is None
    daemon.containers.clear()
    checks = [check_later(watch, clock, 2) for _ in range(5)]
    assert checks[:4] == [None] * 4, "k3d tells itself why it takes back what it made"
    assert checks[4] == f"{node.name} was removed while it was waited for"


@pytest.mark.parametrize(("started", "curable"), [("01", True), ("00", False)])
def test_a_node_that_was_stopped_before_it_was_looked_at_has_the_cure_if_it_was_started(
    daemon: FakeDaemon, names: Names, started: str, *, curable: bool
) -> None:
    """k3d ends at once when the node that it waits for does."""
    begin = datetime(2026, 11, 28, 12, 0, 0, 500_000, tzinfo=UTC).timestamp()
    node = daemon.node(names, state="exited")
    node.started, node.exit_code = f"2026-11-28T12:00:{started}.000000000Z", 137
    error = NodeWatch([node.name], since=begin).error("k3d exited with 1")
    assert isinstance(error, k3d.CurableError) is curable


@pytest.mark.parametrize("state", ["created", "exited"])
def test_a_node_that_is_stopped_when_the_wait_begins_is_waited_for(
    daemon: FakeDaemon, names: Names, clock: Clock, state: str
) -> None:
    watch = NodeWatch([daemon.node(names, state=state).name])
    assert [check_later(watch, clock, 60) for _ in range(3)] == [None] * 3


def test_a_node_that_docker_starts_again_and_again_is_waited_for(
    daemon: FakeDaemon, names: Names, clock: Clock
) -> None:
    """As k3s where another server joins etcd at the same time."""
    node = daemon.node(names)
    watch = NodeWatch([node.name])
    assert watch.check() is None
    node.state = "restarting"
    assert [check_later(watch, clock, 60) for _ in range(3)] == [None] * 3


@pytest.mark.parametrize("top", ["/bin/k3s server", "k3s agent", "/usr/bin/k3s server --tls-san 0"])
def test_a_node_with_k3s_is_waited_for(
    daemon: FakeDaemon, names: Names, clock: Clock, top: str
) -> None:
    watch = NodeWatch([daemon.node(names, top=top).name])
    assert [check_later(watch, clock, 60) for _ in range(5)] == [None] * 5


def test_a_node_that_is_not_there_yet_is_waited_for(
    daemon: FakeDaemon, names: Names, clock: Clock
) -> None:
    watch = NodeWatch([names.node("server", 0)])
    assert [check_later(watch, clock, 60) for _ in range(3)] == [None] * 3
    assert reasons(watch) == ["no node has logged anything"]


def test_docker_is_not_asked_all_the_time(daemon: FakeDaemon, names: Names, clock: Clock) -> None:
    watch = NodeWatch([daemon.node(names).name])
    for _ in range(8):
        check_later(watch, clock, 0.5)
    assert len(daemon.calls_to("docker", "logs")) == 2


def test_a_log_outlives_its_node(daemon: FakeDaemon, names: Names, clock: Clock) -> None:
    """k3d's rollback deletes the node, so its log must have been read before."""
    daemon.node(names, log=HEALTHY + 'level=fatal msg="port 6443 in use"\n')
    watch = NodeWatch([names.node("server", 0), names.node("agent", 0)])
    watch.check()
    daemon.containers.clear()
    check_later(watch, clock)
    assert reasons(watch) == ['k3d-traced-dev-server-0: level=fatal msg="port 6443 in use"']


def test_a_log_that_is_read_empty_keeps_what_was_read(
    daemon: FakeDaemon, names: Names, clock: Clock
) -> None:
    """Docker's answer is empty while a container is removed."""
    node = daemon.node(names, log='level=fatal msg="port 6443 in use"\n')
    watch = NodeWatch([node.name])
    watch.check()
    node.log = ""
    check_later(watch, clock)
    assert reasons(watch) == ['k3d-traced-dev-server-0: level=fatal msg="port 6443 in use"']


def test_what_a_node_writes_to_stderr_is_read(
    daemon: FakeDaemon, names: Names, clock: Clock
) -> None:
    """k3s logs there, and `docker logs` keeps the two apart."""
    node = daemon.node(names, log="[INFO] entrypoint\n", errors='level=fatal msg="no cgroup"\n')
    watch = NodeWatch([node.name])
    watch.check()
    assert reasons(watch) == ['k3d-traced-dev-server-0: level=fatal msg="no cgroup"']


def test_a_log_that_is_not_utf_8_says_why_too(
    daemon: FakeDaemon, names: Names, clock: Clock
) -> None:
    node = daemon.node(names, log="\udcff\n", errors='level=fatal msg="no \udce9t\udce9"\n')
    watch = NodeWatch([node.name])
    watch.check()
    assert reasons(watch) == ['k3d-traced-dev-server-0: level=fatal msg="no \ufffdt\ufffd"']


def test_a_containerd_that_ended_says_why_itself(
    daemon: FakeDaemon, names: Names, clock: Clock
) -> None:
    """k3s writes containerd's log to a file in the node, which is deleted with the node."""
    node = daemon.node(names, log=HEALTHY + CONTAINERD_EXITED)
    node.files["/var/lib/rancher/k3s/agent/containerd/containerd.log"] = (
        'level=warning msg="failed to load plugin" id=io.containerd.snapshotter.v1.devmapper\n'
        "level=info\nlevel=info\ncontainerd: failed to load TOML\n"
    )
    watch = NodeWatch([node.name])
    watch.check()
    daemon.containers.clear()
    assert reasons(watch) == [
        f"{node.name}: {CONTAINERD_EXITED.strip()}",
        f"containerd in {node.name}: level=info | level=info | containerd: failed to load TOML",
    ]


def test_a_containerd_that_crashed_says_why_above_its_stack(
    daemon: FakeDaemon, names: Names, clock: Clock
) -> None:
    """Seen with GOMEMLIMIT=lots in containerd's environment."""
    node = daemon.node(names, log=HEALTHY + CONTAINERD_EXITED)
    node.files["/var/lib/rancher/k3s/agent/containerd/containerd.log"] = (
        "fatal error: an earlier one\nlevel=info\nfatal error: malformed GOMEMLIMIT\n\n"
        "runtime stack:\nruntime.throw({0x19e0b39?, 0xa?})\n\truntime/panic.go:1229 +0x48\n"
    )
    watch = NodeWatch([node.name])
    watch.check()
    last = reasons(watch)[-1]
    assert last == f"containerd in {node.name}: fatal error: malformed GOMEMLIMIT"


def test_too_many_nodes_for_the_machines_inotify_instances_are_told_with_the_cure(
    daemon: FakeDaemon, names: Names, clock: Clock
) -> None:
    """Seen with seven nodes on a machine that allows 128: containerd goes on without its CRI."""
    log = (
        'E1123 12:00:02.000000  1 run.go:72] "command failed" err="failed to run Kubelet: validate '
        "service connection: validate CRI v1 runtime API for endpoint: rpc error: code = "
        'Unimplemented desc = unknown service runtime.v1.RuntimeService"\n'
    )
    node = daemon.node(names, log=HEALTHY + log)
    failed = (
        'level=error msg="failed to load plugin" error="failed to create fsnotify watcher: '
        'too many open files" id=io.containerd.grpc.v1.cri'
    )
    node.files["/var/lib/rancher/k3s/agent/containerd/containerd.log"] = (
        f"level=info\n{failed}\nlevel=info\nlevel=info\nlevel=info\n"
    )
    watch = NodeWatch([node.name])
    watch.check()
    *_, of_containerd, cure = reasons(watch)
    assert of_containerd == f"containerd in {node.name}: {failed}"
    assert "`sudo sysctl -w fs.inotify.max_user_instances=512`" in cure
    assert isinstance(watch.error("it failed"), k3d.CurableError)


def test_nodes_whose_logs_docker_does_not_keep_are_told_with_the_cure(clock: Clock) -> None:
    """Seen with `"log-driver": "none"` in Docker's daemon.json."""
    failure = (
        "k3d exited with 1: error: docker failed to get logs from node 'k3d-traced-dev-server-0': "
        "Error response from daemon: configured logging driver does not support reading"
    )
    error = NodeWatch([]).error(failure)
    assert '"log-driver": "json-file"' in str(error)
    assert isinstance(error, k3d.CurableError)


def test_a_network_without_an_address_for_a_node_is_told_with_the_cure() -> None:
    """Seen with networks of /29 and a second agent."""
    failure = (
        "k3d exited with 1: fatal: Failed to add one or more agents: docker failed to start "
        "container for node 'k3d-traced-dev-agent-1': Error response from daemon: no available "
        "IPv4 addresses on this network's address pools: traced-dev (9c1c2700ef67)"
    )
    error = NodeWatch([]).error(failure)
    assert "set fewer `agents`" in str(error)
    assert "`default-address-pools`" in str(error)
    assert isinstance(error, k3d.CurableError)


@pytest.mark.parametrize(
    "did", ["Failed to update lease", "Error updating node status, will retry"]
)
def test_a_webhook_that_refuses_what_nodes_write_is_told_with_the_cure(
    daemon: FakeDaemon, names: Names, clock: Clock, did: str
) -> None:
    """Seen with one that is for everything, and nothing behind its address."""
    refused = (
        f'E1129 23:09:43.495867  78 controller.go:251] "{did}" err="Internal error occurred: '
        'failed calling webhook \\"all.example.com\\": failed to call webhook: Post '
        '\\"https://127.0.0.1:9/x?timeout=2s\\": connect: connection refused"\n'
    )
    node = daemon.node(names, log=HEALTHY + refused)
    watch = NodeWatch([node.name])
    watch.check()
    assert reasons(watch)[-1].startswith("all.example.com: this webhook refuses what nodes write")
    assert isinstance(watch.error("it failed"), k3d.CurableError)


def test_a_token_that_was_rotated_is_told_with_the_cure(
    daemon: FakeDaemon, names: Names, clock: Clock
) -> None:
    """The cluster is whole, and its nodes' environment is fixed (k3s pkg/cluster/storage.go)."""
    fatal = (
        'level=fatal msg="Error: preparing server: failed to bootstrap cluster data: failed to '
        "reconcile with local datastore: bootstrap data already found and encrypted with different "
        'token"\n'
    )
    node = daemon.node(names, log=HEALTHY + fatal)
    watch = NodeWatch([node.name])
    watch.check()
    cure = reasons(watch)[-1]
    assert "`k3s token rotate`" in cure
    assert "/etc/rancher/k3s/config.yaml" in cure
    assert isinstance(watch.error("it failed"), k3d.CurableError)
    node.log += 'level=info msg="Starting k3s v1.36.3+k3s1 (abc)"\n'
    check_later(watch, clock, 2)
    assert "`k3s token rotate`" not in reasons(watch)[-1], "the cure was followed"


@pytest.mark.parametrize(
    ("removed", "others", "then", "cured"),
    [
        (0, 2, "", True),
        (1, 2, "", False),
        (0, 0, "", False),
        (0, 2, 'level=info msg="Starting k3s v1.36.3+k3s1 (abc)"\n', False),
    ],
    ids=["first", "second", "alone", "joined since"],
)
def test_a_first_server_that_etcd_has_removed_is_told_with_the_cure(
    daemon: FakeDaemon, names: Names, clock: Clock, *,
    removed: int, others: int, then: str, cured: bool,
) -> None:  # fmt: skip
    """The other servers have the cluster; another one would find them by itself."""
    log = (
        'level=info msg="Starting k3s v1.36.3+k3s1 (abc)"\n'
        'level=info msg="this node has been removed from the cluster please restart k3s to rejoin '
        'the cluster"\n'
    )
    nodes = [
        daemon.node(names, index=index, log=log + then if index == removed else HEALTHY).name
        for index in range(1 + others)
    ]
    watch = NodeWatch(nodes)
    watch.check()
    cure = "write `server: https://k3d-traced-dev-server-1:6443` into its /etc/rancher/k3s/"
    assert (cure in reasons(watch)[-1]) is cured
    assert isinstance(watch.error("it failed"), k3d.CurableError) is cured


def test_a_webhook_for_something_else_is_not_told(
    daemon: FakeDaemon, names: Names, clock: Clock
) -> None:
    event = 'E1129 "Server rejected event" err="failed calling webhook \\"all.example.com\\""\n'
    watch = NodeWatch([daemon.node(names, log=HEALTHY + event).name])
    watch.check()
    assert "refuses" not in reasons(watch)[-1]
    assert not isinstance(watch.error("it failed"), k3d.CurableError)


def test_open_files_of_another_kind_have_another_cure(
    daemon: FakeDaemon, names: Names, clock: Clock
) -> None:
    node = daemon.node(names, log=HEALTHY + 'level=fatal msg="accept4: too many open files"\n')
    watch = NodeWatch([node.name])
    watch.check()
    assert "inotify" not in reasons(watch)[-1]
    assert not isinstance(watch.error("it failed"), k3d.CurableError)


def test_an_earlier_life_of_a_node_is_not_read(
    daemon: FakeDaemon, names: Names, clock: Clock
) -> None:
    NodeWatch([daemon.node(names).name], since=1_700_000_000.7).check()
    (logs,) = daemon.calls_to("docker", "logs")
    assert logs.argv[4:6] == ("--since", "1700000000")


# --- the run --------------------------------------------------------------------------------------


def run(names: Names, stdin: str = "{}", seconds: float = 10) -> None:
    """Runs `k3d cluster create`, with any open file as the lock that the child inherits."""
    lock = os.open(names.folder, os.O_RDONLY)
    try:
        k3d.run(
            ["cluster", "create", "--config", "-"],
            stdin=stdin,
            watch=NodeWatch([names.node("server", 0)]),
            tools_image="tools:1",
            folder=names.folder,
            lock=lock,
            seconds=seconds,
        )
    finally:
        os.close(lock)


def await_file(path: Path) -> None:
    while not path.exists():  # pytest's own timeout ends a test whose file never comes
        time.sleep(0.01)


def fake_k3d(daemon: FakeDaemon, text: str) -> None:
    daemon.executables.script("k3d", f"#!/bin/sh\n{text}\n")


@pytest.mark.usefixtures("no_waiting")
def test_what_k3d_says_is_passed_on(
    daemon: FakeDaemon, names: Names, capfd: pytest.CaptureFixture[str]
) -> None:
    fake_k3d(daemon, 'cat >/dev/null; echo one; echo two >&2; printf "no end of line"')
    run(names)
    assert capfd.readouterr().err == "k3d: one\nk3d: two\nk3d: no end of line\n"


@pytest.mark.usefixtures("no_waiting")
def test_k3ds_hint_at_another_kubeconfig_is_not_passed_on(
    daemon: FakeDaemon, names: Names, capfd: pytest.CaptureFixture[str]
) -> None:
    hint = (
        'echo \'time="T" level=info msg="You can now use it like this:"\'; '
        "echo export KUBECONFIG=here; echo kubectl cluster-info"
    )
    fake_k3d(daemon, f"cat >/dev/null; echo made; {hint}")
    run(names)
    assert capfd.readouterr().err == "k3d: made\n"


@pytest.mark.usefixtures("no_waiting")
def test_a_warning_of_dockers_configuration_is_told_once(
    daemon: FakeDaemon, names: Names, capfd: pytest.CaptureFixture[str]
) -> None:
    """k3d's library reads it for each call: sixty times in one start of a node."""
    warning = "WARNING: Error loading config file: open config.json: permission denied"
    fake_k3d(daemon, f"cat >/dev/null; echo '{warning}'; echo same; echo '{warning}'; echo same")
    run(names)
    assert capfd.readouterr().err == f"k3d: {warning}\nk3d: same\nk3d: same\n"


@pytest.mark.usefixtures("no_waiting")
def test_k3d_gets_the_configuration_the_tools_and_a_scratch_folder(
    daemon: FakeDaemon, names: Names, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("K3D_NETWORK", "mine")
    monkeypatch.setenv("SEEN", str(tmp_path))
    fake_k3d(
        daemon, 'cat >"$SEEN/stdin"; env >"$SEEN/env"; cp "$SEEN/stdin" "$TMPDIR/k3d-config-tmp"'
    )
    run(names, stdin="name: traced-dev\n")
    assert (tmp_path / "stdin").read_text() == "name: traced-dev\n"
    seen = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines())
    assert seen["K3D_IMAGE_TOOLS"] == "tools:1"
    assert "K3D_NETWORK" not in seen
    assert Path(seen["TMPDIR"]).parent == names.folder, "where a destroy removes what a kill leaves"
    assert not Path(seen["TMPDIR"]).exists(), (
        "the copy of the configuration is deleted with its folder"
    )


def test_a_failure_tells_the_nodes_reason(
    daemon: FakeDaemon, names: Names, tmp_path: Path, clock: Clock
) -> None:
    daemon.node(names, log=HEALTHY + 'level=fatal msg="port 6443 in use"\n')
    log_was_read = tmp_path / "log-was-read"
    waiting = f'until [ -e "{log_was_read}" ]; do /bin/sleep 0.02; done'
    fake_k3d(daemon, f"cat >/dev/null; {waiting}; exit 3")

    def meanwhile() -> None:
        log_was_read.touch()
        time.sleep(0.02)

    clock.while_sleeping = meanwhile
    with pytest.raises(runner.CommandError) as failed:
        run(names, seconds=1000)
    assert str(failed.value).splitlines() == [
        "k3d exited with 3.",
        'k3d-traced-dev-server-0: level=fatal msg="port 6443 in use"',
    ]


@pytest.mark.usefixtures("no_waiting")
def test_a_k3d_that_reads_nothing_fails_like_any_other(daemon: FakeDaemon, names: Names) -> None:
    fake_k3d(daemon, "exec <&-; exit 2")
    with pytest.raises(runner.CommandError, match="k3d exited with 2"):
        run(names, stdin="x" * 1_000_000)


def test_a_k3d_that_never_ends_is_killed(
    daemon: FakeDaemon, names: Names, tmp_path: Path, clock: Clock
) -> None:
    pid_file = tmp_path / "pid"
    fake_k3d(daemon, f"echo $$ >{pid_file}.new; mv {pid_file}.new {pid_file}; exec /bin/sleep 60")
    clock.while_sleeping = lambda: await_file(pid_file)
    begin = clock.now
    with pytest.raises(runner.CommandError, match="k3d did not finish within 20 s"):
        run(names, seconds=20)
    assert 20 <= clock.now - begin <= 21
    pid = int(pid_file.read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ('time="2026-11-23T12:00:00Z" level=info msg="Prep: Network"', "Prep: Network"),
        ('time="2026-11-23T12:00:00Z" level=info msg="Using \\"x\\""', 'Using "x"'),
        ('time="2026-11-23T12:00:00Z" level=fatal msg="no port"', "fatal: no port"),
        ("anything else", "anything else"),
    ],
)
def test_progress_is_told_in_words(line: str, text: str) -> None:
    assert k3d.message(line) == text


def test_scratch_is_for_its_owner_alone(names: Names, daemon: FakeDaemon, tmp_path: Path) -> None:
    fake_k3d(daemon, f'cat >/dev/null; ls -ld "$TMPDIR" >"{tmp_path}/mode"')
    run(names)
    assert (tmp_path / "mode").read_text().startswith(stat.filemode(0o40700))


@pytest.mark.parametrize(
    ("log", "error"),
    [
        ("", "k3d exited with 1"),
        (HEALTHY, "k3d exited with 1"),
        (
            'time="T" level=error msg="no image"\n'
            'time="T" level=error msg="Failed to create cluster >>> Rolling Back"\n'
            'time="T" level=fatal msg="Cluster creation FAILED"\n'
            'time="T" level=error msg="after"\n',
            "k3d exited with 1: error: no image",
        ),
        (
            'time="T" level=error msg="Failed to run tools container for cluster \'traced-dev\'"\n'
            'time="T" level=fatal msg="failed to run k3d-tools node: no such host"\n',
            "k3d exited with 1: fatal: failed to run k3d-tools node: no such host",
        ),
        ('time="T" level=error msg="no image"\n', "k3d exited with 1: error: no image"),
        ('time="T" level=fatal msg="no port"\n', "k3d exited with 1: fatal: no port"),
    ],
)
def test_k3d_says_itself_why_it_failed(log: str, error: str) -> None:
    assert k3d.exit_error(1, log) == error
