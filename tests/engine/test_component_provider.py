"""The component as a plugin: the engine constructs it for a program that only knows its token.

The engine starts the plugin through an executable of ours, as the lab's language host is older than
plugins made of a folder; a language host of today does the same with ``provider/`` itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import wheel
from tests.configuration import PROJECT
from tests.live.program import Program, lab_args

LAUNCHER = """#!/bin/sh
exec {python} {provider} "$@"
"""


def _camel(name: str) -> str:
    return re.sub(r"_(.)", lambda match: match[1].upper(), name)


@pytest.fixture
def consumer(tmp_path: Path, environ: dict[str, str]) -> Iterator[Program]:
    inputs = {_camel(name): value for name, value in lab_args(environ).items()}
    source = Path(__file__).parent / "programs" / "consumer"
    program = Program(
        source,
        tmp_path / "consumer",
        environ,
        wheel.build(tmp_path / "build"),
        config={"inputs": {**inputs, "traceProbe": False}},
    )
    plugin = program.folder / "plugin" / "pulumi-resource-runtime-observability"
    plugin.parent.mkdir()
    plugin.write_text(LAUNCHER.format(python=program.python, provider=PROJECT / "provider"))
    plugin.chmod(0o755)
    yield program
    program.finish()


def test_a_program_in_any_language_gets_a_cluster(consumer: Program) -> None:
    outputs = consumer.up()
    assert outputs["clusterName"] == f"traced-{consumer.name}"
    assert Path(outputs["kubeconfig"]) == (
        consumer.folder / ".stacks" / consumer.name / "kubeconfig"
    )
    assert Path(outputs["kubeconfig"]).is_file()
    assert outputs["jaegerUrl"].startswith("http://127.0.0.1:")
    assert _running(consumer.docker.inspect(f"traced-{consumer.name}-collector"))
    server = consumer.docker.inspect(f"k3d-traced-{consumer.name}-server-0")
    assert (server["Id"], _running(server)) == (outputs["clusterInstance"], True)
    consumer.pulumi("preview", "--expect-no-changes")


def _running(container: dict[str, Any]) -> bool:
    return bool(container["State"]["Running"])
