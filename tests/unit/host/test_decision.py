"""What is done with a cluster, by its containers."""

from __future__ import annotations

import pytest

from runtime_observability.host import runner
from runtime_observability.host.decision import Action, decide
from runtime_observability.host.docker import Owned

DIGEST = "0123456789abcdef"


def node(role: str, index: int, state: str = "running", spec: str = DIGEST) -> Owned:
    name = f"k3d-traced-dev-{role}-{index}"
    return Owned(
        id=name, name=name, owner="", stack="", folder="", spec=spec, role=role, state=state
    )


SERVER, AGENT = node("server", 0), node("agent", 0)
TOOLS = Owned(id="t", name="k3d-traced-dev-tools", owner="", stack="", folder="", role="noRole")


AGENT_1 = node("agent", 1)


@pytest.mark.parametrize(
    ("found", "action", "reason"),
    [
        ([], Action.CREATE, "it does not exist"),
        ([SERVER, AGENT], Action.ADOPT, "all its nodes are running"),
        ([AGENT, TOOLS, SERVER], Action.ADOPT, "all its nodes are running"),
        ([SERVER], Action.ADOPT, "all its nodes are running"),
        ([SERVER, AGENT, AGENT_1], Action.ADOPT, "all its nodes are running"),
        ([TOOLS], Action.RECREATE, "it has no server"),
        ([AGENT], Action.RECREATE, "it has no server"),
        ([SERVER, node("agent", 0, "created")], Action.START, "stopped: k3d-traced-dev-agent-0"),
        ([SERVER, node("agent", 0, "exited")], Action.START, "stopped: k3d-traced-dev-agent-0"),
        ([node("server", 0, "exited"), AGENT], Action.START, "stopped: k3d-traced-dev-server-0"),
    ],
)
def test_what_is_done_about_what_is_found(found: list[Owned], action: Action, reason: str) -> None:
    decision = decide(found, [SERVER.name, AGENT.name], DIGEST, servers=1)
    assert decision.action is action
    assert reason in decision.reason


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ([SERVER], "server-1 is missing"),
        ([SERVER, node("server", 1, spec="other")], "server-1 was created from another config"),
        ([SERVER, node("server", 1), node("agent", 0, spec="other")], "agent-0 was created from"),
    ],
)
def test_only_what_was_never_complete_is_recreated(found: list[Owned], reason: str) -> None:
    wanted = [SERVER.name, node("server", 1).name]
    with pytest.raises(runner.CommandError, match=f"{reason}.* It is left as it is"):
        decide(found, wanted, DIGEST, servers=2)
    decision = decide(found, wanted, DIGEST, servers=2, begun=wanted)
    assert decision.action is Action.RECREATE
    assert "it was never complete" in decision.reason


def test_a_server_of_another_name_is_no_reason_to_begin_again() -> None:
    """`docker rename` costs nothing that is in it."""
    found = [node("server", 3), AGENT]
    with pytest.raises(
        runner.CommandError, match=r"`docker rename k3d-traced-dev-server-3 k3d-traced-dev-server-0"
    ):
        decide(found, [SERVER.name, AGENT.name], DIGEST, servers=1)
    decision = decide(found, [SERVER.name], DIGEST, servers=1, begun=[SERVER.name])
    assert decision.action is Action.RECREATE


@pytest.mark.parametrize("agents", [[], [node("agent", 0, "created")]])
def test_a_creation_that_was_interrupted_is_begun_again(agents: list[Owned]) -> None:
    wanted = [SERVER.name, AGENT.name]
    decision = decide([SERVER, *agents], wanted, DIGEST, servers=1, begun=wanted)
    assert decision.action is Action.RECREATE
    assert "agent-0 never started" in decision.reason


@pytest.mark.parametrize(
    ("server", "action"), [(SERVER, Action.ADOPT), (node("server", 0, "exited"), Action.START)]
)
def test_an_agent_that_is_wanted_since_then_does_not_begin_a_creation_again(
    server: Owned, action: Action
) -> None:
    wanted = [SERVER.name, AGENT.name]
    assert decide([server], wanted, DIGEST, servers=1, begun=[SERVER.name]).action is action
