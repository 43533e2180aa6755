"""The stand-in command plugin, with real processes and no engine."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2

from lab.providers import command, wire
from lab.providers.command import Command
from lab.providers.server import Call, ProviderError
from lab.providers.wire import UNKNOWN, Properties

URN = "urn:pulumi:dev::p::x:y:Z$command:local:Command::cluster"


class Logged:
    """A call that keeps what was logged."""

    def __init__(self, seconds: float | None = None) -> None:
        self.lines: list[str] = []
        self.cancelled = threading.Event()
        self.call = Call(URN, seconds, self.lines.append, self.cancelled)


@pytest.fixture
def logged() -> Logged:
    return Logged()


def created(logged: Logged, **inputs: Any) -> Properties:
    return Command().create(logged.call, inputs)[1]


def test_output_loses_one_newline_and_stdin_and_environment_reach_the_process(
    logged: Logged, tmp_path: Path
) -> None:
    state = created(
        logged,
        create='cat; echo "$X in $PWD"; echo problem >&2',
        stdin="first\n\n",
        environment={"X": "1"},
        dir=str(tmp_path),
    )
    assert state["stdout"] == f"first\n\n1 in {tmp_path}"
    assert state["stderr"] == "problem"


def test_the_identity_starts_with_the_resources_name(logged: Logged) -> None:
    assert Command().create(logged.call, {})[0].startswith("cluster")


def test_two_commands_of_a_name_have_two_identities(logged: Logged) -> None:
    assert Command().create(logged.call, {})[0] != Command().create(logged.call, {})[0]


def test_the_resources_environment_overrides_the_plugins(
    logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("X", "of the plugin")
    monkeypatch.setenv("Y", "of the plugin")
    state = created(logged, create='echo "$X, $Y"', environment={"X": "of the resource"})
    assert state["stdout"] == "of the resource, of the plugin"


def test_a_command_need_not_read_its_input(logged: Logged) -> None:
    assert created(logged, create="exec true", stdin="x" * 10**6)["stdout"] == ""


def test_an_update_runs_create_again(logged: Logged) -> None:
    old = {"stdout": "before", "stderr": ""}
    again = {"create": 'echo "again ${PULUMI_COMMAND_STDOUT-unset}"'}
    assert Command().update(logged.call, "id", old, again)["stdout"] == "again unset"


def test_delete_runs_with_what_the_state_holds(logged: Logged, tmp_path: Path) -> None:
    state = {
        "delete": 'cat > "$TARGET"; pwd >> "$TARGET"',
        "stdin": "kept ",
        "environment": {"TARGET": str(tmp_path / "out")},
        "dir": str(tmp_path),
        "stdout": "",
        "stderr": "",
    }
    Command().delete(logged.call, "id", state)
    assert (tmp_path / "out").read_text() == f"kept {tmp_path}\n"


def test_a_failure_shows_status_command_and_all_output_whatever_the_logging(
    logged: Logged,
) -> None:
    with pytest.raises(ProviderError) as failed:
        created(logged, create='echo "one"; echo two >&2; exit 3', logging="none")
    text = str(failed.value)
    assert text.startswith('exit status 3: running "echo \\"one\\"; echo two >&2; exit 3":\n')
    assert "one\n" in text
    assert "two\n" in text
    assert logged.lines == []


@pytest.mark.parametrize(
    ("logging", "lines"),
    [
        (None, {"one", "two"}),
        ("stdoutAndStderr", {"one", "two"}),
        ("stdout", {"one"}),
        ("stderr", {"two"}),
        ("none", set()),
    ],
)
def test_logging_chooses_what_is_streamed(
    logged: Logged, logging: str | None, lines: set[str]
) -> None:
    created(logged, create="echo one; echo two >&2", **({"logging": logging} if logging else {}))
    assert set(logged.lines) == lines


def test_a_line_that_would_hang_the_real_plugin_is_refused_unless_it_is_not_logged(
    logged: Logged,
) -> None:
    long = "head -c 70000 /dev/zero | tr '\\0' x"
    with pytest.raises(ProviderError, match="hang"):
        created(logged, create=long)
    assert len(created(logged, create=long, logging="none")["stdout"]) == 70000


def test_cancel_kills_the_direct_child(logged: Logged) -> None:
    threading.Timer(0.3, logged.cancelled.set).start()
    begun = time.monotonic()
    with pytest.raises(ProviderError, match="signal: killed"):
        created(logged, create="exec sleep 60")
    assert time.monotonic() - begun < 10


def test_the_resources_timeout_kills_too() -> None:
    with pytest.raises(ProviderError, match="signal: killed"):
        created(Logged(seconds=0.3), create="exec sleep 60")


def test_a_folder_that_does_not_exist_is_named(logged: Logged) -> None:
    with pytest.raises(ProviderError, match="/no/such/folder"):
        created(logged, create="true", dir="/no/such/folder")


def test_a_preview_runs_nothing_and_knows_no_output(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    request = provider_pb2.CreateRequest(
        urn=URN, preview=True, properties=wire.write({"create": f"touch {mark}"})
    )
    state = wire.read(command.make(None).Create(request, None).properties)
    assert state == {"create": f"touch {mark}", "stdout": UNKNOWN, "stderr": UNKNOWN}
    assert not mark.exists()


@pytest.mark.parametrize("name", ["create", "delete", "stdin", "dir", "logging"])
def test_any_change_of_an_input_is_an_update(name: str) -> None:
    changes = Command().diff({}, {name: "a"}, {name: "b"})
    assert changes == {name: ("UPDATE", False)}


def test_empty_is_not_omitted() -> None:
    changes = Command().diff({}, {"environment": {}}, {"environment": {"A": ""}})
    assert changes == {"environment.A": ("ADD", False)}


def test_triggers_are_reported_by_element_and_replace_as_a_whole() -> None:
    """The SDK replaces for a change of one element; the plugin does not."""
    diff = Command().diff
    assert diff({}, {"triggers": ["a"]}, {"triggers": [UNKNOWN]}) == {
        "triggers[0]": ("UPDATE", False)
    }
    assert diff({}, {}, {"triggers": ["a"]}) == {"triggers": ("ADD", True)}


def test_a_read_returns_the_state_as_it_is() -> None:
    assert Command().read("id", {"create": "x", "stdout": "y"}) == {"create": "x", "stdout": "y"}


def test_what_is_not_covered_is_refused_by_name() -> None:
    def refused(**inputs: Any) -> set[str]:
        return {name for name, _ in Command().check({"addPreviousOutputInEnv": False, **inputs})}

    assert refused(create="x", environment={"A": "1"}) == set()
    assert refused(create="x", assetPaths=["*"], update="y") == {"assetPaths", "update"}
    assert refused(addPreviousOutputInEnv=True) == {"addPreviousOutputInEnv"}
    assert [name for name, _ in Command().check({})] == ["addPreviousOutputInEnv"]


class AbortError(Exception):
    """What a servicer's context raises at `abort`."""


class Context:
    """A gRPC context that raises at `abort`."""

    def abort(self, code: grpc.StatusCode, details: str) -> None:
        raise AbortError(f"{code.name}: {details}")


def test_a_type_that_is_not_covered_is_refused_by_name() -> None:
    request = provider_pb2.CheckRequest(urn="urn:pulumi:dev::p::command:remote:Command::x")
    with pytest.raises(AbortError, match=r"UNKNOWN: .* type command:remote:Command; it covers"):
        command.make(None).Check(request, Context())
