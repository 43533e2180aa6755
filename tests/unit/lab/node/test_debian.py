"""A Debian root file system is made of packages, without root."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path

import pytest

from lab.node import debian, image
from tests.unit.lab.packages import package

pytestmark = pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="packages need dpkg-deb")


@pytest.fixture
def tree(tmp_path: Path) -> dict[str, tarfile.TarInfo]:
    """The entries of a tree of three packages, by name."""
    packages = [
        package(tmp_path, "base", "bin/bash", "bin/sh", "lib64/ld.so", "usr/share/doc/base/copy"),
        package(tmp_path, "base-passwd", "usr/share/base-passwd/passwd.master"),
        package(
            tmp_path,
            "authorities",
            "usr/share/ca-certificates/mozilla/one.crt",
            "usr/share/ca-certificates/mozilla/two.crt",
            "var/run/left-over",
        ),
    ]
    buffer = io.BytesIO()
    unwanted = ("usr/share/doc/*",)
    debian.write(
        packages, lambda name: debian.is_within(name, unwanted), {"usr/bin/sh": "bash"}, buffer
    )
    (tmp_path / "tree.tar").write_bytes(buffer.getvalue())
    with tarfile.open(tmp_path / "tree.tar") as tar:
        entries = tar.getmembers()
        assert len({entry.name for entry in entries}) == len(entries)
        return {entry.name: entry for entry in entries}


def content(tmp_path: Path, name: str) -> bytes:
    with tarfile.open(tmp_path / "tree.tar") as tar:
        file = tar.extractfile(name)
        assert file is not None
        return file.read()


def test_the_folders_of_the_root_are_merged_into_usr(tree: dict[str, tarfile.TarInfo]) -> None:
    assert tree["./usr/bin/bash"].isreg()
    assert {name: tree[name].linkname for name in ("./bin", "./lib64")} == {
        "./bin": "usr/bin",
        "./lib64": "usr/lib64",
    }
    assert not [name for name in tree if name.startswith("./bin/")]
    assert "./sbin" not in tree  # no package has a file in it


def test_links_take_the_place_of_files_and_of_what_scripts_would_make(
    tree: dict[str, tarfile.TarInfo],
) -> None:
    links = {
        "./usr/bin/sh": "bash",
        "./usr/sbin/iptables": "xtables-nft-multi",
        "./usr/sbin/ip6tables-restore": "xtables-nft-multi",
        "./var/run": "/run",
    }
    assert {name: tree[name].linkname for name in links} == links
    assert "./var/run/left-over" not in tree


def test_what_is_unwanted_is_left_out(tree: dict[str, tarfile.TarInfo]) -> None:
    assert "./usr/share/doc" in tree
    assert not [name for name in tree if name.startswith("./usr/share/doc/")]


def test_users_and_authorities_are_there(tree: dict[str, tarfile.TarInfo], tmp_path: Path) -> None:
    assert content(tmp_path, "./etc/passwd") == b"base-passwd"
    assert content(tmp_path, "./etc/ssl/certs/ca-certificates.crt") == b"authorities" * 2
    assert {(entry.uid, entry.gid) for entry in tree.values()} == {(0, 0)}


def test_a_hard_link_follows_its_target_into_usr(tmp_path: Path) -> None:
    built = package(tmp_path, "perl", "bin/perl")
    tar = tmp_path / "perl.tar"
    with tarfile.open(tar, "w") as files:
        entry = tarfile.TarInfo("./bin/perl5")
        entry.type, entry.linkname = tarfile.LNKTYPE, "./bin/perl"
        files.addfile(entry)
    ((found, _),) = debian._entries(tar)
    assert (found.name, found.linkname, found.type) == (
        "usr/bin/perl5",
        "./usr/bin/perl",
        tarfile.LNKTYPE,
    )
    assert built.exists()


@pytest.mark.parametrize(
    ("name", "unwanted"),
    [
        ("usr/lib/cni/bridge", False),
        ("usr/lib/cni/dhcp", True),
        ("usr/lib/cni", False),
        ("usr/lib/python3.11/test/regrtest.py", True),
        ("usr/lib/python3.11/ssl.py", False),
        ("usr/share/doc", False),
        ("usr/share/doc/bash/copyright", True),
    ],
)
def test_a_node_has_what_it_needs_of_the_packages(name: str, unwanted: bool) -> None:
    assert image._is_unwanted(name) == unwanted
