"""Whether the objects that a command deleted are gone, and what holds those that are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ktrace.bundle import removals
from ktrace.following.cluster_api import ClusterApi
from ktrace.following.follower import Followed
from ktrace.following.pods import PodInfo, pod_info
from ktrace.following.removed import Removed, RemovedObjects
from ktrace.recording.object_reference import ObjectReference
from ktrace.recording.requests import RecordedRequest
from ktrace.view.removals import of_request
from tests.fakes.http import FakeServer, Reply, Request, write_kubeconfig

AT = "2026-11-28T20:10:59Z"
HELD = {"name": "a", "uid": "u-a", "deletionTimestamp": AT, "finalizers": ["example.com/hold"]}


def deleted(path: str, name: str = "a", uid: str = "u-a") -> RecordedRequest:
    return RecordedRequest("DELETE", path, 0, 1, 200, "id", ObjectReference(name, uid))


CONFIG_MAP = deleted("/api/v1/namespaces/n/configmaps/a")
NAMESPACE = deleted("/api/v1/namespaces/a")
CLAIM = deleted("/api/v1/namespaces/n/persistentvolumeclaims/a")


@pytest.fixture
def look(server: FakeServer, tmp_path: Path) -> Callable[..., list[Removed]]:
    """What is found of the requests' objects, of which the server has ``answers`` by path."""

    def make(
        requests: list[RecordedRequest],
        answers: dict[str, Any],
        pods: tuple[PodInfo, ...] = (),
    ) -> list[Removed]:
        def answer(request: Request) -> Reply:
            found = answers.get(request.path, 404)
            return Reply(found, {}) if isinstance(found, int) else Reply(200, found)

        server.answer = answer
        write_kubeconfig(tmp_path / "config", server.url)
        objects = RemovedObjects(ClusterApi(tmp_path / "config"), requests)
        objects.look(objects.left, pods)
        for one in objects.found:
            assert removals.removed(one.document()) == one
        return list(objects.found)

    return make


def test_one_that_is_gone_is_told_as_gone(look: Callable[..., list[Removed]]) -> None:
    (found,) = look([CONFIG_MAP], {})
    assert (found.resource, found.namespace, found.name, found.state) == (
        "configmaps", "n", "a", "gone"
    )  # fmt: skip


def test_one_that_another_replaces_is_gone(look: Callable[..., list[Removed]]) -> None:
    (found,) = look([CONFIG_MAP], {CONFIG_MAP.path: {"metadata": {"name": "a", "uid": "u-new"}}})
    assert (found.state, found.made_again) == ("gone", None)


def test_one_that_somebody_makes_again_is_told(server: FakeServer, tmp_path: Path) -> None:
    """Also after it was seen to be gone."""
    fields = [
        {"manager": "later", "time": "2026-11-28T20:11:30Z"},
        {"manager": "x", "subresource": "status", "time": AT},
        {"manager": "operator", "time": AT},
    ]
    made = {"name": "a", "uid": "u-new", "creationTimestamp": AT, "managedFields": fields}
    server.answer = lambda _: Reply(404, {})
    write_kubeconfig(tmp_path / "config", server.url)
    objects = RemovedObjects(ClusterApi(tmp_path / "config"), [CONFIG_MAP])
    objects.look(objects.left, ())
    (gone,) = objects.found
    objects.look_again(objects.gone)
    assert objects.found == (gone,), "none has its name"
    server.answer = lambda _: Reply(200, {"metadata": made})
    objects.look_again(objects.gone)
    (found,) = objects.found
    assert removals.removed(found.document()) == found
    followed = Followed([], {}, quiet=True, removed=(found,))
    assert list(of_request(followed, CONFIG_MAP)) == [
        "another configmaps n/a exists now, made at 2026-11-28 20:10:59 UTC, by field manager "
        "operator"
    ]


def test_finalizers_hold_one(look: Callable[..., list[Removed]]) -> None:
    (found,) = look([CONFIG_MAP], {CONFIG_MAP.path: {"metadata": HELD}})
    assert (found.state, found.finalizers) == ("terminating", ("example.com/hold",))
    assert found.since
    assert found.since.isoformat() == "2026-11-28T20:10:59+00:00"


def test_a_namespace_tells_itself_what_it_waits_for(look: Callable[..., list[Removed]]) -> None:
    conditions = [
        {"type": "NamespaceDeletionDiscoveryFailure", "status": "False", "message": "fine"},
        {"type": "NamespaceContentRemaining", "status": "True", "message": "1 configmap"},
    ]
    document = {
        "metadata": {"name": "a", "uid": "u-a", "deletionTimestamp": AT},
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"conditions": conditions},
    }
    (found,) = look([NAMESPACE], {NAMESPACE.path: document})
    assert found.finalizers == ("kubernetes",)
    assert found.conditions == ("NamespaceContentRemaining: 1 configmap",)


def using(name: str, claim: str, node: str) -> PodInfo:
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": claim}}
    spec = {"nodeName": node, "volumes": [{"name": "tmp", "emptyDir": {}}, volume]}
    return pod_info({"metadata": {"namespace": "n", "name": name, "uid": name}, "spec": spec}, ())


def test_the_pods_that_use_a_claim_are_named(look: Callable[..., list[Removed]]) -> None:
    pods = (using("p", "a", "node"), using("q", "b", "node"), using("r", "a", ""))
    held = HELD | {"finalizers": ["kubernetes.io/pvc-protection"]}
    (found,) = look([CLAIM], {CLAIM.path: {"metadata": held}}, pods)
    assert found.used_by == ("p",)
    (other,) = look([CLAIM], {CLAIM.path: {"metadata": HELD}}, pods)
    assert other.used_by == (), "another finalizer holds it"


@pytest.mark.parametrize(
    ("request_", "answer", "state", "reason"),
    [
        (CONFIG_MAP, 403, "unknown", "403 Forbidden"),
        (CONFIG_MAP, {"metadata": {"name": "a", "uid": "u-a"}}, "there", ""),
        (
            deleted(CONFIG_MAP.path, uid=""),
            {"metadata": {"name": "a", "uid": "u-a"}},
            "unknown",
            "an object of its name exists, and the answer to the request has no uid",
        ),
    ],
)
def test_what_is_not_known_is_said(
    look: Callable[..., list[Removed]],
    request_: RecordedRequest,
    answer: Any,
    state: str,
    reason: str,
) -> None:
    (found,) = look([request_], {request_.path: answer})
    assert (found.state, found.reason) == (state, reason)


def test_each_object_of_a_collection_is_looked_at(look: Callable[..., list[Removed]]) -> None:
    path = "/apis/example.com/v1/namespaces/n/widgets"
    items = (ObjectReference("a", "u-a"), ObjectReference("b", "u-b"))
    collection = RecordedRequest("DELETE", f"{path}?x=y", 0, 1, 200, "id", collection=items)
    found = look([collection], {f"{path}/a": {"metadata": HELD}})
    assert [(one.resource, one.name, one.state) for one in found] == [
        ("widgets.example.com", "a", "terminating"),
        ("widgets.example.com", "b", "gone"),
    ]


@pytest.mark.parametrize(
    "request_",
    [
        deleted("/api/v1/namespaces/n/pods/a"),
        RecordedRequest("POST", "/api/v1/namespaces/n/pods/a/eviction", 0, 1, 201, "id"),
        RecordedRequest("DELETE", CONFIG_MAP.path, 0, 1, 404, "id"),
        RecordedRequest("DELETE", CONFIG_MAP.path, 0, 1, 200, "id", dry_run=True),
        RecordedRequest("PATCH", CONFIG_MAP.path, 0, 1, 200, "id"),
    ],
)
def test_pods_and_what_deletes_nothing_are_left_out(
    look: Callable[..., list[Removed]], request_: RecordedRequest
) -> None:
    assert look([request_], {}) == []


def test_a_server_that_is_silent_is_asked_once(server: FakeServer, tmp_path: Path) -> None:
    write_kubeconfig(tmp_path / "config", "http://127.0.0.1:1")
    objects = RemovedObjects(ClusterApi(tmp_path / "config"), [CONFIG_MAP, NAMESPACE])
    objects.look(objects.left, ())
    assert [one.state for one in objects.found] == ["unknown", "unknown"]
    assert all(one.reason for one in objects.found)
    assert objects.settled
