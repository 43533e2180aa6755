"""What a request asked for, and the forwarder that sees it."""

from __future__ import annotations

import stat
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import yaml

from ktrace.consequences import PodInfo, is_of, touched
from ktrace.errors import UnreachableError
from ktrace.proxy import recording
from ktrace.requests import Request, Seen, parse
from tests.fakes.http import FakeServer, Reply, write_kubeconfig

POD = {"kind": "Pod", "metadata": {"name": "a-x1", "namespace": "n", "uid": "u1"}}
DELETED = {"kind": "Status", "details": {"name": "a", "uid": "u2"}}


@pytest.mark.parametrize(
    ("method", "path", "answer", "wanted"),
    [
        ("GET", "/version", None, Request("get")),
        ("GET", "/apis", None, Request("get")),
        ("GET", "/api/v1/nodes", None, Request("list", "", "nodes")),
        ("GET", "/api/v1/pods?watch=true", None, Request("watch", "", "pods")),
        ("GET", "/api/v1/namespaces/n", None, Request("get", "", "namespaces", "", "n")),
        (
            "POST",
            "/api/v1/namespaces/n/pods",
            POD,
            Request("create", "", "pods", "n", "a-x1", "u1"),
        ),
        (
            "PATCH",
            "/apis/apps/v1/namespaces/n/deployments/a/scale",
            None,
            Request("patch", "apps", "deployments/scale", "n", "a"),
        ),
        (
            "DELETE",
            "/apis/apps/v1/namespaces/n/deployments/a",
            DELETED,
            Request("delete", "apps", "deployments", "n", "a", "u2"),
        ),
        ("DELETE", "/api/v1/namespaces/n/pods", None, Request("deletecollection", "", "pods", "n")),
    ],
)
def test_paths_are_read_as_the_api_server_reads_them(
    method: str, path: str, answer: object, wanted: Request
) -> None:
    assert parse(method, path, answer) == wanted


def test_a_dry_run_and_a_read_write_nothing() -> None:
    assert parse("POST", "/api/v1/namespaces/n/pods").writes
    assert not parse("POST", "/api/v1/namespaces/n/pods?dryRun=All").writes
    assert not parse("GET", "/api/v1/namespaces/n/pods").writes
    assert not parse("POST", "/version").writes


def seen(method: str, path: str, status: int, answer: object = None) -> Seen:
    return Seen(method, path, began=0, status=status, answer=answer)


def test_what_was_touched_is_what_was_written_with_success() -> None:
    uids, pods = touched(
        [
            seen("POST", "/api/v1/namespaces/n/pods", 201, POD),
            seen("DELETE", "/api/v1/namespaces/n/pods/b", 200),
            seen("DELETE", "/api/v1/namespaces/n/pods/refused", 403),
            seen("GET", "/api/v1/namespaces/n/pods/read", 200),
        ]
    )
    assert uids == {"u1"}
    assert pods == {("n", "a-x1"), ("n", "b")}


def test_a_pod_is_of_an_object_by_any_of_its_owners() -> None:
    pod = PodInfo("n", "a", "own", "Running", ("replica-set", "deployment"))
    assert is_of(pod, {"deployment"}, set())
    assert is_of(pod, {"own"}, set())
    assert is_of(pod, set(), {("n", "a")})
    assert not is_of(pod, {"another"}, {("m", "a")})


def test_every_answer_is_passed_on_and_its_audit_id_kept(
    server: FakeServer, tmp_path: Path
) -> None:
    server.answer = lambda request: Reply(
        201 if request.method == "POST" else 404, POD, {"Audit-Id": f"id-{request.method}"}
    )
    write_kubeconfig(tmp_path / "config", server.url)
    with recording(tmp_path / "config") as (own, recorder):
        assert stat.S_IMODE(own.stat().st_mode) == 0o600
        document = yaml.safe_load(own.read_text())
        (cluster,) = document["clusters"]
        assert document["users"][0]["user"] == {}
        url = cluster["cluster"]["server"]
        assert urlsplit(url).hostname == "127.0.0.1"
        created = httpx.post(f"{url}/api/v1/namespaces/n/pods?x=1", json={"a": 1})
        absent = httpx.get(f"{url}/api/v1/namespaces/n/pods/b")
        outsider = httpx.get(url.rpartition("/")[0] + "/api/v1/pods")
    assert (created.status_code, created.json()) == (201, POD)
    assert (absent.status_code, outsider.status_code) == (404, 403)
    assert [(each.method, each.audit_id, each.status) for each in recorder.seen] == [
        ("POST", "id-POST", 201),
        ("GET", "id-GET", 404),
    ]
    (asked,) = server.asked("POST", "/api/v1/namespaces/n/pods?x=1")
    assert asked.body == {"a": 1}
    assert not own.exists()


def test_a_cluster_that_is_not_there_is_said_before_the_command_runs(tmp_path: Path) -> None:
    write_kubeconfig(tmp_path / "config", "http://127.0.0.1:9")
    with (
        pytest.raises(UnreachableError, match=r"cannot be asked: .*refused"),
        recording(tmp_path / "config"),
    ):
        pytest.fail("the command must not run")
