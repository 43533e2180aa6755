"""The plugins that the lab provides: their versions, and where they are installed."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from lab import providers
from lab.build.steps import Step, Workbench, prepare
from lab.paths import PROJECT, Cache
from lab.providers import VERSIONS, install


def _an_echo() -> Step:
    """In place of the packages' Python: a program that prints its arguments."""

    def build(bench: Workbench) -> None:
        python = bench.out / "bin" / "python"
        python.parent.mkdir()
        python.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
        python.chmod(0o755)

    return Step(install.packages.name, (), build)


@pytest.mark.parametrize("plugin", VERSIONS)
def test_a_stand_in_is_of_the_version_that_the_programs_sdk_asks_for(plugin: str) -> None:
    pins = (PROJECT / "requirements.txt").read_text()
    assert f"\npulumi-{plugin}=={VERSIONS[plugin]} " in pins
    assert f"pulumi-resource-{plugin} {VERSIONS[plugin]}" in (providers.__doc__ or "")


def test_the_stand_ins_are_found_where_the_engine_looks(cache: Cache) -> None:
    step = replace(install.plugins, needs=(_an_echo(),))
    prepare(cache, [step])
    for _ in range(2):
        install.install(cache, [replace(plugin, step=step) for plugin in install.STAND_INS])
    for name, version in VERSIONS.items():
        folder = cache.pulumi_home / "plugins" / f"resource-{name}-v{version}"
        program = folder / f"pulumi-resource-{name}"
        assert list(folder.iterdir()) == [program]
        arguments = subprocess.check_output([program, "127.0.0.1:1"], text=True).splitlines()
        built = step.output(cache)
        assert arguments[0] == "-I"
        assert arguments[-3:] == [str(built), name, "127.0.0.1:1"]
        assert (built / "lab" / "providers" / "server.py").is_file()


def test_an_installed_stand_in_knows_its_version_without_the_checkout(cache: Cache) -> None:
    step = replace(install.plugins, needs=(_an_echo(),))
    built = prepare(cache, [step])[step.name]
    code = f"import sys; sys.path.insert(0, {str(built)!r}); from lab import providers; "
    shown = "print(providers.__file__, providers.VERSIONS)"
    output = subprocess.check_output([sys.executable, "-I", "-c", code + shown], text=True)
    assert output == f"{built}/lab/providers/__init__.py {VERSIONS}\n"


def test_the_kubernetes_plugin_is_of_the_version_that_its_sdk_requires() -> None:
    pins = (PROJECT / "requirements-dev.txt").read_text()
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
