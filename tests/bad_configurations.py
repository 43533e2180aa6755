"""Configurations that cannot become a cluster: mutations of a valid one, drawn by Hypothesis.

Each says who is expected to refuse it, the first in the order of ``pulumi up``. The rehearsal
refuses for others, whom a kind's comment names where its values do not show it: k3d, k3s, a
component of Kubernetes, containerd or Docker.
"""

from __future__ import annotations

import itertools
import re
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import yaml
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

_SEED = 2026
MANY_DIGITS = "9" * 5000
"""More than Python reads as a number by default."""


class Judge(Enum):
    """Who refuses a configuration, in the order of ``pulumi up``."""

    RULES = 1
    """The rules of the settings."""
    PREFLIGHT = 2
    """The look at the machine before the first resource."""
    IMAGES = 3
    """The pull or the build of an image."""
    REHEARSAL = 4
    """The rehearsal of the new cluster."""
    ADDITION = 5
    """The new agents themselves, which are added to the standing cluster and removed again."""


@dataclass(frozen=True)
class Bad:
    """A configuration that is refused: its keys over those of a valid one."""

    kind: str
    judge: Judge
    config: Mapping[str, Any]
    reasons: tuple[str, ...] = ()
    """Texts in lower case, one of which the one who refuses has written; none: any text."""

    def __str__(self) -> str:
        """A test's id."""
        values = ", ".join(f"{key}={value}" for key, value in self.config.items())
        return f"{self.kind}, {values}".encode("ascii", "backslashreplace").decode()[:100]

    def beside(self, other: Bad) -> Bad:
        """Both at once where they have no key in common, else this one."""
        if self.config.keys() & other.config.keys():
            return self
        judge = min(self.judge, other.judge, key=lambda judge: judge.value)
        reasons = [bad.reasons for bad in (self, other) if bad.judge is judge]
        return Bad(
            f"{self.kind} and {other.kind}",
            judge,
            {**self.config, **other.config},
            tuple(itertools.chain(*reasons)) if all(reasons) else (),
        )


@dataclass(frozen=True)
class Kind:
    """One way to be bad."""

    name: str
    judge: Judge
    drawn: SearchStrategy[tuple[dict[str, Any], str]]
    """The keys, and the reason."""

    @property
    def bad(self) -> SearchStrategy[Bad]:
        return self.drawn.map(
            lambda drawn: Bad(self.name, self.judge, drawn[0], tuple(filter(None, drawn[1:])))
        )


def _words(prefix: str) -> SearchStrategy[str]:
    return st.text(string.ascii_lowercase, min_size=3, max_size=8).map(lambda end: prefix + end)


_of_a_server = st.sampled_from(["@server:*", "@server:0", "@server:-", "@all", "@server:0;all", ""])


def _arguments(
    flags: Iterable[tuple[str, str]], filters: SearchStrategy[str] = _of_a_server
) -> SearchStrategy[tuple[dict[str, Any], str]]:
    """One of ``flags``, each with its reason, as an argument of k3s."""
    return st.builds(
        lambda flag, nodes: ({"k3sArgs": [flag[0] + nodes]}, flag[1]),
        st.sampled_from(list(flags)),
        filters,
    )


def _plain(key: str, values: Iterable[Any]) -> SearchStrategy[tuple[dict[str, Any], str]]:
    """One of ``values`` for ``key``; whoever refuses it names the key."""
    return st.sampled_from(list(values)).map(lambda value: ({key: value}, ""))


def _each_in_a_list(key: str, values: Iterable[Any]) -> SearchStrategy[tuple[dict[str, Any], str]]:
    return _plain(key, [[value] for value in values])


def _one_of(key: str, values: Mapping[Any, str]) -> SearchStrategy[tuple[dict[str, Any], str]]:
    """One of ``values`` for ``key``, with its reason."""
    return st.sampled_from(list(values.items())).map(lambda pair: ({key: pair[0]}, pair[1]))


# --- k3sArgs -------------------------------------------------------------------------------------

_API_SERVER_VALUES = {
    "audit-policy-file=/no/such/file": "/no/such/file",
    "authorization-mode=NoSuchMode": "nosuchmode",
    "enable-admission-plugins=NoSuchPlugin": "nosuchplugin",
    "encryption-provider-config=/no/such/file": "/no/such/file",
    "event-ttl=soon": "event-ttl",
    "max-requests-inflight=many": "max-requests-inflight",
    "oidc-issuer-url=http://example.org": "oidc-issuer-url",
    "runtime-config=api/all=maybe": "maybe",
    "secure-port=70000": "70000",
    "service-cluster-ip-range=nosuch": "service-cluster-ip-range",
    "service-node-port-range=a-b": "service-node-port-range",
    "storage-backend=etcd1": "storage-backend",
    "tls-min-version=VersionTLS9": "versiontls9",
    "v=loud": "loud",
}
"""Values that the API server refuses, with a text of its refusal."""
_KUBELET_VALUES = {
    "container-runtime-endpoint=unix:///no/such.sock": "/no/such.sock",
    "cpu-manager-policy=nosuch": "nosuch",
    "eviction-hard=nosuch": "eviction-hard",
    "image-gc-high-threshold=200": "imagegchighthresholdpercent",
    "max-pods=many": "max-pods",
    "register-with-taints=a:b:c:d": "a:b:c:d",
    "topology-manager-policy=nosuch": "nosuch",
    "v=loud": "loud",
}
_NOT_OF_AGENTS = (
    ("--kubelet-arg=no-such-flag=1", "no-such-flag"),
    ("--kubelet-arg=max-pods=many", "max-pods"),
    ("--tls-san=example.org", "tls-san"),
    ("--disable=traefik", "disable"),
    ("--no-such-flag", "no-such-flag"),
)
_of_an_agent = st.sampled_from(["@agent:*", "@agent:1", "@agent:0-1", "@agents:1-"])
_NO_SERVER = ("", ":", ":2-0", ":1", ":0,1", ":1-", ":-3", ":0:direct", ":\u0660", ":*\u00a0", ":a")
"""Subsets that select none of one server, or that k3d does not read."""
_REMOVED_FLAGS = (
    "cluster-secret-file=/a",
    "kube-cloud-controller-arg=v=1",
    "no-deploy=traefik",
    "no-flannel",
    "storage-class=local",
)
"""Flags of older k3s."""

_K3S_ARGUMENTS = (
    Kind(
        "a flag that k3s does not know",
        Judge.REHEARSAL,
        st.builds(
            lambda flag, value, nodes: ({"k3sArgs": [f"--{flag}{value}{nodes}"]}, flag),
            _words("no-such-"),
            st.sampled_from(["", "=", "=true", "=a=b", "=a b"]),
            _of_a_server,
        ),
    ),
    Kind(
        "a flag that k3s no longer has",
        Judge.REHEARSAL,
        _arguments((f"--{flag}", f"-{flag.partition('=')[0]}") for flag in _REMOVED_FLAGS),
    ),
    Kind(
        "a flag that a component does not know",
        Judge.REHEARSAL,
        st.builds(
            lambda component, flag, value, nodes: (
                {"k3sArgs": [f"--{component}-arg={flag}{value}{nodes}"]},
                flag,
            ),
            st.sampled_from(["kube-apiserver", "kubelet"]),
            _words("no-such-"),
            st.sampled_from(["", "=", "=1", "=a=b"]),
            _of_a_server,
        ),
    ),
    Kind(
        "a value that the API server does not take",
        Judge.REHEARSAL,
        _arguments(
            (f"--kube-apiserver-arg={flag}", reason) for flag, reason in _API_SERVER_VALUES.items()
        ),
    ),
    Kind(
        "a value that the kubelet does not take",
        Judge.REHEARSAL,
        _arguments((f"--kubelet-arg={flag}", reason) for flag, reason in _KUBELET_VALUES.items()),
    ),
    Kind(
        "a feature gate that a component does not have",
        Judge.REHEARSAL,
        st.builds(
            lambda component, gate, value, nodes: (
                {"k3sArgs": [f"--{component}-arg=feature-gates={gate}={value}{nodes}"]},
                gate.lower(),
            ),
            st.sampled_from(["kube-apiserver", "kubelet"]),
            _words("NoSuch"),
            st.sampled_from(["true", "false", "1", "F"]),
            _of_a_server,
        ),
    ),
    Kind(  # the servers start with each of them
        "an argument that the agents of a new cluster do not take",
        Judge.REHEARSAL,
        st.builds(
            lambda flag, nodes: (
                {"agents": 2, "k3sArgs": ["--tls-san=a@server:*", f"{flag[0]}{nodes}"]},
                flag[1],
            ),
            st.sampled_from(_NOT_OF_AGENTS),
            _of_an_agent,
        ),
    ),
    Kind(
        "an argument that agents of a standing cluster do not take",
        Judge.ADDITION,
        st.builds(
            lambda flag, nodes: ({"agents": 2, "k3sArgs": [f"{flag[0]}{nodes}"]}, flag[1]),
            st.sampled_from(_NOT_OF_AGENTS),
            _of_an_agent,
        ),
    ),
    Kind(  # the first server starts with each of them
        "an argument with which no other server joins",
        Judge.REHEARSAL,
        _plain(
            "k3sArgs",
            [
                ["--etcd-arg=listen-peer-urls=https://127.0.0.1:2380@server:*"],
                ["--etcd-arg=name=own@server:*"],
            ],
        ).map(lambda drawn: ({"servers": 3, **drawn[0]}, "")),
    ),
    Kind(
        "an argument of one word",
        Judge.RULES,
        _arguments(
            (flag, "")
            for flag in (
                "--disable traefik",
                "--kubelet-arg v=1",
                "-v=1",
                "disable=traefik",
                "",
                "--",
                " --disable=traefik",
                "-- disable=traefik",
            )
        ),
    ),
    Kind(
        "a flag without its value",
        Judge.RULES,
        _arguments(
            (f"--{flag}", "") for flag in ("disable", "kubelet-arg", "tls-san", "node-label")
        ),
    ),
    Kind(
        "an argument that the stack itself sets",
        Judge.RULES,
        _arguments(
            (f"--{argument}", "")
            for argument in (
                "kubelet-arg=config=/etc/mine.yaml",
                "kubelet-arg=--config=/etc/mine.yaml",
                "kubelet-arg=config+=/etc/mine.yaml",
                "kube-apiserver-arg=tracing-config-file=/etc/mine.yaml",
                "kube-apiserver-arg=--tracing_config_file=/etc/mine.yaml",
            )
        ),
    ),
    Kind(
        "a feature gate that stops its component",
        Judge.RULES,
        _arguments(
            (f"--{component}-arg={gates}", "")
            for component in ("kube-apiserver", "kubelet", "kube-scheduler")
            for gates in (
                "feature-gates=APIServerTracing=true",
                "feature_gates=KubeletTracing=false",
                "--feature-gates=A=true,KubeletTracing=true",
                "feature-gates=A",
                "feature-gates=A=yes",
                "feature-gates=A=true,B=on",
            )
        ),
    ),
    Kind(
        "a node filter that selects no node",
        Judge.RULES,
        _arguments(
            [("--disable=traefik", "")],
            st.sampled_from(
                [f"@{role}{subset}" for role in ("server", "servers") for subset in _NO_SERVER]
                + [f"@agent{subset}" for subset in ("", ":0", ":0-1", ":-0", ":1;server:0")]
                + ["@loadbalancer", "@all:*", "@nodes:*", "@Server:*", "@server:0;agent", "@"]
            ),
        ),
    ),
    Kind(
        "a node filter with a number of thousands of digits",
        Judge.RULES,
        _arguments(
            [("--disable=traefik", "")],
            st.sampled_from(
                [f"@server:{MANY_DIGITS}", f"@server:0-{MANY_DIGITS}", f"@agent:{MANY_DIGITS}-"]
            ),
        ),
    ),
    Kind(
        "an argument that k3d expands",
        Judge.RULES,
        _arguments((f"--node-label=a={text}", "") for text in ("$HOME", "${HOME}", "a$")),
    ),
)

# --- ports ---------------------------------------------------------------------------------------

_PORTS = (
    Kind(
        "a published port of another form",
        Judge.RULES,
        _each_in_a_list(
            "publishedPorts",
            [
                "80",
                "\u0668\u0660\u0668\u0660:80",
                "8080:\u0668\u0660",
                "0:80",
                "8080:0",
                "70000:80",
                "8080:65536",
                "8080-8090:80",
                "8080:80-90",
                "127.0.0.1:8080:80",
                "8080:80/sctp",
                "8080:80/TCP",
                "8080:80\n",
                " 8080:80",
                "+8080:80",
                "8080:80@server:0",
                "",
                8080,
                None,
                {"8080": 80},
                f"{MANY_DIGITS}:80",
            ],
        ),
    ),
    Kind(
        "published ports that are no list",
        Judge.RULES,
        _plain("publishedPorts", ["8080:80", 8080, {"8080": "80"}, None, True]),
    ),
    Kind(
        "a preset that does not exist",
        Judge.RULES,
        _plain("tracing", ["start", "Quiet", "", "errors", None, 1, True, ["quiet"]]),
    ),
    Kind(
        "a duration that is none",
        Judge.RULES,
        _plain("slowerThan", ["0s", "2", "1.5s", "-1s", "1h", "601s", "", None, 2, True, ["2s"]]),
    ),
    Kind(
        "an owner that is none",
        Judge.RULES,
        _plain("stackOwner", [" ", "ada bob", "-a", "a/", "a@b", "$A", "x" * 64, "é", None, 1, []]),
    ),
    Kind(
        "one port twice",
        Judge.RULES,
        _plain(
            "publishedPorts",
            [["8080:80", "8080:81"], ["8080:80", "8080:80"], ["53:53/udp", "53:54/udp"]],
        ),
    ),
    Kind(
        "a port that is no port",
        Judge.RULES,
        st.builds(
            lambda key, port: ({key: port}, ""),
            st.sampled_from(["kubeApiPort", "jaegerUiPort", "otlpGrpcPort", "collectorHealthPort"]),
            st.one_of(
                st.integers(max_value=1023),
                st.integers(min_value=65_536),
                st.sampled_from(["", "http", "80 80", 1.5, None, [8080], True, MANY_DIGITS]),
            ),
        ),
    ),
    Kind(
        "an offset that leads beyond the last port",
        Judge.RULES,
        st.one_of(
            st.integers(min_value=40_001, max_value=10**9),
            st.integers(max_value=-1),
            st.sampled_from(["many", "", 0.5, None, MANY_DIGITS]),
        ).map(lambda offset: ({"portOffset": offset}, "")),
    ),
)

# --- registries ----------------------------------------------------------------------------------

_REGISTRIES = (
    Kind(
        "a text that is no registries.yaml",
        Judge.RULES,
        st.sampled_from(
            [
                "/etc/rancher/k3s/registries.yaml",
                "mirrors: [docker.io]",
                "mirrors: {docker.io: [https://example.org]}",
                "mirrors: {docker.io: {endpoint: https://example.org}}",
                "mirrors: docker.io",
                "configs: [example.org]",
                "- mirrors",
                "{",
                "mirrors: {docker.io: {}",
                "mirrors:\n\t- docker.io",
                "a: b: c",
                "mirrors: &a [*b]",
                "!!python/object/apply:os.getcwd []",
                "mirrors: {$NAME: {}}",
                "\u0000",
                "[" * 3000,
            ]
        ).map(lambda text: ({"registries": {"config": text}}, "")),
    ),
    Kind(
        "registries of another form",
        Judge.RULES,
        _plain(
            "registries",
            [
                {"use": "example:5000"},
                {"use": ["http://example:5000"]},
                {"use": ["example:port"]},
                {"use": ["example:123456"]},
                {"use": [""]},
                {"use": [None]},
                {"create": {"name": "example"}},
                {"mirrors": {}},
                {"config": ["mirrors"]},
                {"config": {"mirrors": {}}},
                ["example:5000"],
                "example:5000",
                5000,
            ],
        ),
    ),
    Kind(
        "a registry that k3d has not made",
        Judge.PREFLIGHT,
        st.builds(
            lambda name, port: ({"registries": {"use": [f"{name}{port}"]}}, name),
            _words("no-such-"),
            st.sampled_from(["", ":5000"]),
        ),
    ),
    Kind(  # k3d
        "registries with a value of another type",
        Judge.REHEARSAL,
        st.builds(
            lambda name, text: (
                {"registries": {"config": text.replace("NAME", name)}},
                "registries",
            ),
            st.sampled_from(["docker.io", "example.org:5000"]),
            st.sampled_from(
                [
                    "mirrors: {NAME: {endpoint: [{}]}}\n",
                    "mirrors:\n  NAME:\n    rewrite: [a]\n",
                    "configs: {NAME: {tls: 5}}\n",
                    "configs: {NAME: {tls: {ca_file: [a]}}}\n",
                    "configs: {NAME: {tls: {insecure_skip_verify: maybe}}}\n",
                ]
            ),
        ),
    ),
)

# --- what nodes get besides ----------------------------------------------------------------------

_NODES = (
    Kind(
        "a volume of another form",
        Judge.RULES,
        _each_in_a_list(
            "nodeVolumes",
            [
                "docs",
                "docs:",
                ":/docs",
                "docs:docs",
                "docs:/docs:ro:z",
                "docs:/docs:",
                "docs:/docs:1",
                "~/docs:/docs",
                "$HOME:/docs",
                "docs:/",
                "docs://",
                "docs:/mnt/..",
                "docs:/var/lib/kubelet/",
                "docs://var/lib/kubelet",
                "docs:/var/lib/rancher/k3s",
                "docs:/etc/runtime-observability",
                "docs:/etc",
                "README.md:/etc/runtime-observability/kubelet-tracing.yaml",
                "docs:/var/lib/kubelet/pods",
                "",
                None,
                {"docs": "/docs"},
            ],
        ),
    ),
    Kind(
        "a volume whose source does not exist",
        Judge.PREFLIGHT,
        st.builds(
            lambda folder, name: ({"nodeVolumes": [f"{folder}{name}:/mnt/{name}:ro"]}, name),
            st.sampled_from(["", "docs/", "/no/such/", "../"]),
            _words("no-such-"),
        ),
    ),
    Kind(  # Docker
        "a volume that cannot be mounted",
        Judge.REHEARSAL,
        _one_of(
            "nodeVolumes",
            {
                ("docs:/mnt/docs:zz",): "invalid",
                ("docs:/mnt/docs:ro,rw",): "invalid",
                ("docs:/mnt/docs:RO",): "invalid",
                ("docs:/mnt/docs", "tests:/mnt/docs"): "duplicate mount point",
                ("README.md:/bin",): "not a directory",
            },
        ).map(lambda drawn: ({"nodeVolumes": list(drawn[0]["nodeVolumes"])}, drawn[1])),
    ),
    Kind(  # the container's runtime, or k3s
        "a volume over what a node needs",
        Judge.REHEARSAL,
        _one_of(
            "nodeVolumes",
            {
                ("docs:/bin",): "/bin/k3d-entrypoint.sh",
                ("README.md:/bin/k3s:ro",): "",
            },
        ).map(lambda drawn: ({"nodeVolumes": list(drawn[0]["nodeVolumes"])}, drawn[1])),
    ),
    Kind(
        "a variable that no node can have",
        Judge.RULES,
        _plain(
            "nodeEnvironment",
            [
                {"A-B": "1"},
                {"": "1"},
                {"1A": "1"},
                {"A=B": "1"},
                {"\u00c4": "1"},
                {"OTEL_TRACES_SAMPLER": "always_off"},
                {"CONTAINERD_OTEL_SERVICE_NAME": "mine"},
                {"K3S_TOKEN": "mine"},
                {"K3S_URL": "https://example.org"},
                {"PATH": "/bin"},
                {"A": "1\n2"},
                {"A": "$HOME"},
                {"A": None},
                {"A": ["1"]},
                ["A=1"],
                "A=1",
            ],
        ),
    ),
    Kind(
        "a variable that stops a node",
        Judge.REHEARSAL,
        _one_of(
            "nodeEnvironment",
            {
                (("GOMEMLIMIT", "lots"),): "gomemlimit",
                (("CONTAINERD_GOMEMLIMIT", "lots"),): "gomemlimit",
                (("CONTAINERD_LOG_LEVEL", "loud"),): "loud",
                (("GODEBUG", "fips140=sometimes"),): "fips140",
                (("K3S_DATASTORE_ENDPOINT", "nosuch://example.org"),): "datastore",
                (("K3S_DEBUG", "maybe"),): "debug",
            },
        ).map(lambda drawn: ({"nodeEnvironment": dict(drawn[0]["nodeEnvironment"])}, drawn[1])),
    ),
)

# --- releases, images and nodes ------------------------------------------------------------------

_NO_REGISTRY = "127.0.0.1:1/no-such"

_IMAGES = (
    Kind(
        "an image without a tag, or with a name that is none",
        Judge.RULES,
        st.builds(
            lambda key, image: ({key: image}, ""),
            st.sampled_from(["k3sImage", "jaegerImage", "collectorImage", "k3dToolsImage"]),
            st.sampled_from(
                ["k3s", "Rancher/k3s:v1", ":v1", "k3s:", "k3s@sha256:abc", "k3s:v1 ", "k3s:v 1", 5]
            ),
        ),
    ),
    Kind(
        "an image that cannot be pulled",
        Judge.IMAGES,
        st.builds(
            lambda key, name: ({key: f"{_NO_REGISTRY}/{name}:1"}, f"{_NO_REGISTRY}/{name}:1"),
            st.sampled_from(["k3sImage", "jaegerImage", "collectorImage"]),
            _words("image-"),
        ),
    ),
    Kind(
        "a release that no image has",
        Judge.IMAGES,
        st.integers(min_value=70, max_value=99).map(
            lambda patch: ({"k3sVersion": f"v1.36.{patch}-k3s1"}, f"v1.36.{patch}-k3s1")
        ),
    ),
    Kind(
        "a release that is none",
        Judge.RULES,
        st.builds(
            lambda key, release: ({key: release}, ""),
            st.sampled_from(["k3sVersion", "jaegerVersion", "collectorVersion"]),
            st.sampled_from(
                ["latest", "", "1", "1.36", "v", "0.1.0", "v1.2.3.4", "1.\u0662.3", 1.36, None]
            ),
        ),
    ),
    Kind(
        "a registry mirror that is none",
        Judge.RULES,
        _plain(
            "registryMirror",
            ["mirror", "https://example.org", "example.org/", "example.org:port", "example.org/A"],
        ),
    ),
    Kind(
        "a containerd that does not exist",
        Judge.PREFLIGHT,
        _words("no-such-").map(
            lambda name: (
                {"containerdTracing": "upstream", "containerdBinary": f"/no/{name}"},
                name,
            )
        ),
    ),
    Kind(
        "a number of nodes that no cluster can have",
        Judge.RULES,
        st.one_of(
            st.sampled_from([0, 2, 4, 6, 7, -1, "one", None, 1.5]).map(lambda n: {"servers": n}),
            st.sampled_from([-1, 11, 99, "two", None, 0.5]).map(lambda n: {"agents": n}),
        ).map(lambda config: (config, "")),
    ),
    Kind(
        "traces of an etcd that a single server does not have",
        Judge.RULES,
        _plain("etcdTracing", [True, "maybe", "true", 1]),
    ),
    Kind(
        "a key that does not exist",
        Judge.RULES,
        st.sampled_from(["k3sArg", "k3dArgs", "node_volumes", "publishedPort", "kubeapiPort"]).map(
            lambda key: ({key: []}, "")
        ),
    ),
)

_UNFIT_STORES: tuple[dict[str, Any], ...] = (
    {"openSearchUrls": ["https://search.example:9200"]},
    {"traceStore": "badger", "cassandraServers": ["cassandra.example"]},
    {"traceStore": "opensearch", "elasticsearchUrls": ["https://search.example"]},
    {"traceStore": "opensearch", "traceRetention": "36h"},
    {"traceStore": "opensearch", "jaegerVersion": "1.60.0"},
    {"traceStore": "opensearch", "openSearchVersion": "1.3.0"},
    {"traceStore": "opensearch", "openSearchHeapMiB": 1200},
    {"traceStore": "opensearch", "traceStoreReplicas": 6},
    {"traceStore": "opensearch", "traceStoreShards": 0},
)


def _queue(where: object) -> dict[str, object]:
    return {"exporters": [{"endpoint": "team.example:4317", "queue": where}]}


_STORES = (
    Kind(
        "an address of no Jaeger that can be asked",
        Judge.RULES,
        st.sampled_from(
            ["jaeger.example", "ftp://jaeger.example", "http://", "http://jaeger.example:0",
             "http://jaeger.example:65536", "http://a b", "http://ada:hush@jaeger.example",
             "http://jaeger.example?query", "http://[::1", "http://$HOST", "http://jaeger.example"]
        ).map(lambda url: ({"queryUrl": url}, "")),
    ),
    Kind(
        "a stack that would keep and send no trace",
        Judge.RULES,
        st.sampled_from([[], [{"endpoint": "logs.example:4317", "signals": ["logs"]}]]).map(
            lambda exporters: ({"traceStore": "none", "exporters": exporters}, "")
        ),
    ),
    Kind(
        "a queue that the collector cannot have",
        Judge.RULES,
        st.one_of(
            st.sampled_from(["tape", "", True]).map(lambda queue: (_queue(queue), "")),
            st.sampled_from(
                [{"collectorVersion": "0.134.0"}, {"collectorVersion": "0.162.0"},
                 {"collectorImage": "otel/opentelemetry-collector:{version}"}]
            ).map(lambda collector: (_queue("disk") | collector, "")),
        ),
    ),
    Kind(
        "a cluster for traces that Jaeger cannot use so",
        Judge.RULES,
        st.sampled_from(_UNFIT_STORES).map(lambda config: (config, "")),
    ),
    Kind(
        "an address of no node of a cluster for traces",
        Judge.RULES,
        st.sampled_from(
            ["search.example:9200", "ftp://search.example", "http://", "http://localhost:9200",
             "http://127.0.0.1:9200", "http://ada:hush@search.example", "http://a b",
             "http://search.example:0", "http://[::1", "http://$HOST", "http://search.example?x"]
        ).map(lambda url: ({"traceStore": "opensearch", "openSearchUrls": [url]}, "")),
    ),
)  # fmt: skip

KINDS = (*_K3S_ARGUMENTS, *_PORTS, *_REGISTRIES, *_NODES, *_IMAGES, *_STORES)

SINGLE = st.sampled_from(KINDS).flatmap(lambda kind: kind.bad)
BAD = st.one_of(SINGLE, SINGLE, st.builds(Bad.beside, SINGLE, SINGLE))
"""Mostly with one thing bad, sometimes with two."""


def draw(bad: SearchStrategy[Bad], number: int) -> list[Bad]:
    """``number`` different ones, or fewer where there are not as many; the same in each run."""
    found: dict[str, Bad] = {}

    @seed(_SEED)
    @settings(
        database=None,
        deadline=None,
        derandomize=False,
        max_examples=4 * number,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(bad)
    def collect(drawn: Bad) -> None:
        found.setdefault(repr(drawn), drawn)

    collect()
    return list(found.values())[:number]


def handed_on(number: int) -> list[Bad]:
    """Up to ``number`` of each kind that the rules accept, and as many of two kinds at once."""
    kinds = [kind.bad for kind in KINDS if kind.judge is not Judge.RULES]
    pairs = st.tuples(st.one_of(kinds), st.one_of(kinds)).filter(
        lambda pair: not pair[0].config.keys() & pair[1].config.keys()
    )
    both = pairs.map(lambda pair: pair[0].beside(pair[1]))
    return [bad for strategy in (*kinds, both) for bad in draw(strategy, number)]


# --- valid or not, for a judge to say ------------------------------------------------------------


def _like(pattern: str) -> SearchStrategy[str]:
    return st.from_regex(re.compile(pattern, re.ASCII), fullmatch=True)


_FILTER = _like(r"(all|(server|agent)s?(:(\*|\d(,\d)?,?|\d?-\d?))?)(:direct)?")
_PORT = _like(r"(127\.0\.0\.1:)?[1-9]\d{0,4}(-\d{4})?:[1-9]\d{0,4}(-\d{4})?(/(tcp|udp|sctp))?")
_VOLUME = _like(r"(docs|/tmp|tests/unit|k3d-a):(/?[a-z.]{1,3}){1,3}(:(ro|rw|z|rw,ro|x|1)){0,2}")
_VALUE = st.sampled_from([5, True, None, "a", "https://example.org", "5"])
_REGISTRY = st.dictionaries(
    st.sampled_from(["endpoint", "rewrite", "tls", "Endpoint", "more"]),
    st.one_of(
        _VALUE,
        st.lists(_VALUE, max_size=2),
        st.dictionaries(st.sampled_from(["ca_file", "insecure_skip_verify", "a"]), _VALUE),
    ),
    max_size=2,
)
_REGISTRIES_TEXT = st.dictionaries(
    st.sampled_from(["mirrors", "configs", "Mirrors", "more"]),
    st.dictionaries(st.sampled_from(["docker.io", "*", 5]), _REGISTRY, max_size=2),
    max_size=2,
).map(yaml.safe_dump)
NEARLY_VALID = st.builds(
    lambda nodes, others: {**nodes, **others},
    st.fixed_dictionaries({"servers": st.sampled_from([1, 3]), "agents": st.integers(0, 2)}),
    st.one_of(
        st.lists(_FILTER, min_size=1, max_size=2).map(
            lambda filters: {"k3sArgs": [f"--disable=traefik@{';'.join(filters)}"]}
        ),
        st.lists(_PORT, max_size=2).map(lambda ports: {"publishedPorts": ports}),
        st.lists(_VOLUME, max_size=2).map(lambda volumes: {"nodeVolumes": volumes}),
        _REGISTRIES_TEXT.map(lambda text: {"registries": {"config": text}}),
    ),
)
"""Values in the form that k3d has for them, as good as any."""
