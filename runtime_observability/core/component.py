"""The components of a cluster that can be traced."""

from __future__ import annotations

from typing import Literal, get_args

Component = Literal["apiserver", "kubelet", "containerd", "etcd"]
"""By the name of its service in Jaeger."""
COMPONENTS: tuple[str, ...] = get_args(Component)
