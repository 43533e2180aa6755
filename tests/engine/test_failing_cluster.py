"""When a cluster cannot start, `up` fails soon, with the node's error."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from runtime_observability.core.support import DEFAULT_K3S
from tests.live import registry
from tests.live.pods import expect_a_pod_to_run
from tests.live.stack import Stack


@pytest.mark.usefixtures("standing")  # it has pulled the images
def test_a_k3s_that_dies_at_once_is_reported_in_its_own_words_and_cleared_away(
    absent: Stack,
) -> None:
    absent.configure(k3sArgs=["--kube-apiserver-arg=no-such-flag=1@server:*"])
    begin = time.monotonic()
    output = absent.refused_up().said
    assert time.monotonic() - begin < 60
    assert "no-such-flag" in output
    assert not absent.docker.containers(f"label=k3d.cluster={absent.cluster}")

    absent.configure()
    absent.up()
    expect_a_pod_to_run(absent)
    absent.expect_no_changes()


def test_a_node_image_that_cannot_be_had_is_named_and_no_half_cluster_stays(
    absent: Stack,
) -> None:
    image = f"127.0.0.1:1/no-such/k3s:v{DEFAULT_K3S}"
    absent.configure(k3sImage=image)
    output = absent.refused_up().said
    assert image in output
    assert not absent.docker.containers(f"label=k3d.cluster={absent.cluster}")
    absent.destroy()
    assert absent.left_overs() == set()


def test_a_cluster_stands_as_long_as_the_image_of_the_next_one_cannot_be_had(
    standing: Stack,
) -> None:
    before = standing.ids()
    image = f"127.0.0.1:1/no-such/k3s:v{DEFAULT_K3S}"
    standing.configure(k3sImage=image)
    assert image in standing.refused_up().said
    assert standing.ids() == before
    standing.configure()
    standing.up()
    assert standing.ids() == before
    standing.expect_no_changes()


def test_an_up_whose_rehearsal_fails_leaves_jaeger_and_its_traces_too(standing: Stack) -> None:
    before = standing.ids()
    standing.configure(
        k3sArgs=["--kube-apiserver-arg=no-such-flag=1@server:*"],
        jaegerMaxTraces=9000,
        collectorSamplingPerMillion=500_000,
    )
    assert "no-such-flag" in standing.refused_up().said
    assert standing.ids() == before
    standing.configure()
    standing.up()
    assert standing.ids() == before
    standing.expect_no_changes()


def test_the_arguments_of_agents_that_did_not_start_are_corrected_in_place(
    standing: Stack,
) -> None:
    before = standing.ids()
    standing.configure(agents=1, k3sArgs=["--kubelet-arg=no-such-flag=1@agent:*"])
    refused = standing.refused_up().said
    assert "no-such-flag" in refused
    assert "the cluster works as before" in refused
    assert "k3d cluster delete" not in refused
    assert standing.ids() == before
    standing.configure(agents=1, k3sArgs=["--kubelet-arg=max-pods=50@agent:*"])
    assert "agents will be added, 1 of them" in standing.up().said
    assert before.items() < standing.ids().items()
    pods = "jsonpath={.items[*].status.capacity.pods}"
    assert "50" in standing.kubectl("get", "nodes", "-o", pods).split()
    standing.expect_no_changes()


def test_a_container_image_that_cannot_be_had_is_named_and_the_next_up_goes_on(
    absent: Stack,
) -> None:
    image = "127.0.0.1:1/no-such/otelcol:0"
    absent.configure(collectorImage=image)
    assert image in absent.refused_up().said
    assert absent.server not in absent.ids(), "images come before what sends spans"
    absent.configure()
    absent.up()
    absent.expect_no_changes()


def test_an_image_is_pulled_with_the_login_of_docker_login(
    standing: Stack, absent: Stack, tmp_path: Path
) -> None:
    """It has no collector: the up goes on until that does not start."""
    node = standing.docker.inspect(standing.server)["Config"]["Image"]
    login = registry.login_of("ada:pass word")
    before = absent.environment
    with registry.with_login(absent.docker, node, login) as address:
        image = f"{address}/team/otelcol:1"
        absent.configure(collectorImage=image)
        said = absent.refused_up().said
        assert f"{image} cannot be pulled: " in said
        assert "no basic auth credentials" in said
        logins = {"auths": {address: {"auth": login}}}
        (tmp_path / "config.json").write_text(json.dumps(logins))
        absent.environment = before | {"DOCKER_CONFIG": str(tmp_path)}
        try:
            said = absent.refused_up().said
        finally:
            absent.environment = before
            pulled = absent.docker("image", "rm", "--force", image, check=False)
        assert pulled
        assert "cannot be pulled" not in said
        assert "collector-container" in said
    absent.destroy()
    assert absent.left_overs() == set()
