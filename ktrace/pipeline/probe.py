"""``python -m ktrace.pipeline.probe``: starts a pod and demands its trace.

Reads the document ``Request`` on stdin and prints what it found, which it also keeps in the file
``report``::

    {"pod": "default/trace-probe-…",       namespace/name of the pod, removed again
     "seconds": 0.9 | null,                from the pod's creation to its readable joined trace;
                                           null where sampling lets none be demanded
     "traceUrl": "…" | null,               the pod's start
     "requestTraceUrl": "…" | null,        the API server's request that created the pod
     "spans": {"kubelet": 12, …},          in the pod's trace, by service
     "traced": ["apiserver", …]}           the components that were found

The file holds two more, to compare releases by::

    {"k3sVersion": "v1.34.4-k3s1",
     "tree": [{"component": "kubelet", "operation": "syncPod",
               "startMs": 0.0, "durationMs": 1090.4,     startMs since the trace's first span
               "children": […]}]}                         of the same shape, in order of start
"""

from __future__ import annotations

import json
import secrets
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import urllib3
from kubernetes import client

from ktrace.jaeger import Jaeger, JaegerError, Trace
from ktrace.pipeline import hops
from runtime_observability.host import kubeapi
from runtime_observability.host.files import write_private
from runtime_observability.host.runner import CommandError

NAMESPACE = "default"
_POLL_SECONDS = 0.2
_SETTLE_SECONDS = 8.0
"""How long the pod's trace may grow after it was found. Spans leave a component in batches, a
child often before its parent, every 5 s where nothing else is set (OpenTelemetry SDK
configuration, OTEL_BSP_SCHEDULE_DELAY)."""


class ProbeError(Exception):
    """The probe could not show what it must; the message names who is silent, and what was seen."""


class SilenceError(ProbeError):
    """``components`` sent nothing."""

    def __init__(self, message: str, components: Sequence[str]) -> None:
        super().__init__(message)
        self.components = tuple(components)


@dataclass(frozen=True)
class CreatedPod:
    """``audit_id`` is the API server's name for the request that created the pod."""

    name: str
    audit_id: str
    at: float
    """Unix time in seconds, just before the request."""

    @property
    def key(self) -> str:
        return f"{NAMESPACE}/{self.name}"

    @property
    def since(self) -> int:
        """From when its spans are searched, in microseconds: clocks may differ by a little."""
        return int((self.at - 1) * 1_000_000)


@dataclass(frozen=True)
class Found:
    """What Jaeger has of a pod's start at one moment."""

    start: Trace | None = None
    request: Trace | None = None
    others: frozenset[str] = frozenset()
    """Components with a span since the pod's creation, of whatever."""

    def components(self) -> list[str]:
        """Those with spans of this very pod; containerd's must descend from the kubelet's."""
        traced = ["apiserver"] if self.request else []
        return traced + [name for name in ("kubelet", "containerd") if name in self._joined()]

    def _joined(self) -> set[str]:
        """Services with a span of the kubelet's or below one."""
        if self.start is None:
            return set()
        own = [span for span in self.start.spans if span.service == "kubelet"]
        return {each.service for span in own for each in (span, *self.start.below(span))}

    @property
    def whole(self) -> bool:
        return self.start is None or not self.start.spans_without_parent

    def counts(self) -> dict[str, int]:
        return self.start.counts if self.start else {}


@contextmanager
def probe_pod(api: client.CoreV1Api, image: str, seconds: float) -> Iterator[CreatedPod]:
    """A pod that does nothing, gone again at the end, whatever happens."""
    name = f"trace-probe-{secrets.token_hex(4)}"
    pod = client.V1Pod(
        metadata=client.V1ObjectMeta(name=name, labels={"app": "trace-probe"}),
        spec=client.V1PodSpec(
            restart_policy="Never",
            automount_service_account_token=False,
            enable_service_links=False,
            termination_grace_period_seconds=0,
            containers=[
                client.V1Container(name="probe", image=image, image_pull_policy="IfNotPresent")
            ],
        ),
    )
    deadline = time.monotonic() + seconds
    while True:
        at = time.time()
        try:
            _, _, headers = api.create_namespaced_pod_with_http_info(
                NAMESPACE, pod, _request_timeout=10
            )
            break
        except client.ApiException as error:
            # A new cluster makes the namespace's service account a moment after the namespace.
            if error.status != 403 or time.monotonic() > deadline:
                raise ProbeError(f"the probe's pod cannot be created: {_reason(error)}") from error
            time.sleep(0.2)
    try:
        yield CreatedPod(name, {k.lower(): v for k, v in headers.items()}.get("audit-id", ""), at)
    finally:
        api.delete_namespaced_pod(name, NAMESPACE, grace_period_seconds=0, _request_timeout=10)


@dataclass(frozen=True)
class Wanted:
    """``demanded``: components with spans of this very pod; ``expected``: with any new span."""

    demanded: tuple[str, ...]
    expected: tuple[str, ...] = ()

    def missing(self, found: Found) -> list[str]:
        silent = [name for name in self.demanded if name not in found.components()]
        return silent + [name for name in self.expected if name not in found.others]


def look(jaeger: Jaeger, pod: CreatedPod, expected: Sequence[str]) -> Found:
    """The pod's start and its creating request, as far as Jaeger has them now."""
    since = pod.since
    starts = jaeger.find("kubelet", "syncPod", tags={"k8s.pod": pod.key}, start=since)
    requests = (
        jaeger.find("apiserver", tags={"audit-id": pod.audit_id}, start=since)
        if pod.audit_id
        else []
    )
    widest = max(starts, key=lambda trace: (len(trace.counts), len(trace.spans)), default=None)
    others = frozenset(name for name in expected if jaeger.find(name, start=since, limit=1))
    return Found(widest, requests[0] if requests else None, others)


def wait_for_trace(
    jaeger: Jaeger, pod: CreatedPod, wanted: Wanted, seconds: float
) -> tuple[Found, float | None]:
    """What was found, and the seconds until all that is ``wanted`` was; None: it was not.

    Once all are there the trace is read on until it has no holes and two looks agree.
    """
    deadline = pod.at + seconds
    complete_at: float | None = None
    found = Found()
    while True:
        before, found = found, look(jaeger, pod, wanted.expected)
        now = time.time()
        if not wanted.missing(found):
            complete_at = complete_at or now
            settled = found.whole and found.counts() == before.counts()
            if settled or now - complete_at > _SETTLE_SECONDS:
                return found, round(complete_at - pod.at, 2)
            time.sleep(0.7)
        elif now > deadline:
            return found, None
        time.sleep(_POLL_SECONDS)


def wait_until_started(api: client.CoreV1Api, pod: CreatedPod, seconds: float) -> None:
    """ProbeError when the pod itself does not start: what fails leaves a trace, too."""
    while (state := _pod_state(api, pod.name)).startswith("Pending"):
        if time.time() > pod.at + seconds:
            raise ProbeError(
                f"the trace of pod {pod.key} came, but within {seconds:g} s the pod did not start: "
                f"{state}. Name an image that the nodes can have in probeImage"
            )
        time.sleep(_POLL_SECONDS)


def silence(
    found: Found, wanted: Wanted, heard: Mapping[str, bool], seconds: float, pod_state: str
) -> str:
    """Why the probe failed, by component, with what was seen instead.

    ``heard``: every service that Jaeger knows, and whether it has a span since the pod's creation:
    Jaeger goes on listing what an earlier cluster sent.
    """
    silent = wanted.missing(found)
    lines = [f"no trace of {' and '.join(silent)} within {seconds:g} s of the pod's creation:"]
    for name in silent:
        if name not in heard:
            what = "has never sent a span to this Jaeger"
        elif not heard[name]:
            what = "has sent spans to this Jaeger before, but none since"
        elif name == "containerd" and found.start:
            what = "exports spans, but none below the kubelet's of this pod's start"
        else:
            what = "exports spans, but none of this pod's start came"
        lines.append(f"  - {name} {what}")
    lines.append(f"the pod: {pod_state}; services in Jaeger: {', '.join(heard) or 'none'}")
    lines.append("`docker logs` of the collector shows whether spans arrive and leave")
    return "\n".join(lines)


def _pod_state(api: client.CoreV1Api, name: str) -> str:
    try:
        status = api.read_namespaced_pod(name, NAMESPACE, _request_timeout=5).status
    except (client.ApiException, urllib3.exceptions.HTTPError) as error:
        return f"cannot be read ({_reason(error)})"
    waiting = [
        each.state.waiting.reason
        for each in (status and status.container_statuses) or []
        if each.state and each.state.waiting
    ]
    return ", ".join([str(status and status.phase), *map(str, waiting)])


def _reason(error: Exception) -> str:
    if isinstance(error, client.ApiException) and error.body:
        try:
            return str(json.loads(error.body)["message"])
        except (ValueError, KeyError):
            return str(error.body)
    return str(error)


def probe(
    jaeger: Jaeger,
    api: client.CoreV1Api,
    *,
    image: str,
    seconds: float,
    wanted: Wanted,
) -> dict[str, object]:
    """The report and its tree; ProbeError when a wanted component stays silent."""
    with probe_pod(api, image, seconds) as pod:
        print(f"pod {pod.key} created, waiting for its trace", file=sys.stderr, flush=True)
        found, waited = wait_for_trace(jaeger, pod, wanted, seconds)
        if waited is None:
            state = _pod_state(api, pod.name)
            heard = {
                name: bool(jaeger.find(name, start=pod.since, limit=1))
                for name in jaeger.services()
            }
            raise SilenceError(silence(found, wanted, heard, seconds, state), wanted.missing(found))
        wait_until_started(api, pod, seconds)
    return {
        "pod": pod.key,
        "seconds": waited if wanted.demanded else None,
        "traceUrl": jaeger.link(found.start) if found.start else None,
        "requestTraceUrl": jaeger.link(found.request) if found.request else None,
        "spans": found.counts(),
        "traced": [*found.components(), *sorted(found.others - set(found.components()))],
        "tree": tree(found.start) if found.start else [],
    }


def broken_hops(jaeger_url: str, api: client.CoreV1Api, silent: Sequence[str]) -> list[str]:
    """What ``ktrace verify`` would say, for the first node; nothing where it cannot be looked."""
    try:
        listed = api.list_node(_request_timeout=5).items
        nodes = [str(node.metadata.name) for node in listed if node.metadata]
        with Jaeger(jaeger_url) as jaeger:
            pipeline = hops.of_nodes(jaeger, nodes)
            if not isinstance(pipeline, hops.Pipeline) or not nodes:
                return []
            found = dict.fromkeys(pipeline.first_broken(nodes[0], name) for name in silent)
    except (client.ApiException, urllib3.exceptions.HTTPError, CommandError, ValueError):
        return []
    return [f"broken hop: {hop.hop}: {hop.evidence}; {hop.cure}" for hop in found]


def tree(trace: Trace) -> list[dict[str, object]]:
    """The trace's spans as nested documents; one whose parent is not there stands at the top."""
    begin = trace.spans[0].start
    children: dict[str, list[dict[str, object]]] = {span.span_id: [] for span in trace.spans}
    top: list[dict[str, object]] = []
    for span in trace.spans:
        document: dict[str, object] = {
            "component": span.service,
            "operation": span.operation,
            "startMs": (span.start - begin) / 1000,
            "durationMs": span.duration / 1000,
            "children": children[span.span_id],
        }
        children.get(span.parent_id or "", top).append(document)
    return top


@dataclass(frozen=True)
class Request:
    """The document on stdin; ``seconds`` is the deadline from the pod's creation."""

    jaegerUrl: str  # noqa: N815  named as in the document
    kubeconfig: str
    image: str
    seconds: float
    demanded: list[str]
    expected: list[str]
    report: str
    k3sVersion: str  # noqa: N815


def main() -> int:
    request = Request(**json.load(sys.stdin))
    api = kubeapi.core(Path(request.kubeconfig))
    try:
        with Jaeger(request.jaegerUrl) as jaeger:
            report = probe(
                jaeger,
                api,
                image=request.image,
                seconds=request.seconds,
                wanted=Wanted(tuple(request.demanded), tuple(request.expected)),
            )
    except (ProbeError, JaegerError, client.ApiException, urllib3.exceptions.HTTPError) as error:
        print(f"error: {_reason(error)}", file=sys.stderr)
        if isinstance(error, SilenceError):
            print(*broken_hops(request.jaegerUrl, api, error.components), sep="\n", file=sys.stderr)
        return 1
    if report["seconds"] is not None:
        told = f"joined trace after {report['seconds']} s, {report['traceUrl']}"
    else:
        told = f"sampling lets no trace be demanded; traced: {report['traced']}"
    print(f"pod {report['pod']}: {told}", file=sys.stderr)
    kept = {"k3sVersion": request.k3sVersion, **report}
    write_private(Path(request.report), json.dumps(kept, indent=2))
    print(json.dumps({key: value for key, value in report.items() if key != "tree"}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
