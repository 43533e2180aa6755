"""The watermark reads what decides, and says what all spans at once say."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ktrace.components import KUBELET
from ktrace.expect import watermark
from ktrace.expect.watermark import Source, Watermark
from ktrace.jaeger import paging
from tests.fakes.jaeger import client, span, trace
from tests.fakes.store import Store

BEGIN = 1_700_000_000_000_000
SECOND = 1_000_000
VERSION = "service.version"


def of_process(number: int, node: str, at: int, *of: str) -> dict[str, Any]:
    """A trace of one span; ``of`` are its process's version, its own, and the service."""
    version, hiding, service = of or ("1", "", KUBELET)
    tags = {VERSION: hiding} if hiding else {}
    made = trace(span(service, "any", at, **tags), trace_id=f"t{number}")
    of_node = [{"key": "k8s.node.name", "value": node}] if node else []
    made["processes"][service]["tags"] = [*of_node, {"key": VERSION, "value": version}]
    return made


_ONE = st.tuples(
    st.sampled_from(("a", "b", "")),
    st.integers(-40, 40),
    st.sampled_from(("1", "2")),
    st.sampled_from(("", "", "3")),
    st.sampled_from((KUBELET, KUBELET, "containerd")),
)


@settings(deadline=None, max_examples=40)
@given(
    spans=st.lists(_ONE, max_size=12),
    source=st.sampled_from(
        (Source(KUBELET), Source(KUBELET, ((VERSION, "1"),)), Source("containerd"))
    ),
)
def test_it_says_what_all_spans_at_once_say(
    spans: list[tuple[str, int, str, str, str]], source: Source
) -> None:
    def nodes(least: int, most: int) -> set[str]:
        return {
            node or "a node without a name"
            for node, seconds, version, hiding, service in spans
            if service == source.component
            and least <= seconds <= most
            and (not source.attributes or version == "1" or hiding)
        }

    store = Store(
        of_process(number, node, BEGIN + seconds * SECOND + 10 * number, *of)
        for number, (node, seconds, *of) in enumerate(spans)
    )
    recent, newer = nodes(-30, -1), nodes(0, 40)
    with pytest.MonkeyPatch.context() as patch, client(store.answer) as jaeger:
        patch.setattr(paging, "PAGE", 2)
        patch.setattr(watermark, "_FEW", 2)
        jaeger._most = 2
        behind = Watermark(jaeger, BEGIN).behind(source)
    assert bool(behind) == (not newer or bool(recent - newer))


def test_of_many_newer_spans_few_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store()
    for number in range(2_000):
        store.add(of_process(number, "busy", BEGIN + number * 1_000 + 1))
    store.add(of_process(2_000, "quiet", BEGIN - 20 * SECOND))
    with client(store.answer) as jaeger:
        mark = Watermark(jaeger, BEGIN)
        assert mark.behind(Source(KUBELET)) == "kubelet on quiet"
        first = store.found
        for _ in range(3):
            mark.look_again()
            assert mark.behind(Source(KUBELET)) == "kubelet on quiet"
        assert store.found - first < 3 * 1_600
        store.add(of_process(2_001, "quiet", BEGIN + 1))
        mark.look_again()
        assert not mark.behind(Source(KUBELET))
        read = store.searches
        mark.look_again()
        assert not mark.behind(Source(KUBELET))
        assert store.searches == read
