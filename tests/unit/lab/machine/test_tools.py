"""The folder of PATH with the lab's tools."""

from __future__ import annotations

from pathlib import Path

from lab.machine import tools
from lab.paths import Cache


def test_the_tools_on_path_are_exactly_those_chosen(cache: Cache, tmp_path: Path) -> None:
    for name in ("pulumi", "k3d"):
        (tmp_path / name).touch()
    tools.link(cache, [tmp_path / "pulumi", tmp_path / "k3d"])
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "pulumi").touch()
    tools.link(cache, [tmp_path / "new" / "pulumi"])
    links = {link.name: link.readlink() for link in cache.bin.iterdir()}
    assert links == {"pulumi": tmp_path / "new" / "pulumi"}
