"""The presets of ``tracing``: which traces the collector passes on to Jaeger, and which it drops.

A preset is a list of marks: conditions on single spans. The tail_sampling processor holds the spans
of a trace back until one of them has a mark. Then it passes on the whole trace, with all that comes
later; a trace of which no span has a mark is dropped whole. It decides at the arrival of the spans
(``sampling_strategy: span-ingest``), so what is kept reaches Jaeger without a delay, and a mark
that comes late is no loss for as long as the trace is held back.

A mark is never what a trace lacks: spans arrive in any number of batches, and none of them knows
what the others have.

Names and attributes are those of kubernetes/apiserver pkg/endpoints/filters/traces.go and
pkg/endpoints/handlers/trace_util.go, kubernetes pkg/kubelet/kubelet.go, and the CRI's gRPC methods;
docs/how-it-works.md says from which release on a rule works.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from runtime_observability.core import durations

Preset = Literal["everything", "quiet", "starts", "errors-and-slow"]

PROCESSOR = "tail_sampling"

HELD_SECONDS = 600
"""How long a trace without its root and without a mark is held back. A pull of an image that takes
longer may cost `errors-and-slow` its trace; the other presets see the start of a pod at once."""

_AFTER_ROOT_SECONDS = 30
"""How long a trace is held back once its root has arrived. The rest comes from other programs: they
send every half second, and again for up to a minute if the collector refused."""

_HELD_TRACES_PER_MIB = 80
"""20,480 traces in 256 MiB. Those of a cluster at rest have 2.3 spans and take 2.4 KiB each."""

_DECISIONS_PER_MIB = 400
"""How many decisions are remembered for spans that come later: 102,400 of each kind in 256 MiB, of
an hour of a real k3s at rest. Each takes 170 bytes."""

_LONGEST = HELD_SECONDS * 1_000


def milliseconds(text: str) -> int | None:
    """Of 500ms, 2s or 1m: no longer than traces are held back. None for any other text."""
    duration = durations.milliseconds(text) or 0
    return duration if 0 < duration <= _LONGEST else None


# --- what a span says, as conditions of the OpenTelemetry Transformation Language -----------------


def _matches(path: str, pattern: str) -> str:
    """Whether the text at ``path`` has a match; a path without a value has none."""
    escaped = pattern.replace("\\", "\\\\").replace('"', '\\"')
    return f'IsMatch({path}, "{escaped}")'


def _attribute(name: str) -> str:
    return f'span.attributes["{name}"]'


def _all(*conditions: str) -> str:
    return " and ".join(conditions)


def _any(*conditions: str) -> str:
    return f"({' or '.join(conditions)})"


def _not(condition: str) -> str:
    return f"not {condition}"


_SERVICE = 'resource.attributes["service.name"]'
_OF_APISERVER = f'{_SERVICE} == "apiserver"'
_OF_KUBELET = f'{_SERVICE} == "kubelet"'
_FAILED = "span.status.code == STATUS_CODE_ERROR"
_IS_SERVER = "span.kind == SPAN_KIND_SERVER"
_IS_CLIENT = "span.kind == SPAN_KIND_CLIENT"

_OF_CLUSTER = _matches(_SERVICE, "^(apiserver|kubelet|containerd|etcd)$")
_OF_OTHERS = _not(_OF_CLUSTER)
"""Sent by what runs in the cluster or by ktrace, not by the cluster itself."""

_STARTING_CALLS = "RuntimeService/(RunPodSandbox|CreateContainer|StartContainer)"
_PULL = "ImageService/PullImage"
_OTHER_CHANGES = (
    "RuntimeService/(StopPodSandbox|RemovePodSandbox|StopContainer|RemoveContainer"
    "|UpdateContainerResources|CheckpointContainer|Exec|Attach|PortForward)"
    "|ImageService/RemoveImage"
)
_STARTS_SOMETHING = _matches("span.name", f"^runtime\\.v1\\.({_STARTING_CALLS}|{_PULL})$")
_CHANGES_SOMETHING = _matches(
    "span.name", f"^runtime\\.v1\\.({_STARTING_CALLS}|{_PULL}|{_OTHER_CHANGES})$"
)
"""Of the kubelet and of containerd: where their traces are apart, each has one (Kubernetes 1.28 and
1.29). ExecSync is not among them: it is a probe, or a handler in a start that has other marks."""

_IS_SYNC = 'span.name == "syncPod"'
_FIRST_SYNC = _all(_IS_SYNC, f'{_attribute("k8s.pod.update_type")} == "create"')
_FAILED_SYNC = _all(_IS_SYNC, _FAILED)
_POD_ENDS = _matches("span.name", "^syncTerminat(ing|ed)Pod$")

# --- the API server's requests --------------------------------------------------------------------

_PATH, _VERB = _attribute("url"), _attribute("verb")
"""Of the span in which a handler works on an object (Get, List, Create, …), in every release; a
watch has it from the verb WATCH."""
_TARGET = _attribute("http.target")
"""Path and query of the request's own span, from Kubernetes 1.29 on."""

_LEASES = "^/apis/coordination\\.k8s\\.io/.*/leases([/?]|$)"
_EVENTS = "^/(api/v1|apis/events\\.k8s\\.io/[^/]+)/(namespaces/[^/]+/)?events([/?]|$)"
_HEALTH = "^/(livez|readyz|healthz)([/?]|$)"
_WATCHING = "[?&]watch=(true|1)(&|$)|^/api(s/[^/]+)?/[^/]+/watch/"
_STREAMS = "/(exec|attach|portforward|proxy|log)([/?]|$)"

_REVIEWS = "^/apis/auth(entic|oriz)ation\\.k8s\\.io/"
_SYSTEM = (
    "^(k3s(-[a-z-]+)?|kube-apiserver|kube-controller-manager|kube-scheduler|kube-proxy|kubelet"
    "|cloud-controller-manager|coredns|metrics-server|local-path-provisioner|helm-controller)/"
    "|^deploy@"
)
"""How the user agents of Kubernetes' and k3s' own components begin."""

_AGENTS = tuple(_attribute(name) for name in ("user_agent.original", "http.user_agent"))
"""Of the request's own span, in newer and older releases."""
_OF_SYSTEM = _any(*(_matches(agent, _SYSTEM) for agent in _AGENTS))
_OF_KUBECTL = _any(*(_matches(agent, "^kubectl/") for agent in _AGENTS))
_IS_GET = _any(*(f'{_attribute(name)} == "GET"' for name in ("http.request.method", "http.method")))
_READS = _matches(_VERB, "^(GET|LIST|WATCH)")
_BY_SYSTEM = _matches(_attribute("user-agent"), _SYSTEM)

_WORK_ON_OBJECTS = _all(
    _OF_APISERVER,
    f"{_VERB} != nil",
    _not(_matches(_VERB, "^WATCH")),
    _not(f"({_all(_any(_READS, _matches(_PATH, _REVIEWS)), _BY_SYSTEM)})"),
    _not(_matches(_PATH, _LEASES)),
    _not(_matches(_PATH, _EVENTS)),
)
_REQUEST_OF_A_USER = _all(
    _OF_APISERVER,
    _IS_SERVER,
    f"{_TARGET} != nil",
    _not(_OF_SYSTEM),
    _not(_matches(_TARGET, _HEALTH)),
    _any(_not(_matches(_TARGET, _LEASES)), _OF_KUBECTL),
    _any(_not(_matches(_TARGET, _EVENTS)), _IS_GET),
)
_VISIT_TO_A_POD = _all(
    _OF_KUBELET,
    _IS_SERVER,
    _matches("span.name", "/(exec|attach|run|portForward|containerLogs|checkpoint)(/|$)"),
)

_PODS = (
    "^/api/v1/namespaces/[^/]+/pods"
    "(/[^/]+(/(binding|status|ephemeralcontainers|eviction|resize))?)?$"
)
_OWNERS = (
    "^/(api/v1|apis/(apps|batch)/[^/]+)/namespaces/[^/]+/(replicationcontrollers|replicasets"
    "|deployments|statefulsets|daemonsets|jobs|cronjobs)(/[^/]+(/scale)?)?$"
)
_WRITE_OF_PODS_OR_OWNERS = _all(
    _OF_APISERVER,
    f"{_VERB} != nil",
    _not(_READS),
    _any(_matches(_PATH, _PODS), _matches(_PATH, _OWNERS)),
)

# --- what is open for as long as somebody listens -------------------------------------------------

_LISTENS = _all(
    _OF_CLUSTER,
    _matches(
        "span.name",
        "^etcdserverpb\\.(Watch/|Lease/LeaseKeepAlive)|^Watch"
        "|[/.](Wait|Subscribe|GetContainerEvents)$",
    ),
)
_CLIENT_GET = _all(_OF_CLUSTER, _IS_CLIENT, 'span.name == "HTTP GET"')
"""Of the kubelet and the API server: 404 is how it learns that something does not exist, and its
watches last for minutes. The request's own span in the API server says what failed or was slow."""
_LONG_REQUEST = _all(
    _OF_APISERVER,
    _IS_SERVER,
    _any(
        f"{_TARGET} == nil",
        _matches(_TARGET, _WATCHING),
        _matches(_TARGET, _STREAMS),
    ),
)
_LONG_HANDLER = _matches(_VERB, "^(WATCH|CONNECT)")

_OF_PROBE = _any(
    f'{_SERVICE} == "ktrace"',
    _matches(_attribute("k8s.pod"), "/trace-probe-"),
    _matches(_attribute("key"), "/pods/[^/]+/trace-probe-"),
)
"""What `up` and `ktrace verify` wait for."""


def _took_longer(than_ms: int) -> str:
    nanoseconds = than_ms * 1_000_000
    return _all(
        f"span.end_time_unix_nano - span.start_time_unix_nano > {nanoseconds}",
        _not(f"({_LISTENS})"),
        _not(f"({_CLIENT_GET})"),
        _not(f"({_LONG_REQUEST})"),
        _not(_LONG_HANDLER),
        _not(f"({_VISIT_TO_A_POD})"),
    )


# --- the presets ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Choice:
    """A preset with what belongs to it; ``slower_than_ms`` counts for errors-and-slow alone."""

    preset: Preset = "everything"
    slower_than_ms: int = 0

    @property
    def needs_tail_sampling(self) -> bool:
        """Whether the collector must have more than the components of the core distribution."""
        return self.preset != "everything"

    @property
    def marks(self) -> Mapping[str, tuple[str, ...]]:
        """The conditions that keep a trace, by what they stand for; empty keeps all of them."""
        match self.preset:
            case "quiet":
                return {
                    "other-services": (_OF_OTHERS,),
                    "requests": (_WORK_ON_OBJECTS, _REQUEST_OF_A_USER),
                    "pods": (
                        _CHANGES_SOMETHING,
                        _FIRST_SYNC,
                        _FAILED_SYNC,
                        _POD_ENDS,
                        _VISIT_TO_A_POD,
                    ),
                }
            case "starts":
                return {
                    "other-services": (_OF_OTHERS,),
                    "causes": (_WRITE_OF_PODS_OR_OWNERS,),
                    "pods": (_STARTS_SOMETHING, _FIRST_SYNC, _FAILED_SYNC),
                }
            case "errors-and-slow":
                return {
                    "probe": (_OF_PROBE,),
                    "errors": (_all(_FAILED, _not(f"({_LISTENS})"), _not(f"({_CLIENT_GET})")),),
                    "slow": (_took_longer(self.slower_than_ms),),
                }
            case _:
                return {}

    @property
    def description(self) -> str:
        """One line: which traces reach Jaeger."""
        match self.preset:
            case "quiet":
                return (
                    "quiet: without health checks, leases, events, reads and watches of system "
                    "components, and rounds of the kubelet in which nothing happened"
                )
            case "starts":
                return "starts: pod starts, and the requests that caused them"
            case "errors-and-slow":
                return (
                    "errors-and-slow: traces with an error, or with a span of more than "
                    f"{self.slower_than_ms / 1000:g} s"
                )
            case _:
                return "everything"

    @property
    def lines(self) -> tuple[str, ...]:
        """What a preview tells of a preset that leaves traces out."""
        return (f"Jaeger gets {self.description}",) if self.needs_tail_sampling else ()

    def processors(self, memory_mib: int) -> dict[str, dict[str, Any]]:
        """The processors of the traces pipeline, in order; ``memory_mib`` is the collector's limit.

        None for `everything`.
        """
        if not self.needs_tail_sampling:
            return {}
        return {
            PROCESSOR: {
                "sampling_strategy": "span-ingest",
                "decision_wait": f"{HELD_SECONDS}s",
                "decision_wait_after_root_received": f"{_AFTER_ROOT_SECONDS}s",
                "num_traces": memory_mib * _HELD_TRACES_PER_MIB,
                "decision_cache": {
                    "sampled_cache_size": memory_mib * _DECISIONS_PER_MIB,
                    "non_sampled_cache_size": memory_mib * _DECISIONS_PER_MIB,
                },
                "policies": [
                    {
                        "name": name,
                        "type": "ottl_condition",
                        "ottl_condition": {"error_mode": "ignore", "span": list(conditions)},
                    }
                    for name, conditions in self.marks.items()
                ],
            }
        }


EVERYTHING = Choice()
