"""Which objects a command's requests wrote, and which pods belong to them."""

from __future__ import annotations

from ktrace.following.pods import PodInfo
from ktrace.following.written_objects import written_objects
from ktrace.recording.object_reference import NO_OBJECT, ObjectReference
from ktrace.recording.requests import RecordedRequest


def request(
    method: str, path: str, status: int, written: ObjectReference = NO_OBJECT
) -> RecordedRequest:
    return RecordedRequest(method, path, started=0, status=status, written=written)


def test_what_was_touched_is_what_was_written_with_success() -> None:
    found = written_objects(
        [
            request("POST", "/api/v1/namespaces/n/pods", 201, ObjectReference("a-x1", "u1")),
            request("DELETE", "/api/v1/namespaces/n/pods/b", 200),
            request("DELETE", "/api/v1/namespaces/n/pods", 200),
            request("DELETE", "/api/v1/namespaces/n/pods/refused", 403),
            request("GET", "/api/v1/namespaces/n/pods/read", 200),
            request("PATCH", "/api/v1/namespaces/labelled", 200),
            request("DELETE", "/api/v1/namespaces/deleted", 200),
        ]
    )
    assert found.uids == {"u1"}
    assert found.pods == {("n", "a-x1"), ("n", "b")}
    assert found.deleted_namespaces == {"deleted"}


def test_a_pod_is_of_an_object_by_any_of_its_owners() -> None:
    written = written_objects(
        [
            request(
                "PATCH",
                "/apis/apps/v1/namespaces/n/deployments/d",
                200,
                ObjectReference("d", "u-d"),
            ),
            request("DELETE", "/api/v1/namespaces/n/pods/a", 200),
            request("DELETE", "/api/v1/namespaces/gone", 200),
        ]
    )
    assert written.include(PodInfo("n", "x", "own", owners=("u-replica-set", "u-d")))
    assert written.include(PodInfo("n", "a", "own"))
    assert written.include(PodInfo("gone", "x", "own"))
    assert not written.include(PodInfo("m", "a", "own", owners=("another",)))
