"""The boot of the session's cluster as a timeline."""

from __future__ import annotations

from tests.e2e.ktrace import document
from tests.live.stack import Stack
from tests.schemas import validate

ORDER = (
    "node created",
    "node started",
    "API server begins",
    "API server serves",
    "controllers begin",
    "kubelet begins",
    "kubelet has registered its node",
)


def test_a_boot_has_its_moments_in_order_with_their_sources(stack: Stack) -> None:
    boot = document(stack, "boot")
    validate("boot", boot)
    assert boot["ready"] is True
    assert [node["name"] for node in boot["nodes"]] == [stack.server]
    told = [line["what"] for line in boot["lines"]]
    order = ORDER[1:] if boot["startedAgain"] else ORDER
    places = [told.index(what) for what in order]
    assert places == sorted(places)
    assert {"Docker", "node's log"} <= {line["source"] for line in boot["lines"]}
    assert any(line["critical"] for line in boot["lines"])
    if not boot["startedAgain"]:
        assert 0 < boot["durationMs"] < 600_000
