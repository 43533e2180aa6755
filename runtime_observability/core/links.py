"""URLs of ready-made searches in Jaeger's web UI."""

from __future__ import annotations

import json
from urllib.parse import urlencode


def search(jaeger_url: str, service: str, operation: str = "", **options: str) -> str:
    """The URL of a search over the last hour.

    ``options`` are Jaeger's query parameters: ``tags`` is a JSON object of strings, durations are
    written like ``1s``. Empty values are left out.
    """
    query = {"service": service, "operation": operation, "limit": "50", "lookback": "1h"} | options
    return f"{jaeger_url}/search?{urlencode({key: value for key, value in query.items() if value})}"


def all_links(jaeger_url: str, *, containerd: bool, request_span: str = "") -> dict[str, str]:
    """Searches for common questions, by name; image pulls only where containerd is traced.

    ``request_span`` is the operation of a request's root span in the API server; empty where it
    depends on the route.
    """
    links = {
        "podStarts": search(jaeger_url, "kubelet", "syncPod"),
        "slowApiRequests": search(jaeger_url, "apiserver", request_span, minDuration="500ms"),
        "apiErrors": search(jaeger_url, "apiserver", tags=json.dumps({"error": "true"})),
        "podErrors": search(jaeger_url, "kubelet", tags=json.dumps({"error": "true"})),
    }
    if containerd:
        pull = "runtime.v1.ImageService/PullImage"
        links["imagePulls"] = search(jaeger_url, "containerd", pull)
    return links
