"""What is asked of an OpenSearch or Elasticsearch, and what its answers mean."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import date

import pytest

from runtime_observability.core import search_engine
from runtime_observability.core.search_engine import Answer, UnfitError
from runtime_observability.core.versions import Version

TODAY = date(2026, 3, 2)
PREFIX = "traced-dev-0123456789abcdef"
JAEGER = Version.parse("2.13.0")


def answer(body: object = "", status: int = 200) -> Answer:
    return Answer(body if isinstance(body, str) else json.dumps(body), status, 0, "")


def main(tagline: str, number: str) -> Answer:
    return answer({"tagline": tagline, "version": {"number": number}})


OPENSEARCH = "The OpenSearch Project: https://opensearch.org/"
ELASTICSEARCH = "You Know, for Search"


def test_every_request_has_the_clusters_options_and_no_value_ends_its_quotes() -> None:
    of_cluster = search_engine.options('a"da', "p\\w", own_ca=True)
    text = search_engine.requests(of_cluster, "http://x:9200", ["/a", "/b"], "DELETE")
    assert text.count('user = "a\\"da:p\\\\w"\n') == 2
    assert text.count(f'cacert = "{search_engine.CA_FILE}"\n') == 2
    assert text.count('request = "DELETE"\n') == 2
    assert text.index('url = "http://x:9200/a"') < text.index("next\n") < text.index("/b")
    assert "user = " not in search_engine.options("", "", own_ca=False)


def test_answers_are_read_in_their_order() -> None:
    mark = "runtime-observability-answer"
    output = (
        f'{{"a":\n1}}\n{mark} 200 0 \nElasticsearch\nSubject:CN = a\n{mark}-end\n'
        f"\n{mark} 0 7 Failed to connect\n\n{mark}-end\n"
    )
    assert search_engine.answers(output) == [
        Answer('{"a":\n1}', 200, 0, "", "Elasticsearch", "Subject:CN = a\n"),
        Answer("", 0, 7, "Failed to connect"),
    ]
    assert search_engine.answers("docker: no such image") == []


@pytest.mark.parametrize("code", [3, 6, 7, 28, 35, 52, 56, 60, 77])
def test_every_reason_for_no_answer_names_the_address(code: int) -> None:
    told = search_engine.unreachable(Answer("", 0, code, ""), "https://search.example:9200")
    assert told.startswith("https://search.example:9200: ")
    assert "\n" not in told


@pytest.mark.parametrize(
    ("error", "cure"),
    [
        ("SSL certificate problem: certificate has expired", "renew it there, or name today's in"),
        ("SSL certificate problem: unable to get local issuer certificate", "in traceStoreCaFile"),
        (
            "SSL: no alternative certificate subject name matches target ipv4 address '10.0.0.1'",
            "for another host: ",
        ),
        ("SSL: certificate subject name 'a' does not match target hostname 'b'", "another host: "),
    ],
)
def test_the_cure_of_a_certificate_is_of_what_is_wrong_with_it(error: str, cure: str) -> None:
    assert cure in search_engine.unreachable(Answer("", 0, 60, error), "https://search.example")


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (answer("<html>"), "neither OpenSearch nor Elasticsearch"),
        (answer([1]), "neither OpenSearch nor Elasticsearch"),
        (answer({"tagline": OPENSEARCH}), "neither OpenSearch nor Elasticsearch"),
        (main(ELASTICSEARCH, "8.1.0"), "it is elasticsearch 8.1.0: set traceStore to"),
        (main(OPENSEARCH, "9.0.0"), "it is opensearch 9.0.0, and Jaeger is known to write to"),
        (answer(status=401), "it refuses traceStoreUser ada and traceStorePassword"),
        (answer(status=403), "traceStoreUser ada may not do this (403): grant cluster:"),
        (answer("full", 503), "it answers 503: full"),
    ],
)
def test_a_cluster_that_jaeger_cannot_use_is_refused_with_the_reason(
    found: Answer, told: str
) -> None:
    with pytest.raises(UnfitError) as refused:
        search_engine.refuse_another_engine(found, "opensearch", "ada", JAEGER)
    assert told in str(refused.value)


def test_the_engines_that_jaeger_knows_are_taken() -> None:
    for number in ("2.19.6", "3.1.0", "7.10.2"):
        search_engine.refuse_another_engine(main(OPENSEARCH, number), "opensearch", "", JAEGER)
    old_client, new_client = main(ELASTICSEARCH, "7.17.29"), main(ELASTICSEARCH, "8.15.0")
    told = replace(new_client, product="Elasticsearch")
    for found in (old_client, told):
        search_engine.refuse_another_engine(found, "elasticsearch", "", JAEGER)
    with pytest.raises(UnfitError, match="its answers have no header X-Elastic-Product"):
        search_engine.refuse_another_engine(new_client, "elasticsearch", "", JAEGER)
    old = Version.parse("2.8.0")
    with pytest.raises(UnfitError, match=r"set jaegerVersion to 2\.9\.0 or newer"):
        search_engine.refuse_another_engine(main(OPENSEARCH, "3.1.0"), "opensearch", "", old)


@pytest.mark.parametrize(("nodes", "copies"), [(0, 0), (1, 0), (2, 1), (9, 1)])
def test_there_is_a_copy_where_a_second_node_can_hold_it(nodes: int, copies: int) -> None:
    assert search_engine.replicas(answer({"number_of_data_nodes": nodes}), "") == copies


@pytest.mark.parametrize("found", [answer("{}"), answer("no JSON"), answer(status=403)])
def test_nodes_that_cannot_be_seen_can_be_told(found: Answer) -> None:
    with pytest.raises(UnfitError, match="set traceStoreReplicas"):
        search_engine.replicas(found, "ada")


def test_a_line_with_the_index_of_each_day_is_refused_with_the_days_that_fit() -> None:
    path = search_engine.services(PREFIX, TODAY, 365)
    assert path.count("%2C") == 365
    assert path.startswith(f"/{PREFIX}-jaeger-service-{TODAY}%2C")
    told = "An HTTP line is larger than 4096 bytes."
    with pytest.raises(UnfitError) as refused:
        search_engine.refuse_a_long_line(answer({"reason": told}, 400), path, 365)
    (days,) = re.findall(r"use (\d+)d", str(refused.value))
    assert 4000 < len(search_engine.services(PREFIX, TODAY, int(days))) < 4096
    with pytest.raises(UnfitError, match="it takes fewer bytes: use a smaller one, or raise"):
        search_engine.refuse_a_long_line(answer("too long", 414), path, 365)
    search_engine.refuse_a_long_line(answer({"hits": {}}), path, 365)
