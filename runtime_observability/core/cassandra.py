"""Why Jaeger cannot use a Cassandra, from the log that it ends with. Pure.

The texts are those of Cassandra, of Go and of Jaeger's driver: each was seen with Jaeger 2.13.0 and
Cassandra 5.0.7. One that is not known is told as it is.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence

_END = re.compile(r"^Error: (.+)", re.MULTILINE)
_AROUND = re.compile(
    r"failed to start extensions: |failed to initialize storage '[^']*': |"
    r"gocql: unable to create session: |unable to connect to initial hosts: "
)
_EVERYTHING = "<all keyspaces>"
_PORT = "9042"
_HIDDEN = "[secret]"

_KNOWN: tuple[tuple[str, Callable[[re.Match[str], str, str], str]], ...] = (
    (
        r"username .* and/or password are incorrect",
        lambda _, user, __: (
            f"it refuses traceStoreUser {user} and traceStorePassword: set those of a role that "
            "may log in"
        ),
    ),
    (
        r"authentication required",
        lambda *_: "it wants a login: set traceStoreUser and traceStorePassword",
    ),
    (
        r"User \S+ has no (?P<right>\w+) permission on (?P<on><[^>]*>)",
        lambda found, user, keyspace: (
            f"traceStoreUser {user} has no {found['right']} permission on {found['on']}, where "
            f"Jaeger makes keyspace {keyspace}: `GRANT {found['right']} ON "
            f"{'ALL KEYSPACES' if found['on'] == _EVERYTHING else f'KEYSPACE {keyspace}'} TO "
            f"{user}`"
        ),
    ),
    (
        r"x509: certificate signed by unknown authority",
        lambda *_: (
            "its certificate is not trusted: name the one that signed it in traceStoreCaFile"
        ),
    ),
    (
        r"x509: certificate has expired or is not yet valid(?P<why>.*)",
        lambda found, *_: (
            f"its certificate has expired or is not yet valid{found['why']}: renew it there, or "
            "name today's in traceStoreCaFile if it is that one"
        ),
    ),
    (
        r"x509: (?P<why>.*)",
        lambda found, *_: (
            f"its certificate is refused: {found['why']}: name the host in cassandraServers as the "
            "certificate does"
        ),
    ),
    (
        r"does not look like a TLS handshake",
        lambda *_: "it does not speak TLS: leave out traceStoreCaFile",
    ),
    (
        r"failed to parse cert",
        lambda *_: "traceStoreCaFile has no certificate: name a PEM file with one",
    ),
    (
        r"connection refused",
        lambda *_: "nothing answers there: correct the host or the port in cassandraServers",
    ),
    (
        r"failed to resolve any of the provided hostnames",
        lambda *_: "containers do not find that host: correct the name, or write an address",
    ),
    (
        r"connection reset by peer|EOF",
        lambda *_: "it ends the connection: set traceStoreCaFile if it wants TLS",
    ),
    (
        r"no route to host|network is unreachable|i/o timeout|no response",
        lambda *_: "no answer from there: correct cassandraServers, or what is between",
    ),
)
"""The first that is found tells: by the driver's text, from it, the user and the keyspace."""


def why_it_ended(log: str, user: str, password: str, keyspace: str) -> str:
    """In one line, with the cure where it is known; ``log`` is the whole of Jaeger's.

    ``password`` is in no line. Of several servers the driver tells what the last one said.
    """
    ends = _END.findall(log)
    lines = log.strip().splitlines()
    raw = ends[-1] if ends else lines[-1] if lines else "it says nothing"
    if password:
        raw = raw.replace(password, _HIDDEN)
    raw = _AROUND.sub("", raw).strip()
    for pattern, told in _KNOWN:
        if found := re.search(pattern, raw):
            return told(found, user, keyspace)
    return f"Jaeger does not start with it: {raw}"


def why_it_is_not_ready(log: str, seconds: float, password: str) -> str:
    """Of a Jaeger that runs on: its driver tries some faults again without an end."""
    lines = log.strip().splitlines()
    last = lines[-1] if lines else "it says nothing"
    if password:
        last = last.replace(password, _HIDDEN)
    return (
        f"Jaeger is not ready with it within {seconds:g} s (last: {last}): see that a Cassandra "
        "answers there"
    )


def removal(keyspace: str, servers: Sequence[str], user: str, *, tls: bool) -> str:
    """The command with which a person removes ``keyspace``; cqlsh asks for the password."""
    host, port = host_and_port(servers[0])
    login = ["-u", user] if user else []
    encrypted = ["--ssl"] if tls else []
    statement = f"DROP KEYSPACE {keyspace}"
    return shlex.join(["cqlsh", *login, *encrypted, host, port, "-e", statement])


def host_and_port(server: str) -> tuple[str, str]:
    """Of HOST, HOST:PORT or [IPv6]:PORT; the address without its brackets."""
    host, colon, port = server.rpartition(":")
    return (host.strip("[]"), port) if colon else (server, _PORT)
