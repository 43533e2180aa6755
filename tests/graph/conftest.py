"""Runs of the program that many tests share."""

from __future__ import annotations

import pytest

from tests.configuration import of_stack_file
from tests.graph.program import Run, run


@pytest.fixture(scope="session")
def default() -> Run:
    """A developer's stack: Pulumi.yaml's defaults."""
    return run()


@pytest.fixture(scope="session")
def lab() -> Run:
    return run(of_stack_file("lab"), stack="lab")


@pytest.fixture(scope="session", params=["default", "lab", "everything"])
def any_run(request: pytest.FixtureRequest, default: Run, lab: Run) -> Run:
    """Three different stacks, for tests of what holds in every stack."""
    changed = {
        "servers": 3,
        "agents": 2,
        "collectorSamplingPerMillion": 1000,
        "collectorMemoryMiB": 512,
        "portOffset": 7,
        "k3sArgs": ["--disable=traefik@server:*"],
        "publishedPorts": ["8080:80"],
        "registries": {"use": ["mirror:5000"]},
    }
    return {"default": default, "lab": lab, "everything": run(changed, stack="Ada_2")}[
        request.param
    ]
