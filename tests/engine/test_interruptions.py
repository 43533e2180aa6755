"""Interruptions of `up` and `destroy`, and what the next run does."""

from __future__ import annotations

import signal
import socket

from tests.live.pods import expect_a_pod_to_run
from tests.live.stack import UP_SECONDS, Stack
from tests.live.waiting import until


def test_after_ctrl_c_the_next_up_repairs(absent: Stack) -> None:
    running = absent.up_until_its_first_node_is_there()
    running.signal(signal.SIGINT)
    running.wait(120).failed()
    absent.up()
    expect_a_pod_to_run(absent)
    absent.expect_no_changes()


def kill_in_mid_creation(stack: Stack) -> None:
    """Kills the engine, whose k3d continues to create nodes, and removes the engine's lock."""
    running = stack.up_until_its_first_node_is_there()
    running.signal(signal.SIGKILL)
    running.wait(10).failed()
    assert "k3d cluster create" in at_work(stack), (
        "k3d ended with the engine, so this is another case"
    )
    stack.unlock()


def at_work(stack: Stack) -> str:
    """Command lines of the orphaned processes that work on the stack's cluster, joined."""
    commands = stack.orphans().values()
    return "\n".join(line for line in commands if "k3d" in line or "host.ensure" in line)


def programs(stack: Stack) -> list[str]:
    """Command lines of the stack's Pulumi programs that run."""
    return [line for line in stack.orphans().values() if "pulumi-language-python-exec" in line]


def test_after_a_kill_cancel_and_the_next_up_repair(absent: Stack) -> None:
    kill_in_mid_creation(absent)
    until("the end of the killed run's program", lambda: not programs(absent), seconds=30)
    absent.up()
    expect_a_pod_to_run(absent)
    absent.expect_no_changes()


def test_destroy_right_after_a_kill_leaves_nothing(absent: Stack) -> None:
    kill_in_mid_creation(absent)
    absent.destroy()
    until("the end of the orphaned processes", lambda: not at_work(absent), seconds=300)
    assert absent.left_overs() == set()
    assert absent.state == {}


def test_destroy_takes_back_a_note_whose_maker_was_killed(doomed: Stack) -> None:
    """A kill while `backends-guard-keep` runs: its note is there, and the state lacks it."""
    doomed.pulumi("state", "delete", doomed.state["backends-guard-keep"]["urn"], "--yes")
    assert (doomed.directory / "backends.kept").exists()
    doomed.destroy()
    assert doomed.left_overs() == set()
    assert doomed.state == {}


def test_destroy_goes_on_where_a_killed_destroy_ended(doomed: Stack) -> None:
    running = doomed.start("destroy", "--yes", "--skip-preview")
    until(
        "the removal of the node", lambda: not doomed.docker.exists(doomed.server), 60, every=0.05
    )
    running.signal(signal.SIGKILL)
    running.wait(10).failed()
    doomed.unlock()
    doomed.destroy()
    assert doomed.left_overs() == set()
    assert doomed.state == {}


def test_a_port_taken_while_up_was_running_fails_it_and_the_next_up_goes_on(
    absent: Stack,
) -> None:
    running = absent.start("up", "--yes", "--skip-preview")
    # Of all that comes after preflight it is the first, and long before the collector.
    until("the stack's own folder", absent.directory.exists, 60, every=0.05)
    port = absent.ports["otlpGrpcPort"]
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", port))
        listener.listen()
        assert str(port) in running.wait(UP_SECONDS).failed().said
    absent.up()
    assert absent.docker.running(absent.collector)
    absent.expect_no_changes()
