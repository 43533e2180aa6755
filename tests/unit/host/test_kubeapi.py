"""Why a cluster cannot be reached, in one line."""

from __future__ import annotations

import threading
from http.client import RemoteDisconnected
from pathlib import Path
from typing import Any

import pytest
import urllib3
import yaml
from kubernetes import client

from runtime_observability.host import kubeapi
from tests.fakes.http import FakeServer, Reply, Request, write_kubeconfig

POOL = urllib3.HTTPConnectionPool("127.0.0.1", 9)
CONNECTION = urllib3.connection.HTTPConnection("127.0.0.1", 9)
CLOSED = RemoteDisconnected("Remote end closed")
REFUSED = urllib3.exceptions.NewConnectionError(CONNECTION, "x: Connection refused")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (client.ApiException(status=401, reason="Unauthorized"), "401 Unauthorized"),
        (urllib3.exceptions.MaxRetryError(POOL, "/api", REFUSED), "Connection refused"),
        (urllib3.exceptions.HTTPError("Read timed out."), "Read timed out."),
        (urllib3.exceptions.ProtocolError("Connection aborted.", CLOSED), "Remote end closed"),
        (urllib3.exceptions.HTTPError(), "HTTPError"),
    ],
)
def test_the_root_cause_is_told(error: Exception, reason: str) -> None:
    assert kubeapi.reason(error) == reason


# --- a kubeconfig that somebody edited ------------------------------------------------------------

DATA = "c2VjcmV0"


@pytest.mark.parametrize(
    ("kind", "entry", "reason"),
    [
        ("cluster", {"certificate-authority-data": DATA}, "its cluster has no server"),
        ("cluster", {"server": None, "certificate-authority-data": DATA}, "Expected key server"),
        ("cluster", {"server": 5}, "does not have a kubeconfig's shape"),
        ("cluster", None, "Expected key cluster"),
        ("user", {"client-certificate-data": DATA, "client-key-data": DATA}, "PEM lib"),
        ("user", None, "Expected key user"),
        ("context", None, "Expected key context"),
    ],
)
def test_an_edited_kubeconfig_is_told_in_one_line(
    tmp_path: Path, kind: str, entry: Any, reason: str
) -> None:
    path = tmp_path / "kubeconfig"
    write_kubeconfig(path, "https://127.0.0.1:6550")
    document = yaml.safe_load(path.read_text())
    document[f"{kind}s"][0][kind] = entry
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(kubeapi.KubeconfigError) as refused:
        kubeapi.configuration(path)
    told = str(refused.value)
    assert told.startswith(f"{path} cannot be used: ")
    assert reason in told
    assert "\n" not in told
    assert DATA not in told


@pytest.mark.parametrize("text", ["", "{", "5", "[]", "\0", "\udcff", "clusters: 7"])
def test_what_is_no_kubeconfig_is_told_in_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(kubeapi.KubeconfigError) as refused:
        kubeapi.configuration(path)
    assert str(refused.value).startswith(f"{path} cannot be used: ")
    assert "\n" not in str(refused.value)


# --- a request ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "told", "passing"),
    [
        (Reply(403, {"message": "nodes is forbidden"}), "403 nodes is forbidden", False),
        (Reply(503, "starting"), "503 Service Unavailable", True),
        (Reply(429, {"message": "slow down"}), "429 slow down", True),
        (Reply(200, "<html>"), "without a JSON object", False),
        (Reply(200, ["a"]), "without a JSON object", False),
    ],
)
def test_what_is_no_answer_is_told_and_whether_it_passes(
    server: FakeServer, tmp_path: Path, reply: Reply, told: str, passing: bool
) -> None:
    write_kubeconfig(tmp_path / "config", server.url)
    server.answer = lambda _: reply
    with pytest.raises(kubeapi.RequestError) as failed:
        kubeapi.get(tmp_path / "config", "/api/v1/nodes", 5)
    assert told in str(failed.value)
    assert failed.value.passing is passing
    assert len(server.requests) == 1, "the caller decides how often to try"


def test_where_nothing_listens_waiting_does_not_help(tmp_path: Path) -> None:
    write_kubeconfig(tmp_path / "config", "http://127.0.0.1:9")
    with pytest.raises(kubeapi.RequestError, match="Connection refused") as failed:
        kubeapi.get(tmp_path / "config", "/api", 5)
    assert (failed.value.passing, failed.value.status) == (False, None)


def test_a_slow_answer_may_come_the_next_time(server: FakeServer, tmp_path: Path) -> None:
    write_kubeconfig(tmp_path / "config", server.url)
    ended = threading.Event()

    def late(_: Request) -> Reply:
        ended.wait(10)
        return Reply(200, {})

    server.answer = late
    with pytest.raises(kubeapi.RequestError, match=r"timed out|timeout") as failed:
        kubeapi.get(tmp_path / "config", "/api", 0.1)
    ended.set()
    assert failed.value.passing
