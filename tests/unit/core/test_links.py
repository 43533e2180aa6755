"""The searches that a stack exports, as Jaeger's web UI reads them."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

from runtime_observability.core import links

URL = "http://127.0.0.1:16786"


def query(link: str) -> dict[str, str]:
    parts = urlsplit(link)
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{URL}/search"
    return {key: value for key, (value,) in parse_qs(parts.query).items()}


def test_a_search_names_what_is_given_and_no_more() -> None:
    assert query(links.search(URL, "kubelet", "syncPod")) == {
        "service": "kubelet",
        "operation": "syncPod",
        "limit": "50",
        "lookback": "1h",
    }
    assert "operation" not in query(links.search(URL, "apiserver"))


def test_what_a_url_cannot_hold_is_encoded() -> None:
    link = links.search(URL, "kubelet", tags={"k8s.pod": "default/a&b=c #1"})
    assert json.loads(query(link)["tags"]) == {"k8s.pod": "default/a&b=c #1"}
    assert " " not in link


def test_pulls_are_asked_only_where_containerd_can_answer() -> None:
    with_containerd = links.all_links(URL, containerd=True)
    without = links.all_links(URL, containerd=False)
    assert with_containerd.keys() - without.keys() == {"imagePulls"}
    pulls = query(with_containerd["imagePulls"])
    assert (pulls["service"], pulls["operation"]) == (
        "containerd",
        "runtime.v1.ImageService/PullImage",
    )


def test_etcd_is_asked_only_where_it_can_answer() -> None:
    with_etcd = links.all_links(URL, containerd=False, etcd=True)
    without = links.all_links(URL, containerd=False)
    assert with_etcd.keys() - without.keys() == {"slowEtcdRequests"}
    slow = query(with_etcd["slowEtcdRequests"])
    assert (slow["service"], slow["minDuration"]) == ("etcd", "100ms")


def test_pod_starts_are_the_kubelets_and_slow_requests_take_half_a_second() -> None:
    found = links.all_links(URL, containerd=False)
    starts = query(found["podStarts"])
    assert (starts["service"], starts["operation"]) == ("kubelet", "syncPod")
    assert query(found["slowApiRequests"])["minDuration"] == "500ms"


def test_slow_requests_are_asked_by_the_name_of_a_whole_request() -> None:
    """Without an operation the search would also find slow steps within a request."""
    named = links.all_links(URL, containerd=False, request_span="KubernetesAPI")
    assert query(named["slowApiRequests"])["operation"] == "KubernetesAPI"
    unnamed = links.all_links(URL, containerd=False)
    assert "operation" not in query(unnamed["slowApiRequests"])


def test_every_link_is_a_search_of_a_traced_component() -> None:
    for name, link in links.all_links(URL, containerd=True, etcd=True).items():
        assert query(link)["service"] in {"apiserver", "kubelet", "containerd", "etcd"}, name


def test_errors_are_asked_by_tag_as_jaeger_takes_it() -> None:
    """Jaeger's tags are a JSON object of strings: a bare ``true`` finds nothing."""
    found = links.all_links(URL, containerd=False)
    for name, service in (("apiErrors", "apiserver"), ("podErrors", "kubelet")):
        errors = query(found[name])
        assert errors["service"] == service
        assert json.loads(errors["tags"]) == {"error": "true"}
