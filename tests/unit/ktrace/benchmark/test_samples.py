"""What a start becomes in a measurement, and the measurement as a file."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ktrace.benchmark import file
from ktrace.benchmark.samples import READY, WHOLE, WITHOUT_PULLS, Measurement, of_start, rows
from ktrace.benchmark.statistics import compare
from ktrace.errors import UsageError
from ktrace.podstart.model import PodStart, Ready, Step
from ktrace.view import benchmark, terminal
from tests.schemas import validate
from tests.unit.ktrace.view.test_terminal import Screen

STEPS = (
    Step("create request", "apiserver", 0, 10),
    Step("webhook policy", "apiserver", 1, 8, depth=1),
    Step("not traced", "kubelet", 10, 5),
    Step("waits for the pull of nginx by default/other", "kubelet", 15, 20),
    Step("pull main", "containerd", 35, 40),
    Step("download", "containerd", 36, 30, depth=1),
    Step("not traced", "kubelet", 75, 5),
    Step("start container main", "containerd", 80, 20),
)
START = PodStart(
    namespace="default", pod="p", started_at=datetime.now(tz=UTC), duration_ms=100.0, steps=STEPS,
    trace_ids=("a" * 32,), complete=True, node="node", ready=Ready(120.0, "span"),
)  # fmt: skip
SAMPLE = of_start(START, "http://127.0.0.1:16686")


def measurement(number: int = 3) -> Measurement:
    samples = [replace(SAMPLE, pod=f"p-{n}", start_ms=100.0 + n) for n in range(number)]
    return Measurement(
        "v1.34.3+k3s1", ["containerd://2.1.5"], "pause:3.6", 1, "2026-01-01T00:00:00.000Z",
        samples[0] if samples else None, samples[1:],
        {"p-9": "Jaeger has no start of it"},
    )  # fmt: skip


def test_pulls_are_apart_and_steps_of_one_name_are_added_up() -> None:
    assert (SAMPLE.start_ms, SAMPLE.pulls_ms, SAMPLE.ready_ms) == (100.0, 60.0, 120.0)
    assert SAMPLE.steps["not traced"] == 10.0
    assert SAMPLE.steps["create request: webhook policy"] == 8.0
    assert SAMPLE.trace_url.endswith("/trace/" + "a" * 32)
    found = rows([SAMPLE])
    assert list(found)[:3] == [WHOLE, WITHOUT_PULLS, READY]
    assert found[WITHOUT_PULLS] == [40.0]


def test_a_step_that_a_start_does_not_have_took_no_time() -> None:
    other = replace(SAMPLE, steps={"create request": 10.0}, ready_ms=None)
    found = rows([SAMPLE, other])
    assert found["pull main"] == [40.0, 0.0]
    assert found[READY] == [120.0]


def test_a_first_start_that_was_not_measured_makes_no_later_one_the_first() -> None:
    lost = replace(measurement(), first=None)
    document = file.document(lost)
    validate("bench", document)
    assert (document["firstStart"], len(document["starts"]), document["pods"]) == (None, 2, 3)
    assert not any("first start" in terminal.plain(part) for part in benchmark.summary(lost))


def test_ready_is_not_compared_with_what_is_not_known() -> None:
    known = measurement(9).warm
    unknown = [replace(sample, ready_ms=None) for sample in known]
    assert READY not in compare(rows(unknown), rows(known))
    assert READY not in compare(rows(known), rows(unknown))
    assert READY in compare(rows(known), rows(known))


def test_a_detail_is_behind_its_step_whoever_has_it() -> None:
    first = replace(SAMPLE, steps={"create request": 1.0, "sandbox": 2.0})
    second = replace(SAMPLE, steps={"create request": 9.0, "create request: webhook": 8.0})
    steps = list(rows([first, second]))[3:]
    assert steps == ["create request", "create request: webhook", "sandbox"]


def test_the_verdict_names_the_detail_and_not_its_step_too() -> None:
    before = after = measurement(9)
    slow = {"create request": 300.0, "create request: webhook": 290.0}
    warm = [replace(s, start_ms=400.0, steps={**s.steps, **slow}) for s in after.warm]
    after = replace(after, warm=warm)
    shifts = compare(rows(before.warm), rows(after.warm))
    assert benchmark.verdict(shifts) == (
        "B starts 296 ms slower than A; differs: create request: webhook"
    )
    assert benchmark.verdict(compare(rows(before.warm), rows(before.warm))) == (
        "no difference of the whole start shown"
    )
    assert "slower" in terminal.plain(*benchmark.differences(shifts, terminal.PIPE_WIDTH))


def test_the_first_start_is_in_no_percentile() -> None:
    document = file.document(measurement())
    validate("bench", document)
    assert document["firstStart"]["pod"] == "p-0"
    (whole,) = [row for row in document["summary"] if row["name"] == WHOLE]
    assert (whole["leastMs"], whole["p50Ms"], whole["mostMs"]) == (101.0, 101.5, 102.0)
    assert (document["pods"], len(document["starts"])) == (4, 2)


@pytest.mark.parametrize("number", [0, 1, 2, 30])
def test_a_file_is_read_as_it_was_written(number: int, tmp_path: Path) -> None:
    path = tmp_path / "measurement.json"
    path.write_text(json.dumps(file.document(measurement(number))))
    assert file.read(path) == measurement(number)
    validate("bench", file.document(file.read(path)))
    for part in benchmark.summary(measurement(number)):
        assert terminal.plain(part) or number < 2


@pytest.mark.parametrize("text", ["", "{", "[]", "1", '{"apiVersion": "ktrace/v1"}', "\x00"])
def test_another_file_is_refused_in_one_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"is not a measurement: `ktrace bench --save FILE`"):
        file.read(path)


def test_what_a_file_contains_reaches_no_terminal_raw(tmp_path: Path) -> None:
    path = tmp_path / "measurement.json"
    document = file.document(measurement())
    document["image"] = "\x1b[2Jpause"
    document["starts"][0]["steps"] = {"\x1b[31mstep": 1.0}
    path.write_text(json.dumps(document))
    told = "".join(terminal.plain(part) for part in benchmark.summary(file.read(path)))
    assert "\x1b" not in told


def test_a_narrow_terminal_keeps_links_and_indents(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("TERM", "xterm"), ("COLUMNS", "60"), ("NO_COLOR", "1")):
        monkeypatch.setenv(name, value)
    measured = measurement(20)
    shifts = compare(rows(measured.warm), rows(measured.warm))
    screen = Screen()
    monkeypatch.setattr(sys, "stdout", screen)
    terminal.show(*benchmark.summary(measured))
    links = screen.getvalue().count(measured.warm[0].trace_url)
    screen.truncate(0)
    terminal.show(*benchmark.differences(shifts, 60))
    told = re.sub(r"\x1b\[[0-9;]*m", "", screen.getvalue()).strip("\0").splitlines()
    assert links == 2, "a link is one line"
    assert max(map(len, told)) <= 60
    own = {line.split()[0] for line in told[:-1] if not line.startswith(" ")}
    assert own <= {"median", "start", "Ready"}, "a step's lines are indented"
    assert "interval" not in told[0]
    assert told[-1] == "no room for the 99% interval: --json has it"


def test_percentiles_that_are_left_out_are_told_with_what_they_need() -> None:
    few, some = (terminal.plain(*benchmark.summary(measurement(number))) for number in (4, 20))
    assert "p90 needs 10, p99 needs 100 starts after the first: --pods 101" in few
    assert "\np99 needs 100 starts after the first: --pods 101" in some
