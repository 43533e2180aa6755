"""Traces in an Elasticsearch that exists, where the stack has indices of its own."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from lab.build import elasticsearch
from runtime_observability.core.naming import Names
from tests import lacking
from tests.e2e.ktrace import document, of_spans, shown, whole
from tests.live.pods import pods
from tests.live.stack import Stack
from tests.live.waiting import until

pytestmark = pytest.mark.every_store
STORE = {"traceStore": "elasticsearch", "traceRetention": "7d"}
FOREIGN = "traced-other-0123456789abcdef-jaeger-span-2020-01-31"
_START_SECONDS = 180


class Elsewhere:
    """One that is no part of the stack; the stack's containers reach it by its name."""

    def __init__(self, stack: Stack) -> None:
        self.docker, self._curl = stack.docker, stack.config["curlImage"]
        self.name = f"traced-{stack.name}-elasticsearch-{secrets.token_hex(2)}"
        self.url = f"http://{self.name}:9200"
        arguments = elasticsearch.arguments(elasticsearch.HOME, "/tmp", 256)  # noqa: S108
        arguments += ["http.host=0.0.0.0", "transport.host=127.0.0.1"]
        self.docker(
            "run", "--detach", "--name", self.name, "--network", stack.cluster,
            elasticsearch.IMAGE.reference, *arguments,
        )  # fmt: skip
        until("an answer from it", lambda: self.ask("GET", "/_cluster/health"), _START_SECONDS)

    def ask(self, method: str, path: str) -> str:
        """Empty without an answer."""
        run = ["run", "--rm", "--network", f"container:{self.name}", self._curl]
        url = f"http://127.0.0.1:9200{path}"
        return self.docker(*run, "--silent", "--request", method, url, check=False)

    def indices(self) -> set[str]:
        listed: list[dict[str, Any]] = json.loads(self.ask("GET", "/_cat/indices?format=json"))
        return {str(index["index"]) for index in listed}

    def templates(self) -> set[str]:
        composed = json.loads(self.ask("GET", "/_index_template"))["index_templates"]
        return {*json.loads(self.ask("GET", "/_template")), *(each["name"] for each in composed)}


@pytest.fixture
def elsewhere(stack: Stack) -> Iterator[Elsewhere]:
    if not stack.docker.exists(elasticsearch.IMAGE.reference):
        reason = f"there is no {elasticsearch.IMAGE.reference}: `make test-stores` builds it"
        lacking.refuse(reason)
    found = Elsewhere(stack)
    try:
        yield found
    finally:
        stack.settle()
        stack.docker("rm", "--force", "--volumes", found.name)


def test_a_stack_has_its_own_indices_until_it_leaves(stack: Stack, elsewhere: Elsewhere) -> None:
    prefix = Names(stack.name, stack.folder).index_prefix
    assert "acknowledged" in elsewhere.ask("PUT", f"/{FOREIGN}")
    templates = elsewhere.templates()
    stack.settle(**STORE, elasticsearchUrls=[elsewhere.url])
    stack.expect_no_changes()
    with pods(stack, "sleep", "300") as single:
        pod = f"{single.name}-0"
        shown(stack, pod, whole)
        found = document(stack, "show", pod)
        assert found["complete"]
        document(stack, "verify")
        stack.docker("restart", "--time", "60", stack.jaeger)
        assert of_spans(shown(stack, pod, whole)) == of_spans(found)
    own = elsewhere.indices() - {FOREIGN}
    assert any(index.startswith(f"{prefix}-jaeger-span-") for index in own)
    assert all(index.startswith(f"{prefix}-jaeger-") for index in own)

    stack.settle()
    assert elsewhere.indices() == {FOREIGN}
    assert elsewhere.templates() == templates
