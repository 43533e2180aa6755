"""What Pulumi knows of a stack: which one is selected, and its outputs."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from ktrace.errors import UsageError
from runtime_observability.core.naming import PROJECT
from runtime_observability.host import runner

OR_NO_STACK = ", or give --jaeger URL and --kubeconfig PATH"
"""Ends an error for which a command that needs no stack has another cure."""

_PULUMI_SECONDS = 30
_UPDATES = 20
"""How many of the newest are looked at."""
_NEEDED = ("jaegerUrl", "kubeconfig")


def project_folder() -> Path:
    """The Pulumi project that a command is about.

    That is this project around the current folder, else the checkout that this file belongs to,
    else (where ktrace is installed as a package) any project around the current folder. A
    Pulumi.yaml that cannot be read is passed over. UsageError where there is none.
    """
    here = Path.cwd()
    files = [folder for folder in (here, *here.parents) if (folder / "Pulumi.yaml").is_file()]
    around = [folder for folder in files if _name(folder)]
    own = [folder for folder in around if is_this_project(folder)]
    checkout = Path(__file__).resolve().parents[2]
    if not own and (checkout / "Pulumi.yaml").is_file():
        return checkout
    if files and not around:
        raise UsageError(
            f"{files[0] / 'Pulumi.yaml'} is not a Pulumi project: it has no name. Correct it, "
            f"change to another project's folder{OR_NO_STACK}"
        )
    if not around:
        raise UsageError(
            f"there is no Pulumi project around {here}: change to its folder{OR_NO_STACK}"
        )
    return (own or around)[0]


def is_this_project(folder: Path) -> bool:
    """Whether ``folder`` holds this project, and not a program that uses it as a package."""
    return _name(folder) == PROJECT


def _name(folder: Path) -> str | None:
    """The project's name; None where Pulumi.yaml is broken, empty or cannot be read."""
    try:
        name = yaml.safe_load((folder / "Pulumi.yaml").read_text(encoding="utf-8"))["name"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError, yaml.YAMLError):
        return None
    return name if isinstance(name, str) and name else None


def selected_stack() -> str | None:
    """The stack that ``pulumi stack select`` chose last; None when there is none."""
    shown = _pulumi("stack", "--show-name")
    return shown.stdout.strip() or None if shown.code == 0 else None


def names() -> list[str]:
    """The project's stacks; empty where Pulumi cannot tell. UsageError without a project."""
    listed = _pulumi("stack", "ls", "--json")
    try:
        return [str(stack["name"]) for stack in json.loads(listed.stdout or "[]")]
    except (ValueError, LookupError, TypeError):
        return []


def qualified_name(stack: str) -> str:
    """``stack`` as ORGANIZATION/PROJECT/STACK; empty where Pulumi does not know it."""
    try:
        shown = _pulumi("stack", "--fully-qualify-stack-names", "--show-name", "--stack", stack)
    except UsageError:
        return ""
    return shown.stdout.strip() if shown.code == 0 else ""


def stack_outputs(stack: str | None) -> dict[str, Any]:
    """The exports of ``stack``, or of the selected stack; UsageError when it is not up."""
    option = ["--stack", stack] if stack else []
    shown = _pulumi("stack", "output", "--json", *option)
    label = f"stack {stack}" if stack else "the selected stack"
    if shown.code:
        lines = shown.stderr.strip().splitlines()
        reason = lines[0].removeprefix("error: ") if lines else "pulumi prints no reason"
        raise UsageError(
            f"{label} cannot be read ({reason}): choose one with --stack NAME{OR_NO_STACK}"
        )
    try:
        outputs = json.loads(shown.stdout or "{}")
    except ValueError:
        outputs = None
    if not isinstance(outputs, dict):
        raise UsageError(
            f"{label} cannot be read (`pulumi stack output --json` prints no JSON object): see "
            f"what it prints{OR_NO_STACK}"
        )
    missing = [name for name in _NEEDED if not isinstance(outputs.get(name), str)]
    if missing:
        raise UsageError(f"{label} is not up: it has no output {missing[0]}. Run `make up`")
    return outputs


def update_around(stack: str | None, moment: datetime) -> tuple[datetime, datetime | None] | None:
    """When the update began that was under way at ``moment``, and when it ended, to the second.

    The end is None while it runs. None where Pulumi knows of no such update.
    """
    option = ["--stack", stack] if stack else []
    shown = _pulumi("stack", "history", "--json", "--page-size", str(_UPDATES), *option)
    try:
        for entry in json.loads(shown.stdout or "[]"):
            began = datetime.fromisoformat(entry["startTime"])
            told = entry.get("endTime")
            ended = datetime.fromisoformat(told) if told else None
            if entry["kind"] == "update" and began <= moment and (not ended or moment < ended):
                return began, ended
    except (ValueError, LookupError, TypeError, AttributeError):
        return None
    return None


def _pulumi(*arguments: str) -> runner.Result:
    folder = str(project_folder())
    try:
        return runner.run(
            ["pulumi", "--cwd", folder, "--non-interactive", "--color", "never", *arguments],
            timeout=_PULUMI_SECONDS,
        )
    except runner.CommandError as error:
        raise UsageError(
            f"the stack cannot be read: {error}. "
            '`eval "$(make -s env)"` puts the tools on PATH' + OR_NO_STACK
        ) from None
