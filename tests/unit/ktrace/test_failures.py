"""Each collaborator of each command fails: one line with the cure, and the documented code."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from ktrace.expect import search as expect_search
from ktrace.pipeline import coverage, nodes, verification
from ktrace.podstart import search
from tests import schemas
from tests.fakes import recorded
from tests.fakes.clock import Clock
from tests.fakes.daemon import FakeDaemon
from tests.fakes.http import FakeServer, Reply, Request, write_kubeconfig
from tests.fakes.jaeger import served
from tests.fakes.ktrace import Done, Ktrace

NOWHERE = "http://127.0.0.1:9"
NO_HOST = "http://jaeger.invalid:16686"
"""The top-level domain invalid has no hosts (RFC 2606)."""
HTML = "<!doctype html><title>503 Service Unavailable</title>"


@dataclass
class World:
    """What a command uses: everything works until a test breaks it."""

    ktrace: Ktrace
    server: FakeServer
    folder: Path
    jaeger_url: str
    jaeger: Callable[[Request], Reply]
    api: Callable[[Request], Reply]

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "config"

    @property
    def expectations(self) -> Path:
        return self.folder / "e.yaml"

    def answer(self, request: Request) -> Reply:
        of_jaeger = request.path.startswith(("/api/services", "/api/traces"))
        return (self.jaeger if of_jaeger else self.api)(request)

    def run(self, command: str, *options: str) -> Done:
        jaeger = ("--jaeger", self.jaeger_url)
        cluster = ("--kubeconfig", str(self.kubeconfig))
        at_once = ("--timeout", "0")
        arguments = {
            "show": ("with-init", *jaeger, *at_once, *options),
            "assert": (str(self.expectations), *jaeger, *at_once, *options),
            "verify": (*jaeger, *cluster, *at_once, *options),
            "run": ("--for", "0", *jaeger, *cluster, *options, "--", "echo", "it ran"),
        }
        return self.ktrace(command, *arguments[command])


@pytest.fixture
def world(
    ktrace: Ktrace,
    server: FakeServer,
    tmp_path: Path,
    daemon: FakeDaemon,
    monkeypatch: pytest.MonkeyPatch,
) -> World:
    Clock().drive(monkeypatch, search, expect_search, coverage, nodes, verification)
    daemon.down = True
    daemon.executables.script("echo", '#!/bin/sh\n/bin/echo "$@"\n')
    nodes_ = {"items": [{"metadata": {"name": "n1", "labels": {}}}]}
    made = World(
        ktrace,
        server,
        tmp_path,
        server.url,
        served(recorded.handler("with-init")),
        lambda _: Reply(200, nodes_),
    )
    server.answer = made.answer
    write_kubeconfig(made.kubeconfig, server.url)
    made.expectations.write_text("expectations: [{name: x, select: {component: kubelet}}]")
    return made


def assert_one_line(world: World, command: str, code: int, told: str) -> None:
    """In text and in JSON, on stdout; that of run is its command's."""
    done = world.run(command)
    assert (done.returncode, done.stdout) == (code, ""), done
    (line,) = done.stderr.splitlines()
    assert line.startswith("ktrace: ")
    assert told in line
    assert "Traceback" not in line
    as_json = world.run(command, "--json")
    assert as_json.returncode == code
    document = json.loads(as_json.stderr if command == "run" else as_json.stdout)
    schemas.validate("error", document)
    assert document["error"] == {"message": line.removeprefix("ktrace: "), "exitCode": code}
    if command != "run":
        assert as_json.stderr == f"{line}\n"


def test_nothing_fails_where_nothing_is_broken(world: World) -> None:
    """The world is one in which these commands answer: what follows breaks one part of it."""
    for command in ("show", "assert", "verify", "run"):
        done = world.run(command, "--json")
        assert "error" not in json.loads(done.stderr if command == "run" else done.stdout)


def is_slow(_: Request) -> Reply:
    raise TimeoutError  # the connection ends without an answer


JAEGERS: dict[str, tuple[Callable[[Request], Reply], str]] = {
    "html": (lambda _: Reply(200, HTML), "answers 200 without a JSON object: is that Jaeger?"),
    "html of a proxy": (lambda _: Reply(503, HTML), "answers 503 without a JSON object"),
    "500": (lambda _: Reply(500, {"errors": [{"msg": "full"}]}), "Jaeger answers 500: "),
    "401": (lambda _: Reply(401, {"errors": None}), "answers 401: it wants a login"),
    "a list": (lambda _: Reply(200, []), "without a JSON object"),
    "no text": (lambda _: Reply(200, ""), "without a JSON object"),
    "other data": (lambda _: Reply(200, {"data": [5]}), "is that Jaeger?"),
    "a dead connection": (is_slow, "cannot be reached: "),
}


@pytest.mark.parametrize("command", ["show", "assert", "run"])
@pytest.mark.parametrize("fault", JAEGERS)
def test_jaeger_is_broken(world: World, command: str, fault: str) -> None:
    world.jaeger, told = JAEGERS[fault]
    assert_one_line(world, command, 3, told)


@pytest.mark.parametrize("command", ["show", "assert", "run"])
@pytest.mark.parametrize("url", [NOWHERE, NO_HOST])
def test_jaeger_is_not_there(world: World, command: str, url: str) -> None:
    world.jaeger_url = url
    assert_one_line(world, command, 3, f"Jaeger at {url} cannot be reached: ")


@pytest.mark.parametrize("fault", JAEGERS)
def test_a_broken_jaeger_is_a_finding_of_verify(world: World, fault: str) -> None:
    world.jaeger, _ = JAEGERS[fault]
    done = world.run("verify", "--json")
    assert (done.returncode, done.stderr) == (1, "")
    schemas.validate("verify", done.document)
    hops = {found["brokenHop"]["hop"] for found in done.document["components"] if found["expected"]}
    assert hops == {"Jaeger has them"}


KUBECONFIGS: dict[str, bytes] = {
    "no YAML": b"{",
    "empty": b"",
    "text": b"hello",
    "a list": b"[]",
    "binary": b"\xff\xfe\x00\x01",
    "Latin-1": "clusters: [{name: \xe4}]".encode("latin-1"),
    "control characters": b"\x00",
    "deep": b"[" * 9000,
    "no current-context": b"contexts: []\nclusters: []",
    "an unknown current-context": b"current-context: x\ncontexts: []\nclusters: []",
    "entries of another kind": b"current-context: x\ncontexts: 5\nclusters: 7",
    "no cluster": b"current-context: x\ncontexts: [{name: x, context: {cluster: c}}]\nclusters: []",
}


@pytest.mark.parametrize("command", ["verify", "run"])
@pytest.mark.parametrize("content", KUBECONFIGS.values(), ids=KUBECONFIGS)
def test_a_kubeconfig_is_broken(world: World, command: str, content: bytes) -> None:
    world.kubeconfig.write_bytes(content)
    told = f"{world.kubeconfig} is not a kubeconfig with a current context and its cluster"
    assert_one_line(world, command, 2, told)


@pytest.mark.parametrize("command", ["verify", "run"])
def test_a_kubeconfig_is_not_there(world: World, command: str) -> None:
    world.kubeconfig.unlink()
    assert_one_line(world, command, 2, f"there is no kubeconfig {world.kubeconfig}")
    world.kubeconfig.mkdir()
    assert_one_line(world, command, 2, f"{world.kubeconfig}")


@pytest.mark.skipif(
    not Path("/proc/self/mem").exists(), reason="only Linux has a file that root cannot read"
)
@pytest.mark.parametrize("command", ["verify", "run"])
def test_a_kubeconfig_cannot_be_read(world: World, command: str) -> None:
    """As one that belongs to root after a `pulumi up` with sudo."""
    world.kubeconfig.unlink()
    world.kubeconfig.symlink_to("/proc/self/mem")
    assert_one_line(world, command, 2, f"{world.kubeconfig} cannot be read: Input/output error")


USERS: dict[str, dict[str, Any]] = {
    "a certificate that is gone": {"client-certificate": "gone", "client-key": "gone"},
    "a certificate that is none": {"client-certificate-data": "eA==", "client-key-data": "eA=="},
    "data that is not base64": {"client-certificate-data": "%", "client-key-data": "%"},
    "a token's file that is gone": {"tokenFile": "gone"},
}


@pytest.mark.parametrize("command", ["verify", "run"])
@pytest.mark.parametrize("user", USERS.values(), ids=USERS)
def test_a_kubeconfigs_user_is_broken(world: World, command: str, user: dict[str, Any]) -> None:
    write_kubeconfig(world.kubeconfig, "https://127.0.0.1:9", user=user)
    assert_one_line(world, command, 2, f"{world.kubeconfig}")


SERVERS = ["", "nowhere", "http://", "https://127.0.0.1:99999", "ftp://127.0.0.1", "http://a b/"]


@pytest.mark.parametrize("command", ["verify", "run"])
@pytest.mark.parametrize("url", SERVERS)
def test_a_kubeconfigs_server_is_no_url(world: World, command: str, url: str) -> None:
    document = yaml.safe_load(world.kubeconfig.read_text())
    document["clusters"][0]["cluster"] = {"server": url}
    world.kubeconfig.write_text(yaml.safe_dump(document))
    assert_one_line(world, command, 2, f"{world.kubeconfig}")


@pytest.mark.parametrize("command", ["verify", "run"])
@pytest.mark.parametrize("url", [NOWHERE, "https://127.0.0.1:9", "http://api.invalid:6443"])
def test_the_api_server_is_not_there(world: World, command: str, url: str) -> None:
    write_kubeconfig(world.kubeconfig, url)
    assert_one_line(world, command, 3, "cannot be reached: ")


@pytest.mark.parametrize("command", ["verify", "run"])
def test_the_api_server_speaks_no_tls(world: World, command: str) -> None:
    write_kubeconfig(world.kubeconfig, world.server.url.replace("http:", "https:"))
    assert_one_line(world, command, 3, "cannot be reached: ")


APIS: dict[str, tuple[Callable[[Request], Reply], str]] = {
    "401": (lambda _: Reply(401, {"message": "Unauthorized"}), "401 Unauthorized"),
    "403": (lambda _: Reply(403, {"message": "nodes is forbidden"}), "403 nodes is forbidden"),
    "500": (lambda _: Reply(500, {"message": "etcd is away"}), "500 etcd is away"),
    "html": (lambda _: Reply(200, HTML), "without a JSON object: is that a Kubernetes API server?"),
    "html of a proxy": (lambda _: Reply(502, HTML), "502 Bad Gateway"),
    "no list": (lambda _: Reply(200, {"kind": "Status"}), "answers without a list of "),
    "a list of others": (lambda _: Reply(200, {"items": [5]}), "answers without a list of "),
    "a dead connection": (is_slow, "cannot be reached: "),
}


@pytest.mark.parametrize("fault", APIS)
def test_the_api_server_is_broken(world: World, fault: str) -> None:
    world.api, told = APIS[fault]
    assert_one_line(world, "verify", 3, told)


@pytest.mark.parametrize("fault", APIS)
def test_a_broken_api_server_is_what_a_command_that_is_run_tells(world: World, fault: str) -> None:
    """It may refuse the list of pods, and not the command: that one runs."""
    world.api, _ = APIS[fault]
    done = world.run("run", "--json")
    assert (done.returncode, done.stdout) == (1, "it ran\n"), "the command sends no request"
    schemas.validate("run", json.loads(done.stderr))


EXPECTATIONS: dict[str, bytes] = {
    "binary": b"\xff\xfe\x00\x01",
    "Latin-1": "expectations: [{name: \xe4}]".encode("latin-1"),
    "no YAML": b"{",
    "empty": b"",
    "a list": b"[]",
    "control characters": b"\x00",
    "nothing selected": b"expectations: [{name: x}]",
    "deep": b"[" * 9000,
    "an alias of itself": b"expectations: &a [*a]",
}


@pytest.mark.parametrize("content", EXPECTATIONS.values(), ids=EXPECTATIONS)
def test_the_file_of_expectations_is_broken(world: World, content: bytes) -> None:
    world.expectations.write_bytes(content)
    assert_one_line(world, "assert", 2, str(world.expectations))


# --- stacks ---------------------------------------------------------------------------------------

COMMANDS_OF_A_STACK = {
    "show": ("show", "a"),
    "assert": ("assert", "pod-start", "--set", "POD=a/b"),
    "verify": ("verify",),
    "open": ("open",),
    "run": ("run", "--", "true"),
}
PULUMIS: dict[str, tuple[str | None, str]] = {
    "missing": (None, '`eval "$(make -s env)"` puts the tools on PATH'),
    "failing": ("echo 'error: no stack named dev' >&2; exit 255", "(no stack named dev): choose"),
    "silent": ("exit 1", "(pulumi prints no reason): choose one with --stack NAME"),
    "killed": ("kill -9 $$", "(pulumi prints no reason): choose one with --stack NAME"),
    "no JSON": ("echo hello", "prints no JSON object"),
    "bytes": (r"printf '\377\376'", "prints no JSON object"),
    "not up": ("echo '{}'", "is not up: it has no output jaegerUrl. Run `make up`"),
    "a text": ("echo '\"x\"'", "prints no JSON object"),
}


@pytest.mark.parametrize("command", COMMANDS_OF_A_STACK)
@pytest.mark.parametrize("fault", PULUMIS)
@pytest.mark.parametrize("option", [(), ("--stack", "dev")])
def test_pulumi_does_not_tell_the_stack(
    ktrace: Ktrace, daemon: FakeDaemon, command: str, fault: str, option: tuple[str, ...]
) -> None:
    script, told = PULUMIS[fault]
    if script:
        daemon.executables.script("pulumi", f"#!/bin/sh\n{script}\n")
    name, *rest = COMMANDS_OF_A_STACK[command]
    done = ktrace(name, *option, *rest)
    assert (done.returncode, done.stdout) == (2, ""), done
    (line,) = done.stderr.splitlines()
    assert line.startswith("ktrace: ")
    assert told in line
    as_json = ktrace(name, *option, "--json", *rest)
    document = json.loads(as_json.stderr if command == "run" else as_json.stdout)
    schemas.validate("error", document)
    assert document["error"]["message"] == line.removeprefix("ktrace: ")


STACK_FILES: dict[str, bytes] = {
    "binary": b"\xff\xfe\x00\x01",
    "Latin-1": "config: {runtime-observability:agents: \xe4}".encode("latin-1"),
    "no YAML": b"[",
    "config of another kind": b"config: 5",
    "control characters": b"\x00",
    "an unknown key": b"config: {runtime-observability:nosuch: 1}",
    "a bad value": b"config: {runtime-observability:agents: many}",
    "another docker": b"config: {docker:host: {secure: AAAA}}",
    "deep": b"[" * 9000,
}


@pytest.mark.parametrize("command", ["render", "doctor"])
@pytest.mark.parametrize("content", STACK_FILES.values(), ids=STACK_FILES)
def test_a_stack_file_is_broken(
    ktrace: Ktrace,
    daemon: FakeDaemon,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    command: str,
    content: bytes,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Pulumi.yaml").write_text("name: runtime-observability")
    (tmp_path / "Pulumi.dev.yaml").write_bytes(content)
    if (command, b"docker:host" in content) == ("render", True):
        return  # render calls no Docker
    done = ktrace(command, "--stack", "dev")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("ktrace: ")
    assert "Pulumi.dev.yaml" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    as_json = ktrace(command, "--stack", "dev", "--json")
    schemas.validate("error", as_json.document)
