"""What every release gets: a table of facts, full files of a few, and no key unknown to a release.

golden/releases/facts.txt has a line for every release at which something changes, and for the one
before it. ``UPDATE_GOLDEN=1 pytest tests/unit/core/test_releases.py`` rewrites golden/releases/:
read the diff.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from runtime_observability.core import cluster_spec, compatibility, documents, naming
from runtime_observability.core.naming import Names
from runtime_observability.core.settings.exporter import Exporter
from runtime_observability.core.settings.parse import SettingsError
from runtime_observability.core.versions import Since, Timeline, Version
from runtime_observability.host import node_image
from tests import configuration, golden
from tests.configuration import of_stack_file, parsed
from tests.fakes import go_template
from tests.unit.core.test_compatibility import (
    COLLECTOR_TIMELINES,
    JAEGER_TIMELINES,
    LATER,
    TIMELINES,
)
from tests.unit.core.test_containerd_template import K3S

GOLDEN = Path(__file__).parent / "golden" / "releases"
NAMES = Names("dev", Path("/home/ada/observability"))

RELEASES = {
    "k3s": [
        "1.27.1", "1.27.2", "1.27.99", "1.28.0", "1.29.99", "1.30.0", "1.30.99", "1.31.0",
        "1.31.5", "1.31.6", "1.31.99", "1.32.0", "1.32.1", "1.32.2", "1.33.99", "1.34.0",
        "1.34.9", "1.34.10", "1.34.99", "1.35.0", "1.35.6", "1.35.7", "1.35.99", "1.36.0",
        "1.36.2", "1.36.3", "1.37.1",
    ],
    "collector": [
        "0.54.0", "0.110.99", "0.111.0", "0.129.0", "0.131.99", "0.132.0", "0.134.0",
        "0.143.99", "0.144.0", "0.150.0", "0.159.0",
    ],
    "jaeger": ["1.35.0", "1.45.0", "1.76.0", "2.0.0", "2.13.0", "2.20.0"],
}  # fmt: skip
"""The releases of the table; patch 99 stands for the last of its minor."""
IN_FULL = {
    "k3s": ["1.27.1", "1.37.1"],
    "collector": ["0.54.0", "0.111.0", "0.132.0", "0.159.0"],
    "jaeger": ["1.76.0", "2.20.0"],
}
"""Releases whose files are golden files; those of each other release are one of them, with facts
of the table in other places."""


def k3s_files(release: str) -> dict[str, str]:
    """The files for the nodes, and the parts of the cluster that depend on the release."""
    settings = parsed(k3sVersion=f"v{release}-k3s1")
    config = configuration.spec_of(NAMES, settings).config
    built = node_image.node_image(settings, "amd64")
    cluster = {
        "image": config["image"],
        "built of": [built.base, built.source] if built else [],
        "volumes": [entry["volume"] for entry in config["volumes"]],
        "env": [entry["envVar"] for entry in config["env"]],
        "args": [entry["arg"] for entry in config["options"]["k3s"]["extraArgs"]],
    }
    files = documents.node_files(settings, cgroup_v1=False)
    files.pop(documents.CONTAINERD_FILE, None)  # tested in test_containerd_template.py
    return files | {"cluster": documents.dump(cluster)}


def k3s_facts(release: str) -> dict[str, str]:
    """What differs between releases of k3s, as the generated files have it."""
    settings = parsed(k3sVersion=f"v{release}-k3s1")
    version = settings.k3s_version
    built = node_image.node_image(settings, "amd64")
    own = compatibility.containerd_plan("image", version)
    kubelet = documents.kubelet_tracing(version, 1, cgroup_v1=True)
    tracing = yaml.safe_load(documents.apiserver_tracing(version, 1))
    return {
        "API server's file": tracing["apiVersion"],
        "containerd": built.version if built else "the image's",
        "node image": built.tag.rpartition("-")[2] if built else "-",
        "the image's containerd is told by": str(own.delivery),
        "on cgroup v1": "failCgroupV1: false" if "failCgroupV1: false" in kubelet else "-",
        "sandbox": compatibility.SANDBOX_IMAGE.at(version).rpartition(":")[2],
        "request span": compatibility.REQUEST_SPAN.at(version) or "its route",
        "runtime's calls": "in the pod's trace"
        if compatibility.RUNTIME_CALLS_JOIN_POD.at(version)
        else "apart",
        "etcd": _etcd(release),
    }


def _etcd(release: str) -> str:
    """The first flag that switches etcd's tracing on."""
    try:
        settings = parsed(k3sVersion=f"v{release}-k3s1", servers=3, etcdTracing=True)
    except SettingsError:
        return "not traceable"
    (flag, *_) = cluster_spec.etcd_arguments(settings)
    return flag.removeprefix("--etcd-arg=").partition("=")[0]


def collector_files(release: str) -> dict[str, str]:
    return {"collector.yaml": documents.collector(Version.parse(release), 500_000, 256)}


def collector_facts(release: str) -> dict[str, str]:
    version = Version.parse(release)
    over_grpc = Exporter(protocol="grpc", endpoint="a.test:4317", name="team")
    document = yaml.safe_load(documents.collector(version, 500_000, 256, exporters=[over_grpc]))
    exporter, grpc_exporter, *others = document["exporters"]
    (metrics,) = document["service"]["telemetry"]["metrics"]
    return {
        "exporter": exporter,
        "over gRPC": grpc_exporter.partition("/")[0],
        "takes": "everything" if "nop" in others else "traces",
        "metrics": metrics,
        "sampler": document["processors"]["probabilistic_sampler"].get("mode", "-"),
        "official image": _official_image("collectorVersion", release),
    }


def _official_image(key: str, release: str) -> str:
    try:
        parsed(**{key: release})
    except SettingsError as refused:
        (problem,) = refused.problems
        return f"none: {problem.cure.partition(',')[0]}"
    return "yes"


def jaeger_files(release: str) -> dict[str, str]:
    version = Version.parse(release)
    image: dict[str, Any] = {"image": compatibility.jaeger_image(version)}
    if compatibility.JAEGER_GENERATION.at(version) == "v1":
        image |= {"environment": documents.jaeger_v1_environment(parsed())}
        return {"container": documents.dump(image)}
    return {"container": documents.dump(image), "jaeger.yaml": documents.jaeger(parsed(), NAMES)}


def jaeger_facts(release: str) -> dict[str, str]:
    image = parsed(jaegerVersion=release).images.jaeger
    return {"image": image.removeprefix("docker.io/").partition(":")[0]}


FACTS: dict[str, Callable[[str], dict[str, str]]] = {
    "k3s": k3s_facts,
    "collector": collector_facts,
    "jaeger": jaeger_facts,
}
FILES: dict[str, Callable[[str], dict[str, str]]] = {
    "k3s": k3s_files,
    "collector": collector_files,
    "jaeger": jaeger_files,
}


def in_full(kind: str, release: str) -> str:
    """All files of a release as one text."""
    return "".join(f"--- # {name}\n{text}" for name, text in FILES[kind](release).items())


def like(kind: str, release: str) -> str:
    """The release in full whose files are those of ``release`` once the facts are put in."""
    text, facts = in_full(kind, release), {**FACTS[kind](release), "release": release}
    for other in IN_FULL[kind]:
        changed = (GOLDEN / f"{kind}-{other}.yaml").read_text()
        for name, fact in FACTS[kind](other).items():
            if kind == "k3s" and name in ("API server's file", "containerd", "node image"):
                changed = changed.replace(fact, facts[name])
        if changed.replace(other, release) == text:
            return other
    return "none"


def row(kind: str, release: str) -> list[str]:
    return [release, like(kind, release), *FACTS[kind](release).values()]


def table(kind: str) -> str:
    """The facts of all releases of a kind, in columns."""
    header = [kind, "files like", *FACTS[kind](RELEASES[kind][0])]
    rows = [header, *(row(kind, release) for release in RELEASES[kind])]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, cells, widths)).rstrip() for cells in rows]
    return "".join(f"{line}\n" for line in lines)


@pytest.mark.parametrize(
    ("kind", "release"), [(kind, release) for kind in IN_FULL for release in IN_FULL[kind]]
)
def test_a_release_is_given_what_it_was(kind: str, release: str) -> None:
    golden.check(GOLDEN / f"{kind}-{release}.yaml", in_full(kind, release))


def test_the_facts_of_every_release_are_what_they_were() -> None:
    golden.check(GOLDEN / "facts.txt", "\n".join(map(table, FACTS)))


def test_the_files_of_every_release_are_those_of_one_in_full() -> None:
    found = {release: like(kind, release) for kind in RELEASES for release in RELEASES[kind]}
    assert "none" not in found.values()
    assert set(found.values()) == {release for kind in IN_FULL.values() for release in kind}


def test_no_golden_file_is_left_over() -> None:
    wanted = {f"{kind}-{release}.yaml" for kind in IN_FULL for release in IN_FULL[kind]}
    assert {path.name for path in GOLDEN.iterdir()} == wanted | {"facts.txt"}


def test_the_articles_release_is_among_them() -> None:
    article = of_stack_file("article")
    assert f"{article['k3sVersion']}" == f"v{IN_FULL['k3s'][0]}-k3s1"
    assert article["collectorVersion"] == IN_FULL["collector"][0]
    assert article["jaegerVersion"] in RELEASES["jaeger"]


# --- the table of facts notices every change of the version table ---------------------------------


def kind_of(timeline: str) -> str:
    if timeline in COLLECTOR_TIMELINES:
        return "collector"
    return "jaeger" if timeline in JAEGER_TIMELINES else "k3s"


def before(release: Version) -> str:
    """The release before another: patch 99 of the minor before where its own patch is 0."""
    if release.patch:
        return f"{release.major}.{release.minor}.{release.patch - 1}"
    return f"{release.major}.{release.minor - 1}.99"


@pytest.mark.parametrize("name", TIMELINES)
def test_the_table_has_the_releases_around_every_change(name: str) -> None:
    releases = RELEASES[kind_of(name)]
    (_, first), *later = TIMELINES[name]._rows
    boundaries = [(Version.parse(row.release), row.release) for _, row in later]
    assert first.release
    assert {release for _, release in boundaries} <= set(releases)
    if name != "JAEGER_GENERATION":  # v2 began with a major, after 1.76.0
        assert {before(version) for version, _ in boundaries} <= set(releases)


def mutants(name: str) -> Iterator[tuple[str, Timeline[Any]]]:
    """A timeline with one row changed, and what was changed."""
    rows = [row for _, row in TIMELINES[name]._rows]
    for number, changed in enumerate(rows):
        others = [row.value for row in rows if row.value != changed.value]

        def replaced(*instead: Since[Any], at: int = number) -> Timeline[Any]:
            return Timeline(*rows[:at], *instead, *rows[at + 1 :])

        yield (
            f"{changed.release} has another value",
            replaced(Since(changed.release, others[0], changed.source)),
        )
        if number or name in LATER:
            yield f"{changed.release} is missing", replaced()
            version = Version.parse(changed.release)
            later = f"{version.major}.{version.minor}.{version.patch + 1}"
            moved = [later, before(version)] if version.major != 2 else [later]
            for release in moved:
                yield (
                    f"{changed.release} is {release}",
                    replaced(Since(release, changed.value, changed.source)),
                )


@functools.cache
def facts_now(kind: str) -> dict[str, dict[str, str]]:
    return {release: FACTS[kind](release) for release in RELEASES[kind]}


@pytest.mark.parametrize("name", TIMELINES)
def test_the_facts_notice_a_change_of_any_row(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = kind_of(name)
    known = facts_now(kind)
    unnoticed = []
    for what, mutant in mutants(name):
        with monkeypatch.context() as patch:
            patch.setattr(compatibility, name, mutant)
            try:
                same = all(FACTS[kind](release) == known[release] for release in RELEASES[kind])
            except KeyError:
                continue  # the table no longer reaches back to the oldest release
        unnoticed += [what] if same else []
    assert unnoticed == []


# --- the keys that each release has: the first release with a key, the first without it -----------

ALWAYS = "0.0.0"
NEVER = "999.0.0"

APISERVER_KEYS = {
    # component-base v0.27.0 tracing/api/v1/types.go: unchanged in every later release
    "apiVersion": (ALWAYS, NEVER),
    "kind": (ALWAYS, NEVER),
    "endpoint": (ALWAYS, NEVER),
    "samplingRatePerMillion": (ALWAYS, NEVER),
}
APISERVER_VERSIONS = {
    # kubernetes/apiserver pkg/apis/apiserver/*/register.go
    "apiserver.config.k8s.io/v1beta1": ("1.27.0", NEVER),
    "apiserver.config.k8s.io/v1": ("1.34.0", NEVER),
}
KUBELET_KEYS = {
    # kubernetes/kubelet config/v1beta1/types.go
    "apiVersion": (ALWAYS, NEVER),
    "kind": (ALWAYS, NEVER),
    "tracing.endpoint": ("1.25.0", NEVER),
    "tracing.samplingRatePerMillion": ("1.25.0", NEVER),
    "failCgroupV1": ("1.31.0", NEVER),
}
K3S_ARGUMENTS = {
    "--kube-apiserver-arg=tracing-config-file": ("1.22.0", NEVER),
    "--kubelet-arg=config": (ALWAYS, NEVER),
    # etcd 3.5 with a sampling rate, replaced by etcd 3.6 in 1.34
    "--etcd-arg=experimental-enable-distributed-tracing": ("1.31.0", "1.34.0"),
    "--etcd-arg=experimental-distributed-tracing-address": ("1.31.0", "1.34.0"),
    "--etcd-arg=experimental-distributed-tracing-service-name": ("1.31.0", "1.34.0"),
    "--etcd-arg=experimental-distributed-tracing-sampling-rate": ("1.31.0", "1.34.0"),
    "--etcd-arg=enable-distributed-tracing": ("1.34.0", NEVER),
    "--etcd-arg=distributed-tracing-address": ("1.34.0", NEVER),
    "--etcd-arg=distributed-tracing-service-name": ("1.34.0", NEVER),
    "--etcd-arg=distributed-tracing-sampling-rate": ("1.34.0", NEVER),
}
COLLECTOR_KEYS = {
    **dict.fromkeys(
        (
            "receivers.otlp.protocols.grpc.endpoint",
            "receivers.otlp.protocols.http.endpoint",
            "processors.memory_limiter.check_interval",
            "processors.memory_limiter.limit_mib",
            "processors.memory_limiter.spike_limit_mib",
            "processors.batch.timeout",
            "processors.probabilistic_sampler.sampling_percentage",
            *(
                f"exporters.otlphttp/jaeger.{key}"
                for key in (
                    "endpoint",
                    "sending_queue.queue_size",
                    "retry_on_failure.initial_interval",
                    "retry_on_failure.max_interval",
                    "retry_on_failure.max_elapsed_time",
                )
            ),
            "extensions.health_check.endpoint",
            "service.extensions",
            "service.pipelines.traces.receivers",
            "service.pipelines.traces.processors",
            "service.pipelines.traces.exporters",
        ),
        ("0.54.0", NEVER),
    ),
    # opentelemetry-collector CHANGELOG 0.123.0: ignored from then on; 0.111.0: readers instead
    "service.telemetry.metrics.address": ("0.54.0", "0.123.0"),
    "service.telemetry.metrics.readers.pull.exporter.prometheus.host": ("0.111.0", NEVER),
    "service.telemetry.metrics.readers.pull.exporter.prometheus.port": ("0.111.0", NEVER),
    # contrib#31894, merged in June 2024 after 0.103.0
    "processors.probabilistic_sampler.mode": ("0.104.0", NEVER),
    # config/configgrpc v0.111.0 configgrpc.go
    "receivers.otlp.protocols.grpc.max_recv_msg_size_mib": ("0.111.0", NEVER),
    # exporter v0.132.0 exporterhelper/internal/queuebatch/config.go
    **{
        f"exporters.otlphttp/jaeger.sending_queue.batch.{key}": ("0.132.0", NEVER)
        for key in ("sizer", "flush_timeout", "min_size", "max_size")
    },
    **{
        f"service.pipelines.{signal}.{key}": ("0.54.0", NEVER)
        for signal in ("metrics", "logs")
        for key in ("receivers", "exporters")
    },
}
COLLECTOR_KEYS |= {
    # opentelemetry-collector CHANGELOG 0.144.0: the new name of the same exporter
    key.replace("otlphttp/jaeger", "otlp_http/jaeger"): ("0.144.0", NEVER)
    for key in COLLECTOR_KEYS
    if "otlphttp/jaeger" in key
}
JAEGER_V1_VARIABLES = {
    # Jaeger CHANGELOG; a release ignores variables that it does not know
    "COLLECTOR_OTLP_ENABLED": ("1.35.0", "2.0.0"),
    "COLLECTOR_OTLP_GRPC_HOST_PORT": ("1.35.0", "2.0.0"),
    "COLLECTOR_OTLP_HTTP_HOST_PORT": ("1.35.0", "2.0.0"),
    "MEMORY_MAX_TRACES": ("1.0.0", "2.0.0"),
    # jaeger v1.35.0 plugin/storage/badger/options.go: flags badger.NAME, by viper
    "SPAN_STORAGE_TYPE": ("1.0.0", "2.0.0"),
    "BADGER_EPHEMERAL": ("1.9.0", "2.0.0"),
    "BADGER_DIRECTORY_KEY": ("1.9.0", "2.0.0"),
    "BADGER_DIRECTORY_VALUE": ("1.9.0", "2.0.0"),
    "BADGER_SPAN_STORE_TTL": ("1.9.0", "2.0.0"),
    # jaeger-client-go's config.FromEnv, and from 1.47 on OpenTelemetry's SDK
    "JAEGER_DISABLED": (ALWAYS, "2.0.0"),
    "OTEL_TRACES_SAMPLER": (ALWAYS, "2.0.0"),
}


def unknown(keys: Iterator[str], known: dict[str, tuple[str, str]], version: Version) -> list[str]:
    """Those of ``keys`` that ``version`` does not have.

    ``known`` maps a key to the first release with it and the first release without it.
    """
    release = Version(version.major, version.minor, version.patch)

    def has(key: str) -> bool:
        first, removed = known.get(key, (NEVER, NEVER))
        return Version.parse(first) <= release < Version.parse(removed)

    return [key for key in keys if not has(key)]


def leaves(document: Any, path: str = "") -> Iterator[str]:
    """Paths of all values that are not mappings; members of a list have the list's path."""
    if isinstance(document, dict):
        for key, value in document.items():
            yield from leaves(value, f"{path}.{key}" if path else key)
    elif isinstance(document, list) and any(isinstance(item, dict) for item in document):
        for item in document:
            yield from leaves(item, path)
    else:
        yield path


def releases(major: int, first: int, last: int) -> st.SearchStrategy[Version]:
    """Releases with minor ``first`` to ``last``, some of them release candidates."""
    numbers = (st.just(major), st.integers(first, last), st.integers(0, 20))
    return st.builds(Version, *numbers, st.sampled_from(["", "", "rc1"]))


k3s_releases = releases(1, 27, 38).filter(lambda version: version >= compatibility.OLDEST_K3S)
per_million = st.integers(min_value=0, max_value=1_000_000)


@given(k3s_releases, per_million, st.booleans(), st.sampled_from(["auto", "image", "off"]))
def test_a_k3s_is_given_nothing_it_does_not_know(
    version: Version, kept: int, cgroup_v1: bool, containerd: str
) -> None:
    traceable = version >= compatibility.ETCD_TRACING_PREFIX.begins
    settings = parsed(
        k3sVersion=f"v{version}-k3s1",
        nodeSamplingPerMillion=kept,
        containerdTracing=containerd,
        servers=3,
        etcdTracing=traceable,
    )
    files = documents.node_files(settings, cgroup_v1=cgroup_v1)
    config = configuration.spec_of(NAMES, settings, cgroup_v1=cgroup_v1).config
    assert "feature" not in "".join([*files.values(), documents.dump(config)]).lower()

    tracing = yaml.safe_load(files.pop(documents.APISERVER_FILE))
    assert unknown(leaves(tracing), APISERVER_KEYS, version) == []
    assert unknown(iter([tracing["apiVersion"]]), APISERVER_VERSIONS, version) == []
    kubelet = yaml.safe_load(files.pop(documents.KUBELET_FILE))
    assert unknown(leaves(kubelet), KUBELET_KEYS, version) == []
    arguments = (entry["arg"].rpartition("=")[0] for entry in config["options"]["k3s"]["extraArgs"])
    assert unknown(arguments, K3S_ARGUMENTS, version) == []

    template = files.pop(documents.CONTAINERD_FILE, None)
    assert (template is not None) == (version == Version(1, 27, 1) and containerd != "off")
    if template:
        tomllib.loads(go_template.render(template, K3S))
    assert files == {}
    endpoint = "CONTAINERD_OTEL_EXPORTER_OTLP_ENDPOINT="
    has_variable = any(entry["envVar"].startswith(endpoint) for entry in config["env"])
    assert has_variable == (template is None and containerd != "off")


@given(releases(0, 54, 165), per_million)
def test_a_collector_is_given_nothing_it_does_not_know(version: Version, kept: int) -> None:
    document = yaml.safe_load(documents.collector(version, kept, 256))
    assert unknown(leaves(document), COLLECTOR_KEYS, version) == []
    assert document["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"] == "0.0.0.0:4317"
    exporter, *_ = document["exporters"].values()
    assert exporter["endpoint"] == f"http://{naming.JAEGER_ALIAS}:4318"


@given(releases(1, 35, 76))
def test_a_jaeger_v1_is_given_nothing_it_does_not_know(version: Version) -> None:
    for store in ("memory", "badger"):
        variables = documents.jaeger_v1_environment(parsed(traceStore=store))
        assert unknown(iter(variables), JAEGER_V1_VARIABLES, version) == []


def test_a_jaeger_v1_keeps_badgers_data_in_the_volume_for_as_long_as_is_set() -> None:
    kept = parsed(traceStore="badger", traceRetention="14d", jaegerVersion="1.76.0")
    variables = documents.jaeger_v1_environment(kept)
    assert "MEMORY_MAX_TRACES" not in variables
    assert {
        name: variables[name] for name in variables if "BADGER" in name or "STORAGE" in name
    } == {
        "SPAN_STORAGE_TYPE": "badger",
        "BADGER_EPHEMERAL": "false",
        "BADGER_DIRECTORY_KEY": "/data/keys",
        "BADGER_DIRECTORY_VALUE": "/data/values",
        "BADGER_SPAN_STORE_TTL": "336h",
    }


def test_what_is_not_known_is_found() -> None:
    """Tests ``unknown`` itself: it finds a key of another release."""
    old, new = Version(0, 110, 0), Version(0, 155, 0)
    newest = yaml.safe_load(documents.collector(new, 1, 256))
    found = unknown(leaves(newest), COLLECTOR_KEYS, old)
    assert "service.telemetry.metrics.readers.pull.exporter.prometheus.host" in found
    assert "exporters.otlp_http/jaeger.endpoint" in found
    oldest = yaml.safe_load(documents.collector(old, 1, 256))
    assert unknown(leaves(oldest), COLLECTOR_KEYS, new) == ["service.telemetry.metrics.address"]
