"""``ktrace show`` of workloads: options, output, exit codes, and every way to fail."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ktrace.podstart import search
from ktrace.rollout.kinds import DEPLOYMENT
from ktrace.target import target
from tests.fakes import rollouts, starts
from tests.fakes.clock import Clock
from tests.fakes.http import FakeServer, write_kubeconfig
from tests.fakes.jaeger import data, served
from tests.fakes.ktrace import Ktrace
from tests.fakes.rollouts import Cluster, web_pod
from tests.schemas import validate

Shown = Callable[..., list[str]]


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """No test waits for spans."""
    return Clock(starts.BEGIN / 1e6 + 600).drive(monkeypatch, search)


@pytest.fixture
def at(server: FakeServer, api: FakeServer, tmp_path: Path) -> Shown:
    """Serves a cluster and its traces; returns the options that name both."""

    def serve(cluster: Cluster) -> list[str]:
        server.answer = served(starts.handler(*cluster.traces(), rollouts.written()))
        api.answer = cluster.answer
        kubeconfig = tmp_path / "kubeconfig"
        write_kubeconfig(kubeconfig, api.url)
        return ["-n", "shop", "--jaeger", server.url, "--kubeconfig", str(kubeconfig)]

    return serve


def three() -> Cluster:
    new = [web_pod(number, ready=1500 + number * 700) for number in range(3)]
    old = web_pod(50, rollouts.OLD_HASH, created=-70_000, ready=-60_000, deleted=1600, gone=2600)
    return rollouts.deployment([*new, old])


@pytest.mark.parametrize(
    "name", ["deploy/web", "deployment/web", "deployments/web", "deployments.apps/web"]
)
def test_a_deployment_is_shown(ktrace: Ktrace, at: Shown, name: str) -> None:
    shown = ktrace("show", name, *at(three()))
    assert (shown.returncode, shown.stderr) == (0, "")
    slowest = web_pod(2).name
    assert shown.lines[0] == (
        f"deployment shop/web: 3 of 3 pods Ready in 2.88 s; held up by {slowest} "
        "(readiness probe of main 2.53 s)"
    )
    assert shown.lines[2].startswith(slowest)
    assert any(line.startswith("written: 2023-11-14 22:13:20.020 UTC by") for line in shown.lines)
    assert any("1.00 s" in line for line in shown.lines), "the old pod's end"
    assert any("/trace/request-Patch" in line for line in shown.lines)


def test_the_json_follows_its_schema(ktrace: Ktrace, at: Shown) -> None:
    told = ktrace("show", "deploy/web", *at(three()), "--json").document
    validate("rollout", told)
    (rollout,) = told["rollouts"]
    assert (rollout["ok"], rollout["podsDone"], rollout["tookMs"]) == (True, 3, 2883.0)
    assert rollout["write"]["auditId"] == "audit-web-20"
    assert [pod["part"] for pod in rollout["pods"]] == ["new"] * 3
    assert rollout["oldPods"][0]["endedInMs"] == pytest.approx(1000, abs=2)
    for pod in rollout["pods"]:
        validate("show", {"apiVersion": "ktrace/v1", **pod["start"]})


@pytest.mark.parametrize(
    ("arguments", "first"),
    [
        (["-l", "app=web"], "pods app=web in shop: 3 of 3 pods Ready; the slowest start: "),
        (["pods", "-l", "app=web"], "pods app=web in shop: 3 of 3 pods Ready"),
        (["deploy", "-l", "x=y"], ""),
        (["-A"], "pods in all namespaces: 3 of 3 pods Ready"),
        (["deploy", "-A"], "deployment shop/web: 3 of 3 pods Ready in 2.88 s"),
    ],
)
def test_several_are_chosen_by_labels_or_in_all_namespaces(
    ktrace: Ktrace, at: Shown, arguments: list[str], first: str
) -> None:
    shown = ktrace("show", *arguments, *at(three()))
    if not first:
        assert (shown.returncode, shown.stderr) == (
            1, "ktrace: there are no deployments x=y in shop\n",
        )  # fmt: skip
        return
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.lines[0].startswith(first)


def test_a_pod_that_is_not_ready_ends_with_1(ktrace: Ktrace, at: Shown) -> None:
    cluster = rollouts.deployment([web_pod(0), web_pod(1), web_pod(2, ready=None)])
    shown = ktrace("show", "deploy/web", *at(cluster))
    assert (shown.returncode, shown.stderr) == (1, "")
    assert shown.lines[0].startswith("deployment shop/web: 2 of 3 pods Ready; waits for")


def test_without_a_cluster_it_is_said_what_is_not_known(
    ktrace: Ktrace, at: Shown, server: FakeServer
) -> None:
    at(three())
    shown = ktrace("show", "deploy/web", "-n", "shop", "--jaeger", server.url)
    assert (shown.returncode, shown.stderr) == (1, "")
    assert "3 pods seen; which pods are wanted is not known without the cluster" in shown.lines[0]
    assert "no kubeconfig is known" in shown.stdout
    refused = ktrace("show", "-l", "a=b", "--jaeger", server.url)
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["deploy/web", "-l", "a=b"], "deploy/web is one object: leave out -l and -A, or its name"),
        (["pod/web", "-A"], "pod/web is one object"),
        (["secrets", "-A"], "'secrets' is not a pod or a workload"),
        ([], "nothing is named: write pod/NAME or deploy/NAME, or choose with -l SELECTOR or -A"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(
    ktrace: Ktrace, server: FakeServer, arguments: list[str], told: str
) -> None:
    refused = ktrace("show", *arguments, "--jaeger", server.url)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert told in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("refused", "code", "told"),
    [
        ({"web": 404}, 1, "there is no deployment shop/web"),
        ({"web": 403}, 1, "deployment shop/web cannot be read: 403"),
        ({"pods": 403}, 1, "pods in shop cannot be read: 403"),
        ({"web": 503}, 3, "deployment shop/web cannot be read: 503"),
    ],
)
def test_what_the_cluster_refuses_is_one_line(
    ktrace: Ktrace, at: Shown, refused: dict[str, int], code: int, told: str
) -> None:
    cluster = three()
    options = at(cluster)
    cluster.refused = refused
    shown = ktrace("show", "deploy/web", *options, "--json")
    assert shown.returncode == code
    assert told in shown.stderr
    assert len(shown.stderr.splitlines()) == 1
    validate("error", shown.document)


def test_a_cluster_that_does_not_answer_is_unreachable(
    ktrace: Ktrace, at: Shown, api: FakeServer
) -> None:
    options = at(three())
    api.stop()
    shown = ktrace("show", "deploy/web", *options)
    assert shown.returncode == 3
    assert shown.stderr.startswith("ktrace: the cluster cannot be reached: ")
    assert len(shown.stderr.splitlines()) == 1


def test_a_jaeger_that_does_not_answer_is_unreachable(
    ktrace: Ktrace, at: Shown, server: FakeServer
) -> None:
    options = at(three())
    server.stop()
    shown = ktrace("show", "deploy/web", *options)
    assert (shown.returncode, len(shown.stderr.splitlines())) == (3, 1)


def test_what_objects_contain_is_text(ktrace: Ktrace, at: Shown, tmp_path: Path) -> None:
    nasty = 'pods "x" is\x1b[2J forbidden\n<script>alert(1)</script> [red]'
    cluster = rollouts.deployment([web_pod(0), web_pod(1)])
    condition = {"type": "ReplicaFailure", "status": "True", "reason": "Quota", "message": nasty}
    cluster.objects[DEPLOYMENT][0]["status"]["conditions"] = [condition]
    page = tmp_path / "rollout.html"
    shown = ktrace("show", "deploy/web", *at(cluster), "--html", str(page))
    assert shown.returncode == 1
    assert "\x1b" not in shown.stdout
    assert "<script>alert(1)</script> [red]" in shown.lines[0]
    assert "<script>alert" not in page.read_text()
    assert shown.lines[-1] == f"page: {page}"


def test_a_page_that_cannot_be_written_is_refused_before_anything_is_read(
    ktrace: Ktrace, server: FakeServer, tmp_path: Path
) -> None:
    nowhere = tmp_path / "no" / "page.html"
    refused = ktrace("show", "deploy/web", "--jaeger", server.url, "--html", str(nowhere))
    assert (refused.returncode, server.requests) == (2, [])


@pytest.mark.parametrize("forced", ["", "1"])
def test_a_pipe_has_every_pod(
    ktrace: Ktrace, at: Shown, monkeypatch: pytest.MonkeyPatch, forced: str
) -> None:
    monkeypatch.setenv("FORCE_COLOR", forced)
    pods = [web_pod(number, ready=1500 + number * 10) for number in range(60)]
    shown = ktrace("show", "deploy/web", *at(rollouts.deployment(pods, replicas=60)))
    assert sum(line.startswith("web-") for line in shown.lines) == 60
    assert json.dumps(shown.lines).count("more") == 0


def test_starts_that_have_their_spans_do_not_lack_what_was_left_out(
    ktrace: Ktrace, at: Shown, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, _, url, _, kubeconfig = at(three())
    outputs = {"jaegerUrl": url, "kubeconfig": kubeconfig, "tracing": "starts: pod starts"}
    monkeypatch.setattr(target, "stack_outputs", lambda _: outputs)
    shown = ("show", "deploy/web", "-n", "shop", "--stack", "dev", "--timeout", "0")
    assert "tracing chooses" not in ktrace(*shown).stdout
    server.answer = served(lambda _: data())
    assert "other traces: Jaeger gets only what the stack's tracing chooses" in " ".join(
        ktrace(*shown).stdout.split()
    )
