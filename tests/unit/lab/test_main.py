"""How a command of the lab ends when the machine refuses a file."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from lab.__main__ import main
from lab.commands import stop
from lab.errors import LabError
from lab.paths import PROJECT, Cache

ROOT = "/home/user/.cache/runtime-observability"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            PermissionError(errno.EACCES, "Permission denied", "/home/user/.cache"),
            "/home/user/.cache: Permission denied. Make it writable for this user, or set "
            "RUNTIME_OBSERVABILITY_CACHE to a folder that is",
        ),
        (
            OSError(errno.EROFS, "Read-only file system", f"{ROOT}/steps"),
            f"{ROOT}/steps: Read-only file system. Make it writable for this user, or set "
            "RUNTIME_OBSERVABILITY_CACHE to a folder that is",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", f"{PROJECT}/.venv"),
            f"{PROJECT}/.venv: Permission denied. Make it writable for this user",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device", f"{ROOT}/steps/x"),
            f"{ROOT}/steps/x: No space left on device. Free some: `make clean` removes everything "
            "that the lab has made; or set RUNTIME_OBSERVABILITY_CACHE to a folder on another disk",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            f"{ROOT} or {PROJECT}: No space left on device. Free some: `make clean` removes "
            "everything that the lab has made; or set RUNTIME_OBSERVABILITY_CACHE to a folder on "
            "another disk",
        ),
        (
            FileNotFoundError(errno.ENOENT, "No such file or directory", "docker"),
            "docker: No such file or directory",
        ),
        (OSError("unexplained"), "unexplained"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line_with_its_path_the_reason_and_the_cure(
    error: OSError, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(cache: Cache) -> int:
        assert cache.root == Path(ROOT)
        raise error

    monkeypatch.setenv("RUNTIME_OBSERVABILITY_CACHE", ROOT)
    monkeypatch.setattr(stop, "run", run)
    with pytest.raises(LabError) as refused:
        main(["stop"])
    assert str(refused.value) == text
