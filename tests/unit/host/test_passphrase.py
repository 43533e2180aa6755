"""A secret of a stack's file in git whose passphrase is empty: everybody can decrypt it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from runtime_observability.host import passphrase

VARIABLES = ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE")
OF_ANOTHER_USER = "GIT_TEST_ASSUME_DIFFERENT_OWNER"
"""A variable with which git takes each repository for another user's (git 2.35 setup.c)."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with Pulumi.dev.yaml in git, in a shell with the empty passphrase."""
    monkeypatch.delenv(VARIABLES[1], raising=False)
    monkeypatch.setenv(VARIABLES[0], "")
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    for stack in ("dev", "mine"):
        (tmp_path / f"Pulumi.{stack}.yaml").write_text("encryptionsalt: v1:abc=\n")
    subprocess.run(["git", "-C", tmp_path, "add", "Pulumi.dev.yaml"], check=True)
    return tmp_path


def test_it_is_refused_with_the_cure(folder: Path) -> None:
    problem = passphrase.problem_of("exporters", "ada/dev", folder)
    assert str(problem).startswith(
        "exporters: its secret value would be readable by everybody: Pulumi.dev.yaml is in git, "
        "and its passphrase is empty. Use a stack of your own with a passphrase: "
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [("GIT_DIR", "elsewhere/.git"), ("GIT_INDEX_FILE", "index"), (OF_ANOTHER_USER, "1")],
)
def test_it_is_refused_in_any_shell_of_git(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """Such as a hook of another repository; or the clone is another user's, as in a container."""
    subprocess.run(["git", "init", "-q", folder / "elsewhere"], check=True)
    monkeypatch.setenv(name, value if name == OF_ANOTHER_USER else str(folder / value))
    assert passphrase.problem_of("exporters", "dev", folder)
    assert passphrase.problem_of("exporters", "mine", folder) is None


def test_an_empty_file_is_an_empty_passphrase(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLES[0])
    monkeypatch.setenv(VARIABLES[1], str(folder / "passphrase"))
    assert passphrase.problem_of("exporters", "dev", folder) is None
    (folder / "passphrase").write_text("\n")
    assert passphrase.problem_of("exporters", "dev", folder)
    (folder / "passphrase").write_text("secret")
    assert passphrase.problem_of("exporters", "dev", folder) is None


@pytest.mark.parametrize("value", ["secret", None])
def test_a_passphrase_is_no_problem(
    folder: Path, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    if value is None:
        monkeypatch.delenv(VARIABLES[0])
    else:
        monkeypatch.setenv(VARIABLES[0], value)
    assert passphrase.problem_of("exporters", "dev", folder) is None


def test_a_file_that_is_not_in_git_is_no_problem(folder: Path) -> None:
    assert passphrase.problem_of("exporters", "mine", folder) is None


@pytest.mark.parametrize("text", ["secretsprovider: awskms://a\n", "[", "a text"])
def test_another_secrets_provider_is_no_problem(folder: Path, text: str) -> None:
    (folder / "Pulumi.dev.yaml").write_text(text)
    assert passphrase.problem_of("exporters", "dev", folder) is None


def test_without_git_nothing_is_known(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert passphrase.problem_of("exporters", "dev", folder) is None
