"""A Cassandra with a login and TLS, and the configuration that a stack's Jaeger gets for it."""

from __future__ import annotations

import hashlib
import json
import shlex
import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509 import load_pem_x509_certificate

from ktrace.jaeger import Jaeger
from ktrace.jaeger import store as stores
from runtime_observability.core import cassandra, trace_store
from tests.contract import cassandra_process, jaeger_process, spans
from tests.contract.cassandra_process import FIRST_USER, Node
from tests.contract.cql import Cql, CqlError
from tests.contract.jaeger_process import Process
from tests.live.waiting import until

pytestmark = pytest.mark.every_store
USER, PASSWORD = "traces", 'p$ss"w\\örd'
WRONG = "another"
STORE = "secret"
SECONDS = 60


class Server:
    """The Cassandra, and what its clients need."""

    def __init__(self, node: Node, authority: trustme.CA) -> None:
        self.node = node
        self.certificates = authority.cert_pem.bytes().decode()
        self._context = ssl.create_default_context(cadata=self.certificates)

    def administrator(self) -> Cql:
        return self.log_in(FIRST_USER, FIRST_USER)

    def log_in(self, user: str, password: str) -> Cql:
        return Cql(self.node.server, user, password, self._context)

    def add_user(self, user: str, password: str) -> None:
        """One that may make keyspaces, and nothing else."""
        text = password.replace("'", "''")
        with self.administrator() as cql:
            cql.run(f"CREATE ROLE {user} WITH LOGIN = true AND PASSWORD = '{text}'")
            cql.run(f"GRANT CREATE ON ALL KEYSPACES TO {user}")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    built = cassandra_process.needed()
    authority = trustme.CA()
    with cassandra_process.running(built, settings(authority)) as node:
        found = Server(node, authority)

        def has_a_first_user() -> bool:
            try:
                found.administrator().__exit__(None, None, None)
            except CqlError:
                return False
            return True

        until("the first user", has_a_first_user, SECONDS)
        found.add_user(USER, PASSWORD)
        yield found


def settings(authority: trustme.CA) -> dict[str, Any]:
    """Of Cassandra; its key is in a file that everybody may read, of nothing that exists."""
    issued = authority.issue_cert("127.0.0.1")
    chain = [load_pem_x509_certificate(pem.bytes()) for pem in issued.cert_chain_pems]
    key = serialization.load_pem_private_key(issued.private_key_pem.bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    encryption = serialization.BestAvailableEncryption(STORE.encode())
    content = pkcs12.serialize_key_and_certificates(b"node", key, chain[0], chain[1:], encryption)
    return {
        "authenticator": "PasswordAuthenticator",
        "authorizer": "CassandraAuthorizer",
        "role_manager": "CassandraRoleManager",
        "client_encryption_options": {
            "enabled": True,
            "optional": False,
            "keystore": cassandra_process.File("keystore.p12", content),
            "keystore_password": STORE,
            "store_type": "PKCS12",
        },
    }


@contextmanager
def jaeger(
    server: Server,
    folder: Path,
    password: str,
    user: str = USER,
    kept: str = "48h",
    *,
    at: str = "",
    certificates: str | None = None,
) -> Iterator[Process]:
    """With a stack's configuration, and the files that it names in ``folder``.

    Each user has a keyspace. ``at`` is another HOST:PORT; without ``certificates`` it tries plain
    text.
    """
    trusted = server.certificates if certificates is None else certificates
    made = trace_store.cassandra(
        [at or server.node.server], f"of_{user}", kept, copies=1, user=user, tls=bool(trusted)
    )
    text = json.dumps({"cassandra": made})
    contents = {
        **(trace_store.in_two_files(password) if user else {}),
        **({trace_store.CA_FILE: trusted} if trusted else {}),
    }
    for number, (path, content) in enumerate(contents.items()):
        file = folder / f"secret-{number}"
        file.write_text(content)
        named = (f"{path}}}", f'{path}"')  # in a reference, or alone
        assert sum(map(text.count, named)) == 1
        for name in named:
            text = text.replace(name, f"{file}{name[-1]}")
    with jaeger_process.running(jaeger_process.needed(), json.loads(text), folder) as process:
        yield process


def test_spans_are_stored_and_found_and_end_with_the_retention(
    server: Server, tmp_path: Path
) -> None:
    with jaeger(server, tmp_path, PASSWORD, kept="12h") as process:
        sent = spans.others()
        jaeger_process.send(process, spans.otlp(sent))
        with Jaeger(process.url, store=stores.CASSANDRA) as client:
            (found,) = client.find(spans.SERVICE, tags={"edge": "yes"}, start=0)
        assert [span.operation for span in found.spans] == ["edge"]
    with server.administrator() as cql:
        listed = cql.run(
            "SELECT table_name, default_time_to_live FROM system_schema.tables "
            "WHERE keyspace_name = 'of_traces'"
        )
        ((seconds,),) = cql.run("SELECT TTL(start_time) FROM of_traces.traces LIMIT 1")
        ((copies,),) = cql.run(
            "SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = 'of_traces'"
        )
    command = cassandra.removal("of_traces", [server.node.server], USER, tls=True)
    tables = {name: kept for name, kept in listed}  # noqa: C416  a list of lists
    for table in (b"traces", b"tag_index", b"service_names", b"operation_names_v2"):
        assert number(tables[table]) == 12 * 3600
    assert 0 <= 12 * 3600 - number(seconds) < SECONDS
    assert copies is not None
    assert b"NetworkTopologyStrategy" in copies
    with server.log_in(USER, PASSWORD) as owner:
        owner.run(shlex.split(command)[-1])
    with server.administrator() as cql:
        left = cql.run("SELECT keyspace_name FROM system_schema.keyspaces")
    assert [b"of_traces"] not in left


def number(value: bytes | None) -> int:
    assert value is not None
    found: int
    (found,) = struct.unpack(">i", value)
    return found


@pytest.mark.parametrize(
    "password",
    [
        *("12345", "0x10", "null", "true", "a: b", "- a", "# a", "${env:HOME}", "- ${env:HOME} $"),
        *("$$", "${", "$}", "'", '"', "~", "!", "x"),
    ],
)
def test_a_password_is_taken_as_it_is(server: Server, tmp_path: Path, password: str) -> None:
    user = f"user_{hashlib.sha256(password.encode()).hexdigest()[:8]}"
    server.add_user(user, password)
    with jaeger(server, tmp_path, password, user) as process, Jaeger(process.url) as client:
        client.services()


@pytest.mark.parametrize(
    ("differs", "told"),
    [
        ({}, f"it refuses traceStoreUser {USER} and traceStorePassword"),
        ({"user": ""}, "it wants a login"),
        ({"user": "reader"}, "`GRANT CREATE ON ALL KEYSPACES TO reader`"),
        ({"certificates": trustme.CA().cert_pem.bytes().decode()}, "is not trusted"),
        ({"certificates": ""}, "set traceStoreCaFile if it wants TLS"),
        ({"at": f"127.0.0.1:{jaeger_process.free_ports(1)[0]}"}, "nothing answers there"),
        ({"at": "nowhere.invalid"}, "containers do not find that host"),
    ],
    ids=["password", "login", "permission", "authority", "text", "port", "host"],
)
def test_a_cassandra_that_jaeger_cannot_use_is_told_with_the_cure(
    server: Server, tmp_path: Path, differs: dict[str, str], told: str
) -> None:
    """As `up` does, which starts such a Jaeger before the old one goes."""
    user = differs.get("user", USER)
    if user == "reader":
        with server.administrator() as cql:
            cql.run(f"CREATE ROLE reader WITH LOGIN = true AND PASSWORD = '{WRONG}'")
    with (
        pytest.raises(AssertionError, match="has not started"),
        jaeger(server, tmp_path, WRONG, **differs),
    ):
        pass
    log = (tmp_path / "jaeger.log").read_text()
    line = cassandra.why_it_ended(log, user, WRONG, f"of_{user}")
    assert told in line
    assert "\n" not in line
    assert WRONG not in line
