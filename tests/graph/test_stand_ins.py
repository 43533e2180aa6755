"""The lab's stand-in plugins cover every input that the program sets."""

from __future__ import annotations

from lab.providers import docker_specs as specs
from lab.providers import wire
from lab.providers.command import COMMAND as COMMAND_SCHEMA
from lab.providers.properties import check
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
