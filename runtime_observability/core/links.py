"""URLs of ready-made searches in Jaeger's web UI."""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import urlencode


def search(
    jaeger_url: str,
    service: str,
    operation: str = "",
    tags: Mapping[str, str] | None = None,
    **options: str,
) -> str:
    """The URL of a search over the last hour.

    ``tags`` are those of a span or its process; ``options`` are Jaeger's query parameters, in which
    durations are written like ``1s``. Empty values are left out.
    """
    query = {"service": service, "operation": operation, "limit": "50", "lookback": "1h"} | options
    query["tags"] = json.dumps(tags) if tags else ""
    return f"{jaeger_url}/search?{urlencode({key: value for key, value in query.items() if value})}"


def all_links(
    jaeger_url: str,
    *,
    containerd: bool,
    etcd: bool = False,
    request_span: str = "",
    tags: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Searches for common questions, by name; image pulls only where containerd is traced, and
    requests to etcd only where that is.

    ``request_span`` is the operation of a request's root span in the API server; empty where it
    depends on the route. ``tags`` are of one stack's spans, in a Jaeger that has those of others.
    """
    failed = {**(tags or {}), "error": "true"}
    links = {
        "podStarts": search(jaeger_url, "kubelet", "syncPod", tags),
        "slowApiRequests": search(jaeger_url, "apiserver", request_span, tags, minDuration="500ms"),
        "apiErrors": search(jaeger_url, "apiserver", tags=failed),
        "podErrors": search(jaeger_url, "kubelet", tags=failed),
    }
    if containerd:
        pull = "runtime.v1.ImageService/PullImage"
        links["imagePulls"] = search(jaeger_url, "containerd", pull, tags)
    if etcd:  # a request of 100 ms is what etcd itself logs as slow
        links["slowEtcdRequests"] = search(jaeger_url, "etcd", tags=tags, minDuration="100ms")
    return links
