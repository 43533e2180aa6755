"""Where the lab's cache is."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.paths import Cache


@pytest.mark.parametrize(
    ("variables", "root"),
    [
        ({}, "/home/user/.cache/runtime-observability"),
        ({"XDG_CACHE_HOME": "/big/cache"}, "/big/cache/runtime-observability"),
        ({"XDG_CACHE_HOME": ""}, "/home/user/.cache/runtime-observability"),
        ({"XDG_CACHE_HOME": "not/absolute"}, "/home/user/.cache/runtime-observability"),
        ({"XDG_CACHE_HOME": "/big", "RUNTIME_OBSERVABILITY_CACHE": "/own"}, "/own"),
        ({"RUNTIME_OBSERVABILITY_CACHE": "~/own"}, "/home/user/own"),
    ],
)
def test_the_cache_is_where_the_user_keeps_caches(
    variables: dict[str, str], root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RUNTIME_OBSERVABILITY_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/user")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert Cache.of_this_user().root == Path(root)
