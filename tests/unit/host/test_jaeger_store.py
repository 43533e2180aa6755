"""The look at the store of the stack's Jaeger before a run, with a server in Jaeger's place."""

from __future__ import annotations

import pytest

from runtime_observability.core import naming
from runtime_observability.core.naming import Names
from runtime_observability.core.wanted import Wanted
from runtime_observability.host.preflight import observe
from tests.configuration import PROJECT
from tests.fakes.daemon import FakeDaemon
from tests.fakes.http import FakeServer, Reply

REFUSED = {"errors": [{"code": 500, "msg": "elastic: Error 401 (Unauthorized)\n"}]}
TOLD = (
    "traces are not stored: Jaeger answers 500: elastic: Error 401 (Unauthorized). Its store "
    "refuses Jaeger's user and password; of a stack they are traceStoreUser and "
    "traceStorePassword: set "
    "today's, then `pulumi up`"
)


@pytest.mark.parametrize(
    ("reply", "state", "store", "told"),
    [
        (Reply(500, REFUSED), "running", "opensearch", (TOLD,)),
        (Reply(500, REFUSED), "exited", "opensearch", ()),
        (Reply(500, REFUSED), "running", "badger", ()),
        (Reply(500, REFUSED), "running", "", ()),
        (Reply(200, {"data": [], "errors": None}), "running", "opensearch", ()),
        (Reply(500, {"errors": [{"msg": "all shards failed"}]}), "running", "opensearch", ()),
        (Reply(500, ["no", "object"]), "running", "opensearch", ()),
    ],
    ids=["refused", "stopped", "badger", "memory", "well", "another error", "no Jaeger"],
)
def test_a_store_that_refuses_its_jaeger_is_told_before_a_run(
    daemon: FakeDaemon, reply: Reply, state: str, store: str, told: tuple[str, ...]
) -> None:
    names = Names("dev", PROJECT)
    server = FakeServer(lambda _: reply)
    try:
        address = server.url.removeprefix("http://")
        daemon.container(
            names.jaeger,
            labels=names.labels | {naming.STORE_LABEL: store},
            ports=f"{address}->16686/tcp",
            state=state,
        )
        notices = observe(names, Wanted()).notices
    finally:
        server.stop()
    assert tuple(text for text in notices if "not stored" in text) == told
