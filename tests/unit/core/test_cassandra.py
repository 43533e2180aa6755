"""Why Jaeger cannot use a Cassandra, in one line with the cure."""

from __future__ import annotations

import pytest

from runtime_observability.core import cassandra

KEYSPACE = "traced_0123456789abcdef"
PASSWORD = "hush-hush"  # noqa: S105
STARTS = "2026-11-28T00:44:34.237Z\tinfo\tservice\tStarting jaeger\n"
CONNECTS = "gocql: unable to create session: unable to connect to initial hosts: "


def log(end: str) -> str:
    """As Jaeger 2.13.0 ends: the line of its logger, and then its own."""
    told = f"failed to initialize storage 'cassandra': {end}"
    logged = f'2026\terror\tFailed to start extension\t{{"error": "{told}"}}\n'
    return f"{STARTS}{logged}Error: failed to start extensions: {told}\n"


def why(end: str, user: str = "ada") -> str:
    return cassandra.why_it_ended(log(end), user, PASSWORD, KEYSPACE)


@pytest.mark.parametrize(
    ("end", "told"),
    [
        (
            f"{CONNECTS}Provided username ada and/or password are incorrect",
            "it refuses traceStoreUser ada and traceStorePassword",
        ),
        (
            f'{CONNECTS}authentication required (using "org.apache.cassandra.auth.Password")',
            "it wants a login: set traceStoreUser and traceStorePassword",
        ),
        (
            "User ada has no CREATE permission on <all keyspaces> or any of its parents",
            "`GRANT CREATE ON ALL KEYSPACES TO ada`",
        ),
        (
            f"User ada has no SELECT permission on <table {KEYSPACE}.traces> or any of its parents",
            f"`GRANT SELECT ON KEYSPACE {KEYSPACE} TO ada`",
        ),
        (
            f"{CONNECTS}tls: failed to verify certificate: x509: certificate signed by unknown "
            "authority",
            "its certificate is not trusted: name the one that signed it in traceStoreCaFile",
        ),
        (
            f"{CONNECTS}tls: failed to verify certificate: x509: certificate is valid for a, not b",
            "its certificate is refused: certificate is valid for a, not b: name the host",
        ),
        (
            f"{CONNECTS}tls: failed to verify certificate: x509: certificate has expired or is not "
            "yet valid: current time 2026-11-29T09:00:00Z is after 2026-01-01T00:00:00Z",
            "is after 2026-01-01T00:00:00Z: renew it there, or name today's in traceStoreCaFile",
        ),
        (
            f"{CONNECTS}tls: first record does not look like a TLS handshake",
            "it does not speak TLS: leave out traceStoreCaFile",
        ),
        (
            "failed to load TLS config: failed to load CA CertPool File: failed to parse cert",
            "traceStoreCaFile has no certificate",
        ),
        (f"{CONNECTS}dial tcp 10.0.0.1:1: connect: connection refused", "nothing answers there"),
        (
            "gocql: unable to create session: failed to resolve any of the provided hostnames",
            "containers do not find that host",
        ),
        (
            f"{CONNECTS}read tcp 10.0.0.2:4->10.0.0.1:9: read: connection reset by peer",
            "set traceStoreCaFile if it wants TLS",
        ),
        (f"{CONNECTS}dial tcp 10.0.0.1:9042: i/o timeout", "no answer from there"),
        ("the moon is full", "Jaeger does not start with it: the moon is full"),
    ],
)
def test_each_fault_is_told_with_its_cure_in_one_line(end: str, told: str) -> None:
    line = why(end)
    assert told in line
    assert "\n" not in line


def test_the_password_is_in_no_line() -> None:
    assert "hush" not in why(f"cannot use {PASSWORD}")
    assert "hush" not in cassandra.why_it_is_not_ready(f"tries {PASSWORD} again", 9, PASSWORD)
    assert why("as it is", user="") == "Jaeger does not start with it: as it is"


def test_a_jaeger_that_ended_without_an_error_tells_its_last_line() -> None:
    assert cassandra.why_it_ended("a\nkilled\n", "", "", KEYSPACE).endswith("with it: killed")
    assert cassandra.why_it_ended("", "", "", KEYSPACE).endswith("it says nothing")


def test_one_that_runs_on_tells_how_long_it_was_waited_for() -> None:
    told = cassandra.why_it_is_not_ready("first\nno control connection\n", 120, "")
    assert "not ready with it within 120 s (last: no control connection)" in told
    assert "it says nothing" in cassandra.why_it_is_not_ready("", 1, "")


@pytest.mark.parametrize(
    ("server", "user", "tls", "command"),
    [
        ("a.example", "", False, "cqlsh a.example 9042"),
        ("a.example:9142", "ada", True, "cqlsh -u ada --ssl a.example 9142"),
        ("[fd00::1]:9042", "a b", False, "cqlsh -u 'a b' fd00::1 9042"),
    ],
)
def test_the_command_that_removes_a_keyspace(
    server: str, user: str, tls: bool, command: str
) -> None:
    found = cassandra.removal(KEYSPACE, [server, "b.example"], user, tls=tls)
    assert found == f"{command} -e 'DROP KEYSPACE {KEYSPACE}'"
