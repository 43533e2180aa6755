"""Debian packages are downloaded with state in the cache, and unpacked."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from lab.build.steps import Step, prepare
from lab.build.workbench import Workbench
from lab.errors import LabError
from lab.machine import apt
from lab.paths import Cache
from tests.unit.lab.packages import package

# apt-get update exits with 0 when it cannot fetch, unless its error mode is `any`.
UNREACHABLE = """#!/bin/sh
case "$*" in
  *update) grep -q 'APT::Update::Error-Mode "any"' "$2" || exit 0
           echo 'E: Could not connect to proxy:3128' >&2; exit 100 ;;
  *install*) echo 'E: Unable to locate package docker.io' >&2; exit 100 ;;
esac
"""
REACHABLE = """#!/bin/sh
echo "$*" >> {calls}
cp "$2" {calls}.conf
archives=$(sed -n 's/^Dir::Cache::archives "\\(.*\\)";$/\\1/p' "$2")
status=$(sed -n 's/^Dir::State::status "\\(.*\\)";$/\\1/p' "$2")
cp "$status" {calls}.status
case "$*" in *install*) touch "$archives/two_1_all.deb" "$archives/one_1_all.deb" ;; esac
"""
CACHE = """#!/bin/sh
for package; do :; done
[ "$package" = known ]
"""


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in front of PATH, with what apt's packages have besides apt-get."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name, script in (
        ("apt-cache", CACHE),
        ("dpkg", "#!/bin/sh\necho amd64\n"),
        ("dpkg-deb", "#!/bin/sh\n"),
    ):
        write(folder / name, script)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    return folder


def write(program: Path, script: str) -> None:
    program.write_text(script)
    program.chmod(0o755)


def test_lists_that_cannot_be_fetched_are_the_error_and_not_the_package(
    tools: Path, cache: Cache, tmp_path: Path
) -> None:
    write(tools / "apt-get", UNREACHABLE)
    installed = tmp_path / "status"
    installed.touch()

    def build(bench: Workbench) -> None:
        apt.fetch(bench, ["docker.io"], bench.out / "apt", installed=installed)

    with pytest.raises(LabError, match=r"apt-get .*update(.*\n)*.*connect to proxy") as failed:
        prepare(cache, [Step("docker", (), build)])
    assert "Unable to locate" not in str(failed.value)


def test_apt_writes_to_the_cache_alone_and_checks_every_signature(
    tools: Path, cache: Cache, tmp_path: Path
) -> None:
    calls, installed, folder = tmp_path / "calls", tmp_path / "status", tmp_path / "apt"
    write(tools / "apt-get", REACHABLE.format(calls=calls))
    installed.write_text("Package: libc6\n")
    with (tmp_path / "log").open("wb") as log:
        bench = Workbench(tmp_path, {}, cache, log)
        optional = ["known", "unknown"]
        files = apt.fetch(bench, ["one", "two"], folder, optional=optional, installed=installed)
    assert [file.name for file in files] == ["one_1_all.deb", "two_1_all.deb"]
    assert [call.partition(".conf ")[2] for call in calls.read_text().splitlines()] == [
        "update",
        "install one two known",
    ]
    assert calls.with_name("calls.status").read_text() == "Package: libc6\n"
    lines = calls.with_name("calls.conf").read_text().splitlines()
    settings = dict(line.rstrip(";").split(" ", 1) for line in lines if line[0] != "#")
    folders = {key: value.strip('"') for key, value in settings.items() if key[:5] == "Dir::"}
    assert set(folders) == {
        "Dir::State", "Dir::State::lists", "Dir::State::status", "Dir::Cache",
        "Dir::Cache::archives", "Dir::Log",
    }  # fmt: skip
    assert folders.pop("Dir::State::lists") == str(cache.root / "apt/lists")
    assert all(path.startswith(f"{folder}/") for path in folders.values())
    assert settings["APT::Get::Download-Only"] == '"true"'
    unsafe = [key for key in settings if "Allow" in key]
    assert len(unsafe) == 4
    assert {settings[key] for key in unsafe} == {'"false"'}
    assert settings["APT::Architectures"] == '{ "amd64"; }'
    # The hooks of the machine's own configuration write to /var.
    assert "#clear APT::Update;" in lines


def test_a_machine_without_apt_is_told_what_is_needed(
    tmp_path: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with (tmp_path / "log").open("wb") as log:
        bench = Workbench(tmp_path, {}, cache, log)
        with pytest.raises(LabError, match=r"docker\.io are needed .* this machine has no apt-get"):
            apt.fetch(bench, ["docker.io"], tmp_path / "apt")


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="Debian's packages need dpkg-deb")
def test_packages_are_unpacked_into_one_tree_but_for_the_c_library(tmp_path: Path) -> None:
    packages = [
        package(tmp_path, "docker.io", "usr/sbin/dockerd", "usr/lib/x86_64-linux-gnu/libx.so.1"),
        package(tmp_path, "libpulse", "usr/lib/x86_64-linux-gnu/pulse/libcommon.so"),
        package(tmp_path, "libc6", "lib/x86_64-linux-gnu/libc.so.6"),
    ]
    tree = tmp_path / "tree"
    apt.unpack(packages, tree)
    assert (tree / "usr/sbin/dockerd").read_text() == "docker.io"
    assert not (tree / "lib").exists()
    assert apt.path(tree) == f"{tree}/usr/sbin"
    libraries = f"{tree}/usr/lib/x86_64-linux-gnu"
    assert apt.libraries(tree) == f"{libraries}:{libraries}/pulse"


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="Debian's packages need dpkg-deb")
def test_a_damaged_package_is_named(tmp_path: Path) -> None:
    damaged = tmp_path / "docker.io_1_all.deb"
    damaged.write_text("half a pack")
    with pytest.raises(
        LabError, match=r"^`dpkg-deb --extract .*docker\.io_1_all\.deb .*: dpkg-deb: err"
    ):
        apt.unpack([damaged], tmp_path / "tree")
