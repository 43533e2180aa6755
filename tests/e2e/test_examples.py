"""The examples, run as their reader would run them: against the wheel, on real clusters."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ktrace.jaeger import Jaeger
from ktrace.podstart.search import wait_for_start
from tests import wheel
from tests.configuration import PROJECT
from tests.live import environment
from tests.live.docker import Docker
from tests.live.program import Program, lab_args
from tests.live.stack import Stack

EXAMPLES = PROJECT / "examples"
SECONDS = 600
START_SECONDS = 60.0
_FIRST_VARIABLE = "{.spec.containers[0].env[0].value}"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wheel.build(tmp_path_factory.mktemp("build"))


@pytest.fixture
def own_chart(tmp_path: Path, environ: dict[str, str], built: Path) -> Iterator[Program]:
    program = Program(
        EXAMPLES / "own-chart",
        tmp_path / "own-chart",
        environ,
        built,
        config={"environment": lab_args(environ)},
    )
    yield program
    program.finish()


@pytest.mark.kubernetes_provider
def test_a_program_has_a_traced_cluster_and_its_own_chart(own_chart: Program) -> None:
    outputs = own_chart.up()
    (pod,) = _pods("greeter", outputs["kubeconfig"], own_chart.environment)
    with Jaeger(outputs["jaegerUrl"]) as jaeger:
        start = wait_for_start(jaeger, "default", pod, START_SECONDS, outputs["kubeconfig"])
    assert start is not None
    assert start.complete
    assert {"apiserver", "kubelet", "containerd"} <= {step.component for step in start.steps}
    own_chart.pulumi("preview", "--expect-no-changes")


@pytest.mark.kubernetes_provider
def test_a_program_deploys_to_the_cluster_of_another_stack(
    stack: Stack, tmp_path: Path, environ: dict[str, str], built: Path
) -> None:
    program = Program(
        EXAMPLES / "stack-reference",
        tmp_path / "stack-reference",
        environ,
        built,
        config={"platform": f"organization/runtime-observability/{stack.name}"},
        backend=stack.folder,
    )
    try:
        assert program.up() == {"podStarts": stack.outputs["links"]["podStarts"]}
        (pod,) = _pods("operator", stack.outputs["kubeconfig"], program.environment)
        endpoint = stack.kubectl("get", "pod", pod, "-o", f"jsonpath={_FIRST_VARIABLE}")
        assert endpoint == stack.outputs["otlpEndpointInCluster"]
    finally:
        program.finish()
    assert _pods("operator", stack.outputs["kubeconfig"], program.environment) == []


def test_a_test_session_has_a_traced_cluster(
    tmp_path: Path, environ: dict[str, str], built: Path
) -> None:
    folder = tmp_path / "pytest-traces"
    shutil.copytree(EXAMPLES / "pytest-traces", folder)
    python = wheel.environment(built, tmp_path / "venv")
    args = lab_args(environ)
    name = f"session-{args['port_offset']}"
    outside = {key: value for key, value in environ.items() if not key.startswith("PULUMI_BACKEND")}
    session = subprocess.run(
        [python, "-m", "pytest", "-q", "--override-ini=addopts="],
        cwd=folder,
        env={**outside, "TRACED_ENVIRONMENT": json.dumps({**args, "stack": name})},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    said = session.stdout + session.stderr
    assert session.returncode == 0, said
    assert "2 passed" in said
    assert Docker(environment.of_stack(environ, folder)).of_stack(name) == set()


def _pods(app: str, kubeconfig: str, environ: dict[str, str]) -> list[str]:
    """Names of the running pods of ``app``."""
    listed = subprocess.run(
        ["kubectl", "--kubeconfig", kubeconfig, "get", "pods", "-l", f"app={app}", "-o", "json"],
        env=environ,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    return [
        pod["metadata"]["name"]
        for pod in json.loads(listed)["items"]
        if "deletionTimestamp" not in pod["metadata"]
    ]
