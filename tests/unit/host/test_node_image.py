"""The node image: what its tag depends on, and how it is built, checked and kept."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from runtime_observability.core.compatibility import ContainerdRelease
from runtime_observability.core.naming import NODE_IMAGE
from runtime_observability.core.node_image import CURE, UpstreamImage
from runtime_observability.core.problem import ProblemsError
from runtime_observability.host import build_node_image, downloads, runner
from runtime_observability.host.node_image import upstream_image
from tests.fakes.clock import Clock
from tests.fakes.daemon import FakeDaemon
from tests.fakes.executables import Answer

BASE = "docker.io/rancher/k3s:v1.34.4-k3s1"
RELEASE = ContainerdRelease("2.3.4", {"amd64": "a" * 64, "arm64": "b" * 64})
BINARY = b"\x7fELF of containerd"


# --- the image to build ---------------------------------------------------------------------------


@pytest.fixture
def binary(tmp_path: Path) -> Path:
    path = tmp_path / "containerd"
    path.write_bytes(BINARY)
    return path


def test_a_release_is_that_of_the_daemons_architecture() -> None:
    for architecture, digest in RELEASE.sha256.items():
        image = upstream_image(BASE, RELEASE, architecture, "")
        assert image == UpstreamImage(BASE, "2.3.4", RELEASE.url(architecture), digest)


def test_an_architecture_without_a_release_is_refused_with_the_cures(binary: Path) -> None:
    with pytest.raises(ValueError, match="no containerd for a Docker host of riscv64") as refused:
        upstream_image(BASE, RELEASE, "riscv64", "")
    assert "only for amd64 and arm64" in str(refused.value)
    assert "containerdBinary" in str(refused.value)
    assert CURE in str(refused.value)
    assert upstream_image(BASE, RELEASE, "riscv64", str(binary)).version == "local"


def test_a_binary_of_ones_own_is_named_by_its_content(binary: Path) -> None:
    image = upstream_image(BASE, RELEASE, "amd64", str(binary))
    assert (image.source, image.sha256) == (str(binary), hashlib.sha256(BINARY).hexdigest())


def test_a_binary_in_the_users_home_is_found(binary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(binary.parent))
    assert upstream_image(BASE, RELEASE, "amd64", "~/containerd").source == str(binary)


def test_a_home_that_there_is_not_is_refused_with_the_user() -> None:
    with pytest.raises(ProblemsError) as refused:
        upstream_image(BASE, RELEASE, "amd64", "~nosuchuser/x")
    (problem,) = refused.value.problems
    assert str(problem).startswith(
        "containerdBinary: ~nosuchuser/x is not a file: this machine has no user nosuchuser. "
    )
    assert problem.cure == CURE


def test_a_user_without_a_home_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs with any number as its user."""

    def nowhere(_: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", nowhere)
    with pytest.raises(ProblemsError, match="~/x is not a file: this user has no home folder"):
        upstream_image(BASE, RELEASE, "amd64", "~/x")


def test_a_binary_that_may_not_be_read_is_refused_with_the_reason(
    binary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ProblemsError, match="containerd cannot be read: Permission denied"):
        upstream_image(BASE, RELEASE, "amd64", str(binary))


@pytest.mark.parametrize("name", ["missing", "."])
def test_what_is_no_binary_is_refused_with_the_cure(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="is not a file") as refused:
        upstream_image(BASE, RELEASE, "amd64", str(tmp_path / name))
    assert CURE in str(refused.value)


def test_the_tag_stands_for_all_that_is_in_the_image(binary: Path) -> None:
    image = upstream_image(BASE, RELEASE, "amd64", "")
    others = [
        replace(image, base="docker.io/rancher/k3s:v1.34.3-k3s1"),
        replace(image, sha256="c" * 64),
        replace(image, version="2.3.5"),
        upstream_image(BASE, RELEASE, "arm64", ""),
        upstream_image(BASE, RELEASE, "amd64", str(binary)),
    ]
    tags = {variant.tag for variant in (image, *others)}
    assert len(tags) == 6
    assert all(tag.startswith(f"{NODE_IMAGE}:containerd-") for tag in tags)
    assert replace(image).tag == image.tag


def test_the_same_binary_elsewhere_is_the_same_image(binary: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    moved.write_bytes(BINARY)
    tags = {upstream_image(BASE, RELEASE, "amd64", str(path)).tag for path in (binary, moved)}
    assert len(tags) == 1


# --- the build ------------------------------------------------------------------------------------


@pytest.fixture
def local(binary: Path, daemon: FakeDaemon) -> UpstreamImage:
    """A registry has its base."""
    daemon.served.add(BASE)
    return upstream_image(BASE, RELEASE, "amd64", str(binary))


def test_an_image_is_built_and_shown_to_run(local: UpstreamImage, daemon: FakeDaemon) -> None:
    assert build_node_image.build(local)
    assert daemon.images == {
        local.tag: {
            "Dockerfile": f"FROM {BASE}\nCOPY containerd /usr/local/bin/containerd\n",
            "containerd": BINARY.decode(),
        }
    }
    assert daemon.executable == {"containerd"}, "its mode is copied into the image"
    (run,) = daemon.calls_to("docker", "run")
    assert "/usr/local/bin/containerd" in run.argv


def test_the_mode_is_the_images_whatever_the_umask(
    local: UpstreamImage, daemon: FakeDaemon
) -> None:
    previous = os.umask(0o077)
    try:
        assert build_node_image.build(local)
    finally:
        os.umask(previous)
    assert daemon.executable == {"containerd"}


def test_the_context_is_no_folder_that_a_snap_cannot_read(
    local: UpstreamImage, daemon: FakeDaemon
) -> None:
    assert build_node_image.build(local)
    (build,) = daemon.calls_to("docker", "build")
    assert build.argv[-1] == "-"


def test_pull_and_build_tell_their_progress(
    local: UpstreamImage, daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build_node_image.build(local)
    assert capsys.readouterr().err.splitlines() == [
        f"pulling {BASE}",
        f"pull: {BASE}: Pulling fs layer",
        f"pull: {BASE}: Pull complete",
        f"building {local.tag} from {BASE}",
        "build: Successfully built",
        f"{local.tag}: {daemon.runs.stdout.strip()}",
    ]


def test_a_base_that_is_there_is_not_pulled(local: UpstreamImage, daemon: FakeDaemon) -> None:
    """No registry may have it."""
    daemon.pulled.add(BASE)
    assert build_node_image.build(local)
    assert not daemon.calls_to("docker", "pull")


def test_a_base_that_no_registry_has_ends_the_build(
    local: UpstreamImage, daemon: FakeDaemon
) -> None:
    daemon.served.clear()
    with pytest.raises(runner.CommandError) as failed:
        build_node_image.build(local)
    assert str(failed.value) == (
        f"`docker pull {BASE}` exited with 1: Error: manifest for {BASE} not found"
    )
    assert not daemon.calls_to("docker", "build")


def test_the_users_builder_is_not_used(
    local: UpstreamImage, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its images stay in it, unless they are loaded; the daemon's own builder needs no option."""
    monkeypatch.setenv("BUILDX_BUILDER", "of-a-company")
    monkeypatch.setenv("DOCKER_CONFIG", "/etc/docker-login")
    environments: list[dict[str, str]] = []
    real = runner.follow

    def follow(argv: list[str], *arguments: Any, **named: Any) -> runner.Result:
        if argv[1] == "build":
            environments.append(named["environment"])
        return real(argv, *arguments, **named)

    monkeypatch.setattr(runner, "follow", follow)
    assert build_node_image.build(local)
    (environment,) = environments
    assert "BUILDX_BUILDER" not in environment
    assert environment["DOCKER_CONFIG"] == "/etc/docker-login"
    assert environment["BUILDKIT_PROGRESS"] == "plain"


def test_an_image_that_the_builder_keeps_is_an_error_with_the_cure(
    local: UpstreamImage, daemon: FakeDaemon
) -> None:
    daemon.loads = False
    with pytest.raises(runner.CommandError, match="keeps its images for itself"):
        build_node_image.build(local)
    assert not daemon.calls_to("docker", "run"), "docker would look for the image in a registry"


def test_an_image_that_is_there_is_used(local: UpstreamImage, daemon: FakeDaemon) -> None:
    daemon.images[local.tag] = {}
    Path(local.source).unlink()
    assert not build_node_image.build(local)
    assert daemon.calls_to("docker", "build") == []


def test_an_image_that_does_not_run_is_not_kept(local: UpstreamImage, daemon: FakeDaemon) -> None:
    """The next run would use it without another check."""
    daemon.runs = Answer(stderr="exec format error\n", code=1)
    with pytest.raises(runner.CommandError, match="exec format error"):
        build_node_image.build(local)
    assert daemon.images == {}


def test_a_binary_that_is_no_containerd_is_not_kept(
    local: UpstreamImage, daemon: FakeDaemon
) -> None:
    """Many programs accept --version; a node with such a binary fails only in the new cluster."""
    daemon.runs = Answer("ls (GNU coreutils) 9.1\n")
    with pytest.raises(runner.CommandError, match="is not a containerd binary: --version printed"):
        build_node_image.build(local)
    assert daemon.images == {}


def test_a_binary_that_changed_meanwhile_is_not_used(
    local: UpstreamImage, daemon: FakeDaemon
) -> None:
    Path(local.source).write_bytes(b"something else")
    with pytest.raises(
        runner.CommandError, match=f"checksum mismatch .* expected sha256 {local.sha256}"
    ):
        build_node_image.build(local)
    assert daemon.calls_to("docker", "build") == []


# --- the download ---------------------------------------------------------------------------------


def archive(**files: bytes) -> bytes:
    """The archive of a release, with ``files`` in its folder bin/."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"bin/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


Serve = Callable[[Callable[[httpx.Request], httpx.Response]], None]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Makes a handler answer every download."""

    def use(handler: Callable[[httpx.Request], httpx.Response]) -> None:
        def client(seconds: float = downloads.WAIT_SECONDS) -> httpx.Client:
            transport = httpx.MockTransport(handler)
            return httpx.Client(transport=transport, timeout=seconds, follow_redirects=True)

        monkeypatch.setattr(downloads, "client", client)

    return use


def release_of(packed: bytes) -> UpstreamImage:
    digest = hashlib.sha256(packed).hexdigest()
    return upstream_image(BASE, ContainerdRelease("2.3.4", {"amd64": digest}), "amd64", "")


def test_a_release_is_downloaded_checked_and_unpacked(daemon: FakeDaemon, serve: Serve) -> None:
    packed = archive(ctr=b"not this", containerd=BINARY)
    image = release_of(packed)
    daemon.served.add(BASE)

    def answer(request: httpx.Request) -> httpx.Response:
        """Redirects to another host, like GitHub."""
        if request.url == image.source:
            return httpx.Response(302, headers={"Location": "https://objects.test/x"})
        return httpx.Response(200, stream=httpx.ByteStream(packed))

    serve(answer)
    assert build_node_image.build(image)
    assert daemon.images[image.tag]["containerd"] == BINARY.decode()


def test_an_archive_of_another_checksum_is_not_opened(daemon: FakeDaemon, serve: Serve) -> None:
    image = release_of(archive(containerd=BINARY))
    serve(lambda _: httpx.Response(200, stream=httpx.ByteStream(archive(containerd=b"evil"))))
    with pytest.raises(
        runner.CommandError, match=f"checksum mismatch .* expected sha256 {image.sha256}"
    ):
        build_node_image.build(image)
    assert daemon.calls_to("docker", "build") == []


@pytest.mark.parametrize("failure", [httpx.Response(404), httpx.ConnectError("no route to host")])
def test_a_download_that_fails_names_the_cures(
    daemon: FakeDaemon, serve: Serve, failure: httpx.Response | httpx.ConnectError
) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        if isinstance(failure, httpx.ConnectError):
            raise failure
        return failure

    serve(answer)
    with pytest.raises(runner.CommandError) as failed:
        build_node_image.build(release_of(b""))
    for part in ("containerd-static-2.3.4-linux-amd64.tar.gz", "containerdBinary", CURE):
        assert part in str(failed.value)
    assert daemon.calls_to("docker", "build") == []


class Slow(httpx.SyncByteStream):
    """A download in three parts, each of which takes some seconds."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self.clock = clock
        self.seconds = seconds

    def __iter__(self) -> Iterator[bytes]:
        for _ in range(3):
            self.clock.now += self.seconds
            yield b"x" * (1 << 20)


def slow_download(serve: Serve, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    clock = Clock().drive(monkeypatch, downloads)
    size = {"content-length": str(3 << 20)}
    serve(lambda _: httpx.Response(200, headers=size, stream=Slow(clock, seconds)))
    build_node_image.fetch(release_of(b"x" * (3 << 20)))


def test_a_download_has_ten_minutes(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(tarfile.ReadError):
        slow_download(serve, monkeypatch, 200)
    with pytest.raises(runner.CommandError, match=r"linux-amd64\.tar\.gz took longer than 600 s"):
        slow_download(serve, monkeypatch, 201)


@pytest.mark.parametrize(
    ("seconds", "lines"),
    [
        (2, ["containerd: 3 of 3 MiB"]),
        (3, ["containerd: 2 of 3 MiB"]),
        (6, [f"containerd: {mebibytes} of 3 MiB" for mebibytes in (1, 2, 3)]),
    ],
)
def test_a_download_tells_its_progress_every_five_seconds(
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    seconds: float,
    lines: list[str],
) -> None:
    with pytest.raises(tarfile.ReadError):
        slow_download(serve, monkeypatch, seconds)
    assert capsys.readouterr().err.splitlines() == lines


def test_downloads_and_builds_end_when_nothing_comes(
    local: UpstreamImage, daemon: FakeDaemon, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: list[dict[str, float]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        limits.append(request.extensions["timeout"])
        return httpx.Response(404)

    serve(answer)
    with pytest.raises(runner.CommandError):
        build_node_image.fetch(release_of(b""))
    assert limits == [dict.fromkeys(("connect", "read", "write", "pool"), 30)]

    real, timeouts = runner.follow, {}

    def follow(argv: list[str], *arguments: Any, **named: Any) -> runner.Result:
        timeouts[argv[1]] = named["timeout"]
        return real(argv, *arguments, **named)

    monkeypatch.setattr(runner, "follow", follow)
    assert build_node_image.build(local)
    assert timeouts == {"pull": 600, "build": 600}


# --- as a command ---------------------------------------------------------------------------------


def command(image: UpstreamImage, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(asdict(image))))
    return build_node_image.main()


def test_what_was_done_is_printed(
    local: UpstreamImage,
    daemon: FakeDaemon,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for built in (True, False):
        assert command(local, monkeypatch) == 0
        assert json.loads(capsys.readouterr().out) == {"image": local.tag, "built": built}
    assert len(daemon.calls_to("docker", "build")) == 1


@pytest.mark.parametrize("packed", [archive(ctr=b"alone"), b"<html>"])
@pytest.mark.usefixtures("daemon")
def test_what_is_no_release_is_an_error(
    packed: bytes,
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    serve(lambda _: httpx.Response(200, stream=httpx.ByteStream(packed)))
    assert command(release_of(packed), monkeypatch) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.splitlines()[-1].startswith("error: node image: ")
