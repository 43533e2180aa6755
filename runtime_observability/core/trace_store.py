"""Jaeger's configuration for the store that it keeps traces in. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from runtime_observability.core import compatibility
from runtime_observability.core.stores import AS_THE_CLUSTER_HAS, BADGER, CASSANDRA, MEMORY

if TYPE_CHECKING:  # its library takes longer to load than everything else here
    from runtime_observability.core.naming import Names
    from runtime_observability.core.settings.model import Settings
    from runtime_observability.core.versions import Version

VOLUME_PATH = "/data"
"""Where the volume of the traces is mounted in Jaeger's container."""
BADGER_FOLDERS = ("keys", "values")
"""Below ``VOLUME_PATH``: Badger's two kinds of files."""

CREDENTIAL_FILE = "/etc/jaeger/store-password"
CA_FILE = "/etc/jaeger/store-ca.pem"
"""In Jaeger's container."""
_CASSANDRA_WRITERS = 16
_CASSANDRA_BATCH = 64
_CASSANDRA_QUEUE = 20_000
"""Spans, some 27 MB. Jaeger writes a batch's spans one after another, each with a row for each of
its tags: with 16 batches at a time it stored 154 spans a second in place of 30 (measured with
2.13.0, on two busy cores that Cassandra shared)."""
_LONGEST_CACHE_MINUTES = 12 * 60
"""For so long Jaeger by default writes no name again that it has written."""
_REST_FILE = f"{CREDENTIAL_FILE}-rest"
_IN_TWO_FILES = f"${{file:{CREDENTIAL_FILE}}}${{file:{_REST_FILE}}}"
"""In Jaeger's configuration. What one reference stands for is read as YAML, where 12345 is a
number, ~ nothing and # a comment; that of two is text (opentelemetry-collector v0.140.0
confmap/expand.go, findAndExpandURI)."""
REPLICAS_VARIABLE = "TRACE_STORE_REPLICAS"
"""Of Jaeger's container, where the cluster says how many copies of an index there are beside the
first: what it said when Jaeger was made."""


def backend(settings: Settings, names: Names) -> dict[str, Any]:
    """Jaeger v2's backend: an entry of ``jaeger_storage.backends``, named after the store."""
    store = settings.trace_store
    if store == MEMORY:
        return {"memory": {"max_traces": settings.jaeger_max_traces}}
    if store == BADGER:
        return {"badger": _badger(settings.trace_retention)}
    if store == CASSANDRA:
        return {
            "cassandra": cassandra(
                settings.cassandra_servers,
                names.keyspace,
                settings.trace_retention,
                copies=1 + max(0, settings.trace_store_replicas),
                user=settings.trace_store_user,
                tls=bool(settings.trace_store_ca_file),
            )
        }
    return {
        store: search_engine(
            settings.store_urls,
            names.index_prefix,
            settings.trace_retention,
            shards=settings.trace_store_shards,
            replicas=_replicas(settings),
            user=settings.trace_store_user,
            own_ca=bool(settings.trace_store_ca_file),
        )
    }


def _replicas(settings: Settings) -> int | str:
    if settings.has_own_open_search:
        return 0
    if settings.trace_store_replicas == AS_THE_CLUSTER_HAS:
        return f"${{env:{REPLICAS_VARIABLE}}}"
    return settings.trace_store_replicas


def _badger(kept: str) -> dict[str, Any]:
    keys, values = (f"{VOLUME_PATH}/{folder}" for folder in BADGER_FOLDERS)
    return {
        "directories": {"keys": keys, "values": values},
        "ephemeral": False,
        "ttl": {"spans": kept},
    }


def search_engine(
    urls: Sequence[str],
    prefix: str,
    kept: str,
    *,
    shards: int,
    replicas: int | str,
    user: str = "",
    own_ca: bool = False,
) -> dict[str, Any]:
    """Jaeger's options for OpenSearch or Elasticsearch: daily indices whose names have ``prefix``.

    ``kept`` is the retention in hours: Jaeger looks back no further (by default 72 h), so that
    what is about to be deleted is not half found. With ``user`` the password is in
    ``CREDENTIAL_FILE``; with ``own_ca`` the certificates to trust are in ``CA_FILE``.
    """
    options: dict[str, Any] = {
        "server_urls": list(urls),
        "indices": {
            "index_prefix": prefix,
            **{
                kind: {"shards": shards, "replicas": replicas}
                for kind in ("spans", "services", "dependencies", "sampling")
            },
        },
        "max_span_age": kept,
    }
    if user:
        options["auth"] = {"basic": {"username": user, "password_file": CREDENTIAL_FILE}}
    if own_ca:
        options["tls"] = {"ca_file": CA_FILE}
    return options


def cassandra(
    servers: Sequence[str],
    keyspace: str,
    kept: str,
    *,
    copies: int,
    user: str = "",
    tls: bool = False,
) -> dict[str, Any]:
    """Jaeger's options for Cassandra, in which it makes ``keyspace`` unless it is there.

    An existing keyspace keeps its retention and its number of copies. ``servers`` are HOST or
    HOST:PORT, with 9042 by default. Jaeger reads a password from no file of its own, but its
    configuration can name files: those of ``in_two_files``.
    """
    hours = int(kept.removesuffix("h"))
    connection: dict[str, Any] = {
        "servers": list(servers),
        "tls": {"ca_file": CA_FILE} if tls else {"insecure": True},
    }
    if user:
        connection["auth"] = {"basic": {"username": user, "password": _IN_TWO_FILES}}
    return {
        "schema": {
            "create": True,
            "keyspace": keyspace,
            "replication_factor": copies,
            "trace_ttl": kept,
            "dependencies_ttl": kept,
            # Cassandra's advice is less than 50 windows; two hours are Jaeger's default.
            "compaction_window": f"{max(2, -(-hours // 30))}h",
        },
        "connection": connection,
        # The names of services and operations end with the retention: they are written before.
        "span_store_write_cache_ttl": f"{min(_LONGEST_CACHE_MINUTES, hours * 30)}m",
    }


def write_side_by_side(document: dict[str, Any], jaeger: Version) -> None:
    """Lets Jaeger write several batches to Cassandra at a time; ``document`` is its configuration.

    A full queue holds the collector up, which has a queue of its own. What is sent twice then is
    stored once. Only in releases whose queue is known.
    """
    if jaeger < compatibility.OLDEST_JAEGER_WITH_QUEUE:
        return
    document["processors"]["batch"] |= {
        "send_batch_size": _CASSANDRA_BATCH,
        "send_batch_max_size": _CASSANDRA_BATCH,
    }
    document["exporters"]["jaeger_storage_exporter"]["queue"] = {
        "enabled": True,
        "sizer": "items",
        "queue_size": _CASSANDRA_QUEUE,
        "num_consumers": _CASSANDRA_WRITERS,
        "block_on_overflow": True,
    }


def files(settings: Settings) -> dict[str, str]:
    """Jaeger's further files by path: the certificates, whose text has been read."""
    text = settings.trace_store_ca_file
    return {CA_FILE: text} if text else {}


def secret_files(settings: Settings) -> dict[str, str]:
    """Those with the password, by path."""
    password = settings.trace_store_password
    if not password:
        return {}
    return (
        in_two_files(password) if settings.trace_store == CASSANDRA else {CREDENTIAL_FILE: password}
    )


def in_two_files(password: str) -> dict[str, str]:
    """The files of a password that Jaeger's configuration refers to, where ``$$`` is a dollar.

    The first has one character: a dollar and a brace that are in one file do not refer to anything,
    and after them nothing else would.
    """
    first, rest = (part.replace("$", "$$") for part in (password[:1], password[1:]))
    return {CREDENTIAL_FILE: first, _REST_FILE: rest}


def v1_environment(settings: Settings) -> dict[str, str]:
    """The variables that select and configure the store of Jaeger v1's all-in-one."""
    if settings.trace_store == MEMORY:
        return {"MEMORY_MAX_TRACES": str(settings.jaeger_max_traces)}
    keys, values = (f"{VOLUME_PATH}/{folder}" for folder in BADGER_FOLDERS)
    return {
        "SPAN_STORAGE_TYPE": "badger",
        "BADGER_EPHEMERAL": "false",
        "BADGER_DIRECTORY_KEY": keys,
        "BADGER_DIRECTORY_VALUE": values,
        "BADGER_SPAN_STORE_TTL": settings.trace_retention,
    }
