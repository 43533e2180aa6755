"""Traces in a Cassandra that exists, where the stack has a keyspace of its own."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from lab.build import cassandra as program
from runtime_observability.core.naming import Names
from tests import lacking
from tests.contract import cassandra_process
from tests.e2e.ktrace import document, of_spans, shown, whole
from tests.live.pods import pods
from tests.live.stack import Stack
from tests.live.waiting import until

pytestmark = pytest.mark.every_store
_CLIENTS, _NODES = 9042, 7000
_CONFIGURATION = "/tmp/cassandra.yaml"  # noqa: S108  in a container of its own
_START_SECONDS = 240


class Elsewhere:
    """A Cassandra that is no part of the stack; the stack's containers reach it by its name."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.docker = stack.docker
        self.name = f"traced-{stack.name}-cassandra-{secrets.token_hex(2)}"
        settings = cassandra_process.settings(self.name, _CLIENTS, _NODES)
        interfaces = {"listen_interface": "eth0", "rpc_interface": "eth0"}
        file = folder / "cassandra.yaml"
        file.write_text(yaml.safe_dump(settings | interfaces))
        file.chmod(0o644)
        arguments = program.arguments(program.HOME, _CONFIGURATION, "/tmp", 512)  # noqa: S108
        self.docker(
            "create", "--name", self.name, "--network", stack.cluster, program.IMAGE.reference,
            *arguments,
        )  # fmt: skip
        self.docker("cp", str(file), f"{self.name}:{_CONFIGURATION}")
        self.docker("start", self.name)
        until("an answer from it", self._listens, _START_SECONDS)

    @property
    def server(self) -> str:
        return f"{self.name}:{_CLIENTS}"

    def keyspaces(self) -> set[str]:
        """Those that have data on its disk."""
        return set(self.docker("exec", self.name, "ls", "/tmp/data/data").split())  # noqa: S108

    def _listens(self) -> bool:
        return cassandra_process.LISTENS in self.docker("logs", self.name)


@pytest.fixture
def elsewhere(stack: Stack, tmp_path: Path) -> Iterator[Elsewhere]:
    if not stack.docker.exists(program.IMAGE.reference):
        reason = f"there is no {program.IMAGE.reference}: `make test-stores` builds it"
        lacking.refuse(reason)
    found = Elsewhere(stack, tmp_path)
    try:
        yield found
    finally:
        stack.settle()
        stack.docker("rm", "--force", "--volumes", found.name)


def test_a_stack_has_its_keyspace_and_leaves_it(stack: Stack, elsewhere: Elsewhere) -> None:
    store = {"traceStore": "cassandra", "traceRetention": "7d"}
    keyspace = Names(stack.name, stack.folder).keyspace
    before = elsewhere.keyspaces()
    assert keyspace not in before
    stack.settle(**store, cassandraServers=[elsewhere.server])
    stack.expect_no_changes()
    assert elsewhere.keyspaces() == {*before, keyspace}
    with pods(stack, "sleep", "300") as single:
        pod = f"{single.name}-0"
        shown(stack, pod, whole)
        found = document(stack, "show", pod)
        assert found["complete"]
        document(stack, "verify")
        stack.docker("restart", "--time", "60", stack.jaeger)
        assert of_spans(shown(stack, pod, whole)) == of_spans(found)

    # A Jaeger whose store is not told: nobody says that the start is complete, without a cluster.
    told = document(stack, "show", pod, "--jaeger", stack.jaeger_url, "--timeout", "0", code=1)
    assert (told["uid"], told["startedAt"]) == (found["uid"], found["startedAt"])
    stack.settle()
    assert keyspace in elsewhere.keyspaces(), "another store leaves it as it is"


def test_a_server_that_is_not_there_fails_the_up_with_the_reason(
    stack: Stack, elsewhere: Elsewhere
) -> None:
    stack.configure(traceStore="cassandra", cassandraServers=[f"{elsewhere.name}:9043"])
    refused = stack.refused_up()
    assert "connection refused" in refused.said
