"""The names of the traced components: each is also its service's name in Jaeger."""

APISERVER = "apiserver"
ETCD = "etcd"
KUBELET = "kubelet"
CONTAINERD = "containerd"
SCHEDULER = "scheduler"
"""Exports no spans: its part of a start lies between two spans of the API server."""
_KUBELETS = ("kubelet/", "k3s/", "rke2/", "k0s/")
"""How the user agent of a kubelet begins: these distributions run it in a process of theirs."""


def is_kubelet(user_agent: str) -> bool:
    return user_agent.startswith(_KUBELETS) and not user_agent.endswith(
        ("/scheduler", "-controller")
    )
