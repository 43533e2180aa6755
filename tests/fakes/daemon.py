"""A Docker daemon that is one JSON file, with `docker`, `k3d` and `sleep` for it on PATH."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components import naming
from components.naming import Names

_COMMAND_LINE = Path(__file__).with_name("command_line.py")


@dataclass(frozen=True)
class Call:
    argv: tuple[str, ...]
    stdin: str


class FakeDaemon:
    """Put things in, run what is to be tested, look what is left and what was asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir(parents=True)
        # Without site-packages docker starts in 15 ms; k3d reads YAML.
        for tool, options in (("docker", "-S -E"), ("k3d", "")):
            python = f"{sys.executable} {options} {_COMMAND_LINE}"
            self._executable(tool, f'FAKE_DAEMON="{folder}" exec {python} {tool} "$@"')
        self._executable("sleep", "exit 0")
        (folder / "calls").touch()
        self._write(
            {
                "down": False,
                "containers": [],
                "networks": [],
                "volumes": [],
                "arrivals": [],
                "info": {"ServerVersion": "20.10.24", "CgroupVersion": "2", "SwapLimit": True},
                "host": "unix:///var/run/docker.sock",
                "k3d": {
                    "version": "5.9.0",
                    "create_code": 0,
                    "start_code": 0,
                    "log": "",
                    "works_for": 0,
                },
            }
        )

    @property
    def path(self) -> str:
        return f"{self.bin}{os.pathsep}{os.environ['PATH']}"

    @property
    def calls(self) -> list[Call]:
        lines = (self.folder / "calls").read_text().splitlines()
        rows = [json.loads(line) for line in lines]
        return [Call(tuple(row["argv"]), row["stdin"]) for row in rows]

    def asked(self, *beginning: str) -> list[Call]:
        """The calls that begin with these words."""
        return [call for call in self.calls if call.argv[: len(beginning)] == beginning]

    def names(self, kind: str = "containers") -> list[str]:
        return [thing["name"] for thing in self._read()[kind]]

    def set(self, **values: Any) -> None:
        """Sets top-level values of the state; those of ``k3d`` are merged."""
        state = self._read()
        state["k3d"] |= values.pop("k3d", {})
        self._write(state | values)

    def container(self, name: str, *, after_looks: int | None = None, **values: Any) -> None:
        """``after_looks``: it appears when `docker ps` was asked that often."""
        made = {
            "id": f"id-of-{name}",
            "name": name,
            "labels": {},
            "networks": [],
            "state": "running",
            "ports": "",
            "stuck": False,
            "log": "",
            "top": "",
            "status": "running 0",
        } | values
        state = self._read()
        if after_looks is None:
            state["containers"].append(made)
        else:
            state["arrivals"].append({"after_looks": after_looks, "container": made})
        self._write(state)

    def node(self, names: Names, role: str = "server", index: int = 0, **values: Any) -> None:
        """A node of the stack's cluster, owned by the stack unless ``owner`` says otherwise."""
        labels = names.labels | {"k3d.cluster": names.cluster, "k3d.role": role}
        labels[naming.OWNER_LABEL] = values.pop("owner", names.owner)
        labels[naming.SPEC_LABEL] = values.pop("spec", "")
        values.setdefault("top", f"/bin/k3s {role}")
        self.container(names.node(role, index), labels=labels, **values)

    def network(self, name: str, **values: Any) -> None:
        made = {"id": f"id-of-{name}", "name": name, "labels": {}, "stuck": False} | values
        state = self._read()
        state["networks"].append(made)
        self._write(state)

    def volume(self, name: str, **values: Any) -> None:
        state = self._read()
        state["volumes"].append({"name": name, "labels": {}, "stuck": False} | values)
        self._write(state)

    def _executable(self, name: str, line: str) -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)

    def _read(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads((self.folder / "state.json").read_text())
        return state

    def _write(self, state: dict[str, Any]) -> None:
        (self.folder / "state.json").write_text(json.dumps(state))
