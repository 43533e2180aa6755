"""A release is fetched, verified and unpacked, from a site with TLS behind a proxy."""

from __future__ import annotations

import hashlib
import io
import itertools
import os
import re
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from lab.build.steps import Step, prepare
from lab.errors import LabError
from lab.paths import Cache
from lab.releases import table
from lab.releases.platforms import Platform
from lab.releases.release import Release, checksum_of
from runtime_observability.host import downloads
from runtime_observability.host.downloads import MIRROR
from tests.fakes.clock import Clock
from tests.fakes.releases import Proxy, Site

# The fake site does not have the files whose checksums are pinned.
PULUMI, K3D, KUBECTL = (
    replace(release, pinned={}) for release in (table.PULUMI, table.K3D, table.KUBECTL)
)
LINUX, MAC = Platform("linux", "amd64"), Platform("darwin", "arm64")
PROGRAM = b"#!/bin/sh\necho it runs\n"


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock().drive(monkeypatch, downloads)


def archive(**files: bytes) -> bytes:
    """An archive with these files in its folder pulumi/, as members are named."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


PULUMI_ARCHIVE = archive(
    **{"pulumi/pulumi": PROGRAM, "pulumi/pulumi-language-python": b"#!/bin/sh\n"}
)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def serve(
    site: Site, release: Release, platform: Platform, content: bytes, prefix: str = ""
) -> None:
    """Serve a release with its checksums as its project does."""
    file, checksums = (
        f"{prefix}{address.removeprefix('https://')}"
        for address in replace(release, pinned={}).addresses(platform)
    )
    name = file.rpartition("/")[2]
    lists = {
        "kubectl": sha256(content),
        "k3d": f"{'0' * 64}  _dist/other\n{sha256(content)}  _dist/{name}\n",
        "pulumi": f"{sha256(content)}  {name}\n{'0' * 64}  SHA\n",
    }
    site.files |= {file: content, checksums: lists[release.tool].encode()}


def fetched(cache: Cache, step: Step) -> Path:
    (output,) = prepare(cache, [step]).values()
    return output


@pytest.mark.parametrize("platform", [LINUX, MAC], ids=str)
@pytest.mark.parametrize("release", [K3D, KUBECTL], ids=lambda release: release.tool)
def test_a_single_program_is_the_output(
    proxy: Proxy, cache: Cache, release: Release, platform: Platform
) -> None:
    serve(proxy.to, release, platform, PROGRAM)
    output = fetched(cache, release.step(platform))
    assert [found.name for found in output.iterdir()] == [release.tool]
    done = subprocess.run([output / release.tool], capture_output=True, text=True, check=True)
    assert done.stdout == "it runs\n"


def test_an_archives_programs_are_side_by_side_in_the_output(proxy: Proxy, cache: Cache) -> None:
    """Pulumi looks for language hosts in the folder of its own program."""
    serve(proxy.to, PULUMI, MAC, PULUMI_ARCHIVE)
    output = fetched(cache, PULUMI.step(MAC))
    assert {found.name for found in output.iterdir()} == {"pulumi", "pulumi-language-python"}
    assert all(os.access(found, os.X_OK) for found in output.iterdir())
    assert set(proxy.to.fetched) == {
        address.removeprefix("https://") for address in PULUMI.addresses(MAC)
    }


def test_a_mirror_has_all_of_it(
    trusted: Site, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MIRROR, f"https://localhost:{trusted.port}/all")
    serve(trusted, PULUMI, LINUX, PULUMI_ARCHIVE, prefix="localhost/all/")
    assert (fetched(cache, PULUMI.step(LINUX)) / "pulumi").read_bytes() == PROGRAM


def test_a_pinned_checksum_needs_no_list(proxy: Proxy, cache: Cache) -> None:
    pinned = replace(K3D, pinned={K3D.address(LINUX): sha256(PROGRAM)})
    serve(proxy.to, K3D, LINUX, PROGRAM)
    fetched(cache, pinned.step(LINUX))
    assert proxy.to.fetched == [K3D.address(LINUX).removeprefix("https://")]


def test_a_pinned_checksum_is_stronger_than_the_sites_own(proxy: Proxy, cache: Cache) -> None:
    pinned = replace(K3D, pinned={K3D.address(LINUX): sha256(PROGRAM)})
    serve(proxy.to, K3D, LINUX, b"evil")
    with pytest.raises(LabError) as refused:
        fetched(cache, pinned.step(LINUX))
    assert f"expected sha256 {sha256(PROGRAM)}, got {sha256(b'evil')}" in str(refused.value)


def nothing_is_used(cache: Cache, step: Step) -> bool:
    return not step.output(cache).exists()


def test_another_content_than_its_list_says_is_not_used(proxy: Proxy, cache: Cache) -> None:
    serve(proxy.to, PULUMI, LINUX, PULUMI_ARCHIVE)
    proxy.to.files[PULUMI.address(LINUX).removeprefix("https://")] = b"evil"
    step = PULUMI.step(LINUX)
    with pytest.raises(LabError, match=r"checksum mismatch for https://get\.pulumi\.com/"):
        fetched(cache, step)
    assert nothing_is_used(cache, step)


def test_a_list_without_the_file_is_refused(proxy: Proxy, cache: Cache) -> None:
    serve(proxy.to, K3D, LINUX, PROGRAM)
    proxy.to.files[K3D.addresses(LINUX)[-1].removeprefix("https://")] = b"<html>"
    step = K3D.step(LINUX)
    with pytest.raises(LabError, match=r"checksums\.txt has no sha256 of k3d-linux-amd64"):
        fetched(cache, step)
    assert nothing_is_used(cache, step)


@pytest.mark.parametrize("fault", ["cut", "404", "untrusted"])
def test_a_failed_fetch_is_not_used_and_the_next_one_is_whole(
    proxy: Proxy, cache: Cache, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    serve(proxy.to, KUBECTL, LINUX, PROGRAM)
    file = KUBECTL.address(LINUX).removeprefix("https://")
    step = KUBECTL.step(LINUX)
    with monkeypatch.context() as patch:
        match fault:
            case "cut":
                proxy.to.cut.add(file)
            case "404":
                proxy.to.statuses[file] = [404]
            case "untrusted":
                patch.delenv("SSL_CERT_FILE")
        with pytest.raises(LabError) as failed:
            fetched(cache, step)
    assert f"{KUBECTL.address(LINUX)} cannot be downloaded: " in str(failed.value) or (
        fault == "untrusted" and ".sha256 cannot be downloaded: " in str(failed.value)
    )
    assert f"Or put a kubectl of your own on PATH, {KUBECTL.version}" in str(failed.value)
    assert nothing_is_used(cache, step)
    proxy.to.cut.clear()
    assert (fetched(cache, step) / "kubectl").read_bytes() == PROGRAM


def test_an_interrupted_fetch_is_not_used(
    proxy: Proxy, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(proxy.to, PULUMI, LINUX, PULUMI_ARCHIVE)

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    step = PULUMI.step(LINUX)
    with monkeypatch.context() as patch:
        patch.setattr(tarfile.TarFile, "extractall", interrupt)
        with pytest.raises(KeyboardInterrupt):
            fetched(cache, step)
    assert nothing_is_used(cache, step)
    assert (fetched(cache, step) / "pulumi").is_file()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (archive(**{"pulumi/other": b""}), "has no pulumi/pulumi"),
        (archive(**{"pulumi": b""}), "has no folder pulumi"),
        (archive(**{"pulumi/../../escaped": b"", "pulumi/pulumi": PROGRAM}), "cannot be unpacked"),
        (b"<html>", "cannot be unpacked"),
        (PULUMI_ARCHIVE[: len(PULUMI_ARCHIVE) // 2], "cannot be unpacked"),
    ],
    ids=["no program", "no folder", "leaves its folder", "html", "cut"],
)
def test_an_archive_of_another_shape_is_refused(
    proxy: Proxy, cache: Cache, content: bytes, told: str
) -> None:
    serve(proxy.to, PULUMI, LINUX, content)
    step = PULUMI.step(LINUX)
    with pytest.raises(LabError, match=told):
        fetched(cache, step)
    assert nothing_is_used(cache, step)
    assert not list(cache.root.rglob("escaped"))


def test_a_slow_fetch_is_seen_and_logged(
    proxy: Proxy,
    cache: Cache,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    serve(proxy.to, K3D, LINUX, b"x" * (1 << 20))
    seconds = itertools.count(step=6)
    monkeypatch.setattr(clock, "monotonic", lambda: next(seconds))
    step = K3D.step(LINUX)
    fetched(cache, step)
    lines = [line for line in capsys.readouterr().err.splitlines() if "MiB" in line]
    assert re.fullmatch(rf"k3d {re.escape(K3D.version)}: [01] of 1 MiB", lines[-1])
    assert lines[-1] in (cache.logs / f"{step.key}.log").read_text()


@pytest.mark.parametrize(
    "changed",
    [
        replace(PULUMI, version="3.260.0"),
        replace(PULUMI, pinned={PULUMI.address(LINUX): "0" * 64}),
        replace(PULUMI, file="https://other.example/pulumi.tar.gz"),
        replace(PULUMI, folder="other"),
    ],
)
def test_what_decides_the_content_decides_the_output(changed: Release) -> None:
    assert PULUMI.step(LINUX).key == PULUMI.step(LINUX).key
    assert changed.step(LINUX).key != PULUMI.step(LINUX).key
    assert PULUMI.step(MAC).key != PULUMI.step(LINUX).key


def test_another_pinned_checksum_is_another_output() -> None:
    keys = {replace(K3D, pinned={K3D.address(LINUX): digit * 64}).step(LINUX).key for digit in "01"}
    assert len(keys) == 2


SUM, OTHER = "a" * 64, "b" * 64


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (SUM, SUM),
        (f"{SUM}\n", SUM),
        (f"{SUM}  k3d\n", SUM),
        (f"{OTHER}  k3d-old\n{SUM}  _dist/k3d\n", SUM),
        (f"{SUM} *k3d\r\n{OTHER} *other\r\n", SUM),
        (f"{OTHER}  other\n", None),
        (f"{OTHER}  not-k3d\n", None),
        ("aaaa  k3d\n", None),
        ("<html>\n", None),
        ("", None),
    ],
)
def test_a_checksum_is_found_in_a_list_or_alone(text: str, found: str | None) -> None:
    assert checksum_of("k3d", text) == found
