"""A cluster that cannot come up fails `up` soon, with the node's own reason."""

from __future__ import annotations

import time

from tests.live.stack import Stack


def test_a_k3s_that_dies_at_once_is_reported_in_its_own_words_and_cleared_away(
    absent: Stack,
) -> None:
    absent.configure(k3sArgs=["--kube-apiserver-arg=no-such-flag=1@server:*"])
    begin = time.monotonic()
    said = absent.refused_up().said
    assert time.monotonic() - begin < 60
    assert "no-such-flag" in said
    assert not absent.docker.containers(f"label=k3d.cluster={absent.cluster}")

    absent.configure()
    absent.up()
    assert " Ready" in absent.kubectl("get", "nodes")
    absent.expect_no_changes()
