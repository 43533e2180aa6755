"""Why a Jaeger that holds the traces of many stacks has nothing of one of them."""

from __future__ import annotations

from ktrace.components import APISERVER, CONTAINERD, KUBELET
from ktrace.jaeger import Jaeger, JaegerError, origin

_COMPONENTS = (KUBELET, APISERVER, CONTAINERD)


def of_stack(jaeger: Jaeger) -> str:
    """Says that it has no span of the stack, and whose it has; empty if it has one, or no answer.

    Traces from before the stack's collector named it look as if there were none.
    """
    if not (jaeger.shared and jaeger.stack):
        return ""
    found: set[origin.Origin | None] = set()
    try:
        for component in _COMPONENTS:
            if jaeger.find(component, limit=1):
                return ""
            found |= jaeger.stacks(component)
    except JaegerError:
        return ""
    others = f"it has {origin.told(found)}" if found else "it has none of any cluster"
    return f"this Jaeger has no span of stack {jaeger.stack} of the last two days; {others}"
