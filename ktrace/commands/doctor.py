"""``ktrace doctor``: can this machine run it?"""

from __future__ import annotations

import typer

from ktrace.checks import machine
from ktrace.checks.machine import Finding
from ktrace.errors import FINDING, UsageError
from ktrace.target import options, stack_settings
from ktrace.target.stack import project_folder, selected_stack
from ktrace.view import terminal
from runtime_observability.core.naming import Names

_WORDS = {"ok": ("ok", "green"), "warning": ("warn", "yellow"), "failure": ("FAIL", "bold red")}
_UNCHOSEN = "dev"


def doctor(*, stack: options.StackOption = None, as_json: options.JsonOption = False) -> None:
    """Can this machine run it? Looks before anything is created, and changes nothing.

    The checks are those that `pulumi up` makes first, and more; what fails is told with what it
    breaks and how to cure it. Without a selected stack the defaults are checked.

    Examples:

      ktrace doctor

      ktrace doctor --stack lab --json | jq '.findings[] | select(.status != "ok")'

    Exit codes: 0 it can (warnings may be there), 1 a check failed, 2 wrong usage or no such stack.
    """
    folder = project_folder()
    try:
        name = stack or selected_stack()
    except UsageError:
        name = None  # without Pulumi there is no selection, which is a finding of its own
    settings = stack_settings.read(folder, name)
    findings = machine.examine(Names(name or _UNCHOSEN, folder), settings)
    ok = all(finding.status != "failure" for finding in findings)
    if as_json:
        terminal.print_json({"ok": ok, "findings": [finding.document for finding in findings]})
    else:
        _print(findings)
    if not ok:
        raise typer.Exit(FINDING)


def _print(findings: list[Finding]) -> None:
    console = terminal.console()
    width = max(len(finding.check) for finding in findings)
    for finding in findings:
        word, style = _WORDS[finding.status]
        line = terminal.text(f"{word:<5}")
        line.stylize(style)
        line.append(f"{finding.check:<{width}}  {finding.seen}", "default")
        console.print(line)
        if finding.status != "ok":
            console.print(f"{'':<{width + 7}}breaks: {finding.breaks}", markup=False)
            console.print(f"{'':<{width + 7}}cure: {finding.cure}", markup=False)
