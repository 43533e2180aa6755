"""Webhooks in a cluster that take their time and then fail open."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from tests.e2e.ktrace import document
from tests.live.pods import pods
from tests.live.stack import Stack
from tests.live.waiting import until


@contextmanager
def slow_webhook(stack: Stack) -> Iterator[None]:
    """A webhook for pods that does not answer: the API server waits for it for a second.

    That is much more than what a busy machine adds. The API server uses it when the block begins.
    """
    # -lk or -ll: busybox has two programs of that name, and either knows one of these.
    silent = "nc -lk -p 8443 -e sleep 600 || nc -ll -p 8443 -e sleep 600"
    with pods(stack, "sh", "-c", silent) as server:
        server.wait_for("Running")
        address = stack.kubectl("get", "pod", f"{server.name}-0", "-o", "jsonpath={.status.podIP}")
        with configured(stack, "slow", f"https://{address}:8443/", "pods"):

            def asked() -> bool:
                """The API server learns of a new webhook after a moment, and of its pod."""
                with pods(stack, "true") as single:
                    single.wait_for("Succeeded")
                    start = document(stack, "show", f"{single.name}-0")
                calls = [step for step in start["steps"] if step["name"].startswith("webhook")]
                return any(float(step["durationMs"]) > 900 for step in calls)

            until("a pod that the webhook was asked about", asked, 60)
            yield


@contextmanager
def configured(
    stack: Stack,
    name: str,
    url: str,
    resource: str,
    *,
    authority: str = "",
    seconds: int = 1,
    fails: str = "Ignore",
) -> Iterator[None]:
    """A validating webhook ``name``.example.com for new objects of ``resource`` in default.

    ``authority`` is its CA in base64. After ``seconds`` the API server goes on without it, or
    refuses the object if ``fails`` is Fail.
    """
    client = {"url": url, **({"caBundle": authority} if authority else {})}
    hook = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": [
            {
                "name": f"{name}.example.com",
                "clientConfig": client,
                "rules": [
                    {
                        "apiGroups": [""], "apiVersions": ["v1"],
                        "operations": ["CREATE"], "resources": [resource],
                    }
                ],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}},
                "failurePolicy": fails,
                "timeoutSeconds": seconds,
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
            }
        ],
    }  # fmt: skip
    stack.kubectl("apply", "-f", "-", stdin=json.dumps(hook))
    try:
        yield
    finally:
        stack.kubectl("delete", "validatingwebhookconfiguration", name, check=False)
