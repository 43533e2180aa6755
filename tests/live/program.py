"""A Pulumi program of somebody else, with this project's wheel in its virtual environment."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from runtime_observability.core.settings.model import Settings
from tests.configuration import of_stack_file
from tests.live import environment, ports
from tests.live.command import Run, Running
from tests.live.docker import Docker
from tests.wheel import environment as virtual_environment

SECONDS = 600.0


def lab_args(environ: Mapping[str, str]) -> dict[str, Any]:
    """TracedEnvironmentArgs for the images that fit this machine, on free ports."""
    names = {field.alias: name for name, field in Settings.model_fields.items()}
    images = of_stack_file(environ[environment.DEFAULT_STACK])
    return {names[key]: value for key, value in images.items()} | {
        "port_offset": ports.free_offset()
    }


class Program:
    """``source`` copied to ``folder``, as a stack with a name of its own.

    ``backend`` is the folder of its state: its own by default.
    """

    def __init__(
        self,
        source: Path,
        folder: Path,
        environ: Mapping[str, str],
        wheel: Path,
        *,
        config: Mapping[str, Any] | None = None,
        backend: Path | None = None,
    ) -> None:
        self.name = f"t{secrets.token_hex(4)}"
        self.folder = folder
        shutil.copytree(source, folder)
        self.python = virtual_environment(wheel, folder / ".venv")
        self.environment = environment.of_stack(environ, backend or folder)
        self.docker = Docker(self.environment)
        self._project = yaml.safe_load((folder / "Pulumi.yaml").read_text())["name"]
        self._file = folder / f"Pulumi.{self.name}.yaml"
        self._file.write_text(yaml.safe_dump({"config": {}}))
        self.configure(config or {})
        self.pulumi("stack", "init", self.name)

    def configure(self, config: Mapping[str, Any]) -> None:
        """Makes the stack's configuration ``config``."""
        document = yaml.safe_load(self._file.read_text())
        document["config"] = {f"{self._project}:{key}": value for key, value in config.items()}
        self._file.write_text(yaml.safe_dump(document))

    def pulumi(self, *arguments: str) -> Run:
        """The finished ``pulumi arguments``; AssertionError when it fails."""
        argv = ["pulumi", *arguments, "--non-interactive", "--color", "never"]
        if arguments[:2] != ("stack", "init"):
            argv += ["--stack", self.name]
        logs = self.folder.with_name(f"{self.folder.name}-runs")
        return Running(argv, self.folder, self.environment, logs).wait(SECONDS).succeeded()

    def up(self) -> dict[str, Any]:
        """The stack's outputs."""
        self.pulumi("up", "--yes", "--skip-preview")
        outputs: dict[str, Any] = json.loads(self.pulumi("stack", "output", "--json").stdout)
        return outputs

    def finish(self) -> None:
        """Destroys the stack; AssertionError when an environment of its name leaves anything.

        Names that begin with the stack's count too.
        """
        self.pulumi("destroy", "--yes", "--skip-preview")
        left = self.docker.of_stack(self.name)
        if left:
            raise AssertionError(f"destroy left {', '.join(sorted(left))}")
