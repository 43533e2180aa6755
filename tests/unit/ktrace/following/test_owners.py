"""The cluster's pods and their owners: as far as the user may read them, and read again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ktrace.following.follower import Follower
from ktrace.following.owners import PodOwners
from ktrace.recording.object_reference import ObjectReference
from ktrace.recording.requests import RecordedRequest
from tests.fakes.http import FakeServer, Reply, Request, write_kubeconfig
from tests.fakes.jaeger import client, data

APPS = {
    "resources": [
        {"name": "replicasets", "kind": "ReplicaSet", "namespaced": True},
        {"name": "replicasets/status", "kind": "ReplicaSet", "namespaced": True},
    ]
}
IRREGULAR = {"resources": [{"name": "oxen", "kind": "Ox", "namespaced": False}]}


def owned_by(kind: str, name: str, uid: str, api_version: str = "apps/v1") -> dict[str, Any]:
    reference = {"kind": kind, "name": name, "uid": uid, "apiVersion": api_version}
    return {**reference, "controller": True}


def pod(name: str, uid: str, *owners: dict[str, Any], **more: Any) -> dict[str, Any]:
    meta = {"namespace": "n", "name": name, "uid": uid, "ownerReferences": list(owners), **more}
    conditions = [{"type": "Ready", "status": "True"}]
    return {"metadata": meta, "status": {"phase": "Running", "conditions": conditions}}


def replica_set(uid: str = "u-rs") -> dict[str, Any]:
    owner = owned_by("Deployment", "web", "u-d")
    return {"metadata": {"name": "web-1", "uid": uid, "ownerReferences": [owner]}}


class Cluster:
    """Answers by path: with a document, or with a status alone."""

    def __init__(self, server: FakeServer, folder: Path) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[str] = []
        server.answer = self._answer
        write_kubeconfig(folder / "config", server.url)
        self.owners = PodOwners(folder / "config")

    def _answer(self, request: Request) -> Reply:
        self.asked.append(request.path)
        answer = self.answers.get(request.path, 404)
        return Reply(answer, {}) if isinstance(answer, int) else Reply(200, answer)

    def owners_of(self, uid: str) -> list[str]:
        return list(self.owners.pods[uid].owners)

    def lists(self, *pods: dict[str, Any]) -> None:
        self.answers["/api/v1/pods"] = {"items": list(pods)}
        self.owners.refresh()


@pytest.fixture
def cluster(server: FakeServer, tmp_path: Path) -> Cluster:
    return Cluster(server, tmp_path)


OWNER = "/apis/apps/v1/namespaces/n/replicasets/web-1"
POD = pod("web-1-a", "u-a", owned_by("ReplicaSet", "web-1", "u-rs"))


@pytest.mark.parametrize("failure", [403, 404, 500, 503])
def test_an_owner_that_could_not_be_read_is_read_again(cluster: Cluster, failure: int) -> None:
    cluster.answers = {"/apis/apps/v1": APPS, OWNER: failure}
    cluster.lists(POD)
    assert cluster.owners_of("u-a") == ["u-rs"]
    unread = cluster.owners.unread_owner(cluster.owners.pods["u-a"])
    assert unread.startswith("ReplicaSet web-1 cannot be read") == (failure != 404)
    cluster.answers[OWNER] = replica_set()
    cluster.lists(POD)
    assert cluster.owners_of("u-a") == ["u-rs", "u-d"]
    assert cluster.owners.unread_owner(cluster.owners.pods["u-a"]) == ""
    asked = len(cluster.asked)
    cluster.lists(POD)
    assert OWNER not in cluster.asked[asked:]


def test_an_owner_is_asked_for_once_in_a_refresh(cluster: Cluster) -> None:
    cluster.answers = {"/apis/apps/v1": APPS, OWNER: 503}
    owner = owned_by("ReplicaSet", "web-1", "u-rs")
    cluster.lists(*(pod(f"p{number}", f"u{number}", owner) for number in range(5)))
    assert cluster.asked.count(OWNER) == 1


def test_a_discovery_that_failed_is_asked_for_again(cluster: Cluster) -> None:
    cluster.answers = {"/apis/apps/v1": 503, OWNER: replica_set()}
    cluster.lists(POD)
    assert cluster.owners_of("u-a") == ["u-rs"]
    cluster.answers["/apis/apps/v1"] = APPS
    cluster.lists(POD)
    assert cluster.owners_of("u-a") == ["u-rs", "u-d"]


def test_another_object_of_the_same_name_is_no_owner(cluster: Cluster) -> None:
    cluster.answers = {"/apis/apps/v1": APPS, OWNER: replica_set("u-later")}
    cluster.lists(POD)
    assert cluster.owners_of("u-a") == ["u-rs"]


def test_an_irregular_plural_and_a_cluster_wide_owner_are_found(cluster: Cluster) -> None:
    references = [owned_by("Farm", "f", "u-f", "example.com/v1")]
    ox = {"metadata": {"name": "o", "uid": "u-ox", "ownerReferences": references}}
    cluster.answers = {"/apis/example.com/v1": IRREGULAR, "/apis/example.com/v1/oxen/o": ox}
    cluster.lists(pod("a", "u-a", owned_by("Ox", "o", "u-ox", "example.com/v1")))
    assert cluster.owners_of("u-a") == ["u-ox", "u-f"]


def test_owners_that_own_each_other_end(cluster: Cluster) -> None:
    circle = replica_set()
    circle["metadata"]["ownerReferences"] = [owned_by("ReplicaSet", "web-1", "u-rs")]
    cluster.answers = {"/apis/apps/v1": APPS, OWNER: circle}
    cluster.lists(POD)
    assert cluster.owners_of("u-a") == ["u-rs"]


def test_names_of_the_cluster_are_plain_text(cluster: Cluster) -> None:
    cluster.lists(pod("a\x1b[31m\u202e\n", "u-a"))
    assert cluster.owners.pods["u-a"].name.isprintable()


@pytest.mark.parametrize("answer", [{"items": [{}]}, {"items": [5]}, {"items": 5}, 502])
def test_a_list_that_is_none_is_a_problem(cluster: Cluster, answer: Any) -> None:
    cluster.answers["/api/v1/pods"] = answer
    cluster.owners.refresh()
    assert cluster.owners.problem.startswith("the cluster's pods cannot be listed: ")
    assert len(cluster.owners.problem.splitlines()) == 1
    cluster.lists(POD)
    assert cluster.owners.problem == ""


def test_a_user_of_one_namespace_gets_its_pods(cluster: Cluster) -> None:
    cluster.answers = {
        "/api/v1/pods": 403,
        "/api/v1/namespaces/default/pods": 403,
        "/api/v1/namespaces/n/pods": {"items": [pod("a", "u-a")]},
    }
    cluster.owners.refresh()
    assert "cannot be listed: 403" in cluster.owners.problem
    cluster.owners.look_into(["n", ""])
    cluster.owners.refresh()
    assert cluster.owners.problem == ""
    assert cluster.owners.namespaces == ["n"]
    assert cluster.owners.exists(cluster.owners.pods["u-a"])
    assert cluster.asked.count("/api/v1/pods") == 1


def test_the_namespace_of_the_kubeconfig_is_looked_into(cluster: Cluster) -> None:
    cluster.answers = {"/api/v1/pods": 403, "/api/v1/namespaces/default/pods": {"items": []}}
    cluster.owners.refresh()
    assert cluster.owners.problem == ""
    assert cluster.owners.namespaces == ["default"]


def test_a_namespace_that_was_written_to_and_cannot_be_listed_is_a_problem(
    cluster: Cluster,
) -> None:
    cluster.answers = {
        "/api/v1/pods": 403,
        "/api/v1/namespaces/default/pods": {"items": []},
        "/api/v1/namespaces/n/pods": 403,
    }
    cluster.owners.look_into(["n"])
    cluster.owners.refresh()
    assert cluster.owners.problem == "the pods of namespace n cannot be listed: 403 Forbidden"


@pytest.mark.parametrize(
    ("created", "is_new"), [("1999-01-01T00:00:00Z", False), ("2999-01-01T00:00:00Z", True)]
)
def test_in_a_namespace_that_is_listed_later_a_pod_is_new_by_its_creation(
    cluster: Cluster, created: str, is_new: bool
) -> None:
    cluster.answers = {"/api/v1/pods": 403, "/api/v1/namespaces/default/pods": {"items": []}}
    cluster.owners.refresh()
    later = pod("a", "u-a", creationTimestamp=created)
    cluster.answers["/api/v1/namespaces/n/pods"] = {"items": [later]}
    cluster.owners.look_into(["n"])
    cluster.owners.refresh()
    assert cluster.owners.is_new(cluster.owners.pods["u-a"]) is is_new


# --- what a controller makes after one of its pods was removed ------------------------------------

PATH = "/api/v1/namespaces/n/pods/a"
DELETED = RecordedRequest("DELETE", PATH, 0, 1, 200, "", ObjectReference("a", "u-a"))
DELETED_BY_NAME = RecordedRequest("DELETE", PATH, 0, 1, 200)
EVICTED = RecordedRequest("POST", f"{PATH}/eviction", 0, 1, 201)
COLLECTION = RecordedRequest(
    "DELETE", "/api/v1/namespaces/n/pods", 0, 1, 200, collection=(ObjectReference("a", "u-a"),)
)


def followed(
    cluster: Cluster,
    request: RecordedRequest,
    before: list[dict[str, Any]],
    after: list[dict[str, Any]],
) -> dict[str, str]:
    """The causes of the pods that follow, by their names."""
    cluster.lists(*before)
    cluster.lists(*after)
    follower = Follower(client(lambda _: data()), cluster.owners, [request], since=0)
    follower.follow(0)
    return {found.name: found.cause for found in follower.followed.pods}


@pytest.mark.parametrize("kind", ["ReplicaSet", "Job", "StatefulSet", "DaemonSet", "Rollout"])
@pytest.mark.parametrize("request_", [DELETED, DELETED_BY_NAME, EVICTED, COLLECTION])
def test_a_removed_pods_replacement_is_shown(
    cluster: Cluster, request_: RecordedRequest, kind: str
) -> None:
    owner, other = owned_by(kind, "web", "u-o"), owned_by(kind, "db", "u-x")
    before = [pod("a", "u-a", owner), pod("b", "u-b", owner)]
    after = [pod("b", "u-b", owner), pod("c", "u-c", owner), pod("d", "u-d", other)]
    found = followed(cluster, request_, before, after)
    assert found == {"a": "", "c": f"new pod of {kind} web, of which pod a was removed"}


def test_a_pod_of_the_same_name_is_a_replacement(cluster: Cluster) -> None:
    owner = owned_by("StatefulSet", "web", "u-o")
    cluster.lists(pod("a", "u-a", owner))
    cluster.lists(pod("a", "u-a2", owner))
    follower = Follower(client(lambda _: data()), cluster.owners, [DELETED], since=0)
    follower.follow(0)
    found = {pod.uid: pod.outcome for pod in follower.followed.pods}
    assert found == {"u-a": "ended", "u-a2": "waiting"}


@pytest.mark.parametrize(
    "request_",
    [
        RecordedRequest("DELETE", PATH, 0, 1, 404),
        RecordedRequest("DELETE", PATH, 0, 1, 200, dry_run=True),
        RecordedRequest("PATCH", PATH, 0, 1, 200),
        RecordedRequest("POST", f"{PATH}/exec", 0, 1, 101),
    ],
)
def test_what_removes_nothing_has_no_replacement(
    cluster: Cluster, request_: RecordedRequest
) -> None:
    owner = owned_by("ReplicaSet", "web", "u-o")
    before = [pod("a", "u-a", owner)]
    assert followed(cluster, request_, before, [*before, pod("c", "u-c", owner)]) == {}


def test_a_pod_without_a_controller_has_no_replacement(cluster: Cluster) -> None:
    bare = owned_by("Thing", "t", "u-o") | {"controller": False}
    assert followed(cluster, DELETED, [pod("a", "u-a", bare)], [pod("c", "u-c", bare)]) == {"a": ""}


@pytest.mark.parametrize("kind", ["Node", "CronJob"])
def test_what_comes_by_itself_is_no_replacement(cluster: Cluster, kind: str) -> None:
    owner = owned_by(kind, "x", "u-o")
    before, after = [pod("a", "u-a", owner)], [pod("c", "u-c", owner)]
    assert followed(cluster, DELETED, before, after) == {"a": ""}


def test_a_removed_replica_set_is_replaced_by_its_deployment(cluster: Cluster) -> None:
    cluster.answers = {
        "/apis/apps/v1": APPS,
        OWNER: replica_set(),
        "/apis/apps/v1/namespaces/n/replicasets/web-2": replica_set("u-rs2"),
    }
    removed = RecordedRequest("DELETE", OWNER, 0, 1, 200, "", ObjectReference("web-1", "u-rs"))
    new = pod("web-2-a", "u-new", owned_by("ReplicaSet", "web-2", "u-rs2"))
    found = followed(cluster, removed, [POD], [new])
    assert found == {
        "web-1-a": "",
        "web-2-a": "new pod of Deployment web, of which an object was removed",
    }


def test_several_removed_pods_are_named(cluster: Cluster) -> None:
    owner = owned_by("ReplicaSet", "web", "u-o")
    cluster.lists(pod("a", "u-a", owner), pod("b", "u-b", owner))
    assert cluster.owners.replacing({"u-a", "u-b", "u-unknown"}) == {
        "u-o": "new pod of ReplicaSet web, of which pods a, b were removed"
    }


def test_a_new_pod_whose_owners_are_not_known_is_a_problem(cluster: Cluster) -> None:
    cluster.answers = {"/apis/apps/v1": APPS, OWNER: 403}
    cluster.lists()
    cluster.lists(POD)
    path = "/apis/apps/v1/namespaces/n/deployments"
    written = RecordedRequest("POST", path, 0, 1, 201, "", ObjectReference("web", "u"))
    silent = client(lambda _: data())
    assert Follower(silent, cluster.owners, [written], since=0).problem == (
        "the owners of new pod n/web-1-a are not known: ReplicaSet web-1 cannot be read: "
        "403 Forbidden"
    )
    read = RecordedRequest("GET", "/api/v1/namespaces/n/pods", 0, 1, 200)
    assert Follower(silent, cluster.owners, [read], since=0).problem == ""
