"""``ktrace run --assert`` of a bundle: the verdicts as they were, and other expectations."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ktrace.cli import main
from tests import schemas
from tests.fakes.http import FakeServer
from tests.unit.ktrace.commands import test_run_assert as live

cluster, run = live.cluster, live.run
BOTH = live.QUIET + live.FAST.removeprefix("expectations:\n")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return tmp_path / "run.json"


@pytest.fixture
def again(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """The exit code and the report of what ``bundle`` answers."""

    def again(*options: str) -> tuple[int, str]:
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["ktrace", "run", "--from", str(bundle), *options])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), capfd.readouterr().err

    return again


def loop(cluster: live.Cluster) -> None:
    cluster.writes = lambda tick: tick % 2 == 0


def untraced(cluster: live.Cluster) -> None:
    cluster.traced = False


def nothing(cluster: live.Cluster) -> None:
    assert cluster.traced


def without_times(junit: str) -> str:
    return re.sub(r' time(stamp)?="[^"]*"', "", junit)


@pytest.mark.parametrize(
    ("wanted", "happens", "codes"),
    [
        (BOTH, nothing, (0, 0)),
        (live.REFUSED, nothing, (0, 1)),
        (live.REFUSED, nothing, (7, 7)),
        (live.QUIET, loop, (0, 1)),
        (BOTH, untraced, (0, 1)),
    ],
)
def test_the_verdicts_are_those_of_the_run(
    run: Callable[..., int],
    cluster: live.Cluster,
    again: Callable[..., tuple[int, str]],
    server: FakeServer,
    tmp_path: Path,
    *,
    wanted: str,
    happens: Callable[[live.Cluster], None],
    codes: tuple[int, int],
) -> None:
    """As JSON, as text, in the JUnit report and in the exit code, with no request to anything."""
    own, code = codes
    bundle = tmp_path / "run.json"
    happens(cluster)
    report, junit = tmp_path / "report.json", tmp_path / "live.xml"
    options = ["--json", "--report", str(report), "--junit", str(junit), "--save", str(bundle)]
    assert run(wanted, *options, code=own) == code
    document = json.loads(bundle.read_text())
    schemas.validate("bundle", document)
    asked = len(server.requests)
    (tmp_path / "wanted.yaml").unlink()
    ended, text = again("--json", "--junit", str(tmp_path / "again.xml"))
    found = json.loads(text)
    schemas.validate("run", found)
    first = json.loads(report.read_text())
    assert (ended, found["expectations"]) == (code, first["expectations"])
    assert document["answer"]["expectations"] == first["expectations"]
    assert without_times((tmp_path / "again.xml").read_text()) == without_times(junit.read_text())
    ended, text = again()
    assert ended == code
    names = re.findall(r"^(?:ok|FAILED|\?) +(\w+)", text, re.MULTILINE)
    assert names == [one["name"].split()[0] for one in first["expectations"]]
    assert len(server.requests) == asked


def test_what_was_expected_is_in_it_and_judged_alike_once_more(
    run: Callable[..., int],
    bundle: Path,
    again: Callable[..., tuple[int, str]],
    tmp_path: Path,
) -> None:
    """The expectations of the bundle, as a file, on what it has as evidence."""
    wanted = BOTH.replace("verb: write", "verb: write, name: $NAME")
    assert run(wanted, "--set", "NAME=a*", "--save", str(bundle)) == 0
    document = json.loads(bundle.read_text())
    given = ["--assert", str(tmp_path / "wanted.yaml"), "--set", "NAME=…", "--"]
    assert document["asked"]["words"][:8] == ["run", "--for", "5", *given]
    (suite,) = document["run"]["judged"]["suites"]
    expected = [one["expected"] for one in suite["expectations"]]
    assert expected == [
        {"name": "quiet", "quietFor": "500ms"},
        {
            "name": "one write",
            "request": {"verb": "write", "name": "a*"},
            "expect": {"count": 1, "durationBelowMs": 100},
        },
    ]
    file = tmp_path / "again.yaml"
    file.write_text(json.dumps({"expectations": expected}))
    first = json.loads(again("--json")[1])["expectations"]
    code, text = again("--assert", str(file), "--json")
    judged = json.loads(text)["expectations"]
    assert [{**one, "suite": "wanted"} for one in judged] == first
    assert code == 0


def entries(text: str) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in json.loads(text)["expectations"]}


OTHER = """\
expectations:
- {name: slow, request: {verb: write}, expect: {durationBelowMs: 1}}
- {name: fast, request: {verb: write}, expect: {durationBelowMs: 60000}}
- {name: there, request: {verb: create}}
- {name: no pods, pod: "*", expect: {count: 0}}
- {name: no calls, webhook: "*", expect: {count: 0}}
- {name: longer, quietFor: 5m}
- {name: shorter, quietFor: 100ms}
- {name: store, select: {component: etcd}, expect: {count: 0}}
"""


def test_other_expectations_are_judged_as_far_as_it_has_what_they_need(
    run: Callable[..., int],
    bundle: Path,
    again: Callable[..., tuple[int, str]],
    tmp_path: Path,
) -> None:
    assert run(BOTH.replace("count: 1, ", ""), "--save", str(bundle)) == 0
    (tmp_path / "other.yaml").write_text(OTHER)
    code, text = again("--assert", str(tmp_path / "other.yaml"), "--json")
    assert code == 1
    found = entries(text)
    result = {name: (one["ok"], one["judged"]) for name, one in found.items()}
    assert result == {
        "slow": (False, True),
        "fast": (True, True),
        "there": (True, True),
        "no pods": (False, False),
        "no calls": (True, True),
        "longer": (False, False),
        "shorter": (True, True),
        "store": (False, False),
    }
    assert "were watched, not 300.0 s" in found["longer"]["failures"][0]
    assert "the bundle does not tell whether all spans of etcd had" in found["store"]["failures"][0]
    assert "all spans of kubelet had arrived" in found["no pods"]["failures"][0]


def test_without_assert_nothing_was_awaited_and_what_was_seen_is_sure(
    run: Callable[..., int],
    bundle: Path,
    again: Callable[..., tuple[int, str]],
    tmp_path: Path,
) -> None:
    assert run("", "--save", str(bundle)) == 0
    assert json.loads(bundle.read_text())["run"]["judged"] is None
    assert json.loads(again("--json")[1])["expectations"] is None
    (tmp_path / "other.yaml").write_text(OTHER)
    code, text = again("--assert", str(tmp_path / "other.yaml"), "--json")
    found = entries(text)
    assert code == 1
    sure = {name for name, one in found.items() if one["judged"]}
    assert sure == {"slow", "there"}
    assert (found["slow"]["ok"], found["there"]["ok"]) == (False, True)
    told = "not known: the bundle is of a run without --assert, which waits for the spans that"
    assert all(one["failures"][0].startswith(told) for one in found.values() if not one["judged"])


def test_what_ctrl_c_left_unjudged_is_so_again_and_other_expectations_are_not_met(
    run: Callable[..., int],
    bundle: Path,
    again: Callable[..., tuple[int, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("ktrace.expect.settling.time.sleep", interrupted)
        assert run(BOTH, "--save", str(bundle)) == 130
    code, text = again()
    assert code == 130
    assert "not known: Ctrl-C ended the wait for what decides" in text
    (tmp_path / "other.yaml").write_text(live.REFUSED + "- {name: quiet, quietFor: 1s}\n")
    code, text = again("--assert", str(tmp_path / "other.yaml"), "--json")
    found = entries(text)
    assert code == 1
    assert (found["none"]["ok"], found["none"]["judged"]) == (False, True)
    assert found["quiet"]["failures"] == ["not known: Ctrl-C ended the wait for what decides"]


@pytest.mark.parametrize("option", [("--set", "A=b"), ("--junit", "x.xml")])
def test_options_of_expectations_need_some(
    run: Callable[..., int],
    bundle: Path,
    again: Callable[..., tuple[int, str]],
    option: tuple[str, str],
) -> None:
    assert run("", "--save", str(bundle)) == 0
    code, text = again(*option)
    assert code == 2
    assert f"{option[0]} is for expectations: add --assert FILE" in text


def test_a_collector_is_of_no_use_to_a_bundle(
    run: Callable[..., int], bundle: Path, again: Callable[..., tuple[int, str]]
) -> None:
    assert run("", "--save", str(bundle)) == 0
    code, text = again("--otlp", "http://127.0.0.1:4318")
    assert (code, text) == (
        2, "ktrace: --otlp is for a command that runs: leave it out with --from\n",
    )  # fmt: skip


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = document.items() if isinstance(document, dict) else enumerate(document)
    found = [path] if path else []
    if isinstance(document, dict | list):
        for key, value in inner:
            found += places(value, (*path, key)) if isinstance(value, dict | list) else []
            found += [] if isinstance(value, dict | list) else [(*path, key)]
    return found


def test_a_broken_value_is_one_line(
    run: Callable[..., int], cluster: live.Cluster, bundle: Path, again: Callable[..., Any]
) -> None:
    """Every value of what was judged in turn: never a traceback, and never an escape."""
    loop(cluster)
    run(BOTH, "--save", str(bundle))
    text = bundle.read_text()
    document = json.loads(text)
    document["run"]["judged"]["evidence"]["watched"]["writes"][1:] = []
    text = json.dumps(document)
    for number, path in enumerate(places(document["run"]["judged"], ("run", "judged"))):
        document = json.loads(text)
        holder = document
        for step in path[:-1]:
            holder = holder[step]
        holder[path[-1]] = (None, -1, "\x1b[2J", [], {"a": 1})[number % 5]
        bundle.write_text(json.dumps(document))
        code, told = again()
        assert code in (0, 1, 2, 130), (path, told)
        assert "\x1b" not in told
        assert "Traceback" not in told
