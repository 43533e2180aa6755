"""Installs the stand-in plugins where the engine looks for plugins.

Standard library only: this runs on the system's Python. Everything is in the cache, so the plugins
keep working when the clone that installed them is deleted.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

from lab.build.steps import Step, Workbench, prepare
from lab.paths import Cache
from lab.providers import VERSIONS

PACKAGE = Path(__file__).resolve().parent
REQUIREMENTS = PACKAGE.parent / "requirements.txt"
# -I: neither PYTHON* variables nor the user's project folder change what is imported.
LAUNCHER = """\
#!/bin/sh
exec {python} -I -c "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); \
runpy.run_module('lab.providers', run_name='__main__', alter_sys=True)" \
"$(dirname "$(realpath "$0")")" {name} "$@"
"""


def install(cache: Cache) -> None:
    """Install both plugins into the lab's own PULUMI_HOME, as links to a step's output."""
    built = prepare(cache, [plugins])[plugins.name]
    for name, version in VERSIONS.items():
        folder = cache.pulumi_home / "plugins" / f"resource-{name}-v{version}"
        program = built / f"pulumi-resource-{name}"
        link = folder / f".{program.name}.{os.getpid()}"
        folder.mkdir(parents=True, exist_ok=True)
        link.symlink_to(program)
        link.replace(folder / program.name)  # atomically: an engine may be looking for it


def _build_packages(bench: Workbench) -> None:
    bench.run([sys.executable, "-m", "venv", bench.out])
    python = bench.out / "bin" / "python"
    bench.run([python, "-m", "pip", "install", "--requirement", REQUIREMENTS])


def _build_plugins(bench: Workbench) -> None:
    sources = shutil.ignore_patterns("__pycache__", Path(__file__).name)
    shutil.copytree(PACKAGE, bench.out / "lab" / "providers", ignore=sources)
    python = shlex.quote(str(bench.needs[packages.name] / "bin" / "python"))
    for name in VERSIONS:
        launcher = bench.out / f"pulumi-resource-{name}"
        launcher.write_text(LAUNCHER.format(python=python, name=name))
        launcher.chmod(0o755)


packages = Step("stand-in-packages", (sys.version, REQUIREMENTS), _build_packages)
plugins = Step("stand-ins", (PACKAGE,), _build_plugins, needs=(packages,))
