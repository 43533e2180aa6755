"""``ktrace run``: where its report goes, and how it ends."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ktrace.cli import main
from tests.fakes.http import FakeServer, Reply, write_kubeconfig

COMMAND = """\
import os, re, urllib.request as u; \
url = re.search('server: (.*)', open(os.environ['KUBECONFIG']).read())[1]; \
u.urlopen(url + '/version').read(); print('it ran')"""


@pytest.fixture
def ktrace_run(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., int]:
    """Runs the command against a server that is both Jaeger and the API; its exit code."""
    server.answer = lambda request: Reply(200, {"data": [], "items": []})
    write_kubeconfig(tmp_path / "config", server.url)

    def run(*options: str, code: int = 0, kubeconfig: Path = tmp_path / "config") -> int:
        target = ["--jaeger", server.url, "--kubeconfig", str(kubeconfig)]
        command = [sys.executable, "-c", f"{COMMAND}; raise SystemExit({code})"]
        arguments = ["ktrace", "run", "--for", "0", *target, *options, "--", *command]
        monkeypatch.setattr(sys, "argv", arguments)
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0)

    return run


def test_a_report_is_written_where_it_was_opened(
    ktrace_run: Callable[..., int], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "report.json")
    assert ktrace_run("--json", "--report", str(tmp_path / "link"), code=7) == 7
    assert (tmp_path / "link").is_symlink()
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["exitCode"] == 7
    assert [request["resource"] for request in report["requests"]] == ["/version"]
    assert capfd.readouterr() == ("it ran\n", "")


def test_a_report_that_cannot_be_written_is_said_first_or_costs_no_code(
    ktrace_run: Callable[..., int], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert ktrace_run("--report", str(tmp_path)) == 2
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err == f"ktrace: {tmp_path} cannot be written: Is a directory\n"
    assert ktrace_run("--report", "/dev/full", code=7) == 7
    assert "the report cannot be written: No space left" in capfd.readouterr().err
    assert ktrace_run("--report", "/dev/full") == 2


def test_ctrl_c_ends_the_following_and_not_the_report(
    ktrace_run: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ktrace.following.follower.time.sleep", interrupted)
    assert ktrace_run("--for", "30") == 0
    assert "1 read request" in capfd.readouterr().err


def test_a_problem_with_the_cluster_is_in_the_report(
    ktrace_run: Callable[..., int], server: FakeServer, capfd: pytest.CaptureFixture[str]
) -> None:
    server.answer = lambda request: Reply(403 if request.path.endswith("/pods") else 200, {})
    assert ktrace_run() == 3
    assert "problem: the cluster's pods cannot be listed: 403" in capfd.readouterr().err


def test_a_kubeconfig_that_cannot_be_used_is_wrong_usage(
    ktrace_run: Callable[..., int], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken"
    write_kubeconfig(broken, "https://127.0.0.1:9", user={"client-certificate": "absent.crt"})
    assert ktrace_run(kubeconfig=broken) == 2
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"ktrace: {broken} cannot be used: ")
    assert len(printed.err.splitlines()) == 1
