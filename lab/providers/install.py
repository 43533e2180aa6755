"""Puts plugins where the engine looks for them: the stand-ins, and those built from source."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lab.build import programs
from lab.build.steps import Step
from lab.machine.venv import PYTHON
from lab.paths import PROJECT, Cache
from lab.providers import VERSIONS

# -I: neither PYTHON* variables nor the folder of the user's program change what is imported.
LAUNCHER = """\
#!/bin/sh
exec {python} -I -c "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); \
runpy.run_module('lab.providers', run_name='__main__', alter_sys=True)" {project} {name} "$@"
"""


@dataclass(frozen=True)
class Plugin:
    """A provider plugin that Pulumi does not download."""

    name: str
    version: str
    """The plugin version that the SDK of its resources requires."""
    step: Step | None = None
    """The step that builds a real plugin; None: the stand-in of this checkout, run in .venv."""

    def program_in(self, cache: Cache) -> Path:
        """Return the file that the engine runs, in the lab's own PULUMI_HOME."""
        folder = cache.pulumi_home / "plugins" / f"resource-{self.name}-v{self.version}"
        return folder / f"pulumi-resource-{self.name}"


def install(cache: Cache, wanted: Iterable[Plugin]) -> None:
    """Put plugins, the real ones built before, into the PULUMI_HOME of this checkout."""
    for plugin in wanted:
        program = plugin.program_in(cache)
        program.parent.mkdir(parents=True, exist_ok=True)
        fresh = program.with_name(f".{program.name}.{os.getpid()}")
        if plugin.step:
            fresh.symlink_to(plugin.step.output(cache) / f"pulumi-{plugin.name}")
        else:
            python, project = shlex.quote(str(PYTHON)), shlex.quote(str(PROJECT))
            fresh.write_text(LAUNCHER.format(python=python, project=project, name=plugin.name))
            fresh.chmod(0o755)
        fresh.replace(program)  # atomically: an engine may be looking for it


STAND_INS = tuple(Plugin(name, version) for name, version in VERSIONS.items())
KUBERNETES = Plugin("kubernetes", programs.PULUMI_KUBERNETES, programs.pulumi_kubernetes)
"""The real plugin, which takes long to build: installed only where it is needed."""
