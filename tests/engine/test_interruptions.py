"""An `up` that was interrupted while k3d was creating the cluster."""

from __future__ import annotations

import signal

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
