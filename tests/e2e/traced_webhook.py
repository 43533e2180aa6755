"""A webhook that sends a span of its own, as one with OpenTelemetry's libraries does."""

from __future__ import annotations

import base64
import secrets
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import trustme

from ktrace import otlp
from tests.e2e.webhooks import configured
from tests.fakes.http import FakeServer, Reply, Request
from tests.live.pods import pods
from tests.live.stack import Stack

_PORT = 8443


@dataclass
class TracedWebhook:
    """Is asked about ConfigMaps and allows them; ``operation`` is the name of its span."""

    otlp_http: str
    operation: str
    contexts: list[str] = field(default_factory=list)
    """The traceparents that it received."""

    def answer(self, request: Request) -> Reply:
        begin = time.time_ns()
        context = request.headers.get("traceparent", "")
        self.contexts.append(context)
        if context:
            _, trace_id, parent_id, _ = context.split("-")
            own = otlp.new_span_id()
            span = otlp.SentSpan(trace_id, own, self.operation, begin, time.time_ns(), parent_id)
            otlp.send(otlp.Collector.at(self.otlp_http), [span], 10)
        review = {"uid": request.body["request"]["uid"], "allowed": True}
        kind = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}
        return Reply(200, {**kind, "response": review}, {"Connection": "close"})


@contextmanager
def traced_webhook(stack: Stack) -> Iterator[TracedWebhook]:
    """The API server reaches it when the block begins.

    It runs here, on 127.0.0.1, and answers through a pod that listens in the cluster.
    """
    webhook = TracedWebhook(stack.outputs["otlpHttpEndpoint"], f"review-{secrets.token_hex(3)}")
    with pods(stack, "sleep", "600") as listener:
        listener.wait_for("Running")
        pod = f"{listener.name}-0"
        address = stack.kubectl("get", "pod", pod, "-o", "jsonpath={.status.podIP}")
        authority = trustme.CA()
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(address).configure_cert(tls)
        server = FakeServer(webhook.answer, tls)
        try:
            with _carried(stack, pod, int(server.url.rpartition(":")[2])):
                trust = base64.b64encode(authority.cert_pem.bytes()).decode()
                with configured(
                    stack,
                    "traced",
                    f"https://{address}:{_PORT}/",
                    "configmaps",
                    authority=trust,
                    seconds=5,
                ):
                    yield webhook
        finally:
            server.stop()


@contextmanager
def _carried(stack: Stack, pod: str, port: int) -> Iterator[None]:
    """Carries one connection after the other from the pod to ``port`` of this machine."""
    ended = threading.Event()
    running: list[subprocess.Popen[bytes]] = []
    kubectl = shutil.which("kubectl", path=stack.environment["PATH"]) or "kubectl"
    kubeconfig = ("--kubeconfig", stack.outputs["kubeconfig"])
    listen = [kubectl, *kubeconfig, "exec", "-i", pod, "--", "nc", "-l", "-p", str(_PORT)]

    def carry() -> None:
        while not ended.is_set():
            with subprocess.Popen(
                listen, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            ) as nc:
                running[:] = [nc]
                assert nc.stdin
                assert nc.stdout
                first = nc.stdout.read1(1 << 16)  # type: ignore[attr-defined]
                if not first:
                    continue
                with suppress(OSError), socket.create_connection(("127.0.0.1", port)) as inside:
                    inside.sendall(first)
                    back = threading.Thread(target=_pour, args=(inside, nc), daemon=True)
                    back.start()
                    while part := nc.stdout.read1(1 << 16):  # type: ignore[attr-defined]
                        inside.sendall(part)
                nc.kill()

    thread = threading.Thread(target=carry, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        for process in running:
            process.kill()
        thread.join(10)


def _pour(source: socket.socket, nc: subprocess.Popen[bytes]) -> None:
    assert nc.stdin
    with suppress(OSError, ValueError):
        while part := source.recv(1 << 16):
            nc.stdin.write(part)
            nc.stdin.flush()
        nc.stdin.close()
