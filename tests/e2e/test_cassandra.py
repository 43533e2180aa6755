"""Traces in a Cassandra that exists, where the stack has a keyspace of its own."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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
STORE = {"traceStore": "cassandra", "traceRetention": "7d"}
WITH_A_LOGIN = {
    "authenticator": "PasswordAuthenticator",
    "authorizer": "CassandraAuthorizer",
    "role_manager": "CassandraRoleManager",
}


class Elsewhere:
    """A Cassandra that is no part of the stack; the stack's containers reach it by its name."""

    def __init__(self, stack: Stack, folder: Path, more: Mapping[str, Any]) -> None:
        self.docker = stack.docker
        self.network = stack.cluster
        self.name = f"traced-{stack.name}-cassandra-{secrets.token_hex(2)}"
        settings = cassandra_process.settings(self.name, _CLIENTS, _NODES)
        interfaces = {"listen_interface": "eth0", "rpc_interface": "eth0"}
        file = folder / "cassandra.yaml"
        file.write_text(yaml.safe_dump(settings | interfaces | dict(more)))
        file.chmod(0o644)
        arguments = program.arguments(program.HOME, _CONFIGURATION, "/tmp", 512)  # noqa: S108
        self.docker(
            "create", "--name", self.name, "--network", self.network,
            program.IMAGE.reference, *arguments,
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


@contextmanager
def elsewhere(
    stack: Stack, folder: Path, more: Mapping[str, Any] | None = None
) -> Iterator[Elsewhere]:
    """``more`` are settings of it; by default it has no login."""
    if not stack.docker.exists(program.IMAGE.reference):
        reason = f"there is no {program.IMAGE.reference}: `make test-stores` builds it"
        lacking.refuse(reason)
    found = Elsewhere(stack, folder, more or {})
    try:
        yield found
    finally:
        stack.settle()
        stack.docker("rm", "--force", "--volumes", found.name)


def test_a_stack_has_its_keyspace_and_destroy_tells_how_it_goes(
    stack: Stack, tmp_path: Path
) -> None:
    with elsewhere(stack, tmp_path) as store:
        keyspace = Names(stack.name, stack.folder).keyspace
        before = store.keyspaces()
        assert keyspace not in before
        stack.settle(**STORE, cassandraServers=[store.server])
        stack.expect_no_changes()
        assert store.keyspaces() == {*before, keyspace}
        assert not stack.docker.exists(f"{stack.jaeger}-check")
        with pods(stack, "sleep", "300") as single:
            pod = f"{single.name}-0"
            shown(stack, pod, whole)
            found = document(stack, "show", pod)
            assert found["complete"]
            document(stack, "verify")
            stack.docker("restart", "--time", "60", stack.jaeger)
            assert of_spans(shown(stack, pod, whole)) == of_spans(found)

        stack.kubectl("wait", "--for=delete", f"pod/{pod}", "--timeout=60s")
        # A Jaeger whose store is not told: nobody says that the start is complete, without a pod
        # object.
        told = document(stack, "show", pod, "--jaeger", stack.jaeger_url, "--timeout", "0", code=1)
        assert (told["uid"], told["startedAt"]) == (found["uid"], found["startedAt"])

        said = stack.destroy().said
        assert f"its traces stay in keyspace {keyspace} of Cassandra at {store.server}" in said
        assert f"`cqlsh {store.name} {_CLIENTS} -e 'DROP KEYSPACE {keyspace}'` removes them" in said
        assert stack.objects() == {f"container {store.name}"}
        assert store.keyspaces() == {*before, keyspace}


def test_a_server_that_jaeger_cannot_use_fails_the_up_before_the_old_jaeger_goes(
    stack: Stack, tmp_path: Path
) -> None:
    with elsewhere(stack, tmp_path, WITH_A_LOGIN) as store:
        jaeger = stack.docker.inspect(stack.jaeger)["Id"]
        for server, reason in (
            (f"{store.name}:9043", "nothing answers there: correct the host or the port"),
            (store.server, "it wants a login: set traceStoreUser and traceStorePassword"),
        ):
            stack.configure(**STORE, cassandraServers=[server])
            refused = stack.refused_up()
            assert f"error: traceStore cassandra: {server}: {reason}" in refused.said
            assert stack.docker.inspect(stack.jaeger)["Id"] == jaeger, "the old one goes on"
            assert not stack.docker.exists(f"{stack.jaeger}-check")
