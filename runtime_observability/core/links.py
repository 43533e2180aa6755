"""Ready-made searches on Jaeger's page."""

from __future__ import annotations

import json
from urllib.parse import urlencode


def search(jaeger_url: str, service: str, operation: str = "", **options: str) -> str:
    """A search over the last hour; ``tags`` is a JSON object of strings, durations as ``1s``."""
    query = {"service": service, "operation": operation, "limit": "50", "lookback": "1h"} | options
    return f"{jaeger_url}/search?{urlencode({k: v for k, v in query.items() if v})}"


def all_links(jaeger_url: str, *, containerd: bool, request_span: str = "") -> dict[str, str]:
    """The questions that users come with, as links; image pulls only where containerd is traced.

    ``request_span`` is the operation of a whole request, where all have the same.
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
