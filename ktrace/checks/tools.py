"""The command-line tools: on PATH, and new enough."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable

from ktrace.checks.finding import UP_STOPS, Finding, Status
from runtime_observability.core.compatibility import OLDEST_PULUMI
from runtime_observability.core.versions import Version
from runtime_observability.host import runner


def pulumi() -> Finding:
    return _tool(
        "pulumi",
        ["pulumi", "version"],
        lambda output: release("pulumi", output, OLDEST_PULUMI, UP_STOPS),
        breaks=UP_STOPS,
    )


def kubectl() -> Finding:
    return _tool(
        "kubectl",
        ["kubectl", "version", "--client", "-o", "json"],
        lambda output: Finding("kubectl", "ok", json.loads(output)["clientVersion"]["gitVersion"]),
        breaks="nothing in `pulumi up`, which does not need it; you use the cluster with it",
        missing="warning",
    )


def release(check: str, text: str, oldest: Version, breaks: str) -> Finding:
    """Whether the version number in ``text`` is ``oldest`` or newer."""
    match = re.search(r"\d+\.\d+\.\d+", text)
    if not match:
        return Finding(check, "warning", f"{text!r} is not a version number", breaks)
    if Version.parse(match[0]) < oldest:
        return Finding(check, "failure", match[0], breaks, f"install {check} {oldest} or newer")
    return Finding(check, "ok", match[0])


def _tool(
    name: str,
    argv: list[str],
    judge: Callable[[str], Finding],
    *,
    breaks: str,
    missing: Status = "failure",
) -> Finding:
    """What ``judge`` makes of the output of ``argv``; ``breaks``: what needs the tool."""
    if not shutil.which(name):
        cure = 'install it, or let `make up` build it and run `eval "$(make -s env)"`'
        return Finding(name, missing, "not on PATH", breaks, cure)
    try:
        return judge(runner.run(argv).checked())
    except (runner.CommandError, ValueError, LookupError, TypeError) as error:
        return Finding(name, missing, str(error), breaks, f"see what `{' '.join(argv)}` prints")
