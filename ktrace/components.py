"""The names of the traced components: each is also its service's name in Jaeger."""

APISERVER = "apiserver"
ETCD = "etcd"
KUBELET = "kubelet"
CONTAINERD = "containerd"
SCHEDULER = "scheduler"
"""Exports no spans: its part of a start lies between two spans of the API server."""
