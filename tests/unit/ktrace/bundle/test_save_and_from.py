"""What --save writes answers as the cluster did, without it; and broken files are one line."""

from __future__ import annotations

import gzip
import json
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fakes import recorded, recorded_pods, starts
from tests.fakes.http import FakeServer, Reply, Request, write_kubeconfig
from tests.fakes.jaeger import served
from tests.fakes.ktrace import Done, Ktrace
from tests.schemas import validate
from tests.unit.ktrace.bundle.test_objects import RECORDED

SHOWN = [(version, kind) for version, kind in RECORDED if version == "v1.36"]


@pytest.fixture
def servers(server: FakeServer, api: FakeServer) -> tuple[FakeServer, FakeServer]:
    """Jaeger and the API server."""
    return server, api


@pytest.fixture
def cluster(
    server: FakeServer, api: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[recorded_pods.Recorded], list[str]]:
    """Serves a recorded pod; returns the options that name that cluster and its Jaeger."""
    monkeypatch.setattr(time, "sleep", lambda _: None)

    def serve(found: recorded_pods.Recorded) -> list[str]:
        def answer(request: Request) -> Reply:
            if request.path == "/version":
                return Reply(body={"gitVersion": "v1.36.3"})
            if "/events?" in request.path:
                return Reply(body={"kind": "EventList", "items": list(found.events)})
            if request.path.endswith(f"/pods/{found.pod['metadata']['name']}"):
                return Reply(body={"kind": "Pod", **found.pod})
            return Reply(404, {"message": "no such thing"})

        api.answer = answer
        server.answer = served(starts.handler(*found.traces))
        write_kubeconfig(tmp_path / "kubeconfig", api.url)
        return ["--jaeger", server.url, "--kubeconfig", str(tmp_path / "kubeconfig")]

    return serve


@pytest.fixture
def saved(
    ktrace: Ktrace, cluster: Callable[[recorded_pods.Recorded], list[str]], tmp_path: Path
) -> Path:
    """A bundle of a start that waits for a secret which does not exist."""
    found = recorded_pods.load("v1.36", "missing-secret")
    file = tmp_path / "start.json"
    name = found.pod["metadata"]["name"]
    done = ktrace("show", name, *cluster(found), "--timeout", "0", "--save", str(file))
    assert "saved" in done.stderr
    return file


@pytest.mark.parametrize("recording", SHOWN, ids="/".join)
def test_a_start_is_shown_from_the_file_as_it_was(
    ktrace: Ktrace,
    cluster: Callable[[recorded_pods.Recorded], list[str]],
    tmp_path: Path,
    servers: tuple[FakeServer, FakeServer],
    recording: tuple[str, str],
) -> None:
    """Byte for byte, of a start that goes on too, with no request to anything."""
    server, api = servers
    found = recorded_pods.load(*recording)
    file, name = tmp_path / "start.json", found.pod["metadata"]["name"]
    live = ktrace("show", name, *cluster(found), "--timeout", "1", "--save", str(file), "--json")
    asked = len(server.requests), len(api.requests)
    again = ktrace("show", name, "--from", str(file), "--json")
    assert (again.returncode, again.stdout, again.stderr) == (live.returncode, live.stdout, "")
    assert ktrace("show", "--from", str(file), "--json").stdout == live.stdout
    text = ktrace("show", "--from", str(file))
    assert name in text.lines[0]
    assert (len(server.requests), len(api.requests)) == asked
    document = json.loads(file.read_text())
    validate("bundle", document)
    assert document["answer"] == live.document
    assert document["versions"]["kubernetes"] == "v1.36.3"


def test_an_api_server_that_gave_no_answer_gives_none_from_the_file(
    ktrace: Ktrace,
    cluster: Callable[[recorded_pods.Recorded], list[str]],
    tmp_path: Path,
    servers: tuple[FakeServer, FakeServer],
) -> None:
    found = recorded_pods.load("v1.36", "slow-ready")
    file, name = tmp_path / "start.json", found.pod["metadata"]["name"]
    options = cluster(found)
    write_kubeconfig(tmp_path / "kubeconfig", "http://127.0.0.1:9")
    live = ktrace("show", name, *options, "--timeout", "0", "--save", str(file), "--json")
    again = ktrace("show", name, "--from", str(file), "--json")
    assert live.document["pod"]
    assert (again.returncode, again.stdout) == (live.returncode, live.stdout)
    assert servers[1].requests == []


CLAIM = "/apis/resource.k8s.io/v1/namespaces/default/resourceclaims"
CLAIMS = {
    "allocated": Reply(body={"status": {"allocation": {"devices": {}}}}),
    "waits": Reply(body={"status": {}}),
}


@pytest.mark.parametrize(
    ("name", "template", "told"),
    [
        ("waits", "", "; resource claim waits is not allocated"),
        ("allocated", "", "waiting for the scheduler"),
        ("absent", "", "resource claim absent does not exist"),
        ("", "made", "; the pod has no resource claim of template made yet"),
    ],
)
def test_a_pods_claims_are_told_from_the_file(
    ktrace: Ktrace,
    cluster: Callable[[recorded_pods.Recorded], list[str]],
    servers: tuple[FakeServer, FakeServer],
    tmp_path: Path,
    *,
    name: str,
    template: str,
    told: str,
) -> None:
    claim = {"resourceClaimName": name} if name else {"resourceClaimTemplateName": template}
    asked = {"nodeName": "", "resourceClaims": [{"name": "gpu", **claim}]}
    listed = starts.pod({"main": starts.waiting()}, spec=asked, phase="Pending")
    options = cluster(recorded_pods.Recorded("claims", 0, listed, (), ()))
    answer_others = servers[1].answer

    def answer(request: Request) -> Reply:
        if request.path == "/apis/resource.k8s.io":
            return Reply(body={"kind": "APIGroup", "preferredVersion": {"version": "v1"}})
        if request.path.startswith(CLAIM):
            kept = CLAIMS.get(request.path.rpartition("/")[2])
            return kept or Reply(404, {"message": "no such claim"})
        return answer_others(request)

    servers[1].answer = answer
    file = str(tmp_path / "start.json")
    live = ktrace("show", "a", *options, "--timeout", "0", "--save", file, "--json")
    again = ktrace("show", "--from", file, "--json")
    assert (again.returncode, again.stdout) == (live.returncode, live.stdout)
    (waiting,) = live.document["waitingFor"]
    assert waiting["what"].endswith(told)


def test_text_is_the_same_and_the_file_is_for_its_owner(
    ktrace: Ktrace, cluster: Callable[[recorded_pods.Recorded], list[str]], tmp_path: Path
) -> None:
    found = recorded_pods.load("v1.36", "slow-ready")
    file, name = tmp_path / "start.json.gz", found.pod["metadata"]["name"]
    live = ktrace("show", name, *cluster(found), "--timeout", "0", "--save", str(file))
    assert ktrace("show", name, "--from", str(file)).stdout == live.stdout
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.glob("*start*")] == ["start.json.gz"]
    plain = tmp_path / "no-ending"
    plain.write_bytes(gzip.decompress(file.read_bytes()))
    assert ktrace("show", "--from", str(plain)).stdout == live.stdout


@pytest.mark.parametrize(
    "arguments",
    [("show", "another"), ("show", "-n", "other"), ("top",), ("run",), ("assert", "control-plane")],
)
def test_something_else_is_not_in_it_and_what_is_in_it_is_told(
    ktrace: Ktrace, saved: Path, arguments: tuple[str, ...]
) -> None:
    done = ktrace(*arguments, "--from", str(saved))
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert f"{saved} does not tell that: it has what `ktrace show missing-secret" in line


def test_a_bundle_of_another_version_says_whose_it_is(
    ktrace: Ktrace, saved: Path, tmp_path: Path
) -> None:
    document = json.loads(saved.read_text())
    document["versions"]["ktrace"] = "0.0.9"
    older = tmp_path / "older.json"
    older.write_text(json.dumps(document))
    assert (
        ktrace("show", "--from", str(older)).stdout == ktrace("show", "--from", str(saved)).stdout
    )
    done = ktrace("show", "another", "--from", str(older))
    assert "may ask for more: 0.0.9 has saved it" in done.stderr
    del document["versions"]
    older.write_text(json.dumps(document))
    assert "is a broken bundle: versions" in ktrace("show", "--from", str(older)).stderr


def test_no_secret_of_the_pod_is_in_the_file(
    ktrace: Ktrace, cluster: Callable[[recorded_pods.Recorded], list[str]], tmp_path: Path
) -> None:
    """In environment, arguments and annotations; nor is the kubeconfig's."""
    found = recorded_pods.load("v1.36", "slow-ready")
    found.pod["metadata"]["annotations"] = {"example.com/token": "hunter2"}
    for container in found.pod["spec"]["containers"]:
        container |= {"args": ["--password=hunter2"], "env": [{"name": "A", "value": "hunter2"}]}
    options = cluster(found)
    kubeconfig = yaml.safe_load((tmp_path / "kubeconfig").read_text())
    kubeconfig["users"][0]["user"]["token"] = "hunter2"  # noqa: S105
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(kubeconfig))
    file, name = tmp_path / "start.json", found.pod["metadata"]["name"]
    ktrace("show", name, *options, "--timeout", "0", "--save", str(file))
    text = file.read_text()
    assert name in text
    assert "hunter2" not in text


def test_a_password_in_the_address_of_jaeger_is_not_kept(
    ktrace: Ktrace, server: FakeServer, tmp_path: Path
) -> None:
    server.answer = served(recorded.handler("echo-one"))
    address = server.url.replace("://", "://me:hunter2@")
    file = tmp_path / "start.json"
    ktrace("show", "echo-one", "--jaeger", address, "--timeout", "0", "--save", str(file))
    assert "hunter2" not in file.read_text()
    assert json.loads(file.read_text())["settings"]["jaegerUrl"] == server.url


def test_a_bundle_names_its_own_cluster(ktrace: Ktrace, saved: Path) -> None:
    done = ktrace("show", "--from", str(saved), "--jaeger", "http://127.0.0.1:1")
    assert done.returncode == 2
    assert "leave out --stack, --jaeger and --kubeconfig" in done.stderr
    both = ktrace("show", "--from", str(saved), "--save", str(saved))
    assert both.returncode == 2
    assert "--save and --from" in both.stderr


def test_nothing_is_saved_where_nothing_is_answered(ktrace: Ktrace, tmp_path: Path) -> None:
    file = tmp_path / "start.json"
    done = ktrace("show", "a", "--jaeger", "http://127.0.0.1:1", "--save", str(file))
    assert done.returncode == 3
    assert not file.exists()
    unwritable = tmp_path / "none" / "start.json"
    done = ktrace("show", "a", "--jaeger", "http://127.0.0.1:1", "--save", str(unwritable))
    assert done.returncode == 2
    assert "cannot be written: there is no folder" in done.stderr


# --- files that are not to be trusted ---------------------------------------------------------


def refused(ktrace: Ktrace, file: Path) -> str:
    done: Done = ktrace("show", "--from", str(file))
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert "Traceback" not in line
    return line


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is not a bundle: it is empty;"),
        (b"hello", "is not a bundle: it is not JSON (line 1, column 1);"),
        (b"[1]", "another kind"),
        (b'{"kind": "Measurement"}', "another kind"),
        (b'{"kind": "Bundle", "apiVersion": "ktrace/v2"}', "use the ktrace that wrote it"),
        (b'{"kind": "Bundle", "apiVersion": "\\u001b[2J"}', "\\x1b[2J"),
        (b'{"kind": "Bundle", "apiVersion": "ktrace/v1"}', "broken bundle: asked"),
        (b'{"a": ' + b"[" * 200_000, "nested too deeply"),
        (b'{"a": NaN}', "NaN is no JSON"),
        (b"\x00\xff\xfe", "is not a bundle: it is not JSON;"),
        (b"\x1f\x8b" + b"no gzip at all, but text", "cannot be read"),
        (gzip.compress(b'{"kind": "Bundle"}', mtime=0)[:-9], "packed data ends early"),
    ],
)
def test_a_broken_file_is_one_line(
    ktrace: Ktrace, tmp_path: Path, content: bytes, told: str
) -> None:
    file = tmp_path / "broken.json"
    file.write_bytes(content)
    assert told in refused(ktrace, file)


def test_a_file_that_is_not_there_is_one_line(ktrace: Ktrace, tmp_path: Path) -> None:
    assert "there is no file" in refused(ktrace, tmp_path / "none.json")
    assert "is no file: name one" in refused(ktrace, tmp_path)


def test_a_file_that_unpacks_to_too_much_is_not_read(
    ktrace: Ktrace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ktrace.bundle.file.MOST_BYTES", 1024 * 1024)
    file = tmp_path / "bomb.json.gz"
    file.write_bytes(gzip.compress(b" " * 2 * 1024 * 1024))
    assert "has more than 1 MiB" in refused(ktrace, file)
    file.write_bytes(b" " * 1024 * 1024)
    assert "has more than" not in refused(ktrace, file)


def places(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in ``document``, of lists the first."""
    if path:
        yield path
    if isinstance(document, dict):
        for key in document:
            yield from places(document[key], (*path, key))
    elif isinstance(document, list) and document:
        yield from places(document[0], (*path, 0))


WRONG: tuple[Any, ...] = (None, -1, "\x1b[2J", [], {"a": 1})


@pytest.mark.parametrize("part", ["asked", "settings", "searches", "api", "resourceSpans"])
def test_a_value_of_another_type_is_answered_or_refused(
    ktrace: Ktrace, saved: Path, part: str
) -> None:
    """Every value of a part in turn: never a traceback, and never an escape."""
    text = saved.read_text()
    for number, path in enumerate(places(json.loads(text)[part], (part,))):
        if part == "api" and number % 3:
            continue  # fields of pods: test_properties.py has all of those
        for wrong in WRONG if len(path) < 4 else (WRONG[number % len(WRONG)],):
            document = json.loads(text)
            holder = document
            for step in path[:-1]:
                holder = holder[step]
            holder[path[-1]] = wrong
            saved.write_text(json.dumps(document))
            done = ktrace("show", "--from", str(saved))
            assert done.returncode in (0, 1, 2), (path, wrong, done)
            assert "\x1b" not in done.stdout + done.stderr, (path, wrong)
            assert len(done.stderr.splitlines()) <= 1, (path, wrong)
