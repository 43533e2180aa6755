"""The wait for Jaeger and the collector: when it ends, and what its errors contain."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from runtime_observability.host import readiness, runner
from tests.fakes.clock import Clock
from tests.fakes.daemon import FakeDaemon
from tests.fakes.executables import Answer
from tests.fakes.http import FakeServer, Reply

NAME = "traced-dev-jaeger"


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """No test waits, and no deadline depends on the machine."""
    return Clock().drive(monkeypatch, readiness)


def test_it_waits_for_the_first_200(daemon: FakeDaemon, server: FakeServer) -> None:
    daemon.container(NAME)
    server.answer = lambda _: Reply(200 if len(server.requests) > 3 else 503)
    assert readiness.wait(NAME, f"{server.url}/ready", 10) == pytest.approx(0.3)
    assert len(server.asked("GET", "/ready")) == 4


@pytest.mark.usefixtures("proxy_of_the_user")
def test_no_proxy_is_asked_for_127_0_0_1(daemon: FakeDaemon, server: FakeServer) -> None:
    daemon.container(NAME)
    server.answer = lambda _: Reply(200)
    assert readiness.wait(NAME, server.url, 1) == 0


def test_a_container_that_serves_something_else(
    daemon: FakeDaemon, server: FakeServer, clock: Clock
) -> None:
    begin = clock.now
    daemon.container(NAME, log="listening\n")
    server.answer = lambda _: Reply(503)
    with pytest.raises(runner.CommandError) as failed:
        readiness.wait(NAME, server.url, 0.2)
    assert 0.2 <= clock.now - begin < 0.4
    assert (
        f"{NAME} is running, but {server.url} did not return 200 within 0.2 s (last: HTTP 503)"
    ) in str(failed.value)
    assert str(failed.value).endswith("listening")


REFUSED = Answer(stderr="curl: (7) Failed to connect\n", code=7)
CURL = ["curl", "--fail", "http://127.0.0.1:9200"]


def test_one_without_a_port_is_asked_inside(daemon: FakeDaemon) -> None:
    daemon.container(NAME)
    daemon.curls = [REFUSED, REFUSED, Answer("green\n")]
    assert readiness.wait_for_command(NAME, CURL, 10) == pytest.approx(0.2)
    assert not daemon.curls


def test_one_that_never_succeeds_inside_tells_the_last_fault(daemon: FakeDaemon) -> None:
    daemon.container(NAME, log="starting\n")
    daemon.curls = [REFUSED] * 9
    with pytest.raises(runner.CommandError) as failed:
        readiness.wait_for_command(NAME, CURL, 0.3)
    assert str(failed.value).startswith(
        f"container {NAME} is running, but `curl --fail http://127.0.0.1:9200` in it did not "
        "succeed within 0.3 s (last: curl: (7) Failed to connect)"
    )


def test_a_collector_without_tail_sampling_gets_the_cure(daemon: FakeDaemon) -> None:
    log = (
        '\'processors\' unknown type: "tail_sampling" for id: "tail_sampling" '
        "(valid values: [batch memory_limiter probabilistic_sampler])\n"
    )
    daemon.container(NAME, state="restarting", restarts=3, log=log)
    with pytest.raises(runner.CommandError) as failed:
        readiness.wait(NAME, "http://127.0.0.1:9", 10)
    assert log.strip() in str(failed.value)
    assert "name an image of the contrib distribution in collectorImage" in str(failed.value)


@pytest.mark.parametrize(
    ("state", "restarts"), [("exited", 0), ("dead", 0), ("restarting", 1), ("running", 2)]
)
def test_a_container_that_stops_is_not_waited_for(
    daemon: FakeDaemon, state: str, restarts: int
) -> None:
    log = "".join(f"line {number}\n" for number in range(3)) + "bad config\n"
    daemon.container(NAME, state=state, restarts=restarts, log=log)
    with pytest.raises(runner.CommandError) as failed:
        readiness.wait(NAME, "http://127.0.0.1:9", 30)
    assert f"{NAME} does not keep running ({state}, restarted {restarts} times)" in str(
        failed.value
    )
    assert str(failed.value).endswith("bad config")


def test_a_container_that_is_gone(daemon: FakeDaemon) -> None:
    with pytest.raises(runner.CommandError, match="inspect"):
        readiness.wait(NAME, "http://127.0.0.1:9", 30)


@pytest.mark.parametrize("serves", [True, False])
def test_as_a_command(
    daemon: FakeDaemon,
    server: FakeServer,
    tmp_path: Path,
    *,
    serves: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One JSON document on stdout, or one error on stderr and exit code 1."""
    container = daemon.container(NAME, state="running" if serves else "exited")
    note = tmp_path / "stack" / "jaeger.id"
    server.answer = lambda _: Reply(200 if serves and len(server.requests) > 1 else 503)
    request = {"container": NAME, "url": server.url, "seconds": 5, "note": str(note)}
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(request)))
    code = readiness.main()
    output = capsys.readouterr()
    if serves:
        assert code == 0
        assert json.loads(output.out) == {"seconds": 0.1}
        assert note.read_text() == f"{container.id}\n"
    else:
        assert (code, output.out, note.exists()) == (1, "", False)
        assert output.err.startswith(f"error: container {NAME} does not keep running (exited")
