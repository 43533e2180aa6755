"""Whose pod a name is, as the API server makes names."""

from __future__ import annotations

import pytest

from ktrace.rollout.kinds import DAEMON_SET, DEPLOYMENT, JOB, REPLICA_SET, STATEFUL_SET, Kind
from ktrace.rollout.named import revision_of
from ktrace.rollout.workload import workload_of
from tests.fakes import rollouts


@pytest.mark.parametrize(
    ("kind", "sets", "pod", "revision"),
    [
        (DEPLOYMENT, ["web-6d4b75cb6"], "web-6d4b75cb6-xwz4t", "web-6d4b75cb6"),
        (DEPLOYMENT, ["web-6d4b75cb6"], "web-5f7d8c9b4-xwz4t", None),
        (DEPLOYMENT, [], "web-5f7d8c9b4-xwz4t", "web-5f7d8c9b4"),
        (DEPLOYMENT, [], "web-5f7d8c9b4-xwaet", None),
        (STATEFUL_SET, [], "web-12", ""),
        (STATEFUL_SET, [], "web-xwz4t", None),
        (DAEMON_SET, [], "web-xwz4t", ""),
        (DAEMON_SET, [], "web-agent-xwz4t", None),
        (REPLICA_SET, [], "web-xwz4t", ""),
        (JOB, [], "web-xwz4t", ""),
        (JOB, [], "web-3-xwz4t", ""),
        (JOB, [], "web-a-xwz4t", None),
    ],
)
def test_a_pod_is_of_a_workload(
    kind: Kind, sets: list[str], pod: str, revision: str | None
) -> None:
    workload = workload_of(kind, rollouts.workload(kind, "web"))
    assert revision_of(workload, sets, pod) == revision
