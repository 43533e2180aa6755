"""A pod's start is the same in every store."""

from __future__ import annotations

import pytest

from ktrace.bundle import sending
from ktrace.jaeger import Jaeger
from ktrace.jaeger.model import trace_of
from ktrace.podstart import cluster, search
from ktrace.podstart.in_progress import until_observed
from ktrace.podstart.search import look_for_start
from ktrace.view.start import document
from tests.contract import recordings
from tests.fakes import starts
from tests.fakes.clock import Clock

URL = "http://jaeger"


@pytest.mark.parametrize("with_cluster", [True, False], ids=["with the cluster", "spans alone"])
@pytest.mark.parametrize("kind", recordings.KINDS)
def test_a_start_is_shown_as_it_was_recorded(
    jaeger: Jaeger, kind: str, with_cluster: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = recordings.load(kind)
    Clock(found.now / 1e6).drive(monkeypatch, search)
    name = found.pod["metadata"]["name"]
    known = cluster.read(starts.Api(found.pod, *found.events), "default", name)
    shown = look_for_start(jaeger, "default", name, known=known if with_cluster else None)
    recorded = starts.jaeger(*recordings.traces())
    wanted = look_for_start(recorded, "default", name, known=known if with_cluster else None)
    assert (shown is None) == (wanted is None)
    if shown and wanted:
        assert document(until_observed(shown), URL) == document(until_observed(wanted), URL)


def test_a_trace_that_is_there_is_not_sent_again(jaeger: Jaeger) -> None:
    """A search engine is asked for an id in the indices of max_span_age alone."""
    there = map(trace_of, recordings.traces())
    assert not [found.id for found in there if sending._lacks(jaeger, found)]
