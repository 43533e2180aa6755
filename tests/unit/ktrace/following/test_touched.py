"""Which objects a command has touched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ktrace.following import touched
from ktrace.following.cluster_api import ReadError
from ktrace.following.followed_pod import FollowedPod
from ktrace.following.owners import PodOwners
from ktrace.recording.object_reference import ObjectReference
from ktrace.recording.requests import RecordedRequest
from tests.fakes.http import FakeServer, Reply, Request, write_kubeconfig

_DEPLOYMENTS = "/apis/apps/v1/namespaces/shop/deployments"
WROTE = RecordedRequest(
    "PATCH", f"{_DEPLOYMENTS}/web", 0, 1, 200, "a", ObjectReference("web", "u-d")
)


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        ({}, {"deployments.apps/shop/web"}),
        ({"path": f"{_DEPLOYMENTS}/web/scale"}, {"deployments.apps/shop/web"}),
        ({"method": "POST", "path": _DEPLOYMENTS}, {"deployments.apps/shop/web"}),
        ({"path": "/api/v1/namespaces/shop"}, {"namespaces/shop"}),
        ({"status": 409}, set()),
        ({"method": "GET"}, set()),
        ({"path": f"{_DEPLOYMENTS}/web?dryRun=All"}, set()),
        (
            {
                "method": "DELETE",
                "path": _DEPLOYMENTS,
                "collection": (ObjectReference("a", "1"), ObjectReference("b", "2")),
            },
            {"deployments.apps/shop/a", "deployments.apps/shop/b"},
        ),
    ],
)
def test_what_a_request_has_written_is_touched(changed: dict[str, Any], names: set[str]) -> None:
    assert touched.objects([replace(WROTE, **changed)], [], []) == names


def test_pods_that_followed_and_the_owners_between_are_touched() -> None:
    pod = FollowedPod("shop", "web-1-a", "u-p", "Running", ())
    owners = ["/apis/apps/v1/namespaces/shop/replicasets/web-1", "/healthz"]
    assert touched.objects([WROTE], [pod], owners) == {
        "deployments.apps/shop/web",
        "replicasets.apps/shop/web-1",
        "pods/shop/web-1-a",
    }


def _owned(by: str, uid: str) -> list[dict[str, Any]]:
    return [{"apiVersion": "apps/v1", "kind": by, "name": uid.removeprefix("u-"), "uid": uid}]


def test_the_owners_of_pods_below_what_was_written_are_known(
    server: FakeServer, tmp_path: Path
) -> None:
    """A stranger's pods have owners too."""
    kinds = {"ReplicaSet": "replicasets", "Deployment": "deployments", "DaemonSet": "daemonsets"}
    resources = [{"kind": kind, "name": name, "namespaced": True} for kind, name in kinds.items()]

    def pod(name: str, owners: list[dict[str, Any]]) -> dict[str, Any]:
        metadata = {"namespace": "n", "name": name, "uid": f"u-{name}", "ownerReferences": owners}
        return {"metadata": metadata, "status": {"phase": "Running"}}

    def answer(request: Request) -> Reply:
        if request.path == "/api/v1/pods":
            listed = [pod("p", _owned("ReplicaSet", "u-rs")), pod("q", _owned("DaemonSet", "u-ds"))]
            return Reply(200, {"items": listed})
        if request.path == "/apis/apps/v1":
            return Reply(200, {"resources": resources})
        name = request.path.rpartition("/")[2]
        owners = _owned("Deployment", "u-d") if name == "rs" else []
        return Reply(200, {"metadata": {"uid": f"u-{name}", "ownerReferences": owners}})

    server.answer = answer
    write_kubeconfig(tmp_path / "config", server.url)
    known = PodOwners(tmp_path / "config")
    known.refresh()
    root = "/apis/apps/v1/namespaces/n"
    assert sorted(known.below({"u-d"})) == [f"{root}/deployments/d", f"{root}/replicasets/rs"]
    assert known.below({"u-rs"}) == [f"{root}/replicasets/rs"]
    assert known.below({"u-other"}) == []
    known.api._resources.clear()
    server.answer = lambda request: Reply(404, {})
    assert known.below({"u-d"}) == [], "the kind is gone"
    server.answer = lambda request: Reply(503, {})
    with pytest.raises(ReadError, match="503"):
        known.below({"u-d"})
