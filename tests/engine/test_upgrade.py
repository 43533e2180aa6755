"""A stack whose state is older than TracedEnvironment: its resources had no common parent."""

from __future__ import annotations

import json
from typing import Any

from tests.live.plan import ENVIRONMENT
from tests.live.stack import Stack

_TYPE = "runtime-observability:index:TracedEnvironment"
_MODULES = {
    "runtime_observability.host.ensure": "components.ensure",
    "runtime_observability.host.readiness": "components.readiness",
    "runtime_observability.host.build_node_image": "components.build_node_image",
}


def earlier(state: dict[str, Any]) -> dict[str, Any]:
    """``state``, an export of a stack, as the program before TracedEnvironment left it."""
    resources = state["deployment"]["resources"]
    stack = next(item["urn"] for item in resources if item["type"] == "pulumi:pulumi:Stack")
    (environment,) = (item["urn"] for item in resources if item["type"] == _TYPE)

    def renamed(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: renamed(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [renamed(inner) for inner in value]
        if value == environment:
            return stack
        if isinstance(value, str) and f"{_TYPE}$" in value:
            head, _, name = value.replace(f"{_TYPE}$", "").rpartition("::")
            return f"{head}::{name.removeprefix(f'{ENVIRONMENT}-')}"
        return value

    kept = [renamed(item) for item in resources if item["urn"] != environment]
    text = json.dumps({**state, "deployment": {**state["deployment"], "resources": kept}})
    for module, before in _MODULES.items():
        text = text.replace(module, before)
    document: dict[str, Any] = json.loads(text)
    return document


def test_it_is_taken_over_and_nothing_is_replaced(standing: Stack) -> None:
    before = standing.ids()
    state = earlier(json.loads(standing.pulumi("stack", "export").stdout))
    names = {item["urn"].rpartition("::")[2] for item in state["deployment"]["resources"]}
    assert {"jaeger-container", "cluster-ensure", "stack-sweep"} <= names
    file = standing.folder.parent / "earlier.json"
    file.write_text(json.dumps(state))
    standing.pulumi("stack", "import", "--file", str(file))
    with standing.disturbed():
        changes = standing.plan().changes
        assert changes.pop(ENVIRONMENT) == {"create"}
        assert set().union(*changes.values()) <= {"update"}, changes
        standing.up()
        assert standing.ids() == before
        standing.expect_no_changes()
