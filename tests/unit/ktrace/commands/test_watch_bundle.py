"""``ktrace watch --save`` and ``--from``: the same lines again, without the cluster."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ktrace import clock as clocks
from ktrace.commands import watch as command
from ktrace.podstart import watch
from tests.fakes import broken_bundle, starts
from tests.fakes.clock import Clock
from tests.fakes.http import FakeServer, Reply, Request, write_kubeconfig
from tests.fakes.jaeger import served
from tests.fakes.ktrace import Ktrace
from tests.fakes.store import Store
from tests.schemas import validate

FIRST, SECOND = starts.UID, starts.UID[:-1] + "2"
LATER = 20_000
"""Milliseconds after the first pod the second one of its name is made."""


def traces_of(uid: str, begin: float, took: float) -> list[dict[str, Any]]:
    calls = [
        starts.call("RunPodSandbox", begin + 20, 30, uid=uid),
        starts.started("main", begin + 20 + took, uid=uid),
    ]
    return [
        starts.created(begin, below=()),
        starts.bound(begin + 8),
        starts.sync(begin + 15, *calls, uid=uid, update="create"),
    ]


def pod(uid: str, begin: float) -> dict[str, Any]:
    started = {"startedAt": starts.second(begin + 1000)}
    main = {"containerID": "containerd://id-main-0", "state": {"running": started}}
    secret = {"env": [{"name": "A", "value": "hunter2"}], "args": ["hunter2"]}
    found = starts.pod({"main": main}, specs={"main": secret}, uid=uid, ready=begin + 1000)
    found["metadata"]["creationTimestamp"] = starts.second(begin)
    return {"kind": "Pod", **found}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    clock = Clock(starts.BEGIN / 1_000_000 - 1)
    clock.drive(monkeypatch, command, watch)
    with monkeypatch.context() as patched:
        patched.setattr(clocks, "machine", clock)
        clocks.time.use(None)
        yield clock
    clocks.time.use(None)


@pytest.fixture
def cluster(server: FakeServer, api: FakeServer, clock: Clock, tmp_path: Path) -> list[str]:
    """A pod that another one of its name follows; the options that name its cluster."""
    store = Store()
    arriving = [(1.2, traces_of(FIRST, 0, 40)), (21.2, traces_of(SECOND, LATER, 900))]
    begin = clock.now + 1

    def arrive() -> None:
        while arriving and clock.now - begin > arriving[0][0]:
            for trace in arriving.pop(0)[1]:
                store.add(trace)

    clock.while_sleeping = arrive

    def answer(request: Request) -> Reply:
        if request.path == "/version":
            return Reply(body={"gitVersion": "v1.36.3"})
        if request.path == "/api/v1/nodes":
            runtime = {"nodeInfo": {"containerRuntimeVersion": "containerd://2.4.2"}}
            return Reply(body={"kind": "NodeList", "items": [{"status": runtime}]})
        if "/events?" in request.path:
            return Reply(body={"kind": "EventList", "items": []})
        if request.path.endswith("/pods/a"):
            after = (clock.now - begin) * 1000
            return Reply(body=pod(SECOND, LATER) if after > LATER else pod(FIRST, 0))
        return Reply(404)

    server.answer = served(store.answer)
    api.answer = answer
    write_kubeconfig(tmp_path / "config", api.url)
    return ["--jaeger", server.url, "--kubeconfig", str(tmp_path / "config")]


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_the_lines_are_told_again(
    ktrace: Ktrace,
    cluster: list[str],
    server: FakeServer,
    api: FakeServer,
    tmp_path: Path,
    *,
    form: tuple[str, ...],
) -> None:
    file = tmp_path / "starts.json"
    live = ktrace("watch", "--for", "40", *form, *cluster, "--save", str(file))
    assert live.returncode == 0
    assert f"saved {file}" in live.stderr
    assert len(live.stdout.splitlines()) == 2
    asked = len(server.requests), len(api.requests)
    again = ktrace("watch", "--from", str(file), *form)
    assert (again.returncode, again.stdout, again.stderr) == (0, live.stdout, "")
    assert (len(server.requests), len(api.requests)) == asked
    text = file.read_text()
    assert "hunter2" not in text
    document = json.loads(text)
    validate("bundle", document)
    told = [json.loads(line) for line in ktrace("watch", "--from", str(file), "--json").lines]
    assert document["answer"]["starts"] == told
    assert [start["uid"] for start in told] == [FIRST, SECOND]
    assert all(start["complete"] for start in told)
    assert document["versions"]["kubernetes"] == "v1.36.3"
    assert document["versions"]["runtimes"] == ["containerd://2.4.2"]
    slow = ktrace("watch", "--from", str(file), "--slower-than", "500ms", "--json")
    assert [json.loads(line)["uid"] for line in slow.lines] == [SECOND]


def test_ctrl_c_saves_what_was_told(
    ktrace: Ktrace, cluster: list[str], clock: Clock, tmp_path: Path
) -> None:
    arrive, ends = clock.while_sleeping, clock.now + 15

    def interrupted() -> None:
        arrive()
        if clock.now > ends:
            raise KeyboardInterrupt

    clock.while_sleeping = interrupted
    file = tmp_path / "starts.json.gz"
    live = ktrace("watch", *cluster, "--save", str(file))
    assert live.returncode == 0
    (line,) = live.lines
    assert ktrace("watch", "--from", str(file)).lines == [line]


def test_what_was_in_the_way_is_told_again(
    ktrace: Ktrace, cluster: list[str], server: FakeServer, clock: Clock, tmp_path: Path
) -> None:
    """And a start is told that came after it."""
    answer, down = server.answer, clock.now + 4

    def fails(request: Request) -> Reply:
        return Reply(500, {}) if clock.now > down and clock.now < down + 4 else answer(request)

    server.answer = fails
    file = tmp_path / "starts.json"
    live = ktrace("watch", "--for", "40", *cluster, "--save", str(file))
    again = ktrace("watch", "--from", str(file))
    assert (len(live.lines), again.stdout) == (2, live.stdout)
    (told,) = [line for line in live.stderr.splitlines() if line.endswith("trying again")]
    assert again.stderr.splitlines() == [told]


@pytest.mark.parametrize(
    ("key", "broken"),
    [
        ("starts", {}),
        ("starts", [{"namespace": 5}]),
        ("notes", [5]),
        ("starts", [{"lookedAt": "x"}]),
    ],
)
def test_a_broken_bundle_is_one_line(
    ktrace: Ktrace, cluster: list[str], tmp_path: Path, key: str, broken: object
) -> None:
    file = tmp_path / "starts.json"
    ktrace("watch", "--for", "0", *cluster, "--save", str(file))
    broken_bundle.expect_one_line(ktrace, file, "watch", key, broken)


def test_a_bundle_of_a_watch_is_no_other_and_no_other_is_one(
    ktrace: Ktrace, cluster: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "starts.json"
    ktrace("watch", "--for", "40", *cluster, "--save", str(file))
    other = ktrace("verify", "--from", str(file))
    assert other.returncode == 2
    assert "does not tell that: it has what `ktrace watch --for 40` read at" in other.stderr
    counted = tmp_path / "top.json"
    ktrace("top", *cluster[:2], "--save", str(counted))
    refused = ktrace("watch", "--from", str(counted))
    assert refused.returncode == 2
    assert "does not tell that: it has what `ktrace top`" in refused.stderr


def test_a_clock_that_is_set_back_makes_it_no_longer(
    ktrace: Ktrace, cluster: list[str], clock: Clock
) -> None:
    began = clock.now

    def set_back() -> None:
        clock.set_back = 3600

    clock.while_sleeping = set_back
    assert ktrace("watch", "--for", "40", *cluster).returncode == 0
    assert clock.now - began < 60
