"""Rollouts as a real Jaeger and API server told them: bundles of Kubernetes 1.36.3."""

from __future__ import annotations

import pytest

from tests.configuration import PROJECT
from tests.fakes.ktrace import Ktrace
from tests.schemas import validate

FOLDER = PROJECT / "tests/unit/recorded/rollouts"


@pytest.mark.parametrize(
    ("bundle", "verb", "note", "seconds"),
    [
        (
            "rolling-replica-set",
            "create",
            "deployment/web-2bd99b scales it step by step: told is what followed its creation",
            7.49,
        ),
        (
            "rolled-back-replica-set",
            "update",
            "it is older than its pods: told is what followed the write that gave it the first of "
            "those that are there",
            1.52,
        ),
    ],
)
def test_a_replica_set_begins_where_its_deployment_gave_it_pods(
    ktrace: Ktrace, bundle: str, verb: str, note: str, seconds: float
) -> None:
    """It was scaled once for each of its two pods, the other one half a minute after its first."""
    told = ktrace("show", "--from", str(FOLDER / f"{bundle}.json.gz"), "--json").document
    validate("rollout", told)
    (rollout,) = told["rollouts"]
    assert [pod["part"] for pod in rollout["pods"]] == ["new", "new"]
    assert rollout["write"]["verb"] == verb
    assert rollout["write"]["client"] == "kube-controller-manager/v1.36.3"
    assert rollout["begunAt"] == rollout["write"]["at"]
    assert rollout["tookMs"] == pytest.approx(seconds * 1000, abs=10)
    assert note in rollout["notes"]
