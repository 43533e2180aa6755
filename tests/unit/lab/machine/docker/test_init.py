"""The first process of a daemon's namespaces: what it decides."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.machine.docker import init


def test_the_resolver_keeps_search_domains_and_no_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver = tmp_path / "resolv.conf"
    monkeypatch.setattr(init, "RESOLVER", resolver)
    assert init.resolver_options() == []
    resolver.write_text("# mine\n\nnameserver 127.0.0.53\nsearch company.example\noptions edns0\n")
    assert init.resolver_options() == ["search company.example", "options edns0"]


def test_without_its_program_the_network_is_out_of_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert init.connect(tmp_path, "10.230.255.0/24", []) == "there is no slirp4netns"


@pytest.mark.parametrize(
    ("works", "used"),
    [(True, "/cache/iptables-nft"), (False, "/cache/iptables-legacy")],
)
def test_iptables_is_the_one_that_this_kernel_supports(
    works: bool, used: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "iptables").write_text(
        f"#!/bin/sh\n[ \"$*\" = '-t nat -S' ] && {str(works).lower()}\n"
    )
    (tmp_path / "iptables").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/cache/iptables-nft:/bin")
    init.use_working_iptables()
    assert os.environ["PATH"] == f"{tmp_path}:{used}:/bin"


def test_the_machines_own_iptables_is_not_questioned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    init.use_working_iptables()
    assert os.environ["PATH"] == "/nowhere"
