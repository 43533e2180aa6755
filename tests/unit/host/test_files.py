"""What a run with sudo has made is given back to the user with one command."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from lab.errors import in_words
from lab.paths import Cache
from runtime_observability.core.naming import Names
from runtime_observability.host import disk, ownership
from runtime_observability.host.files import files_in, take_back

HOME = Path("/home/ada")
CHECKOUT = HOME / "the project"
FOLDER = CHECKOUT / ".stacks/dev"
OWNERS = {Path("/"): 0, Path("/home"): 0, HOME: 7, CHECKOUT: 7, CHECKOUT / ".stacks": 7, FOLDER: 0}
CLOSED = FOLDER / "kubeconfig"


@pytest.fixture(autouse=True)
def owners(monkeypatch: pytest.MonkeyPatch) -> dict[Path, int]:
    """The user has the number 7, and what is not here cannot be seen."""
    here = dict(OWNERS)

    def status(path: Path) -> SimpleNamespace:
        if path not in here:
            raise PermissionError(13, os.strerror(13), str(path))
        return SimpleNamespace(st_uid=here[path])

    monkeypatch.setattr(Path, "lstat", status)
    monkeypatch.setattr(os, "geteuid", lambda: 7)
    return here


def test_the_outermost_folder_of_another_is_taken_back(owners: dict[Path, int]) -> None:
    assert take_back(CLOSED) == f"`sudo chown -R \"$USER\" '{FOLDER}'`"
    owners[CHECKOUT / ".stacks"] = 0
    assert take_back(FOLDER) == f"`sudo chown -R \"$USER\" '{CHECKOUT}/.stacks'`"


@pytest.mark.parametrize("path", [CHECKOUT, Path("/home/eve/project"), Path("/")])
def test_nothing_is_taken_that_was_never_the_users(path: Path) -> None:
    assert take_back(path) == ""


def test_the_lab_tells_it() -> None:
    error = PermissionError(13, "Permission denied", str(CLOSED))
    assert in_words(error, Cache(HOME / ".cache")) == (
        f"{CLOSED}: Permission denied. Run {take_back(CLOSED)}, because it is another user's"
    )


def test_a_preview_tells_it(monkeypatch: pytest.MonkeyPatch) -> None:
    names = Names("dev", CHECKOUT)

    def denied(*_: object, **__: object) -> str:
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(Path, "read_text", denied)
    monkeypatch.setattr(os.path, "isdir", lambda path: Path(path) in OWNERS)
    monkeypatch.setattr(os, "access", lambda path, _: path != FOLDER)
    taking = take_back(FOLDER)
    (claim,) = ownership.refuse_a_claimed_folder(names)
    assert claim.cure == f"run {taking} if a run with sudo made it, else choose another stack name"
    (closed,) = disk.refuse_unusable(names)
    assert closed.cure == f"run {taking}, and pulumi without sudo"


def test_a_folder_that_cannot_be_listed_has_no_files_to_tell_of() -> None:
    assert files_in(FOLDER) == []
