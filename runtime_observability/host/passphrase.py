"""Whether everybody can decrypt the secrets of a stack's file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import yaml

from runtime_observability.core.problem import Problem
from runtime_observability.host import runner

_OTHER_REPOSITORY = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR")
"""Variables with which git does not look for the repository itself."""


def problem_of(key: str, stack: str, folder: Path) -> Problem | None:
    """The problem with the secret ``key`` of ``stack``: its file is in git, its passphrase empty.

    The engine has decrypted the file's secrets with this passphrase before the program runs, so
    an empty one is known to be the file's own. What cannot be known is no problem: a file outside
    git, git missing, another secrets provider.
    """
    file = folder / f"Pulumi.{stack.rpartition('/')[2]}.yaml"
    if not (_is_empty(os.environ) and _has_a_passphrase(file) and _is_in_git(file)):
        return None
    return Problem(
        key,
        "its secret value would be readable by everybody",
        f"{file.name} is in git, and its passphrase is empty",
        "use a stack of your own with a passphrase: `PULUMI_CONFIG_PASSPHRASE=… pulumi stack init "
        "NAME`, or change this one's with `pulumi stack change-secrets-provider passphrase`",
    )


def _is_empty(environment: Mapping[str, str]) -> bool:
    """As Pulumi reads it: the variable first, then the file that another one names
    (pulumi v3.259.0 pkg/secrets/passphrase/manager.go)."""
    if "PULUMI_CONFIG_PASSPHRASE" in environment:
        return not environment["PULUMI_CONFIG_PASSPHRASE"]
    file = environment.get("PULUMI_CONFIG_PASSPHRASE_FILE")
    try:
        return bool(file) and not Path(str(file)).read_text(encoding="utf-8").strip()
    except OSError:
        return False


def _has_a_passphrase(file: Path) -> bool:
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return False
    return isinstance(document, dict) and bool(document.get("encryptionsalt"))


def _is_in_git(file: Path) -> bool:
    """Whether the repository around ``file`` has it, whoever owns that and whatever other one the
    shell names, as a hook of git does."""
    surroundings = runner.surroundings()
    own = {name: value for name, value in surroundings.items() if name not in _OTHER_REPOSITORY}
    argv = ["git", "-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-C", str(file.parent)]
    try:
        listed = runner.run([*argv, "ls-files", "--error-unmatch", file.name], environment=own)
    except runner.CommandError:
        return False
    return not listed.code
