"""Which Docker daemon the resources use: one, by every name of it, or none of them is made."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pulumi
import pulumi_docker as docker
import pytest

from components import TracedEnvironment, TracedEnvironmentArgs, _commands
from runtime_observability.core.observation import Observation
from runtime_observability.core.problem import Problem
from runtime_observability.host import daemon, runner
from tests.configuration import PROJECT
from tests.graph.program import COMMAND, DOCKER_PROVIDER, SOCKET, Run, run, run_program
from tests.graph.test_changes import changed
from tests.graph.test_graph import MARK

DOCKER = "docker:index/"


def addresses(stack: Run) -> set[str]:
    """The daemons of all Commands but those that write files, and of Docker's resources."""
    commands = (found for found in stack.of_type(COMMAND) if not found.name.startswith("files-"))
    providers = {found.urn: found.inputs["host"] for found in stack.of_type(DOCKER_PROVIDER)}
    return {command.environment["DOCKER_HOST"] for command in commands} | {
        providers.get(found.provider.rpartition("::")[0], "that of the shell")
        for found in stack.custom
        if found.type.startswith(DOCKER)
    }


@pytest.fixture
def unset(monkeypatch: pytest.MonkeyPatch) -> Run:
    """A stack of a shell in which DOCKER_HOST is not set."""
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    return run()


@pytest.mark.parametrize("path", [SOCKET, os.path.realpath(SOCKET.removeprefix("unix://"))])
def test_docker_host_with_the_same_meaning_is_no_change(
    unset: Run, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path.removeprefix('unix://')}")
    assert changed(unset, run()) == {}


def test_a_link_to_the_socket_is_no_change(
    unset: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    link = tmp_path / "docker.sock"
    link.symlink_to(SOCKET.removeprefix("unix://"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{link}")
    assert changed(unset, run()) == {}


def test_another_path_is_no_change(unset: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/opt/bin")
    assert changed(unset, run()) == {}


def test_another_daemon_changes_the_commands_and_no_container(
    unset: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///elsewhere.sock")
    found = changed(unset, run())
    assert set.union(*found.values()) == {"environment"}
    assert all(unset[name].type == COMMAND for name in found)


def test_the_stacks_configuration_names_the_daemon_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the shell says."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///elsewhere.sock")
    assert addresses(run(others={"docker:host": "unix:///own.sock"})) == {"unix:///own.sock"}
    assert addresses(run()) == {"unix:///elsewhere.sock"}, "another run is another program"


def test_a_secret_address_is_refused_without_its_value() -> None:
    """It would be in each Command's environment without its mark."""
    others = {"docker:host": "unix:///hidden.sock"}
    refused = run(others=others, secret_keys=["docker:host"])
    assert refused.custom == []
    assert "docker:host: its secret value cannot be used" in str(refused.error)
    assert "hidden" not in str(refused.error)


def test_what_the_provider_alone_would_follow_is_refused_before_anything() -> None:
    """With all that is wrong with the machine."""
    taken = Observation(problems=(Problem("jaegerUiPort", "port 16686 is held"),))
    refused = run(observed=taken, others={"docker:context": "colima", "docker:certPath": "/tls"})
    assert refused.custom == []
    told = str(refused.error)
    assert told.startswith("nothing was touched, because:")
    assert "docker:context: is set" in told
    assert "docker:certPath: is set" in told
    assert "jaegerUiPort: port 16686 is held" in told


def test_without_docker_that_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = daemon.unusable(runner.CommandError("`docker` is not on PATH"))
    monkeypatch.setattr(daemon, "choose", lambda _: daemon.Choice("", (absent,)))
    told = str(run(observed=Observation(problems=(absent,))).error)
    assert told.count("not on PATH") == 1


def test_a_provider_of_the_program_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///a.sock")
    args = TracedEnvironmentArgs(folder=str(PROJECT))

    def with_provider() -> None:
        provider = docker.Provider("theirs", host="unix:///b.sock")
        TracedEnvironment("traced", args, pulumi.ResourceOptions(providers=[provider]))

    made = run_program(with_provider)
    (warning,) = made.warnings()
    assert "must use one daemon, here unix:///a.sock" in warning
    assert addresses(made) == {"unix:///a.sock"}
    assert run_program(lambda: TracedEnvironment("traced", args)).warnings() == []


def test_the_providers_own_keys_reach_it() -> None:
    """Their values are given to no one else."""
    login = '[{"address": "registry.example", "username": "me", "password": "hunter2"}]'
    keys = {"docker:registryAuth": login, "docker:disableDockerDaemonCheck": "true"}
    (provider,) = run(others=keys).of_type(DOCKER_PROVIDER)
    logins = provider.inputs["registryAuth"]
    assert logins[MARK], "the engine keeps it encrypted"
    assert json.loads(logins["value"]) == json.loads(login)
    assert json.loads(provider.inputs["disableDockerDaemonCheck"]) is True


def test_a_daemon_with_tls_is_reached_from_any_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where its certificates are is in the state, as its address is."""
    for name in ("DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    (provider,) = run().of_type(DOCKER_PROVIDER)
    assert "certPath" not in provider.inputs
    own = {
        "DOCKER_HOST": "tcp://127.0.0.1:2376",
        "DOCKER_TLS_VERIFY": "1",
        "DOCKER_CERT_PATH": "/tls",
    }
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    stack = run()
    (provider,) = stack.of_type(DOCKER_PROVIDER)
    assert (provider.inputs["host"], provider.inputs["certPath"]) == (own["DOCKER_HOST"], "/tls")
    commands = [found for found in stack.of_type(COMMAND) if not found.name.startswith("files-")]
    assert all(own.items() <= command.environment.items() for command in commands)


def test_logins_that_are_no_json_are_refused_without_their_text() -> None:
    refused = run(others={"docker:registryAuth": "{password: hunter2"})
    assert "docker:registryAuth is not valid JSON" in str(refused.error)
    assert "hunter2" not in str(refused.error)


def test_keys_of_other_namespaces_are_not_ours(unset: Run) -> None:
    """Pulumi gives the program the keys of every namespace."""
    others = {
        "pulumi:tags": '{"team": "a"}',
        "other:servers": "3",
        "runtime-observability-2:agents": "2",
        "docker:registryAuth": "[]",
    }
    stack = run(others=others)
    assert stack.error is None
    assert changed(unset, stack) == {}


# --- the interpreter ------------------------------------------------------------------------------


@pytest.fixture
def venv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This process runs in a virtual environment here, started by its name python3."""
    home = tmp_path / "project" / ".venv"
    (home / "bin").mkdir(parents=True)
    for name in ("python", "python3"):
        (home / "bin" / name).symlink_to(sys.executable)
    monkeypatch.setattr(sys, "prefix", str(home))
    monkeypatch.setattr(sys, "base_prefix", "/usr")
    monkeypatch.setattr(sys, "executable", str(home / "bin/python3"))
    return home


def test_every_name_of_a_python_is_the_same_interpreter(
    venv: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    python = str(venv / "bin/python")
    assert _commands.interpreter() == python
    link = tmp_path / "link"
    link.symlink_to(venv.parent)
    monkeypatch.setattr(sys, "prefix", str(link / ".venv"))
    assert _commands.interpreter() == python


def test_a_virtual_environment_that_is_a_link_keeps_its_name(
    venv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it links to can change without a change of the stack."""
    link = venv.with_name(".link")
    link.symlink_to(venv)
    monkeypatch.setattr(sys, "prefix", str(link))
    assert _commands.interpreter() == str(link / "bin/python")


def test_a_python_of_the_machine_is_itself(venv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its python may be another than its python3."""
    monkeypatch.setattr(sys, "base_prefix", sys.prefix)
    assert _commands.interpreter() == str(venv / "bin/python3")


def test_without_that_name_the_interpreter_is_the_one_that_runs(venv: Path) -> None:
    (venv / "bin/python").unlink()
    assert _commands.interpreter() == str(venv / "bin/python3")
