"""Which node's kubelet sent a request.

No span says it: a kubelet's user agent is the same on every node. But a kubelet renews the lease of
its own node, and sends all of its requests over the same connection.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ktrace.activity.requests import NOT_KNOWN, ApiRequest

_LEASE = "leases.coordination.k8s.io/kube-node-lease/"


def of_kubelets(requests: Sequence[ApiRequest]) -> Iterator[tuple[str, ApiRequest]]:
    """The requests of kubelets, each with its node; ``not known`` where no lease tells it.

    Others may use a kubelet's user agent: what did not come over the connection of one lease alone
    has no known node.
    """
    named: dict[str, set[str]] = {}
    for request in requests:
        if request.connection and request.writes and request.object.startswith(_LEASE):
            named.setdefault(request.connection, set()).add(request.object.removeprefix(_LEASE))
    for request in requests:
        if request.kubelet:
            nodes = named.get(request.connection, set())
            yield next(iter(nodes)) if len(nodes) == 1 else NOT_KNOWN, request
