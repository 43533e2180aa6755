"""The plugins that the lab provides: their versions, and where they are installed."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lab import providers
from lab.build.steps import Step, prepare
from lab.build.workbench import Workbench
from lab.paths import PROJECT, Cache
from lab.providers import VERSIONS, install


@pytest.mark.parametrize("plugin", VERSIONS)
def test_a_stand_in_is_of_the_version_that_the_programs_sdk_asks_for(plugin: str) -> None:
    pins = (PROJECT / "requirements.in").read_text()
    assert f"\npulumi-{plugin}=={VERSIONS[plugin]} " in pins
    assert f"pulumi-resource-{plugin} {VERSIONS[plugin]}" in (providers.__doc__ or "")


def test_the_stand_ins_are_found_where_the_engine_looks_and_run_in_the_venv(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "with a blank" / "python"
    python.parent.mkdir()
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    python.chmod(0o755)
    monkeypatch.setattr(install, "PYTHON", python)
    for _ in range(2):
        install.install(cache, install.STAND_INS)
    for name, version in VERSIONS.items():
        folder = cache.pulumi_home / "plugins" / f"resource-{name}-v{version}"
        program = folder / f"pulumi-resource-{name}"
        assert list(folder.iterdir()) == [program]
        arguments = subprocess.check_output([program, "127.0.0.1:1"], text=True).splitlines()
        assert arguments[0] == "-I"
        assert arguments[-3:] == [str(PROJECT), name, "127.0.0.1:1"]


def test_a_stand_in_starts_and_tells_its_port(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "PYTHON", Path(sys.executable))
    install.install(cache, install.STAND_INS)
    with subprocess.Popen(
        [install.STAND_INS[0].program_in(cache)], stdout=subprocess.PIPE, cwd="/"
    ) as process:
        try:
            assert process.stdout is not None
            assert int(process.stdout.readline()) > 0
        finally:
            process.kill()


def test_the_kubernetes_plugin_is_of_the_version_that_its_sdk_requires() -> None:
    pins = (PROJECT / "requirements-dev.in").read_text()
    assert f"\npulumi-kubernetes=={install.KUBERNETES.version} " in pins


def test_the_kubernetes_plugin_is_found_where_the_engine_looks(cache: Cache) -> None:
    def build(bench: Workbench) -> None:
        (bench.out / "pulumi-kubernetes").touch()

    step = Step("pulumi-kubernetes", (), build)
    prepare(cache, [step])
    install.install(cache, [replace(install.KUBERNETES, step=step)])
    folder = cache.pulumi_home / "plugins" / f"resource-kubernetes-v{install.KUBERNETES.version}"
    program = folder / "pulumi-resource-kubernetes"
    assert list(folder.iterdir()) == [program]
    assert program.resolve(strict=True) == (step.output(cache) / "pulumi-kubernetes").resolve()
