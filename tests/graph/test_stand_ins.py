"""The lab's stand-in plugins cover every input that the program sets, and leave no diff of it."""

from __future__ import annotations

import hashlib

import pytest

from lab.providers import command, docker_types, wire
from lab.providers import docker_specs as specs
from lab.providers.command import COMMAND as COMMAND_SCHEMA
from lab.providers.properties import check
from tests.fakes.docker_api import FakeDockerApi
from tests.fakes.plugin import NO_CHANGE, serving
from tests.graph.program import COMMAND, CONTAINER, IMAGE, NETWORK, Run

SCHEMAS = {
    COMMAND: COMMAND_SCHEMA,
    CONTAINER: specs.CONTAINER,
    IMAGE: specs.REMOTE_IMAGE,
    NETWORK: specs.NETWORK,
}


def test_every_input_of_the_program_is_covered(any_run: Run) -> None:
    assert {resource.type for resource in any_run.custom} == SCHEMAS.keys()
    for resource in any_run.custom:
        given = wire.read(wire.write(dict(resource.inputs)))
        assert list(check(SCHEMAS[resource.type], given)) == [], resource.name


def test_what_the_program_made_in_docker_leaves_no_diff_and_survives_a_refresh(
    any_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    api = FakeDockerApi()
    for image in any_run.of_type(IMAGE):
        name = image.inputs["name"]
        api.images[name] = "sha256:" + hashlib.sha256(name.encode()).hexdigest()
    with serving(docker_types.make(None, api.connect)) as plugin:
        plugin.configure()
        for resource in any_run.custom:
            if resource.type != COMMAND:
                inputs = dict(resource.inputs)
                made = plugin.create(resource.type, inputs, resource.name)
                assert plugin.diff(made, inputs) == NO_CHANGE
                assert plugin.refresh(made) == made
    assert len(api.containers) == 2
    assert "pull" not in api.calls


def test_a_command_of_the_program_leaves_no_diff(any_run: Run) -> None:
    with serving(command.make(None)) as plugin:
        for resource in any_run.of_type(COMMAND):
            inputs = dict(resource.inputs)
            made = plugin.create(COMMAND, inputs | {"create": "echo made"}, resource.name)
            assert made.state["stdout"] == "made"
            assert plugin.diff(made, inputs | {"create": "echo made"}) == NO_CHANGE
            assert plugin.diff(made, inputs).paths == {"create": "UPDATE"}
