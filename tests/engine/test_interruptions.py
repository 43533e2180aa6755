"""An `up` that was interrupted while k3d was creating the cluster."""

from __future__ import annotations

import signal
import socket

from tests.live.stack import Stack
from tests.live.waiting import until


def test_after_ctrl_c_the_next_up_repairs(absent: Stack) -> None:
    running = absent.up_until_its_first_node_is_there()
    running.signal(signal.SIGINT)
    running.wait(120).failed()
    absent.up()
    assert " Ready" in absent.kubectl("get", "nodes")
    absent.expect_no_changes()


def test_after_a_kill_cancel_and_the_next_up_repair(absent: Stack) -> None:
    running = absent.up_until_its_first_node_is_there()
    running.signal(signal.SIGKILL)
    running.wait(10).failed()
    absent.pulumi("cancel", "--yes")
    absent.up()
    assert " Ready" in absent.kubectl("get", "nodes")
    absent.expect_no_changes()


def test_destroy_right_after_a_kill_leaves_nothing(absent: Stack) -> None:
    running = absent.up_until_its_first_node_is_there()
    running.signal(signal.SIGKILL)
    running.wait(10).failed()
    absent.pulumi("cancel", "--yes")
    absent.destroy()
    until(
        "the k3d that outlived its run has ended",
        lambda: not any("cluster create" in command for command in absent.orphans().values()),
        seconds=200,
    )
    assert absent.left_overs() == set()
    assert absent.state == {}


def test_destroy_goes_on_where_a_killed_destroy_ended(doomed: Stack) -> None:
    running = doomed.start("destroy", "--yes", "--skip-preview")
    until("the node is gone", lambda: not doomed.docker.exists(doomed.server), 60, every=0.05)
    running.signal(signal.SIGKILL)
    running.wait(10).failed()
    doomed.pulumi("cancel", "--yes")
    doomed.destroy()
    assert doomed.left_overs() == set()
    assert doomed.state == {}


def test_a_port_taken_while_up_was_running_fails_it_and_the_next_up_goes_on(
    absent: Stack,
) -> None:
    running = absent.start("up", "--yes", "--skip-preview")
    until("the stack's network", lambda: absent.docker.exists(absent.cluster), 60, every=0.05)
    port = absent.ports["otlpGrpcPort"]
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", port))
        listener.listen()
        assert str(port) in running.wait(120).failed().said
    absent.up()
    assert absent.docker.running(absent.collector)
    absent.expect_no_changes()
