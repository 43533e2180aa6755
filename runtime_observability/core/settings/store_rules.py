"""Rules about a cluster in which Jaeger keeps traces: OpenSearch, Elasticsearch, Cassandra."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from runtime_observability.core import compatibility, trace_store
from runtime_observability.core.problem import Problem
from runtime_observability.core.settings import collector_yaml
from runtime_observability.core.settings.model import Settings
from runtime_observability.core.stores import (
    CASSANDRA,
    ELASTICSEARCH,
    OPENSEARCH,
    SEARCH_ENGINES,
    TraceStore,
)

_SERVERS: Mapping[str, tuple[TraceStore, ...]] = {
    "openSearchUrls": (OPENSEARCH,),
    "elasticsearchUrls": (ELASTICSEARCH,),
    "cassandraServers": (CASSANDRA,),
}
"""The stores that each key has servers of."""
_USED_BY: Mapping[str, tuple[TraceStore, ...]] = {
    **_SERVERS,
    "traceStoreUser": (*SEARCH_ENGINES, CASSANDRA),
    "traceStorePassword": (*SEARCH_ENGINES, CASSANDRA),
    "traceStoreCaFile": (*SEARCH_ENGINES, CASSANDRA),
    "traceStoreReplicas": (*SEARCH_ENGINES, CASSANDRA),
    "traceStoreShards": SEARCH_ENGINES,
}
CREDENTIAL = "traceStorePassword"


def refuse_a_plain_password(raw: Mapping[str, Any], secret_keys: Collection[str]) -> list[Problem]:
    """``raw`` is keyed as in Pulumi.yaml."""
    if not raw.get(CREDENTIAL) or CREDENTIAL in secret_keys:
        return []
    return [
        Problem(
            CREDENTIAL,
            "its value is in plain text",
            "everybody who reads the stack's file or state would have it",
            f"run `pulumi config set --secret {CREDENTIAL}`, which asks for it",
        )
    ]


def refuse_an_unfit_cluster(settings: Settings) -> list[Problem]:
    """What valid values of these keys, together, cannot be."""
    problems = _refuse_what_the_store_does_not_use(settings)
    if settings.trace_store in (*SEARCH_ENGINES, CASSANDRA):
        if not settings.has_own_open_search:
            problems += [
                *_refuse_a_store_without_servers(settings),
                *_refuse_half_a_login(settings),
                *_refuse_a_password_that_is_a_map(settings),
                *_refuse_certificates_without_tls(settings),
            ]
        problems += [
            *_refuse_a_part_of_a_day(settings),
            *_refuse_an_old_jaeger(settings),
        ]
    return problems


def _refuse_what_the_store_does_not_use(settings: Settings) -> list[Problem]:
    unused = {
        key: stores
        for key, stores in _USED_BY.items()
        if settings.trace_store not in stores and settings.is_set(key)
    }
    return [
        Problem(
            key,
            f"it cannot be used with traceStore {settings.trace_store}",
            f"it is about {_either(stores)}",
            f"leave it out, or set traceStore to {_either(stores)}",
        )
        for key, stores in unused.items()
    ]


def _refuse_a_store_without_servers(settings: Settings) -> list[Problem]:
    (key,) = (key for key, stores in _SERVERS.items() if settings.trace_store in stores)
    if settings.is_set(key):
        return []
    return [
        Problem(
            key,
            "is not set",
            f"traceStore {settings.trace_store} is a cluster that exists",
            f"name its servers: `pulumi config set --path '{key}[0]' "
            f"{'HOST:9042' if settings.trace_store == CASSANDRA else 'https://HOST:9200'}`",
        )
    ]


def _refuse_half_a_login(settings: Settings) -> list[Problem]:
    login = {
        "traceStoreUser": settings.trace_store_user,
        CREDENTIAL: settings.trace_store_password,
    }
    if all(login.values()) or not any(login.values()):
        return []
    given, missing = sorted(login, key=lambda key: not login[key])
    secretly = "--secret " if missing == CREDENTIAL else ""
    cure = f"run `pulumi config set {secretly}{missing}`, or leave out {given}"
    return [Problem(missing, "is not set", f"{given} needs it", cure)]


def _refuse_a_password_that_is_a_map(settings: Settings) -> list[Problem]:
    """Other stores read the file themselves."""
    files = trace_store.in_two_files(settings.trace_store_password).values()
    if settings.trace_store != CASSANDRA or not any(map(collector_yaml.is_refused, files)):
        return []
    return [
        Problem(
            CREDENTIAL,
            "it cannot be used with traceStore cassandra",
            "Jaeger reads what follows its first character as YAML, and stops at a map with a "
            "number or nothing as a key",
            "give that user a password without `: ` and without a single ?",
        )
    ]


def _refuse_certificates_without_tls(settings: Settings) -> list[Problem]:
    urls = settings.store_urls
    if not settings.trace_store_ca_file or not urls or any(url.startswith("https") for url in urls):
        return []
    return [
        Problem(
            "traceStoreCaFile",
            "it cannot be used with http://",
            "that is without TLS, and uses no certificate",
            "write https://, or leave it out",
        )
    ]


def _refuse_a_part_of_a_day(settings: Settings) -> list[Problem]:
    """An index has the spans of one day (UTC), and goes as a whole."""
    hours = int(settings.trace_retention.removesuffix("h"))
    if settings.trace_store not in SEARCH_ENGINES or hours % 24 == 0:
        return []
    return [
        Problem(
            "traceRetention",
            f"{hours}h cannot be used with traceStore {settings.trace_store}",
            "it has an index for each day, which goes as a whole",
            f"use {-(-hours // 24)}d",
        )
    ]


def _refuse_an_old_jaeger(settings: Settings) -> list[Problem]:
    oldest, why = compatibility.OLDEST_JAEGER_OF_STORE[settings.trace_store]
    if settings.jaeger_version >= oldest:
        return []
    return [
        Problem(
            "traceStore",
            f"{settings.trace_store} cannot be used with jaegerVersion {settings.jaeger_version}",
            f"before {oldest} {why}",
            f"set jaegerVersion to {oldest} or newer",
        )
    ]


def _either(stores: tuple[str, ...]) -> str:
    *others, last = stores
    return f"{', '.join(others)} or {last}" if others else last
