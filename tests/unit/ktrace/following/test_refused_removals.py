"""Why a deletion or an eviction was refused, and which PodDisruptionBudget is behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from ktrace.bundle import removals
from ktrace.following.cluster_api import ReadError
from ktrace.following.pods import PodInfo, pod_info
from ktrace.following.refused_removals import Budget, RefusedRemoval, refused
from ktrace.recording.refused import Cause, Refused
from ktrace.recording.requests import RecordedRequest

BUDGETS = "/apis/policy/v1/namespaces/n/poddisruptionbudgets"
NEEDS = "The disruption budget web needs 3 healthy pods and has 3 currently"
VIOLATES = Refused("Cannot evict pod.", (Cause("DisruptionBudget", NEEDS),))
SEVERAL = Refused("This pod has more than one PodDisruptionBudget, which ... not support.")


def evicted(why: Refused, status: int = 429, audit_id: str = "id") -> RecordedRequest:
    path = "/api/v1/namespaces/n/pods/a/eviction"
    return RecordedRequest("POST", path, 0, 1, status, audit_id, refused=why)


def budget(name: str, **spec: Any) -> dict[str, Any]:
    status = {"disruptionsAllowed": 0, "currentHealthy": 3, "desiredHealthy": 3, "expectedPods": 3}
    return {"metadata": {"name": name}, "spec": spec, "status": status}


def pod(**labels: str) -> PodInfo:
    meta = {"namespace": "n", "name": "a", "uid": "u", "labels": labels}
    return pod_info({"metadata": meta}, ())


def found(
    *requests: RecordedRequest, items: Any = (), pods: tuple[PodInfo, ...] = ()
) -> list[RefusedRemoval]:
    def read(path: str) -> Mapping[str, Any]:
        assert path == BUDGETS
        if isinstance(items, ReadError):
            raise items
        return {"items": list(items)}

    told = list(refused(requests, pods, read))
    for one in told:
        assert removals.refused(one.document()) == one
    return told


def test_a_budget_is_named_with_what_it_wants() -> None:
    (one,) = found(
        evicted(VIOLATES),
        evicted(VIOLATES, audit_id="second"),
        items=[budget("db", minAvailable=1), budget("web", minAvailable="100%")],
    )
    assert (one.times, one.audit_id, one.message) == (2, "id", f"Cannot evict pod. {NEEDS}")
    assert one.budgets == (Budget("web", {"minAvailable": "100%"}, 0, 3, 3, 3),)
    assert one.unread == ""


@pytest.mark.parametrize(
    ("items", "unread"),
    [
        ([], "no such PodDisruptionBudget is there any more"),
        (
            ReadError("403 Forbidden", 403),
            "the PodDisruptionBudgets cannot be listed: 403 Forbidden",
        ),
    ],
)
def test_what_a_budget_wants_may_not_be_known(items: Any, unread: str) -> None:
    (one,) = found(evicted(VIOLATES), items=items)
    assert (one.message, one.budgets, one.unread) == (f"Cannot evict pod. {NEEDS}", (), unread)


@pytest.mark.parametrize(
    ("selector", "selects"),
    [
        ({}, True),
        (None, False),
        ({"matchLabels": {"app": "web"}}, True),
        ({"matchLabels": {"app": "db"}}, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["db"]}]}, False),
        ({"matchExpressions": [{"key": "x", "operator": "NotIn", "values": ["db"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}, False),
        ({"matchExpressions": [{"key": "app", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, False),
        ({"matchExpressions": [{"key": "app", "operator": "Near"}]}, False),
    ],
)
def test_several_budgets_are_found_by_the_pods_labels(selector: Any, selects: bool) -> None:
    (one,) = found(
        evicted(SEVERAL, 500), items=[budget("one", selector=selector)], pods=(pod(app="web"),)
    )
    assert [budget.name for budget in one.budgets] == ["one"] * selects


def test_a_refusal_without_a_budget_asks_for_none() -> None:
    denied = Refused('admission webhook "keep.example.com" denied the request: keep')
    delete = RecordedRequest(
        "DELETE", "/api/v1/namespaces/n/configmaps/a", 0, 1, 403, "id", refused=denied
    )
    (one,) = refused([delete], (), pytest.fail)
    assert (one.resource, one.status, one.message, one.unread) == (
        "configmaps", 403, denied.message, ""
    )  # fmt: skip


@pytest.mark.parametrize(
    "request_",
    [
        evicted(Refused(), 201),
        RecordedRequest("PATCH", "/api/v1/nodes/a", 0, 1, 403, "id"),
        RecordedRequest("GET", "/api/v1/nodes/a", 0, 1, 404, "id"),
    ],
)
def test_what_removes_or_fails_not_is_left_out(request_: RecordedRequest) -> None:
    assert found(request_) == []
