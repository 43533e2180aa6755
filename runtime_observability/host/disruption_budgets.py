"""PodDisruptionBudgets, by which the API server may refuse to evict a pod. Read-only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from runtime_observability.host import node_kubectl

_RULES = {
    "In": "{key} in ({values})",
    "NotIn": "{key} notin ({values})",
    "Exists": "{key}",
    "DoesNotExist": "!{key}",
}
"""As kubectl writes an operator of a selector."""


def selectors(*pods: str, server: str) -> list[str]:
    """kubectl's selectors of the pods in budgets of these pods' namespaces, but of a budget for a
    whole namespace; none where that cannot be asked."""
    found = filter(node_kubectl.is_drained, node_kubectl.objects(*pods, server=server))
    namespaces = {pod["metadata"].get("namespace") for pod in found}
    if not namespaces:
        return []
    listed = node_kubectl.objects("poddisruptionbudgets", "--all-namespaces", server=server)
    own = [each["spec"] for each in listed if each["metadata"]["namespace"] in namespaces]
    texts = (",".join(_rules(spec.get("selector") or {})) for spec in own)
    return list(dict.fromkeys(filter(None, texts)))


def _rules(selector: Mapping[str, Any]) -> Iterator[str]:
    for key, value in selector.get("matchLabels", {}).items():
        yield f"{key}={value}"
    for rule in selector.get("matchExpressions", ()):
        values = ",".join(rule.get("values", ()))
        yield _RULES[rule["operator"]].format(key=rule["key"], values=values)
