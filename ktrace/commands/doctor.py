"""``ktrace doctor``: can this machine run it?"""

from __future__ import annotations

from pathlib import Path

import typer

from ktrace.document import versioned
from ktrace.errors import FINDING, UsageError
from ktrace.target import options
from ktrace.target.stack import is_this_project, project_folder, qualified_name, selected_stack
from ktrace.view import terminal

_WITHOUT_STACK = "dev"


def doctor(*, stack: options.StackOption = None, as_json: options.JsonOption = False) -> None:
    """Can this machine run it? Looks before anything is created, and changes nothing.

    The checks are those that `pulumi up` makes first, and more; each that fails is shown with what
    it breaks and how to cure it. Without a selected stack the default settings are checked.

    Examples:

      ktrace doctor

      ktrace doctor --stack lab --json | jq '.findings[] | select(.status != "ok")'

    Exit codes: 0 it can (there may be warnings), 1 a check failed, 2 wrong usage or no such stack.
    """
    from ktrace.checks.examine import examine
    from ktrace.target import stack_file, stack_settings
    from ktrace.view import findings
    from runtime_observability.core.naming import Names

    folder, name = _subject(stack)
    # The settings of another program are in its code: then the defaults are checked.
    known = name is not None and is_this_project(folder)
    settings = stack_settings.read(folder, name if known else None, without_secrets=True)
    configured = stack_file.of_docker(folder, name) if name else {}
    pulumi_stack = qualified_name(name) if name else ""
    names = Names(name or _WITHOUT_STACK, folder, pulumi_stack=pulumi_stack)
    found = [finding.cleaned() for finding in examine(names, settings, configured)]
    ok = all(finding.status != "failure" for finding in found)
    if as_json:
        terminal.print_json(versioned(findings.document(found, ok=ok)))
    else:
        terminal.show(*findings.lines(found))
    if not ok:
        raise typer.Exit(FINDING)


def _subject(stack: str | None) -> tuple[Path, str | None]:
    """The project's folder and the stack: doctor answers without either, too."""
    if stack:
        return project_folder(), stack
    try:
        folder = project_folder()
    except UsageError:
        return Path.cwd(), None
    try:
        return folder, selected_stack()
    except UsageError:
        return folder, None  # the pulumi command fails: that is a finding of its own
