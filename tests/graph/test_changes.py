"""What a change of the configuration or the machine changes in the graph, and what it does not."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from pulumi.output import Unknown

from runtime_observability.core import compatibility, destinations, naming, origin, support
from runtime_observability.core.cluster_spec import ClusterSpec
from runtime_observability.core.naming import Names
from runtime_observability.core.observation import GENERATION_LATER, Observation, Record
from runtime_observability.core.problem import Problem
from runtime_observability.core.trace_store import REPLICAS_VARIABLE
from runtime_observability.core.transition import content, identity
from runtime_observability.host import runner
from tests.configuration import PROJECT, of_stack_file, parsed, spec_of
from tests.graph.program import Run, run
from tests.graph.test_exporters import CERTIFICATE
from tests.graph.test_graph import MARK

REHEARSAL = "rehearsal-run"
IN_PLACE = {REHEARSAL, "cluster-ensure"}
"""A rehearsal that finds nothing to replace ends at once."""
CLUSTER = IN_PLACE | {"cluster-guard-sweep", "cluster-guard-keep"}
KEEP = {"cluster-guard-keep", "backends-guard-keep"}
NODE_IMAGE = {"node-image-build"}
EITHER_IMAGE = NODE_IMAGE | {"node-image-image"}
"""One replaces the other: an image that is built, and one that is pulled."""
FILES = {"files-apiserver-tracing.yaml", "files-kubelet-tracing.yaml"}


def changed(before: Run, after: Run) -> dict[str, set[str]]:
    """Inputs that differ, by resource; ``*`` for a resource that only one of the runs has."""
    assert after.error is None
    found: dict[str, set[str]] = {name: {"*"} for name in set(before.names) ^ set(after.names)}
    for name in set(before.names) & set(after.names):
        one, other = before[name].inputs, after[name].inputs
        keys = {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)}
        if keys:
            found[name] = keys
    return found


def test_the_same_configuration_is_the_same_graph(default: Run) -> None:
    again = run()
    assert changed(default, again) == {}
    assert again.exports == default.exports


def test_a_preview_is_given_what_the_up_is_given(default: Run) -> None:
    preview = run(preview=True)
    assert preview.error is None
    assert sorted(preview.names) == sorted(default.names)
    assert changed(default, preview) == {}
    # `pulumi up --plan` compares these too.
    for resource in default.custom:
        planned = preview[resource.name]
        assert planned.dependencies == resource.dependencies, resource.name
        assert planned.property_dependencies == resource.property_dependencies, resource.name


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        ({"collectorSamplingPerMillion": 1000}, {"collector-container"}),
        ({"collectorVersion": "0.151.0"}, {"collector-container", "collector-image"}),
        ({"collectorMemoryMiB": 300}, {"collector-container"}),
        ({"otlpGrpcPort": 20_000}, {"collector-container"}),
        ({"collectorHealthPort": 20_000}, {"collector-container", "collector-ready"}),
        ({"tracing": "quiet"}, {"collector-container", "collector-image"}),
        (
            {"tracing": "starts", "collectorImage": "mine:1"},
            {"collector-container", "collector-image"},
        ),
        ({"slowerThan": "2s"}, set()),
        ({"jaegerMaxTraces": 1000}, {"jaeger-container"}),
        (
            {"exporters": [{"endpoint": "team.example:4317", "queue": "disk"}]},
            {"collector-container", "collector-image", "collector-volume"},
        ),
        ({"traceStore": "badger"}, {"jaeger-container", "jaeger-volume", "stack-sweep"}),
        (
            {"traceStore": "badger", "keepTraces": True},
            {"jaeger-container", "jaeger-volume"},
        ),
        ({"jaegerImage": "mine:1"}, {"jaeger-container", "jaeger-image"}),
        ({"jaegerUiPort": 20_000}, {"jaeger-container", "jaeger-ready", "probe-run"}),
        ({"agents": 2}, IN_PLACE),
        ({"k3sVersion": "v1.34.3-k3s1"}, CLUSTER | NODE_IMAGE | {"probe-run"}),
        (
            {"k3sVersion": "v1.33.6-k3s1"},
            CLUSTER | NODE_IMAGE | {"files-apiserver-tracing.yaml", "probe-run"},
        ),
        ({"k3sImage": "mine:1"}, CLUSTER | NODE_IMAGE),
        ({"containerdBinary": __file__}, CLUSTER | NODE_IMAGE),
        ({"servers": 3, "etcdTracing": True}, CLUSTER | {"probe-run"}),
        ({"kubeApiPort": 20_000}, CLUSTER),
        ({"k3sArgs": ["--disable=traefik"]}, CLUSTER),
        (
            {"apiserverSamplingPerMillion": 1000},
            IN_PLACE | {"files-apiserver-tracing.yaml", "probe-run"},
        ),
        (
            {"nodeSamplingPerMillion": 1000},
            IN_PLACE | {"files-kubelet-tracing.yaml", "probe-run"},
        ),
        ({"containerdTracing": "image"}, CLUSTER | EITHER_IMAGE),
        ({"containerdTracing": "upstream"}, set()),
        ({"containerdTracing": "off"}, CLUSTER | EITHER_IMAGE | {"probe-run"}),
        ({"probeTimeoutSeconds": 90}, {"probe-run"}),
        ({"traceProbe": False}, {"probe-run"}),
        ({"rehearseReplacement": False}, {REHEARSAL}),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, Mapping) else "",
)
def test_what_a_key_changes(default: Run, change: dict[str, Any], differs: set[str]) -> None:
    found = changed(default, run(change))
    if "collectorSamplingPerMillion" in change:
        # The probe demands fewer components when fewer traces are kept; nothing else changes.
        assert found.pop("probe-run") == {"stdin"}
    assert found.keys() == differs


def test_badgers_container_ends_before_its_volume_goes(default: Run) -> None:
    badger = run({"traceStore": "badger"})
    assert "jaeger-volume" in badger.before("jaeger-container")
    (volume,) = badger["jaeger-container"].inputs["volumes"]
    assert volume == {"volumeName": "traced-dev-traces", "containerPath": "/data"}
    assert badger["jaeger-volume"].environment["KEEP"] == ""
    told = {key: badger.exports[key] for key in badger.exports.keys() - default.exports.keys()}
    assert told == {"traceStore": "badger", "traceRetention": "48h"}
    kept = run({"traceStore": "badger", "keepTraces": True})
    assert kept["jaeger-volume"].environment["KEEP"] == "true"
    assert kept_volumes(kept) == {"traced-dev-traces", "traced-dev-traces-opensearch"}
    assert changed(badger, kept).keys() == {"jaeger-volume", "stack-sweep"}, "Jaeger goes on"


def kept_volumes(of: Run) -> set[str]:
    return set(of["stack-sweep"].environment["KEPT_VOLUMES"].split())


@pytest.mark.parametrize(
    ("store", "kept"),
    [
        ("memory", {"traced-dev-traces", "traced-dev-traces-opensearch"}),
        ("none", {"traced-dev-traces", "traced-dev-traces-opensearch"}),
        ("badger", {"traced-dev-traces-opensearch"}),
        ("opensearch (own)", {"traced-dev-traces"}),
    ],
)
def test_a_volume_that_an_earlier_store_kept_outlives_a_destroy(store: str, kept: set[str]) -> None:
    """It is there because keepTraces was on when the store changed: else that removes it."""
    assert kept_volumes(run(STORES[store])) == kept


def test_the_queues_on_disk_are_a_volume_of_the_collector() -> None:
    made = run({"exporters": [{"endpoint": "team.example:4317", "queue": "disk"}]})
    assert "collector-volume" in made.before("collector-container")
    (volume,) = made["collector-container"].inputs["volumes"]
    path = destinations.QUEUE_FOLDER
    assert volume == {"volumeName": "traced-dev-queues", "containerPath": path}
    assert made["collector-volume"].environment["KEEP"] == ""
    assert "contrib" in made["collector-image"].inputs["name"]


WITHOUT = {
    "traceStore": "none",
    "exporters": [{"endpoint": "collector.example:4317", "name": "central"}],
}


def test_a_stack_without_a_jaeger_has_no_resource_of_one(default: Run) -> None:
    without = run(WITHOUT)
    jaeger = {"jaeger-image", "jaeger-container", "jaeger-ready"}
    assert set(default.names) - set(without.names) == jaeger
    assert set(without.names) <= set(default.names)
    differs = changed(default, without).keys()
    assert differs - jaeger == {"collector-container", "probe-run"}, "the cluster stays"
    assert {"collector-ready", "cluster-ensure"} <= without.before("probe-run")
    assert len(without["probe-run"].inputs["triggers"]) == 3
    asked = without["probe-run"].stdin
    assert (asked["jaegerUrl"], asked["destinations"]) == ("", ["central"])
    assert asked["metricsUrl"] == "http://127.0.0.1:8888/metrics"
    assert (without.exports["jaegerUrl"], without.exports["links"]) == ("", {})
    assert without.exports["traceStore"] == "none"
    assert "traceRetention" not in without.exports


def test_another_query_url_runs_the_probe_alone_and_is_in_the_outputs() -> None:
    without, asking = run(WITHOUT), run({**WITHOUT, "queryUrl": "https://jaeger.example/x/"})
    assert changed(without, asking) == {"probe-run": {"stdin"}}
    assert asking.exports["jaegerUrl"] == "https://jaeger.example/x"
    assert asking.exports["links"]["podStarts"].startswith("https://jaeger.example/x/search?")
    assert "runtime_observability.stack" in asking.exports["links"]["podStarts"], "of this stack"
    assert asking["probe-run"].stdin["stack"] == {
        key: asking.exports["resourceAttributes"][key] for key in (origin.STACK, origin.OWNER)
    }


def test_a_secret_query_url_is_refused() -> None:
    settings = {**WITHOUT, "queryUrl": "https://hush.example"}
    refused = str(run(settings, secret_keys=["queryUrl"]).error)
    assert "queryUrl: its secret value cannot be used" in refused
    assert "hush" not in refused


def test_a_secret_owner_is_refused() -> None:
    """It would be in plain text in the outputs, and is an attribute of every span."""
    refused = str(run({"stackOwner": "hush"}, secret_keys=["stackOwner"]).error)
    assert "stackOwner: its secret value cannot be used" in refused
    assert "hush" not in refused


def test_jaeger_alone_waits_for_an_opensearch_of_the_stacks_own(default: Run) -> None:
    own = run({"traceStore": "opensearch", "traceRetention": "7d"})
    node = {"opensearch-image", "opensearch-container", "opensearch-ready", "opensearch-volume"}
    keeper = {"retention-image", "retention-container", "retention-ready"}
    more = {*node, *keeper}
    assert set(own.names) - set(default.names) == more
    assert node <= set(own.before("jaeger-container"))
    assert not node & set(own.before("cluster-ensure")) - {"opensearch-image"}
    container = own["opensearch-container"].inputs
    assert not container.get("ports")
    assert (container["user"], container["memory"]) == ("1000", 1536)
    assert "jaeger-ready" in own.before("retention-container"), "it goes before them"
    for name in ("cluster-ensure", "jaeger-container", "collector-container", "probe-run"):
        assert not keeper & own.before(name), f"{name} does not wait for it"
    assert changed(default, own).keys() - more == {"jaeger-container", "stack-sweep"}


OPENSEARCH = {
    "traceStore": "opensearch",
    "traceRetention": "7d",
    "openSearchUrls": ["https://search.example:9200"],
    "traceStoreUser": "ada",
    "traceStorePassword": "hush-hush",
}


def test_a_cluster_is_checked_before_jaeger_and_left_after_it(
    default: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "of my own")
    done = run(OPENSEARCH, secret_keys=["traceStorePassword"])
    differs = changed(default, done)
    assert differs.pop("jaeger-container") >= {"uploads", "labels"}
    keeper = {f"retention-{part}" for part in ("image", "container", "ready")}
    assert differs.keys() == {"jaeger-opensearch", "jaeger-opensearch-check", *keeper}
    before = done.before("jaeger-container")
    assert {"jaeger-opensearch", "jaeger-opensearch-check"} <= set(before)
    assert "network-network" in done.before("jaeger-opensearch")
    (parent,) = {done[f"jaeger-opensearch{end}"].parent for end in ("", "-check")}
    assert parent == done["jaeger-container"].parent
    told = {key: done.exports[key] for key in done.exports.keys() - default.exports.keys()}
    assert told == {"traceStore": "opensearch", "traceRetention": "168h"}
    for name in done.names:
        inputs = dict(done[name].inputs)
        for key in ("stdin", "uploads"):
            if MARK in (inputs.get(key) or {}):
                del inputs[key]
        assert "hush" not in json.dumps(inputs, default=str), name
    kept = run({**OPENSEARCH, "keepTraces": True}, secret_keys=["traceStorePassword"])
    assert "traced-dev-" in kept["stack-sweep"].environment["KEPT_ELSEWHERE"]
    assert kept["jaeger-opensearch"].environment["KEEP"] == "true"
    assert changed(done, kept).keys() == {"jaeger-opensearch", "stack-sweep"}


@pytest.mark.parametrize("store", ["opensearch", "elasticsearch"])
def test_old_indices_are_deleted_beside_jaeger_with_its_login(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "of my own")
    address = {"opensearch": "openSearchUrls", "elasticsearch": "elasticsearchUrls"}[store]
    settings = {**OPENSEARCH, "traceStore": store, "traceStoreCaFile": CERTIFICATE}
    settings[address] = settings.pop("openSearchUrls")
    done = run(settings, secret_keys=["traceStorePassword"])
    container = done["retention-container"].inputs
    assert not container.get("ports")
    assert not container.get("volumes")
    assert (container["name"], container["user"]) == ("traced-dev-retention", "10001")
    assert (container["memory"], container["restart"]) == (32, "unless-stopped")
    assert container["capabilities"] == {"drops": ["ALL"]}
    assert (container["entrypoints"], container["command"]) == (["/bin/sh"], ["/keep_retention.sh"])
    files = {file["file"]: file["content"] for file in container["uploads"]["value"]}
    assert files["/keep_retention.sh"] == runner.script("keep_retention.sh")
    assert 'user = "ada:hush-hush"' in files["/store-options"]
    assert 'cacert = "/store-ca.pem"' in files["/store-options"]
    assert files["/store-ca.pem"] == CERTIFICATE
    variables = dict(each.split("=", 1) for each in container["envs"])
    assert variables == {
        "URLS": "https://search.example:9200",
        "PREFIX": done[f"jaeger-{store}"].environment["PREFIX"],
        "DAYS": "7",
        "OPTIONS": "/store-options",
    }
    labels = {each["label"]: each["value"] for each in container["labels"]}
    owner = done["stack-sweep"].environment["OWNER"]
    assert labels["runtime-observability.owner"] == owner, "so that the stack's sweep finds it"
    assert {f"jaeger-{store}", "network-network"} <= done.before("retention-container")


@pytest.mark.parametrize("store", ["memory", "badger", "cassandra"])
def test_no_other_store_has_indices_to_delete(store: str) -> None:
    servers = {KEYS[store]: [HERE[store]]} if store in HERE else {}
    done = run({"traceStore": store, "traceRetention": "7d", **servers})
    assert not [name for name in done.names if name.startswith("retention")]


@pytest.mark.parametrize(("replicas", "told"), [(-1, True), (0, False), (1, False)])
def test_the_clusters_own_number_of_copies_is_used_where_none_is_set(
    monkeypatch: pytest.MonkeyPatch, replicas: int, *, told: bool
) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "of my own")
    store = {**OPENSEARCH, "traceStoreReplicas": replicas}
    jaeger = run(store, secret_keys=["traceStorePassword"])["jaeger-container"]
    found = [line for line in jaeger.inputs["envs"] if line.startswith(REPLICAS_VARIABLE)]
    assert found == ([f"{REPLICAS_VARIABLE}=0"] if told else []), "0 is the mock's answer"


NO_LOGIN = {"traceStore": "cassandra", "cassandraServers": ["cassandra.example:9142"]}
CASSANDRA = {**NO_LOGIN, "traceStoreUser": "ada", "traceStorePassword": "hush-hush"}


def test_a_cassandra_is_checked_before_jaeger_with_what_jaeger_gets(
    default: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "of my own")
    done = run(CASSANDRA, secret_keys=["traceStorePassword"])
    assert changed(default, done).keys() == {
        "jaeger-container",
        "jaeger-cassandra-check",
        "stack-sweep",
    }
    assert "jaeger-cassandra-check" in done.before("jaeger-container")
    assert {"jaeger-image", "network-network"} <= done.before("jaeger-cassandra-check")
    asked = done["jaeger-cassandra-check"].inputs["stdin"]
    assert MARK in asked, "it has the password"
    given = json.loads(asked["value"])
    jaeger = done["jaeger-container"].inputs
    assert (given["trial"]["image"], given["trial"]["memory_mib"]) == (
        jaeger["image"],
        jaeger["memory"],
    )
    assert given["trial"]["files"] == {
        file["file"]: file["content"] for file in jaeger["uploads"]["value"]
    }
    told = done["stack-sweep"].environment["KEPT_ELSEWHERE"]
    assert "`cqlsh -u ada cassandra.example 9142 -e 'DROP KEYSPACE traced_" in told
    inputs = dict(done["jaeger-cassandra-check"].inputs) | {"stdin": ""}
    assert "hush" not in json.dumps(inputs, default=str)


def test_the_command_that_removes_kept_traces_uses_tls_where_jaeger_does() -> None:
    done = run({**NO_LOGIN, "traceStoreCaFile": CERTIFICATE})
    assert "`cqlsh --ssl cassandra.example" in done["stack-sweep"].environment["KEPT_ELSEWHERE"]


@pytest.mark.parametrize(("password", "refused"), [("a1: 2", True), ("a?", True), ("a: b", False)])
def test_a_password_that_jaeger_would_read_as_a_map_is_refused(
    monkeypatch: pytest.MonkeyPatch, password: str, refused: bool
) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "of my own")
    done = run(CASSANDRA | {"traceStorePassword": password}, secret_keys=["traceStorePassword"])
    assert ("stops at a map" in str(done.error)) is refused
    assert password not in str(done.error)


def test_a_plain_password_is_refused() -> None:
    refused = run(OPENSEARCH)
    assert refused.resources == ()
    assert "traceStorePassword: its value is in plain text" in str(refused.error)
    assert "hush" not in str(refused.error)


@pytest.mark.parametrize(
    ("before", "after", "fate"),
    [
        ("memory", "none", "Jaeger will be removed, and the traces in its memory are lost"),
        ("badger", "none", "Jaeger will be removed, and volume traced-dev-traces is removed"),
        ("none", "memory", "Jaeger will be made; earlier traces stay where exporters sent them"),
        ("none", "none", None),
        ("", "none", None),
        ("", "badger", None),
        ("memory", "memory", None),
        ("badger", "badger", None),
        ("memory", "badger", "the traces in its memory are lost"),
        ("badger", "memory", "volume traced-dev-traces is removed with its traces"),
    ],
)
def test_another_store_is_announced(before: str, after: str, fate: str | None) -> None:
    observed = Observation(generation=7, trace_store=before)
    settings = WITHOUT if after == "none" else {"traceStore": after}
    warnings = run(settings, observed=observed).warnings()
    told = [line for line in warnings if line.startswith("traceStore: ")]
    assert bool(told) is bool(fate)
    assert all(str(fate) in line and f'"{before}" → "{after}"' in line for line in told)


STORES: dict[str, dict[str, Any]] = {
    "memory": {},
    "badger": {"traceStore": "badger"},
    "opensearch (own)": {"traceStore": "opensearch"},
    "opensearch": {"traceStore": "opensearch", "openSearchUrls": ["http://a.example:9200"]},
    "elasticsearch": {"traceStore": "elasticsearch", "elasticsearchUrls": ["http://a.example"]},
    "cassandra": {"traceStore": "cassandra", "cassandraServers": ["a.example"]},
    "none": WITHOUT,
}
FATES = {
    "memory": "the traces in its memory are lost",
    "badger": (
        "volume traced-dev-traces is removed with its traces, unless keepTraces was on at the last "
        "up: then it stays, also at destroy, until `docker volume rm traced-dev-traces`"
    ),
    "opensearch (own)": "volume traced-dev-traces-opensearch is removed with its traces, unless",
    "opensearch": (
        "are deleted from opensearch with their traces, unless keepTraces was on at the last up: "
        "then they stay, also at destroy; an up with that store and keepTraces false, and destroy, "
        "remove them"
    ),
    "elasticsearch": "are deleted from elasticsearch with their traces, unless keepTraces",
    "cassandra": "stays in Cassandra at a.example:9142 with its traces, until `cqlsh a.",
    "none": "earlier traces stay where exporters sent them",
}


@pytest.mark.parametrize("before", STORES)
@pytest.mark.parametrize("after", STORES)
def test_each_change_between_two_stores_says_once_what_becomes_of_the_traces(
    before: str, after: str
) -> None:
    servers = ("a.example:9142",) if before == "cassandra" != after else ()
    observed = Observation(generation=7, trace_store=before, trace_store_servers=servers)
    warnings = run(STORES[after], observed=observed).warnings()
    told = [line for line in warnings if line.startswith("traceStore: ")]
    if before == after:
        assert told == []
        return
    (line,) = told
    assert line.startswith(f'traceStore: "{before}" → "{after}": Jaeger will be')
    assert FATES[before] in line
    verb = "made" if before == "none" else "removed" if after == "none" else "replaced"
    assert f"will be {verb}" in line


@pytest.mark.parametrize(
    ("settings", "lost"),
    [
        ({}, False),
        ({"agents": 2}, False),
        ({"collectorSamplingPerMillion": 5}, False),
        ({"jaegerMaxTraces": 40_000}, True),
        ({"jaegerMemoryMiB": 2_000}, True),
        ({"jaegerUiPort": 16_999}, True),
        ({"traceStore": "badger"}, False),
    ],
)
def test_a_change_that_costs_the_traces_in_jaegers_memory_is_announced(
    settings: dict[str, object], lost: bool, default: Run
) -> None:
    made = default["jaeger-container"].inputs["labels"]
    (spec,) = (label["value"] for label in made if label["label"] == naming.SPEC_LABEL)
    observed = Observation(generation=7, trace_store="memory", jaeger_spec=spec)
    changed = run(settings, observed=observed)
    told = [line for line in changed.warnings() if line.startswith("Jaeger will be replaced")]
    assert bool(told) is lost
    assert all("the traces in its memory are lost" in line for line in told)


def test_a_jaeger_of_a_release_without_the_label_is_replaced_with_its_traces() -> None:
    lines = run(observed=Observation(generation=7, trace_store="memory")).warnings()
    assert any(line.startswith("Jaeger will be replaced, and the traces") for line in lines)


HERE = {
    "opensearch": "https://search.example:9200",
    "elasticsearch": "https://elastic.example:9200",
    "cassandra": "cassandra.example:9142",
}
KEYS = {
    "opensearch": "openSearchUrls",
    "elasticsearch": "elasticsearchUrls",
    "cassandra": "cassandraServers",
}


@pytest.mark.parametrize("store", HERE)
def test_another_cluster_of_the_same_store_is_announced(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = HERE[store]

    def told(*before: str, of: str = store, wanted: tuple[str, ...] = (here,)) -> list[str]:
        settings = {"traceStore": store, "traceRetention": "7d", KEYS[store]: list(wanted)}
        observed = Observation(generation=7, trace_store=of, trace_store_servers=before)
        lines = run(settings, observed=observed).warnings()
        return [line for line in lines if line.startswith("traceStore: ")]

    other = here.replace("example", "test")
    (line,) = told(other)
    assert f"{other} → {here}: Jaeger will be replaced" in line
    assert ("keyspace traced_" if store == "cassandra" else "indices traced-dev-") in line
    assert told(other, here) == told(here) == [], "one that is the same tells the cluster"
    assert told(other, wanted=(here, other)) == []
    assert told() == [], "a Jaeger of an earlier release does not tell its servers"
    (line,) = told(other, of="badger")
    assert "volume traced-dev-traces is removed" in line, "another store has its own line"


@pytest.mark.parametrize("store", HERE)
def test_jaeger_tells_the_next_run_where_its_store_is(store: str, default: Run) -> None:
    servers = [HERE[store], HERE[store].replace("example", "test")]
    made = run({"traceStore": store, "traceRetention": "7d", KEYS[store]: servers})
    label = "runtime-observability.store-servers"
    labels = {one["label"]: one["value"] for one in made["jaeger-container"].inputs["labels"]}
    assert labels[label] == ",".join(servers)
    assert label not in json.dumps(default["jaeger-container"].inputs["labels"])


def test_only_what_cannot_change_in_place_replaces(default: Run) -> None:
    replaced = changed(default, run({"kubeApiPort": 20_000}))
    assert replaced["cluster-guard-sweep"] == {"environment", "triggers"}
    sampled = changed(default, run({"nodeSamplingPerMillion": 1000}))
    assert "cluster-guard-sweep" not in sampled
    assert sampled["cluster-ensure"] == {"stdin"}
    assert sampled["files-kubelet-tracing.yaml"] == {"stdin"}
    assert sampled["probe-run"] == {"stdin", "environment"}


def test_a_new_generation_runs_files_cluster_and_probe_again(default: Run) -> None:
    """Drift replaces nothing but the probe, which creates nothing that lasts."""
    drifted = run(observed=Observation(generation=8, drift=("node x is gone",)))
    found = changed(default, drifted)
    assert found.pop("probe-run") == {"triggers"}
    runs = FILES | NODE_IMAGE | KEEP | {"cluster-ensure"}
    assert found == {name: {"environment"} for name in runs}
    assert drifted["cluster-ensure"].environment["GENERATION"] == "8"
    assert drifted.warnings() == ["node x is gone: up will repair it"]


def test_a_generation_of_the_up_alone_is_not_known_in_its_preview() -> None:
    """So that the plan of the preview allows what the up says."""
    preview = run(observed=Observation(generation=GENERATION_LATER), preview=True)
    assert preview.error is None
    for name in FILES | NODE_IMAGE | KEEP | {"cluster-ensure"}:
        assert isinstance(preview[name].environment["GENERATION"], Unknown)
    assert isinstance(preview["probe-run"].inputs["triggers"][-1], Unknown)


@pytest.mark.parametrize(
    ("gone", "never_complete", "stays"),
    [((1,), False, True), ((1,), True, False), ((0, 1, 2), False, False), ((), False, False)],
    ids=["one", "one of a cluster that was never complete", "all", "none"],
)
def test_a_server_that_is_gone_is_not_repaired_beside_those_that_are_there(
    gone: tuple[int, ...], never_complete: bool, stays: bool
) -> None:
    known = standing(servers=3)
    assert known.record
    record = replace(known.record, never_complete=never_complete)
    drift = (
        *(f"node {Names('dev', PROJECT).node('server', index)} is gone" for index in gone),
        "node x is gone",
    )
    told = run({"servers": 3}, observed=replace(known, record=record, drift=drift)).warnings()
    left = "up leaves the cluster as it is, because no server is added to one that stands"
    assert [line for line in told if line.endswith(left)] == (
        [f"{drift[0]}: {left}"] if stays else []
    )
    assert "node x is gone: up will repair it" in told
    anew = [
        line for line in told if line.endswith("up creates the cluster anew, without its workloads")
    ]
    assert len(anew) == (3 if len(gone) == 3 else 0)


def test_no_change_keeps_the_objects_of_a_cluster_that_is_gone() -> None:
    """Preview said that its nodes would restart, and every object stay."""
    known = standing()
    drift = (f"node {Names('dev', PROJECT).node('server', 0)} is gone",)
    for changed in ({"nodeSamplingPerMillion": 5}, {"agents": 3}, {"servers": 3}):
        told = run(changed, observed=replace(known, drift=drift)).warnings()
        assert [line for line in told if "cluster" in line] == [
            f"{drift[0]}: up creates the cluster anew, without its workloads"
        ]


@pytest.mark.parametrize("servers", [1, 3])
def test_the_first_of_several_servers_joins_no_more_by_itself(servers: int) -> None:
    first = f"node {Names('dev', PROJECT).node('server', 0)}"
    drift = f"{first} runs, and the API server does not know it"
    told = run(
        {"servers": servers}, observed=replace(standing(servers=servers), drift=(drift,))
    ).warnings()
    stays = "up leaves the cluster as it is, and tells how that one joins again"
    assert f"{drift}: {stays if servers > 1 else 'up will repair it'}" in told


@pytest.mark.parametrize("how", ["does not answer: timed out", "answers 500 to /readyz"])
def test_no_repair_is_promised_of_an_api_server_that_may_hang(how: str) -> None:
    """Its server is not restarted for that: it may be at work."""
    drift = f"the API server of cluster traced-dev {how}"
    told = run(observed=replace(standing(), drift=(drift,))).warnings()
    assert told == [
        f"{drift}: up waits for it, and tells how to start it again if it does not come back"
    ]


def test_an_agent_that_is_to_go_is_not_repaired() -> None:
    known = standing(agents=2)
    first, second = (Names("dev", PROJECT).node("agent", index) for index in (0, 1))
    drift = (f"node {first} is exited", f"node {second} runs, and its kubelet does not report")
    told = run({"agents": 1}, observed=replace(known, drift=drift)).warnings()
    assert f"{drift[0]}: up will repair it" in told
    assert f"{drift[1]}: up will remove what is left of it" in told


def test_a_container_that_is_gone_is_made_again_with_its_image(default: Run) -> None:
    again = run(observed=Observation(generation=7, made={"traced-dev-jaeger": "today"}))
    assert changed(default, again) == {
        "jaeger-container": {"labels"},
        "jaeger-image": {"pullTriggers"},
    }
    assert {"label": naming.MADE_LABEL, "value": "today"} in again["jaeger-container"].inputs[
        "labels"
    ]
    assert again["jaeger-image"].inputs["pullTriggers"] == ["today"]


def test_when_a_part_is_made_is_not_known_in_a_preview() -> None:
    """So that the plan of the preview allows what the up says."""
    gone = dict.fromkeys(("traced-dev", "traced-dev-jaeger"), naming.MADE_LATER)
    preview = run(observed=Observation(generation=7, made=gone), preview=True)
    assert preview.error is None
    (trigger,) = preview["jaeger-image"].inputs["pullTriggers"]
    for part in ("network-network", "jaeger-container"):
        labels = {entry["label"]: entry["value"] for entry in preview[part].inputs["labels"]}
        assert isinstance(labels[naming.MADE_LABEL], Unknown)
    assert isinstance(trigger, Unknown)
    assert naming.MADE_LATER not in str(preview["collector-container"].inputs)


@pytest.mark.parametrize(
    "store",
    [
        {"traceStore": "opensearch", "openSearchUrls": ["http://search.example:9200"]},
        {"traceStore": "cassandra", "cassandraServers": ["db.example"]},
    ],
    ids=lambda store: store["traceStore"],
)
def test_when_a_part_is_made_is_all_that_a_preview_does_not_know(store: Any) -> None:
    """Also of the check of a cluster that exists, which precedes another Jaeger."""

    def environment(made: str, *, preview: bool) -> dict[str, Any]:
        observed = Observation(generation=7, made={"traced-dev-jaeger": made})
        ran = run(store, observed=observed, preview=preview)
        return dict(ran[f"jaeger-{store['traceStore']}-check"].environment)

    planned = environment(naming.MADE_LATER, preview=True)
    assert isinstance(planned.pop("MADE"), Unknown)
    for time in ("today", "tomorrow"):
        assert environment(time, preview=False) == planned | {"MADE": time}


def test_a_network_that_is_gone_is_made_again(default: Run) -> None:
    again = run(observed=Observation(generation=7, made={"traced-dev": "today"}))
    assert changed(default, again) == {"network-network": {"labels"}}


def test_what_a_look_has_noticed_is_a_warning_and_no_change(default: Run) -> None:
    noticed = run(observed=Observation(generation=7, notices=("node x is not this stack's",)))
    assert changed(default, noticed) == {}
    assert noticed.warnings() == ["node x is not this stack's"]


def test_a_host_with_cgroup_v1_changes_the_kubelets_file_where_it_must(default: Run) -> None:
    on_v1 = Observation(generation=7, cgroup_v1=True)
    older = {"k3sVersion": "v1.34.4-k3s1"}
    assert changed(run(older), run(older, observed=on_v1)) == {}
    assert FILES & changed(default, run(observed=on_v1)).keys() == {"files-kubelet-tracing.yaml"}


def test_two_stacks_share_no_name(default: Run) -> None:
    other = run({"portOffset": 100}, stack="alice")
    for kind in ("docker:index/container:Container", "docker:index/network:Network"):
        mine = {resource.inputs["name"] for resource in default.of_type(kind)}
        theirs = {resource.inputs["name"] for resource in other.of_type(kind)}
        assert not mine & theirs
    for name in ("OWNER", "CLUSTER", "DIRECTORY"):
        environments = [stack["cluster-guard-sweep"].environment for stack in (default, other)]
        assert environments[0][name] != environments[1][name]


def test_the_probe_demands_what_the_stack_promises(default: Run, lab: Run) -> None:
    everything = ["apiserver", "kubelet", "containerd"]
    for stack in (default, lab, run(of_stack_file("article"))):
        assert promised(stack) == (everything, [])
    assert promised(run({"containerdTracing": "off"})) == (["apiserver", "kubelet"], [])
    assert promised(run({"collectorSamplingPerMillion": 500_000})) == ([], everything)
    assert promised(run({"collectorSamplingPerMillion": 10})) == ([], [])


def promised(stack: Run) -> tuple[list[str], list[str]]:
    request = stack["probe-run"].stdin
    return request["demanded"], request["expected"]


@pytest.mark.parametrize(
    ("release", "joined"),
    [("v1.27.4", True), ("v1.28.0", False), ("v1.29.15", False), ("v1.30.0", True)],
)
def test_of_containerd_the_probe_demands_what_the_release_joins(release: str, joined: bool) -> None:
    """Where the runtime's calls are not in the pod's trace, any span of containerd is enough."""
    stack = run({"k3sVersion": f"{release}-k3s1"})
    assert promised(stack) == (
        (["apiserver", "kubelet", "containerd"], [])
        if joined
        else (["apiserver", "kubelet"], ["containerd"])
    )
    (line,) = (line for line in stack.outlook() if line.startswith("containerd "))
    assert ("in traces apart from the pod's" in line) is not joined


def test_of_etcd_any_span_will_do() -> None:
    """Its spans name no pod."""
    stack = run({"servers": 3, "etcdTracing": True})
    assert promised(stack) == (["apiserver", "kubelet", "containerd"], ["etcd"])
    assert promised(run({"servers": 3}))[1] == []


def test_the_probes_pod_needs_no_pull(default: Run) -> None:
    sandbox = compatibility.SANDBOX_IMAGE.at(support.DEFAULT_K3S)
    assert default["probe-run"].stdin["image"] == sandbox
    assert run({"probeImage": "mine:1"})["probe-run"].stdin["image"] == "mine:1"


def test_the_lab_is_the_same_program_on_other_images(default: Run, lab: Run) -> None:
    differing = set(default.names) ^ set(lab.names)
    assert differing == EITHER_IMAGE, "the lab's nodes have an image that traces"
    assert lab["jaeger-image"].inputs["name"].startswith("runtime-observability-lab/")
    assert (
        lab["cluster-ensure"].stdin["spec"]["toolsImage"].startswith("runtime-observability-lab/")
    )


def test_without_the_probe_there_is_no_claim() -> None:
    without = run({"traceProbe": False})
    assert "probe-run" not in without.names
    assert not {"tracedComponents", "timeToFirstTraceSeconds"} & without.exports.keys()
    assert without.exports["jaegerUrl"]


def test_without_the_probe_the_stack_says_of_what_spans_must_be_there() -> None:
    """Of an API server that samples next to nothing, `ktrace verify` demands none."""
    without = {"traceProbe": False}
    full, rare = run(without), run({**without, "apiserverSamplingPerMillion": 0})
    assert full.exports["expectedComponents"] == ["apiserver", "kubelet", "containerd"]
    assert rare.exports["expectedComponents"] == ["kubelet", "containerd"]
    assert "expectedComponents" not in run({"apiserverSamplingPerMillion": 0}).exports


# --- messages -------------------------------------------------------------------------------------


def test_each_component_has_its_line(default: Run, lab: Run) -> None:
    assert default.outlook() == [
        "apiserver will be traced: by its file of apiserver.config.k8s.io/v1",
        "kubelet will be traced: by the tracing in its file, on every node",
        "containerd will be traced: upstream containerd 2.3.4 replaces the one of k3s "
        f"{support.DEFAULT_K3S}, which has no tracing plugin",
    ]
    assert lab.outlook() == [
        *default.outlook()[:2],
        "containerd will be traced: containerdTracing is image, so the image's own containerd "
        "exports traces",
    ]
    assert run(of_stack_file("article")).outlook() == [
        "apiserver will be traced: by its file of apiserver.config.k8s.io/v1beta1",
        "kubelet will be traced: by the tracing in its file, on every node",
        "containerd will be traced: the containerd of k3s 1.27.1-k3s1 has the tracing plugin",
    ]


def test_what_a_preset_keeps_is_said() -> None:
    assert run({"tracing": "starts"}).outlook()[-1] == (
        "Jaeger gets starts: pod starts, and the requests that caused them"
    )


def test_a_preview_says_the_same(default: Run) -> None:
    assert run(preview=True).said == default.said


def test_what_is_not_traced_is_said_with_the_reason() -> None:
    assert run({"containerdTracing": "off", "servers": 3}).outlook()[2:] == [
        "containerd will not be traced: containerdTracing is off",
        "etcd will not be traced: etcdTracing is false",
    ]
    traced = run({"servers": 3, "etcdTracing": True}).outlook()[3:]
    assert traced == ["etcd will be traced: etcdTracing is true"]
    assert run({"collectorSamplingPerMillion": 0}).outlook() == [
        f"{name} will not be traced: the sampling keeps none of its traces"
        for name in ("apiserver", "kubelet", "containerd")
    ]


def test_a_containerd_of_ones_own_is_named() -> None:
    line = run({"containerdBinary": __file__}).outlook()[2]
    assert line.startswith(f"containerd will be traced: the containerd at {__file__} replaces")


def standing(digest: str = "", **settings: Any) -> Observation:
    """A machine with a complete cluster of these settings."""
    spec = spec_of(Names("dev", PROJECT), parsed(**settings))
    record = Record(7, True, digest or identity(spec), spec.document, ())
    return Observation(generation=7, record=record)


@pytest.mark.parametrize(
    ("change", "lines"),
    [
        ({}, []),
        (
            {"agents": 1, "kubeApiPort": 6551},
            [
                "cluster traced-dev will be replaced, and its workloads go with it: "
                "agents: 0 → 1; kubeApiPort: 6550 → 6551"
            ],
        ),
        (
            {"agents": 2},
            ["cluster traced-dev: agents will be added, 2 of them: agents: 0 → 2"],
        ),
        (
            {"nodeSamplingPerMillion": 1000},
            [
                "cluster traced-dev: its nodes will restart one after the other; every object "
                "stays, and containers restart once (with restartPolicy Never they end) and lose "
                "what is in an emptyDir in memory or a hostPath below /run: "
                "nodeSamplingPerMillion: 1000000 → 1000"
            ],
        ),
    ],
    ids=["none", "replaced", "resized", "restarted"],
)
def test_what_a_change_does_to_the_cluster_is_said(
    change: dict[str, Any], lines: list[str]
) -> None:
    assert run(change, observed=standing()).warnings() == lines


def test_a_record_that_somebody_edited_is_made_again_and_nothing_said_of_a_replacement(
    default: Run,
) -> None:
    """What the nodes were created from is on their labels: that is the wanted configuration."""
    observed = standing(servers=3, agents=1)
    names, spec = Names("dev", PROJECT), spec_of(Names("dev", PROJECT), parsed())
    assert observed.record
    edited = replace(observed.record, digest=identity(spec))
    after = run({"agents": 1}, observed=replace(observed, record=edited))
    assert after.warnings() == [
        f"{names.record} has another configuration than the cluster: up will repair it"
    ]
    assert after["cluster-ensure"].environment["GENERATION"] == "8"
    assert after["cluster-guard-sweep"].inputs["triggers"][0] == edited.digest
    drifted = replace(observed, record=edited, drift=("something",), generation=8)
    again = run({"agents": 1}, observed=drifted)
    assert again["cluster-ensure"].environment["GENERATION"] == "8"


@pytest.mark.parametrize(
    ("started_with", "change", "lines"),
    [
        (
            {"server-0": "", "agent-0": "another", "agent-1": "wanted"},
            {},
            [
                "cluster traced-dev: k3d-traced-dev-server-0, k3d-traced-dev-agent-0 will restart "
                "one after the other; every object stays, and containers restart once (with "
                "restartPolicy Never they end) and lose what is in an emptyDir in memory or a "
                "hostPath below /run: the last run ended before that"
            ],
        ),
        (
            {"server-0": "wanted", "agent-0": "wanted", "agent-1": "another"},
            {"agents": 1},
            [
                "cluster traced-dev: agents will be drained and removed, 1 of them; pods that "
                "nothing makes again end, what is in an emptyDir or a hostPath there is lost, and "
                "an agent with persistent volumes of its own stays: agents: 2 → 1"
            ],
        ),
        (
            {"server-0": "taken back", "agent-0": "taken back", "agent-1": "wanted"},
            {"nodeSamplingPerMillion": 1000},
            [
                "cluster traced-dev: k3d-traced-dev-agent-1 will restart; every object stays, and "
                "containers restart once (with restartPolicy Never they end) and lose what is in "
                "an emptyDir in memory or a hostPath below /run: "
                "nodeSamplingPerMillion: 1000000 → 1000"
            ],
        ),
    ],
    ids=["unfinished", "with fewer agents", "taken back"],
)
def test_the_nodes_that_an_interrupted_up_has_not_restarted_are_told(
    started_with: dict[str, str], change: dict[str, Any], lines: list[str]
) -> None:
    observed = standing(agents=2)
    assert observed.record
    names = Names("dev", PROJECT)
    contents = {
        "wanted": content(ClusterSpec.read(observed.record.spec)),
        "taken back": content(spec_of(names, parsed(agents=2, nodeSamplingPerMillion=1000))),
    }
    known = {
        f"k3d-{names.cluster}-{node}": contents.get(of, of) for node, of in started_with.items()
    }
    interrupted = replace(observed.record, complete=False, content=known)
    found = replace(observed, record=interrupted)
    assert run({"agents": 2} | change, observed=found).warnings() == lines


@pytest.mark.parametrize("same", [True, False])
def test_what_becomes_of_a_cluster_without_its_record_is_said(same: bool) -> None:
    names = Names("dev", PROJECT)
    digest = identity(spec_of(names, parsed())) if same else "another"
    observed = Observation(generation=7, created_from=frozenset({digest}))
    (line,) = run(observed=observed).warnings()
    does = "nodes will restart one" if same else "will be replaced, and its workloads go with it"
    assert does in line
    assert ("any agent beyond the 0 wanted will be drained" in line) is same
    assert line.endswith(f"the record of it, {names.record}, is lost")


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"traceRetention": "24h", "openSearchHeapMiB": 256}, "traceRetention, openSearchHeapMiB"),
        ({"traceRetention": "48h", "probeTimeoutSeconds": 60, "traceProbe": False}, ""),
        ({"traceStore": "badger", "keepTraces": True, "traceRetention": "24h"}, ""),
        ({"traceStore": "badger", "jaegerMaxTraces": 2000}, "jaegerMaxTraces"),
        ({"traceStore": "opensearch", "openSearchHeapMiB": 256}, ""),
        ({"slowerThan": "2s"}, "slowerThan"),
        ({"tracing": "errors-and-slow", "slowerThan": "2s"}, ""),
        ({"traceProbe": False, "probeTimeoutSeconds": 30}, "probeTimeoutSeconds"),
    ],
)
def test_keys_without_effect_are_said(settings: dict[str, Any], told: str) -> None:
    lines = [line for line in run(settings).warnings() if "without effect" in line]
    assert [line.partition(":")[0] for line in lines] == ([told] if told else [])


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (OPENSEARCH, ""),
        (
            {**OPENSEARCH, "openSearchUrls": ["https://a.example", "http://b.example"]},
            r"is sent to http://b\.example without TLS, .*: write https:// ",
        ),
        (NO_LOGIN, ""),
        (CASSANDRA, r"is sent to cassandra\.example:9142 without TLS, .*: set traceStoreCaFile"),
        ({**CASSANDRA, "traceStoreCaFile": CERTIFICATE}, ""),
    ],
)
def test_a_password_that_is_sent_without_tls_is_told(
    settings: dict[str, Any], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "of my own")
    warnings = run(settings, secret_keys=["traceStorePassword"]).warnings()
    lines = [line for line in warnings if line.startswith("traceStorePassword")]
    assert len(lines) == bool(told)
    assert all(re.search(told, line) for line in lines)


@pytest.mark.parametrize(
    ("settings", "only", "silent"),
    [
        ({}, ["etcd"], "etcd"),
        ({"containerdTracing": "off"}, ["kubelet", "containerd", "etcd"], "containerd, etcd"),
        ({"apiserverSamplingPerMillion": 0}, ["apiserver", "kubelet"], "apiserver"),
        ({}, ["apiserver", "kubelet", "containerd"], ""),
        ({}, [], ""),
    ],
)
def test_components_that_send_an_exporter_nothing_are_said(
    settings: dict[str, Any], only: list[str], silent: str
) -> None:
    exporters = [{"endpoint": "team.example:4317", "only": only}]
    warnings = run({**settings, "exporters": exporters}).warnings()
    told = [line for line in warnings if line.startswith("exporters")]
    wanted = f"exporters.0.only: no traces of {silent} are sent to team-example, as there are none"
    assert told == ([wanted] if silent else [])
    of_logs = [{**exporters[0], "signals": ["logs"]}]
    assert not [line for line in run({"exporters": of_logs}).warnings() if "exporters" in line]


def test_fewer_agents_are_said() -> None:
    (line,) = run({"agents": 1}, observed=standing(agents=3)).warnings()
    assert line == (
        "cluster traced-dev: agents will be drained and removed, 2 of them; pods that nothing "
        "makes again end, what is in an emptyDir or a hostPath there is lost, and an agent with "
        "persistent volumes of its own stays: agents: 3 → 1"
    )


def test_a_cluster_of_an_earlier_release_is_not_replaced_for_its_digest() -> None:
    """The digest's own rule may change: what counts is whether the nodes can become it."""
    observed = standing(digest="of-an-earlier-release")
    for change in ({}, {"agents": 1}, {"nodeSamplingPerMillion": 1000}):
        stack = run(change, observed=observed)
        assert stack["cluster-guard-sweep"].inputs["triggers"][0] == "of-an-earlier-release"
        assert stack["cluster-ensure"].stdin["digest"] == "of-an-earlier-release"
        assert stack[REHEARSAL].stdin["digest"] == "of-an-earlier-release"
    replaced = run({"kubeApiPort": 6551}, observed=observed)
    assert replaced["cluster-guard-sweep"].inputs["triggers"][0] != "of-an-earlier-release"


@pytest.mark.parametrize(
    ("key", "value", "secret"),
    [
        ("registries", {"config": "mirrors: {hush.example: {}}\n"}, ()),
        ("k3sArgs", ["--node-label=a=hush"], ("k3sArgs",)),
    ],
)
def test_the_announcement_does_not_repeat_what_may_be_secret(
    key: str, value: Any, secret: tuple[str, ...]
) -> None:
    (said,) = run({key: value}, observed=standing(), secret_keys=secret).warnings()
    assert said.endswith(f": {key}")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["--kube-apiserver-arg=enable-admission-plugins=AlwaysPullImages@server:*",
             "--tls-san=cluster.example"],
            ': k3sArgs: with "--kube-apiserver-arg=enable-admission-plugins=AlwaysPullImages'
            '@server:*", with "--tls-san=cluster.example"',
        ),
        ([f"--node-label=a={number:060}" for number in range(5)], ": k3sArgs"),
    ],
)  # fmt: skip
def test_what_a_long_list_lost_and_got_is_told(arguments: list[str], told: str) -> None:
    (said,) = run({"k3sArgs": arguments}, observed=standing()).warnings()
    assert said.endswith(told)


def test_a_release_beyond_what_is_known_is_said() -> None:
    assert run({"k3sVersion": "v1.37.1-k3s1"}).warnings() == []
    unknown = {"k3sVersion": "v1.39.0-k3s1", "collectorVersion": "0.999.0"}
    newer, newest = run(unknown), run({"k3sVersion": "v1.37.1-k3s1", "collectorVersion": "0.159.0"})
    k3s, collector = newer.warnings()
    assert k3s == (
        "k3s 1.39.0-k3s1 is newer than 1.37.1, the newest release checked; it gets 1.37.1's "
        "configuration"
    )
    assert collector.startswith("collector 0.999.0 is newer than 0.159.0")
    for name in FILES:
        assert newer[name].inputs["stdin"] == newest[name].inputs["stdin"]


def test_a_release_past_its_support_is_said_and_not_refused() -> None:
    later = Observation(generation=7, today=date(2026, 11, 26))
    article = run(of_stack_file("article"), observed=later)
    (said,) = article.warnings()
    assert said.startswith("k3sVersion: 1.27.1-k3s1 is past its end of life, about 2024-06-11: ")
    assert article.error is None
    assert "cluster-ensure" in article.names
    assert run(observed=later).warnings() == []


def test_a_version_that_the_image_does_not_follow_is_said() -> None:
    own = {
        "jaegerImage": f"mine/jaeger:{support.DEFAULT_JAEGER}",
        "collectorImage": f"mine/collector:{support.DEFAULT_COLLECTOR}-alpine",
    }
    assert run(own).warnings() == []
    (said,) = run(own | {"jaegerVersion": "2.20.0"}).warnings()
    assert said == (
        f"jaegerImage is mine/jaeger:{support.DEFAULT_JAEGER}, but it gets the configuration of "
        "jaegerVersion 2.20.0: write {version} in the image to keep both the same"
    )


def test_what_is_set_and_does_nothing_is_said() -> None:
    rewriting = {"registries": {"config": "mirrors: {docker.io: {rewrite: {'^a/': 'b/'}}}"}}
    (lost,) = run(rewriting).warnings()
    assert lost.startswith("registries.config: the upstream containerd does not support rewrites")
    assert run(rewriting | {"containerdTracing": "off"}).warnings() == []
    (unused,) = run({"containerdBinary": __file__, "containerdTracing": "image"}).warnings()
    assert unused.startswith("containerdBinary is not used")


def test_a_containerd_that_cannot_be_had_registers_nothing() -> None:
    missing = run({"containerdBinary": "/nowhere/containerd"})
    exotic = run(observed=Observation(architecture="riscv64"))
    assert missing.resources == exotic.resources == ()
    assert "containerdBinary: /nowhere/containerd is not a file" in str(missing.error)
    assert "no containerd for a Docker host of riscv64" in str(exotic.error)
    for refused in (missing, exotic):
        assert "`pulumi config set containerdTracing off`" in str(refused.error)


def test_a_sampled_component_is_said() -> None:
    apiserver, *others = run({"nodeSamplingPerMillion": 1000}).outlook()
    assert "kept" not in apiserver
    assert len(others) == 2
    for line in others:
        assert line.endswith("; 0.1000% is kept, so a pod may have no trace of it")


# --- what stops a run -----------------------------------------------------------------------------


def test_bad_settings_register_nothing() -> None:
    refused = run({"agents": 99, "colectorImage": "x:1", "otlpGrpcPort": 16686})
    assert refused.resources == ()
    assert refused.exports == {}
    assert refused.error is not None
    assert refused.error.splitlines() == [
        "the stack's configuration cannot be used:",
        '  - agents: "99" is too large: the maximum is 10',
        "  - colectorImage: unknown key. Did you mean collectorImage?",
        "  - otlpGrpcPort: 16686 is also the port of jaegerUiPort: every port needs a number of "
        "its own",
    ]


def test_a_problem_of_the_machine_registers_nothing() -> None:
    problems = Problem("otlpGrpcPort", "port 4317 is held"), Problem("k3d", "not on PATH")
    refused = run(observed=Observation(problems=problems))
    assert refused.resources == ()
    assert refused.error == (
        "nothing was touched, because:\n  - otlpGrpcPort: port 4317 is held\n  - k3d: not on PATH"
    )


def test_an_image_follows_its_version_where_it_says_so() -> None:
    changes = {
        "k3sVersion": "v1.37.1-k3s1",
        "k3sImage": "mirror/k3s:v{version}",
        "containerdTracing": "image",
        "jaegerImage": "mirror/jaeger:{version}",
        "collectorImage": "mirror/collector:{version}-alpine",
    }
    made = run(changes)
    assert made["cluster-ensure"].stdin["spec"]["k3d"]["image"] == "mirror/k3s:v1.37.1-k3s1"
    assert made["jaeger-image"].inputs["name"] == f"mirror/jaeger:{support.DEFAULT_JAEGER}"
    collector = f"mirror/collector:{support.DEFAULT_COLLECTOR}-alpine"
    assert made["collector-image"].inputs["name"] == collector
