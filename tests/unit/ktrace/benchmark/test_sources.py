"""``ktrace diff`` of what clusters have: windows of a stack, bundles, and files."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace.benchmark import alike, file, found, period, sources
from ktrace.benchmark.samples import CLOCKS_DIFFER, Measurement, Sample
from ktrace.errors import UsageError
from ktrace.jaeger import ring
from ktrace.rollout import pool
from ktrace.target import losses
from runtime_observability.host.memory_loss import Memory
from tests.configuration import PROJECT
from tests.fakes import skew, starts
from tests.fakes.http import FakeServer
from tests.fakes.jaeger import client, served
from tests.fakes.ktrace import Done, Ktrace
from tests.fakes.store import Store
from tests.schemas import validate

BEGAN = datetime.fromtimestamp(starts.BEGIN / 1_000_000, tz=UTC)
_RANDOM = "bcdfghjklmnpqrstvwxz2456789"


def pod(
    number: int, at: float, *, slower: float = 0, owner: str = "web", hook: float = 0
) -> list[Any]:
    """The traces of a start at ``at`` milliseconds; the sandbox takes ``slower`` ms more.

    A postStart handler takes ``hook`` ms.
    """
    letters = _RANDOM[number % 27] + _RANDOM[number // 27]
    name, uid = f"{owner}-5d4f8c7b9-xwz{letters}", _uid(number)
    took = 80 + number % 7 + slower
    handler = starts.call("ExecSync", at + 61 + took, hook, container="main") if hook else ()
    made = [
        starts.created(at),
        starts.bound(at + 10),
        starts.patched(at + 50),
        starts.sync(
            at + 20,
            starts.call("RunPodSandbox", at + 30, took, uid=uid),
            starts.started("main", at + 40 + took, uid=uid),
            handler,
            update="create",
            uid=uid,
        ),
    ]
    text = json.dumps(made)
    for old, new in (
        ("default/pods/a/", f"shop/pods/{name}/"),
        ("default/a", f"shop/{name}"),
        ("_a_default_", f"_{name}_shop_"),
    ):
        text = text.replace(old, new)
    found: list[Any] = json.loads(text)
    return found


_BINDING = "POST /api/v1/namespaces/{:namespace}/pods/{:name}/binding"


def _tags_of(trace: Any) -> list[Any]:
    return [tag["value"] for span in trace["spans"] for tag in span["tags"]]


def _name(traces: list[Any]) -> str:
    """Of the first pod."""
    names = (
        tag["value"]
        for trace in traces
        for span in trace["spans"]
        for tag in span["tags"]
        if tag["key"] == "k8s.pod"
    )
    return str(next(names))


def _uid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def moment(seconds: float) -> str:
    return (BEGAN + timedelta(seconds=seconds)).isoformat()


BEFORE = f"window:{moment(-1)}/{moment(99)}"
AFTER = f"window:{moment(99)}/{moment(400)}"


@pytest.fixture
def jaeger(server: FakeServer) -> str:
    """9 starts, and 9 later ones with a sandbox that is 60 ms slower; and others' starts."""
    traces = [
        *(made for number in range(9) for made in pod(number, number * 1000)),
        *(made for n in range(12, 21) for made in pod(n, 100_000 + n * 1000, slower=60)),
        *(made for n in range(24, 26) for made in pod(n, n * 1000, owner="db")),
        *(made for n in range(26, 28) for made in pod(n, 200_000 + n * 1000, owner="db")),
        *pod(28, 50_000, owner="old"),
    ]
    server.answer = served(starts.handler(*traces))
    return server.url


def test_two_windows_are_compared_by_the_pods_that_both_have(ktrace: Ktrace, jaeger: str) -> None:
    done = ktrace("diff", BEFORE, AFTER, "--jaeger", jaeger)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.lines[0] == "B starts 61 ms slower than A; differs: sandbox"
    assert "9 starts of shop/web (main)" in done.lines[1]
    assert "in both but not compared: shop/db (2, 2); --pods NAMESPACE/NAME chooses" in done.lines
    assert "only in A: shop/old" in done.lines
    document = ktrace("diff", BEFORE, AFTER, "--jaeger", jaeger, "--json").document
    validate("diff", document)
    (sandbox,) = [row for row in document["rows"] if row["name"] == "sandbox"]
    assert sandbox["shown"]
    assert sandbox["afterMs"] - sandbox["beforeMs"] == pytest.approx(60, abs=7)


def test_a_slow_handler_is_the_step_that_differs(ktrace: Ktrace, server: FakeServer) -> None:
    traces = [
        *(made for number in range(9) for made in pod(number, number * 1000, hook=60)),
        *(made for n in range(12, 21) for made in pod(n, 100_000 + n * 1000, hook=360)),
    ]
    server.answer = served(starts.handler(*traces))
    done = ktrace("diff", BEFORE, AFTER, "--jaeger", server.url)
    assert (done.returncode, done.stderr) == (0, ""), "the start ends before its handler"
    differs = "no difference of the whole start shown; differs: postStart of main"
    assert done.lines[0] == differs
    assert "when the pods were Ready is not known in A and B" in done.lines


def test_what_a_younger_jaeger_may_lack_of_a_window_is_told(
    ktrace: Ktrace, jaeger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = BEGAN + timedelta(seconds=99)
    memory = Memory(made, cluster=made - timedelta(minutes=5))
    monkeypatch.setattr(losses, "memory_of", lambda *_: memory)
    document = ktrace("diff", BEFORE, AFTER, "--jaeger", jaeger, "--json").document
    told = f"starts may be missing in A: spans may be lost: {memory}"
    found = [caution for caution in document["cautions"] if "may be missing" in caution]
    assert found == [told]


def test_what_a_full_memory_may_have_dropped_of_a_window_is_told(
    ktrace: Ktrace, jaeger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    between = round((BEGAN + timedelta(seconds=50)).timestamp() * 1_000_000)
    monkeypatch.setattr(ring, "may_lack", lambda _, since, *__: since < between)
    document = ktrace("diff", BEFORE, AFTER, "--jaeger", jaeger, "--json").document
    found = [caution for caution in document["cautions"] if "may be missing" in caution]
    assert found == [f"starts may be missing in A: {ring.WHY}: raise jaegerMaxTraces"]


@pytest.mark.parametrize("seconds", [5, -5, 0.3, -0.3])
def test_a_start_on_a_node_with_another_clock_does_not_count(
    ktrace: Ktrace, server: FakeServer, seconds: float
) -> None:
    """In these traces the kubelet reports the pod 30 ms after it has learnt of it."""
    well = [made for number in range(9) for made in pod(number, number * 1000)]
    wrong = [
        skew.moved(made, round(seconds * 1_000_000))
        for number in range(12, 21)
        for made in pod(number, 20_000 + number * 1000)
    ]
    server.answer = served(starts.handler(*well, *wrong))
    done = ktrace("diff", BEFORE, BEFORE, "--jaeger", server.url)
    assert "9 starts of shop/web (main)" in done.lines[1]
    assert f"not counted in A: 9 starts, as {CLOCKS_DIFFER}" in done.lines
    alone = f"window:{moment(25)}/{moment(99)}"
    done = ktrace("diff", BEFORE, alone, "--jaeger", server.url)
    assert done.returncode == 2
    assert f"not counted in B: 9 starts, as {CLOCKS_DIFFER}" in done.stderr


def test_what_does_not_count_is_told(ktrace: Ktrace, server: FakeServer) -> None:
    """A start without its request, and those that are too many."""
    traces = [made for number in range(12) for made in pod(number, number * 1000)]
    traces += pod(12, 12_000)[2:]
    server.answer = served(starts.handler(*traces))
    done = ktrace("diff", BEFORE, BEFORE, "--jaeger", server.url)
    why = "as its beginning or its length is not known"
    assert f"not counted in A: 1 start, {why}" in done.lines
    assert "12 starts of shop/web (main)" in done.lines[1]


@pytest.mark.parametrize("named", [True, False])
def test_many_starts_are_read_with_few_searches(
    monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    """What is told of them is what the searches for each tell."""
    number = 40
    traces = [made for at in range(number) for made in pod(at, at * 1000, slower=at % 3)]
    for trace in traces:
        for span in trace["spans"]:
            tags = {tag["key"]: tag["value"] for tag in span["tags"]}
            if "key" in tags:
                span["tags"].append({"key": "resource", "type": "string", "value": "pods"})
            if named and any("/binding" in str(tag) for tag in _tags_of(trace)):
                span["operationName"] = span["operationName"].replace("POST", _BINDING)
    again = starts.sync(2_000, pod=_name(traces), uid=_uid(0))
    store = Store([*traces, again])
    begin = starts.BEGIN
    window = begin - 1_000_000, begin + 100_000_000

    def measured() -> tuple[Measurement, int]:
        searches = store.searches
        with client(store.answer) as jaeger:
            one = found.measure(
                jaeger, "no cluster", window, runtime_traced=True, tell=lambda *_: None
            )
        return one, store.searches - searches

    at_once, few = measured()
    monkeypatch.setattr(pool, "FEW", number)
    alone, many = measured()
    assert at_once == alone
    assert len(at_once.warm) == number
    assert (at_once.parallel, at_once.image) == (0, ""), "nobody started them together"
    assert many > 6 * number
    assert few < (10 if named else 10 + 2 * number)


def test_only_the_newest_starts_are_read(
    ktrace: Ktrace, jaeger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ktrace.benchmark.found.MOST_STARTS", 8)
    done = ktrace("diff", AFTER, AFTER, "--jaeger", jaeger)
    assert "not counted in B: 3 starts, as only the newest 8 are read" in done.lines


def test_where_nothing_differs_none_is_shown(ktrace: Ktrace, jaeger: str) -> None:
    done = ktrace("diff", BEFORE, BEFORE, "--jaeger", jaeger)
    assert done.returncode == 0
    assert done.lines[0] == "no difference of the whole start shown"


def test_too_few_starts_are_told(ktrace: Ktrace, jaeger: str) -> None:
    done = ktrace("diff", BEFORE, AFTER, "--jaeger", jaeger, "--pods", "shop/db")
    assert done.returncode == 2
    assert "has 1 start of shop/db (main) after the first, and a comparison needs 5" in done.stderr


@pytest.mark.parametrize("chosen", [(), ("--pods", "shop/none")])
def test_what_is_not_alike_is_not_compared(
    ktrace: Ktrace, jaeger: str, chosen: tuple[str, ...]
) -> None:
    empty = f"window:{moment(500)}/{moment(600)}"
    done = ktrace("diff", BEFORE, AFTER if chosen else empty, "--jaeger", jaeger, *chosen)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "in common: " in line
    assert "has starts of shop/db, shop/old, shop/web" in line


def test_bundles_are_compared(ktrace: Ktrace, jaeger: str, tmp_path: Path) -> None:
    """Of what they have, whatever they were saved for."""
    file = tmp_path / "starts.json"
    (tmp_path / "e.yaml").write_text(
        "sinceSeconds: 2000000000\n"
        "expectations: [{name: x, select: {component: kubelet}, expect: {count: {min: 1}}},\n"
        " {name: y, select: {component: apiserver}, expect: {count: {min: 1}}}]\n"
    )
    options = ("--jaeger", jaeger, "--timeout", "0", "--save", str(file))
    assert ktrace("assert", str(tmp_path / "e.yaml"), *options).returncode == 0
    done = ktrace("diff", str(file), str(file))
    assert (done.returncode, done.stderr) == (0, "")
    assert "18 starts of shop/web (main), Kubernetes of an unknown version" in done.lines[1]
    bundle = json.loads(file.read_text())
    bundle["versions"] |= {"kubernetes": "v1.36.3", "runtimes": ["containerd://2.4.2"]}
    file.write_text(json.dumps(bundle))
    done = ktrace("diff", str(file), str(file))
    assert done.lines[1].endswith("Kubernetes v1.36.3, containerd://2.4.2")
    del bundle["versions"]["runtimes"]  # as an earlier release wrote it
    file.write_text(json.dumps(bundle))
    assert ktrace("diff", str(file), str(file)).lines[1].endswith("Kubernetes v1.36.3")


def test_a_measurement_is_not_compared_with_other_pods(
    ktrace: Ktrace, jaeger: str, tmp_path: Path
) -> None:
    samples = [
        Sample(f"trace-probe-{n:08x}", "n", 100 + n, 0, None, {"start container probe": 9.0})
        for n in range(9)
    ]
    measured = Measurement(
        "v1", [], "pause", 1, "2026-01-01T00:00:00.000Z", samples[0], samples[1:]
    )
    saved = tmp_path / "bench.json"
    saved.write_text(json.dumps(file.document(measured)))
    done = ktrace("diff", str(saved), BEFORE, "--jaeger", jaeger)
    assert done.returncode == 2
    assert "default/trace-probe" in done.stderr
    refused = ktrace("diff", str(saved), str(saved), "--pods", "shop/web")
    assert refused.returncode == 2
    assert "a measurement has its own pods" in refused.stderr


def _with_a_slower_sandbox(measured: Measurement, tail: str) -> Measurement:
    """``measured`` with a sandbox that takes 60 ms longer, and a ``tail`` of the start as much
    less."""

    def changed(sample: Sample) -> Sample:
        steps = {**sample.steps, "sandbox": sample.steps["sandbox"] + 60}
        steps[tail] -= 60
        return replace(sample, steps=steps)

    return replace(measured, warm=[changed(sample) for sample in measured.warm])


@pytest.mark.parametrize(
    ("options", "code"), [((), 0), (("--fail-on", "start"), 0), (("--fail-on", "any"), 1)]
)
def test_a_step_that_is_slower_fails_a_build_that_asks_for_it(
    ktrace: Ktrace, tmp_path: Path, options: tuple[str, ...], code: int
) -> None:
    """Though the whole start is not: another step is as much faster."""
    measured = file.read(PROJECT / "tests/docs/measurements/before.json")
    steps = {"sandbox": 200.0, "not traced": 100.0}
    measured = replace(measured, warm=[replace(one, steps=steps) for one in measured.warm])
    before, after = tmp_path / "before.json", tmp_path / "after.json"
    before.write_text(json.dumps(file.document(measured)))
    after.write_text(json.dumps(file.document(_with_a_slower_sandbox(measured, "not traced"))))
    done = ktrace("diff", str(before), str(after), *options)
    assert done.lines[0] == "no difference of the whole start shown; differs: sandbox; not traced"
    assert (done.returncode, done.stderr) == (code, "")
    turned = ktrace("diff", str(before), str(before), *options)
    assert turned.returncode == 0


def test_what_is_faster_alone_fails_no_build(ktrace: Ktrace) -> None:
    folder = PROJECT / "tests/docs/measurements"
    before, after = str(folder / "before.json"), str(folder / "after.json")
    assert ktrace("diff", after, before, "--fail-on", "any").returncode == 0
    assert ktrace("diff", before, after, "--fail-on", "any").returncode == 1


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("none.json", "there is no file none.json: name one of"),
        ("window:30m", "has no end"),
        ("window:soon/now", "'soon' is no time of a window"),
        ("window:now/30m", "ends before it begins"),
    ],
)
def test_what_is_neither_is_one_line(ktrace: Ktrace, jaeger: str, what: str, told: str) -> None:
    done: Done = ktrace("diff", what, what, "--jaeger", jaeger)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert told in line


NOW = datetime(2026, 11, 27, 15, 0, tzinfo=timezone(timedelta(hours=2)))


@pytest.mark.parametrize(
    ("text", "begin", "end"),
    [
        ("1h/30m", "2026-11-27T14:00+02:00", "2026-11-27T14:30+02:00"),
        ("30m/now", "2026-11-27T14:30+02:00", "2026-11-27T15:00+02:00"),
        ("14:00/14:30:15", "2026-11-27T14:00+02:00", "2026-11-27T14:30:15+02:00"),
        ("2026-11-26T14:00/2026-11-27T12:00Z", "2026-11-26T12:00Z", "2026-11-27T12:00Z"),
    ],
)
def test_a_window_is_read_as_a_person_writes_it(text: str, begin: str, end: str) -> None:
    expected = tuple(
        int(datetime.fromisoformat(moment).timestamp() * 1_000_000) for moment in (begin, end)
    )
    assert period.read(text, NOW) == expected


@pytest.mark.parametrize(
    ("text", "now", "begin", "end"),
    [
        ("23:30/00:15", "2026-12-01T00:30", "2026-11-30T23:30", "2026-12-01T00:15"),
        ("23:00/23:30", "2027-01-01T00:30", "2026-12-31T23:00", "2026-12-31T23:30"),
        ("14:00/18:00", "2026-11-27T17:00", "2026-11-27T14:00", "2026-11-27T18:00"),
    ],
)
def test_a_time_of_the_day_is_the_last_one(text: str, now: str, begin: str, end: str) -> None:
    zone = NOW.tzinfo
    begun, ended = (datetime.fromisoformat(at).replace(tzinfo=zone) for at in (begin, end))
    found = period.read(text, datetime.fromisoformat(now).replace(tzinfo=zone))
    assert found == (begun.timestamp() * 1_000_000, ended.timestamp() * 1_000_000)


def test_a_moment_has_the_offset_of_its_own_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not today's: the clocks have changed since."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        found = sources.window("2026-10-24T14:00/2026-10-26T14:00", NOW.timestamp())
    finally:
        monkeypatch.undo()
        time.tzset()
    summer, winter = "2026-10-24T14:00+02:00", "2026-10-26T14:00+01:00"
    assert found == tuple(
        datetime.fromisoformat(moment).timestamp() * 1_000_000 for moment in (summer, winter)
    )


@given(st.text(max_size=30))
def test_any_text_is_a_window_or_wrong_usage(text: str) -> None:
    try:
        begin, end = period.read(text, NOW)
    except UsageError:
        return
    assert begin < end


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("shop/web-5d4f8c7b9-xk2zq", "shop/web"),
        ("shop/my-web-78d6f9c5b4-4nq8x", "shop/my-web"),
        ("kube-system/kube-proxy-x7k2z", "kube-system/kube-proxy"),
        ("shop/db-0", "shop/db"),
        ("trace-probe-9b0dd7c7", "default/trace-probe"),
        ("shop/backup-29401230-m5x8q", "shop/backup"),
        ("shop/single", "shop/single"),
    ],
)
def test_a_pods_owner_is_its_name_without_what_was_made_up(name: str, owner: str) -> None:
    assert alike.kind_of(Sample(name, "", 1, 0, None, {})).owner == owner
