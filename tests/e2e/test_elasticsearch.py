"""Traces in an Elasticsearch that exists, where the stack has indices of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from runtime_observability.core.naming import Names
from tests.e2e import search_engine
from tests.e2e.ktrace import document, of_spans, shown, whole
from tests.e2e.search_engine import FOREIGN, Elsewhere
from tests.live.pods import pods
from tests.live.stack import Stack

pytestmark = pytest.mark.every_store


@pytest.fixture
def elsewhere(stack: Stack) -> Iterator[Elsewhere]:
    with search_engine.elasticsearch(stack) as found:
        yield found


def test_a_stack_has_its_own_indices_until_it_leaves(stack: Stack, elsewhere: Elsewhere) -> None:
    prefix = Names(stack.name, stack.folder).index_prefix
    assert "acknowledged" in elsewhere.ask("PUT", f"/{FOREIGN}")
    templates = elsewhere.templates()
    stack.settle(**elsewhere.settings())
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


def test_kept_indices_outlive_the_stack_until_it_leaves_without_keeping_them(
    stack: Stack, elsewhere: Elsewhere
) -> None:
    prefix = Names(stack.name, stack.folder).index_prefix
    stack.settle(**elsewhere.settings(), keepTraces=True)
    with pods(stack, "sleep", "300") as single:
        pod = f"{single.name}-0"
        before = shown(stack, pod, whole)
    said = stack.destroy().said
    told = f"its traces stay in indices {prefix}-jaeger-* at {elsewhere.url}, where the next up"
    assert told in " ".join(said.split())
    kept = elsewhere.indices()
    assert any(index.startswith(f"{prefix}-jaeger-span-") for index in kept)

    stack.settle()
    stack.docker("network", "connect", stack.cluster, elsewhere.name)
    stack.settle(**elsewhere.settings(), keepTraces=True)
    assert elsewhere.indices() >= kept
    found = shown(stack, pod, lambda start: start["containersStarted"] == 1)
    assert (found["uid"], found["startedAt"]) == (before["uid"], before["startedAt"])
    stack.settle(**elsewhere.settings())
    stack.settle()
    assert elsewhere.indices() == set()
