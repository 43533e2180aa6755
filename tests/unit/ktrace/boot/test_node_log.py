"""Lines of nodes' logs: of the lab's node, and as k3s writes them."""

from __future__ import annotations

from datetime import datetime

import pytest

from ktrace.boot.node_log import marks_of

NODE = "k3d-traced-dev-server-0"
LOG = """\
2026-11-27T18:27:20.832003981Z E1127 18:27:20.831682 29 memcache.go:265] "Unhandled Error" err="x"
2026-11-27T18:27:21.896835340Z time="2026-11-27T18:27:21Z" level=info msg="Running kube-apiserver --x"
2026-11-27T18:27:24.521930016Z I1127 18:27:24.521186      53 secure_serving.go:214] Serving securely on [::]:6443
2026-11-27T18:27:26.655189318Z time="2026-11-27T18:27:26Z" level=info msg="Running kube-controller-manager --k"
2026-11-27T18:27:26.694651439Z time="2026-11-27T18:27:26Z" level=info msg="k3s is up and running"
2026-11-27T18:27:28.097874595Z I1127 18:27:28.090399      73 secure_serving.go:214] Serving securely on 127.0.0.1:10257
2026-11-27T18:27:30.286693775Z I1127 18:27:30.285816     171 kubelet_node_status.go:78] "Successfully registered node" node="n"
2026-11-27T18:43:30.286693775Z I1127 18:43:30.285816     171 kubelet_node_status.go:78] "Successfully registered node" node="n"
"""  # noqa: E501  as Docker prints them


def test_each_kind_of_line_is_one_moment_of_docker_s_time() -> None:
    found = marks_of(LOG, NODE)
    assert [mark.what for mark in found] == [
        "API server begins",
        "API server serves",
        "controllers begin",
        "k3s is up and running",
        "controllers serve",
        "kubelet has registered its node",
    ]
    assert found[0].at == datetime.fromisoformat("2026-11-27T18:27:21.896835+00:00")
    assert found[-1].at.minute == 27, "the first of its kind"
    assert {mark.node for mark in found} == {NODE}
    assert not any(mark.to_the_second for mark in found)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('level=info msg="Running kubelet --address=0.0.0.0 --x"', "kubelet begins"),
        ('level=info msg="Running containerd -c /var/lib/config.toml"', "containerd begins"),
        ('level=info msg="Containerd is now running"', "containerd answers"),
        ('level=info msg="containerd is now running"', "containerd answers"),
        ("secure_serving.go:210] Serving securely on 127.0.0.1:6444", "API server serves"),
        ("secure_serving.go:210] Serving securely on 127.0.0.1:10259", "scheduler serves"),
        ('secure_serving.go:210] "Serving securely on" address="x:1"', ""),
        ("secure_serving.go:210] Serving securely on 127.0.0.1:10258", ""),
        ('level=info msg="Not running kubelet --x"', ""),
    ],
)
def test_a_line_says_what_began(line: str, what: str) -> None:
    text = f'2026-11-27T18:27:20.8Z time="2026-11-27T18:27:20Z" {line}'
    assert [mark.what for mark in marks_of(text, NODE)] == ([what] if what else [])


def test_a_line_without_docker_s_time_is_no_moment() -> None:
    assert marks_of('level=info msg="k3s is up and running"', NODE) == []
