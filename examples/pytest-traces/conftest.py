"""A traced cluster for a test session: made before the first test, gone after the last."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pulumi
import pytest
from pulumi import automation
from runtime_observability.components import TracedEnvironment, TracedEnvironmentArgs

from ktrace.jaeger import Jaeger

SETTINGS = json.loads(os.environ.get("TRACED_ENVIRONMENT", "{}"))
"""Arguments of TracedEnvironmentArgs: a CI job sets its ports and images here."""


@dataclass(frozen=True)
class Cluster:
    kubeconfig: str
    jaeger: Jaeger


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("traced")

    def program() -> None:
        args = TracedEnvironmentArgs(folder=str(folder), **SETTINGS)
        for name, value in TracedEnvironment("traced", args).outputs.items():
            pulumi.export(name, value)

    stack = automation.create_stack(
        stack_name="tests",
        project_name="pytest-traces",
        program=program,
        opts=automation.LocalWorkspaceOptions(
            work_dir=str(folder),
            project_settings=automation.ProjectSettings(
                name="pytest-traces",
                runtime="python",
                backend=automation.ProjectBackend(url=Path(folder).as_uri()),
            ),
            env_vars={"PULUMI_CONFIG_PASSPHRASE": ""},  # no secret is ever in the state
        ),
    )
    try:
        outputs = stack.up(on_output=print).outputs
        with Jaeger(outputs["jaegerUrl"].value) as jaeger:
            yield Cluster(outputs["kubeconfig"].value, jaeger)
    finally:
        stack.destroy(on_output=print)
