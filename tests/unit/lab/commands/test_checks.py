"""`make test` on a machine without Docker, with a broken lab and with failing checks."""

from __future__ import annotations

import itertools
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.build import images
from lab.build.images import Image
from lab.build.steps import Step
from lab.commands import checks, tiers
from lab.commands.tiers import Tier
from lab.errors import LabError
from lab.machine import browser, machine, ready, venv
from lab.machine.docker.daemon import NoDaemonError
from lab.paths import PROJECT, Cache
from lab.providers import install
from lab.providers.install import Plugin
from tests.unit.test_architecture import tracked

Prepare = Callable[..., dict[str, str]]


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., int]:
    """Run a quick tier and one on stacks, both a line of Python; return the exit code."""
    for name in browser.NAMES:
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    def run(quick: str, real: str, prepare: Prepare, plugins: tuple[Plugin, ...] = ()) -> int:
        tiers = (
            Tier("quick", ("-c", quick)),
            Tier("real", ("-c", real), needs_lab=True, plugins=plugins, needs_browser=True),
        )
        found: Any = SimpleNamespace(reasons=(), default_stack="lab")
        monkeypatch.setattr(checks, "TIERS", {"test": tiers})
        monkeypatch.setattr(venv, "make", lambda *_: Path(sys.executable))
        monkeypatch.setattr(machine, "examine", lambda _: found)
        monkeypatch.setattr(ready, "make_ready", prepare)
        return checks.run("test", Cache(tmp_path))

    monkeypatch.delenv("CI", raising=False)
    return run


@pytest.mark.parametrize(("maven", "loaded"), [(True, images.OF_OPENSEARCH), (False, ())])
def test_only_its_own_tests_need_opensearch(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    maven: bool,
    loaded: tuple[Image, ...],
) -> None:
    found: Any = SimpleNamespace(reasons=(), default_stack="lab", lab_images=True)
    needs: list[ready.Needs] = []
    monkeypatch.setattr(machine, "examine", lambda _: found)

    def make_ready(needed: ready.Needs) -> dict[str, str]:
        needs.append(needed)
        return {}

    monkeypatch.setattr(ready, "make_ready", make_ready)
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/mvn" if maven else None)
    tier = Tier("real", (), needs_lab=True, images_of_maven=images.OF_OPENSEARCH)
    checks._prepare_lab([tier], Cache(tmp_path))
    assert needs[0].more_images == loaded
    assert ("has no mvn: install the package maven" in capsys.readouterr().out) is not maven


def prepared(*_: object) -> dict[str, str]:
    return {"DOCKER_HOST": "unix:///private.sock"}


def failing(error: Exception) -> Prepare:
    def prepare(*_: object) -> dict[str, str]:
        raise error

    return prepare


def test_only_where_no_daemon_can_run_are_stacks_not_needed_for_a_good_run(
    checked: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert checked("pass", "raise SystemExit(1)", failing(NoDaemonError("needs root"))) == 0
    assert capsys.readouterr().out.endswith("real         NOT RUN    0:00  needs root\n")
    assert checked("pass", "pass", failing(LabError("the collector could not be built"))) == 1
    assert checked("pass", "pass", failing(OSError("no space left"))) == 1


def test_in_ci_a_machine_without_a_daemon_is_a_failure(
    checked: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    assert checked("pass", "pass", failing(NoDaemonError("needs root"))) == 1


def test_any_failing_tier_fails_the_run(checked: Callable[..., int]) -> None:
    assert checked("pass", "pass", prepared) == 0
    assert checked("pass", "raise SystemExit(1)", prepared) == 1


def test_the_summary_names_the_tests_that_failed(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    cache: Cache,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Of several parts, too; what a fixture raises counts as well."""
    (tmp_path / "test_one.py").write_text(
        "import pytest\n"
        "@pytest.fixture\ndef stack(): raise OSError('no\\nspace')\n"
        "def test_up(stack): pass\n"
        "def test_down(): pass\n"
        "@pytest.mark.parametrize('number', range(12))\ndef test_it(number): assert number < 0\n"
    )
    (tmp_path / "test_two.py").write_text("import nothing_of_this_name\n")
    files = tuple((str(tmp_path / name),) for name in ("test_one.py", "test_two.py"))
    monkeypatch.setattr(checks, "matching", list)
    pytests = (*tiers.PYTEST, "-p", "tests.conftest", "--rootdir", str(tmp_path))
    assert lint(monkeypatch, cache, Tier("stacks", pytests, parts=files)) == 1
    summary = capsys.readouterr().out.partition("== summary\n")[2].splitlines()
    assert summary[0].startswith("stacks       FAILED")
    assert len(summary) == 1 + 10 + 1
    assert summary[-1] == "  and 4 more"
    assert "  test_one.py::test_it[0]: assert 0 < 0" in summary
    assert not [line for line in summary if "test_down" in line]


def test_after_a_failed_quick_tier_the_lab_is_left_alone(
    checked: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert checked("raise SystemExit(1)", "pass", failing(AssertionError())) == 1
    assert "NOT RUN    0:00  the quick tiers come first" in capsys.readouterr().out


def test_what_the_preparation_decided_reaches_the_tests_on_stacks_alone(
    checked: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DOCKER_HOST", "RUNTIME_OBSERVABILITY_STACK"):
        monkeypatch.delenv(name, raising=False)
    seen = "(os.environ.get('DOCKER_HOST'), os.environ.get('RUNTIME_OBSERVABILITY_STACK'))"
    check = "import os; assert {} == {}"
    quick = check.format(seen, (None, None))
    assert checked(quick, check.format(seen, ("unix:///private.sock", "lab")), prepared) == 0


# --- lint ---------------------------------------------------------------------------------------


def lint(monkeypatch: pytest.MonkeyPatch, cache: Cache, tier: Tier) -> int:
    monkeypatch.setattr(checks, "TIERS", {"lint": (tier,)})
    monkeypatch.setattr(venv, "make", lambda *_: Path(sys.executable))
    return checks.run("lint", cache)


def program(folder: Path, name: str, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def built(name: str) -> Step:
    return Step(name, ("1",), lambda bench: program(bench.out, name, 'echo "built: $*"'))


@pytest.fixture
def no_ci(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The only folder of PATH besides the system's own."""
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:/usr/bin:/bin")
    monkeypatch.setattr(
        shutil,
        "which",
        lambda name: str(found) if (found := tmp_path / "path" / name).exists() else None,
    )
    return tmp_path / "path"


def test_without_its_program_and_without_go_a_check_fails_in_ci_alone(
    no_ci: Path,
    monkeypatch: pytest.MonkeyPatch,
    cache: Cache,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tier = Tier("workflows", (), program="checker", step=built("checker"))
    assert lint(monkeypatch, cache, tier) == 0
    assert "NOT RUN    0:00  no checker is on PATH, and no Go" in capsys.readouterr().out
    monkeypatch.setenv("CI", "true")
    assert lint(monkeypatch, cache, tier) == 1
    assert not cache.steps.exists()


def test_where_there_is_go_the_program_is_built_once(
    no_ci: Path,
    monkeypatch: pytest.MonkeyPatch,
    cache: Cache,
    capfd: pytest.CaptureFixture[str],
) -> None:
    program(no_ci, "go", "")
    tier = Tier("workflows", ("-x",), program="checker", step=built("checker"))
    for _ in range(2):
        assert lint(monkeypatch, cache, tier) == 0
    out, err = capfd.readouterr()
    assert out.count("built: -x") == 2
    assert err.count("checker: building") <= 2
    assert len(list(cache.steps.glob("checker-*"))) == 1


def test_a_program_on_path_is_used_before_one_is_built(
    no_ci: Path,
    monkeypatch: pytest.MonkeyPatch,
    cache: Cache,
    capfd: pytest.CaptureFixture[str],
) -> None:
    program(no_ci, "go", "")
    program(no_ci, "checker", "echo installed; exit 1")
    tier = Tier("workflows", (), program="checker", step=built("checker"))
    assert lint(monkeypatch, cache, tier) == 1
    assert "installed" in capfd.readouterr().out


def test_a_program_of_the_virtual_environment_gets_the_files(
    monkeypatch: pytest.MonkeyPatch,
    cache: Cache,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    program(tmp_path / "bin", "shellcheck", 'echo "checked: $*"')
    monkeypatch.setattr(venv, "make", lambda *_: tmp_path / "bin" / "python")
    patterns = ("LICEN*", "Makefile", "none/*")
    tier = Tier("shell", ("-a",), program="shellcheck", parts=(patterns,))
    monkeypatch.setattr(checks, "TIERS", {"lint": (tier,)})
    assert checks.run("lint", cache) == 0
    assert "checked: -a LICENSE Makefile" in capfd.readouterr().out


def test_every_part_with_patterns_has_files() -> None:
    """Without any, pytest would run all tests."""
    for tier in itertools.chain(*tiers.TIERS.values()):
        for patterns in tier.parts:
            assert not patterns or checks.matching(patterns), tier.name


@pytest.mark.parametrize("name", ["engine", "e2e"])
def test_each_file_of_tests_is_in_one_part(name: str) -> None:
    (tier,) = (tier for tier in tiers.ALL if tier.name == name)
    dealt = itertools.chain(*map(checks.matching, tier.parts))
    assert sorted(dealt) == checks.matching([f"tests/{name}/test_*.py"])


def test_no_shell_script_is_left_out() -> None:
    scripts = {
        file
        for file in tracked("*")
        if file.endswith(".sh") or re.match(rb"#!.*\b(ba)?sh\n", (PROJECT / file).read_bytes())
    }
    assert scripts == set(checks.matching((*tiers.SHELL_FILES, *tiers.DELETES)))


def test_a_browser_is_unpacked_where_none_is_and_its_lack_stops_nothing(
    checked: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked: list[object] = []

    def provide(cache: Cache) -> None:
        asked.append(cache)
        raise LabError("chromium cannot be fetched")

    monkeypatch.setattr(browser, "provide", provide)
    assert checked("pass", "pass", prepared) == 0
    assert asked == [Cache(tmp_path)]
    assert "chromium cannot be fetched" in capsys.readouterr().out


def test_the_kubernetes_plugin_is_needed_by_the_examples_alone() -> None:
    """It takes longer to build than all the rest of the lab."""
    every = [tier for of_target in tiers.TIERS.values() for tier in of_target]
    assert {tier.name: tier.plugins for tier in every if tier.plugins} == {
        "examples": (install.KUBERNETES,)
    }


def test_the_plugins_of_every_tier_are_made_ready(checked: Callable[..., int]) -> None:
    needed: list[ready.Needs] = []

    def prepare(needs: ready.Needs) -> dict[str, str]:
        needed.append(needs)
        return {}

    assert checked("pass", "pass", prepare, plugins=(install.KUBERNETES,)) == 0
    assert [needs.plugins for needs in needed] == [(install.KUBERNETES,)]
