"""What Pulumi runs before and after Jaeger on an OpenSearch: its input, output and exit code."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from unittest.mock import Mock

import pytest

from runtime_observability.core import prefix_mark, shards
from runtime_observability.core.search_engine import Answer, UnfitError
from runtime_observability.core.shards import WantedIndices
from runtime_observability.core.versions import Version
from runtime_observability.host import docker, runner, search_engine
from runtime_observability.host.docker import Daemon
from runtime_observability.host.search_engine import Cluster

CLUSTER = Cluster(
    store="opensearch",
    urls=("https://one.example:9200", "https://two.example:9200"),
    user="ada",
    password="",
    certificates="",
    network="traced-dev",
    image="opensearch",
    owner="me",
)
CHECK = {
    "prefix": "traced-dev",
    "jaeger": "2.13.0",
    "replicas": -1,
    "days": 7,
    "shards": 3,
}
DAEMON = Daemon("29.0.0", "2", "amd64", limits_swap=True, id="of-this-docker")


@pytest.fixture(autouse=True)
def _daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker, "daemon", lambda: DAEMON)


def run(monkeypatch: pytest.MonkeyPatch) -> int:
    document = {**CHECK, "cluster": vars(CLUSTER) | {"urls": list(CLUSTER.urls)}}
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(document)))
    return search_engine.main()


def test_curl_goes_past_the_proxy_of_the_docker_commands_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Jaeger has none, and what it reaches may not be reached through that one."""
    ran = Mock(return_value=runner.Result((), 0, "container\n", ""))
    monkeypatch.setattr(runner, "run", ran)
    with pytest.raises(runner.CommandError, match="does not run curl"):
        CLUSTER.ask(["/"])
    created = ran.call_args_list[0].args[0]
    assert created[-5:] == [CLUSTER.image, "--noproxy", "*", "--config", "-"]


def test_the_number_of_replicas_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    check = Mock(return_value=1)
    monkeypatch.setattr(search_engine, "check", check)
    assert run(monkeypatch) == 0
    check.assert_called_once_with(
        CLUSTER, "traced-dev", Version.parse("2.13.0"), WantedIndices(7, 3, -1)
    )
    assert json.loads(capsys.readouterr().out) == {"replicas": 1}


def test_a_cluster_that_cannot_be_used_is_an_error_of_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(search_engine, "check", Mock(side_effect=UnfitError("no node answers")))
    assert run(monkeypatch) == 1
    assert capsys.readouterr() == ("", "error: traceStore opensearch: no node answers\n")


@pytest.mark.parametrize(
    ("urls", "told"),
    [
        (("https://dead", "https://live"), "https://dead: nothing; Jaeger starts with the first"),
        (("https://dead",), "https://dead: nothing"),
        (("https://live", "https://dead"), ""),
    ],
)
def test_the_first_address_must_answer_because_jaeger_starts_with_it_alone(
    monkeypatch: pytest.MonkeyPatch, urls: tuple[str, ...], told: str
) -> None:
    answers = {
        "/": '{"version": {"number": "2.19.6"}, "tagline": '
        '"The OpenSearch Project: https://opensearch.org/"}',
        "/_cluster/health": '{"number_of_data_nodes": 1}',
    }

    def ask(cluster: Cluster, paths: Sequence[str], *_: str) -> list[Answer]:
        if "https://live" not in cluster.urls:
            raise UnfitError("https://dead: nothing")
        return [Answer(answers.get(path, "[]"), 200, 0, "") for path in paths]

    monkeypatch.setattr(Cluster, "ask", ask)
    cluster, jaeger = replace(CLUSTER, urls=urls), Version.parse("2.13.0")
    if not told:
        assert search_engine.check(cluster, "traced-dev", jaeger, WantedIndices(7, 1, -1)) == 0
        return
    with pytest.raises(UnfitError) as refused:
        search_engine.check(cluster, "traced-dev", jaeger, WantedIndices(7, 1, -1))
    assert str(refused.value).startswith(told)
    assert ("first address" in str(refused.value)) == (len(urls) > 1)


def test_days_without_room_in_the_cluster_are_refused_before_jaeger_goes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = {
        "/": '{"version": {"number": "2.19.6"}, "tagline": '
        '"The OpenSearch Project: https://opensearch.org/"}',
        "/_cluster/health": json.dumps(
            {"number_of_data_nodes": 1, "active_shards": 976, "initializing_shards": 0}
            | {"unassigned_shards": 8}
        ),
        shards.LIMIT: '{"defaults": {"cluster": {"max_shards_per_node": "1000"}}}',
    }
    monkeypatch.setattr(
        Cluster,
        "ask",
        lambda _, paths, *__: [Answer(answers.get(p, "[]"), 200, 0, "") for p in paths],
    )
    jaeger = Version.parse("2.13.0")
    assert search_engine.check(CLUSTER, "traced-dev", jaeger, WantedIndices(7, 1, -1)) == 0
    with pytest.raises(UnfitError, match="it has room for 16"):
        search_engine.check(CLUSTER, "traced-dev", jaeger, WantedIndices(8, 1, -1))


@pytest.mark.parametrize(
    ("status", "before", "told", "marks"),
    [
        (404, "", False, True),
        (200, "of-this-docker", False, False),
        (200, "of-another", True, True),
        (403, "", False, True),
    ],
)
def test_indices_that_another_docker_used_last_are_told(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    status: int,
    before: str,
    *,
    told: bool,
    marks: bool,
) -> None:
    prefix, sent = "traced-dev-0123456789abcdef", []
    mark = {"index_template": json.loads(prefix_mark.document(prefix, before))}
    answers = {
        "/": '{"version": {"number": "2.19.6"}, "tagline": '
        '"The OpenSearch Project: https://opensearch.org/"}',
        "/_cluster/health": '{"number_of_data_nodes": 1}',
        prefix_mark.path(prefix): json.dumps({"index_templates": [mark]} if before else {}),
    }

    def ask(
        _: Cluster, paths: Sequence[str], method: str = "GET", document: str = ""
    ) -> list[Answer]:
        if document:
            sent.append((*paths, method, document))
        code = status if paths == [prefix_mark.path(prefix)] else 200
        return [Answer(answers.get(path, "[]"), code, 0, "") for path in paths]

    monkeypatch.setattr(Cluster, "ask", ask)
    search_engine.check(CLUSTER, prefix, Version.parse("2.13.0"), WantedIndices(7, 1, -1))
    said = capsys.readouterr().err
    assert (prefix_mark.warning(prefix, before) in said) is told
    own = (prefix_mark.path(prefix), "PUT", prefix_mark.document(prefix, "of-this-docker"))
    assert sent == ([own] if marks else [])
