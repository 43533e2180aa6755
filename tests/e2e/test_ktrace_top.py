"""``ktrace top`` against the counts of a scripted load.

Of pod templates: nothing else in a cluster writes or gets any, but for the end of a namespace.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from runtime_observability.host.api_server import ApiServer
from tests.e2e.ktrace import document
from tests.e2e.webhooks import configured
from tests.live.pods import wait_for_api
from tests.live.stack import Stack
from tests.live.waiting import until
from tests.schemas import validate

_PATH = "/api/v1/namespaces/default/podtemplates"
_MERGE = {"Content-Type": "application/merge-patch+json"}
_ALONE = 20
"""Seconds before the load without another request about its resource, and far more than a command
takes to start: it ends the namespace of an earlier test, too."""


@contextmanager
def client(stack: Stack, agent: str) -> Iterator[httpx.Client]:
    """The API server's, with a user agent of its own."""
    with ApiServer(stack.directory / "kubeconfig") as server:
        server._client.headers["User-Agent"] = f"{agent} (e2e)"
        yield server._client


def template(name: str) -> dict[str, Any]:
    containers = [{"name": "main", "image": "none"}]
    return {"metadata": {"name": name}, "template": {"spec": {"containers": containers}}}


def load(api: httpx.Client, name: str) -> None:
    """30 creates, 30 patches of the first 10, 10 gets, 20 deletes and 5 gets of what is not there.

    Each answer is asserted; objects 0 to 9 of ``name`` stay.
    """
    for number in range(30):
        assert api.post(_PATH, json=template(f"{name}-{number}")).status_code == 201
    for number in range(30):
        changed = {"metadata": {"labels": {"load": str(number)}}}
        answer = api.patch(f"{_PATH}/{name}-{number % 10}", json=changed, headers=_MERGE)
        assert answer.status_code == 200
    for number in range(10):
        assert api.get(f"{_PATH}/{name}-{number}").status_code == 200
    for number in range(10, 30):
        assert api.delete(f"{_PATH}/{name}-{number}").status_code == 200
    for number in range(5):
        assert api.get(f"{_PATH}/{name}-none-{number}").status_code == 404


def counts(stack: Stack, *arguments: str, since: str = "5m") -> dict[str, tuple[int, int]]:
    """Requests and errors by key, without lists and watches."""
    told = document(stack, "top", "--since", since, *arguments)
    validate("top", told)
    rows = (row for row in told["rows"] if row["kind"] == "request")
    return {row["key"]: (row["count"], row["errors"]) for row in rows}


def of_resources(stack: Stack, seconds: float) -> dict[str, tuple[int, int]]:
    return counts(stack, "--by", "resource", since=f"{seconds:.0f}s")


def test_a_scripted_load_is_counted_exactly(stack: Stack) -> None:
    wait_for_api(stack)
    name = f"load-{secrets.token_hex(3)}"
    agent = f"{name}/1"
    left = ("get", "namespaces")
    until("earlier tests' namespaces", lambda: "Terminating" not in stack.kubectl(*left), 60)
    until("a time without requests", lambda: "podtemplates" not in of_resources(stack, _ALONE), 60)
    begin = time.time()

    def since_then() -> dict[str, tuple[int, int]]:
        """Of a longer time: the period ends when the command asks, which is later than now."""
        return of_resources(stack, time.time() - begin + _ALONE / 2)

    with client(stack, agent) as api:
        load(api, name)
        stack.kubectl("label", "podtemplate", f"{name}-0", "by=kubectl")
        kubectls = 2  # a get and a patch
        every = 95 + kubectls
        try:
            until(
                "every request",
                lambda: since_then().get("podtemplates", (0, 0))[0] >= every,
                60,
            )
            assert since_then()["podtemplates"] == (every, 5)
            assert counts(stack)[agent] == (95, 5)
            objects = counts(stack, "--by", "object")
            assert {key: found for key, found in objects.items() if name in key} == {
                f"podtemplates/default/{name}-0": (5 + kubectls, 0),
                **{f"podtemplates/default/{name}-{n}": (5, 0) for n in range(1, 10)},
                **{f"podtemplates/default/{name}-{n}": (2, 0) for n in range(10, 30)},
                **{f"podtemplates/default/{name}-none-{n}": (1, 1) for n in range(5)},
            }
            writers = counts(stack, "--by", "object", f"podtemplates/{name}-0")
            (kubectl,) = writers.keys() - {agent}
            assert kubectl.startswith("kubectl/")
            assert writers == {agent: (4, 0), kubectl: (1, 0)}
        finally:
            for number in range(10):
                api.delete(f"{_PATH}/{name}-{number}")


def test_the_calls_of_a_webhook_are_counted(stack: Stack) -> None:
    wait_for_api(stack)
    name = f"refuses-{secrets.token_hex(3)}"
    nobody = configured(stack, name, "https://127.0.0.1:1/", "limitranges", fails="Fail")
    with client(stack, "hooked/1") as api, nobody:

        def refused() -> bool:
            """The API server learns of a webhook after a moment; nothing is stored."""
            dry = {"dryRun": "All"}
            path = "/api/v1/namespaces/default/limitranges"
            made = {"metadata": {"name": "hooked"}, "spec": {"limits": []}}
            return api.post(path, json=made, params=dry).status_code == 500

        until("a refusal", refused, 60)
        for _ in range(4):
            assert refused()
    calls = until(
        "every call",
        lambda: [
            found
            for found in document(stack, "top", "--by", "webhook")["rows"]
            if (found["key"], found["count"]) == (f"{name}/{name}.example.com", 5)
        ],
        60,
    )
    assert [(found["errors"], found["failedRequests"]) for found in calls] == [(5, 5)]


def test_a_kubelet_is_told_by_its_node(stack: Stack) -> None:
    wait_for_api(stack)
    nodes = stack.kubectl("get", "nodes", "-o", "jsonpath={.items[*].metadata.name}").split()
    until("its lease", lambda: set(nodes) <= counts(stack, "--by", "node").keys(), 60)
    assert counts(stack, "--by", "node").keys() <= {*nodes, "not known"}
