"""Which Docker daemon a command is about: the stack's."""

from __future__ import annotations

from ktrace.target import stack_file
from ktrace.target.stack import project_folder, selected_stack
from runtime_observability.host import daemon


def use_that_of(stack: str | None) -> None:
    """Docker is called at the daemon of ``stack``, or of the selected stack."""
    name = stack or selected_stack()
    configured = stack_file.of_docker(project_folder(), name) if name else {}
    daemon.use(daemon.choose(configured))
