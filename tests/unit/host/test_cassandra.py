"""The Jaeger that is tried on a Cassandra: what it is made of, what is told, and that it goes."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import asdict

import pytest

from runtime_observability.core import naming
from runtime_observability.core.naming import Names
from runtime_observability.host import cassandra, readiness, runner
from runtime_observability.host.cassandra import Trial, UnfitError
from tests.fakes.clock import Clock
from tests.fakes.daemon import DockerObject, FakeDaemon
from tests.fakes.http import FakeServer, Reply

KEYSPACE = "traced_0123456789abcdef"
PASSWORD = "hush-hush"  # noqa: S105
REFUSED = (
    "Error: failed to start extensions: failed to initialize storage 'cassandra': gocql: unable to "
    "create session: unable to connect to initial hosts: Provided username ada and/or password are "
    "incorrect\n"
)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """No test waits."""
    return Clock().drive(monkeypatch, readiness)


@pytest.fixture
def trial(names: Names) -> Trial:
    return Trial(
        name=f"{names.jaeger}-check",
        owner=names.owner,
        image="sha256:0123",
        network=names.cluster,
        user=10001,
        memory_mib=1024,
        variables={"GOMEMLIMIT": "819MiB"},
        command=("--config", "/etc/jaeger/config.yaml"),
        files={"/etc/jaeger/config.yaml": "a: b\n", "/etc/jaeger/store-password": PASSWORD},
        port=16686,
    )


def check(trial: Trial) -> float:
    return cassandra.check(trial, "ada", PASSWORD, KEYSPACE)


def serves(server: FakeServer) -> Callable[[DockerObject], None]:
    def start(container: DockerObject) -> None:
        container.published["16686/tcp"] = server.url.removeprefix("http://")

    return start


def ends(container: DockerObject) -> None:
    """Before anybody could ask for its port."""
    container.state, container.errors = "exited", REFUSED


def test_it_starts_with_jaegers_files_and_goes_again(
    daemon: FakeDaemon, server: FakeServer, trial: Trial
) -> None:
    server.answer = lambda _: Reply(200 if len(server.requests) > 1 else 503)
    seen: list[dict[str, str]] = []

    def start(container: DockerObject) -> None:
        seen.append(container.files)
        serves(server)(container)

    daemon.starts = start
    assert check(trial) == pytest.approx(0.1)
    assert seen == [trial.files]
    assert not daemon.containers
    (created,) = daemon.calls_to("docker", "create")
    assert created.argv[-3:] == (trial.image, *trial.command)
    assert {"--publish=127.0.0.1::16686", "--memory=1024m", "--user=10001"} < set(created.argv)
    assert not [option for option in created.argv if "alias" in option or "hush" in option]


def test_one_that_ends_tells_why_and_goes(daemon: FakeDaemon, trial: Trial) -> None:
    daemon.starts = ends
    with pytest.raises(UnfitError, match="it refuses traceStoreUser ada and traceStorePassword"):
        check(trial)
    assert not daemon.containers


def test_one_that_is_never_ready_tells_its_last_line_and_goes(
    daemon: FakeDaemon, server: FakeServer, trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cassandra, "_SECONDS", 0.2)
    server.answer = lambda _: Reply(503)

    def start(container: DockerObject) -> None:
        container.log = f"tries again with {PASSWORD}\n"
        serves(server)(container)

    daemon.starts = start
    with pytest.raises(UnfitError) as told:
        check(trial)
    assert "is not ready with it within 0.2 s (last: tries again with [secret])" in str(told.value)
    assert not daemon.containers


def test_what_a_killed_run_left_goes_first(
    daemon: FakeDaemon, server: FakeServer, trial: Trial
) -> None:
    server.answer = lambda _: Reply(200)
    daemon.starts = serves(server)
    daemon.container(trial.name, labels={naming.OWNER_LABEL: trial.owner})
    daemon.container(f"{trial.name}-2", labels={naming.OWNER_LABEL: trial.owner})
    check(trial)
    assert {left.name for left in daemon.containers} == {f"{trial.name}-2"}


def test_it_removes_none_of_another_owner(daemon: FakeDaemon, trial: Trial) -> None:
    daemon.starts = ends
    daemon.container(trial.name, labels={naming.OWNER_LABEL: "another"})
    before = list(daemon.containers)
    with pytest.raises(runner.CommandError, match="is already in use"):
        check(trial)
    assert daemon.containers == before


def test_an_error_is_one_line_that_names_the_servers(
    daemon: FakeDaemon,
    trial: Trial,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    daemon.starts = ends
    request = {
        "trial": asdict(trial),
        "cassandra": {
            "servers": ["a.example", "b.example:9142"],
            "user": "ada",
            "password": PASSWORD,
            "keyspace": KEYSPACE,
        },
    }
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(request)))
    assert cassandra.main() == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        "error: traceStore cassandra: a.example, b.example:9142: it refuses traceStoreUser ada"
    )
    assert "hush" not in line
