"""A renamed stack is refused by what the state says, before anything of it is replaced."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from components import _renames


def hook(stack: str) -> Any:
    """What the engine would call before an update of the stack's guard."""
    made: Any = _renames.refuse(stack)
    assert made.opts.on_dry_run, "a preview says so too"
    return made.callback


def arguments(inputs: Any) -> Any:
    return SimpleNamespace(old_inputs=inputs)


def test_another_name_in_the_state_is_refused_with_both_ways_on() -> None:
    with pytest.raises(RuntimeError) as refused:
        hook("prod")(arguments({"environment": {"STACK": "dev", "OWNER": "0123456789abcdef"}}))
    told = str(refused.value)
    assert told.startswith("nothing was touched, because this stack was renamed from dev to prod")
    assert "`pulumi stack rename dev`" in told
    assert "`pulumi destroy`" in told
    assert "`pulumi stack rm --force --preserve-config prod`" in told, "a destroy would be of dev"


@pytest.mark.parametrize(
    "inputs",
    [
        {"environment": {"STACK": "prod", "DIRECTORY": "/moved"}},
        {"environment": {"OWNER": "0123456789abcdef"}},
        {"environment": None},
        {},
        None,
    ],
)
def test_an_update_for_another_reason_goes_on(inputs: Any) -> None:
    hook("prod")(arguments(inputs))
