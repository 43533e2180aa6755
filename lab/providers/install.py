"""Installs plugins where the engine looks for them: the stand-ins, and those built from source.

Standard library only: this runs on the system's Python. Everything is in the cache, so the plugins
keep working when the clone that installed them is deleted.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lab import pins
from lab.build import programs
from lab.build.steps import Step, Workbench
from lab.paths import Cache
from lab.providers import VERSIONS

PACKAGE = Path(__file__).resolve().parent
REQUIREMENTS = PACKAGE.parent / "requirements.txt"
PINS = (Path(pins.__file__), pins.FILE)
"""What the stand-ins read their own versions with."""
# -I: neither PYTHON* variables nor the user's project folder change what is imported.
LAUNCHER = """\
#!/bin/sh
exec {python} -I -c "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); \
runpy.run_module('lab.providers', run_name='__main__', alter_sys=True)" \
"$(dirname "$(realpath "$0")")" {name} "$@"
"""


@dataclass(frozen=True)
class Plugin:
    """A provider plugin, and the program of a step's output that runs it."""

    name: str
    version: str
    """The plugin version that the SDK of its resources requires."""
    step: Step
    program: str

    @property
    def folder(self) -> str:
        """The name of its folder in PULUMI_HOME/plugins."""
        return f"resource-{self.name}-v{self.version}"


def install(cache: Cache, wanted: Iterable[Plugin]) -> None:
    """Install built plugins into the lab's own PULUMI_HOME, as links to the outputs of steps."""
    for plugin in wanted:
        folder = cache.pulumi_home / "plugins" / plugin.folder
        name = f"pulumi-resource-{plugin.name}"
        link = folder / f".{name}.{os.getpid()}"
        folder.mkdir(parents=True, exist_ok=True)
        link.symlink_to(plugin.step.output(cache) / plugin.program)
        link.replace(folder / name)  # atomically: an engine may be looking for it


def _build_packages(bench: Workbench) -> None:
    bench.run([sys.executable, "-m", "venv", bench.out])
    python = bench.out / "bin" / "python"
    bench.run([python, "-m", "pip", "install", "--requirement", REQUIREMENTS])


def _build_plugins(bench: Workbench) -> None:
    sources = shutil.ignore_patterns("__pycache__", Path(__file__).name)
    shutil.copytree(PACKAGE, bench.out / "lab" / "providers", ignore=sources)
    for file in PINS:
        shutil.copy(file, bench.out / "lab")
    python = shlex.quote(str(bench.needs[packages.name] / "bin" / "python"))
    for name in VERSIONS:
        launcher = bench.out / f"pulumi-resource-{name}"
        launcher.write_text(LAUNCHER.format(python=python, name=name))
        launcher.chmod(0o755)


packages = Step("stand-in-packages", (sys.version, REQUIREMENTS), _build_packages)
plugins = Step("stand-ins", (PACKAGE, *PINS), _build_plugins, needs=(packages,))

STAND_INS = tuple(
    Plugin(name, version, plugins, f"pulumi-resource-{name}") for name, version in VERSIONS.items()
)
KUBERNETES = Plugin(
    "kubernetes",
    programs.PULUMI_KUBERNETES,
    programs.pulumi_kubernetes,
    "pulumi-kubernetes",
)
"""The real plugin, which takes long to build: installed only where it is needed."""
