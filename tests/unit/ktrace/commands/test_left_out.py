"""What commands say of a stack whose ``tracing`` leaves traces out."""

from __future__ import annotations

from pathlib import Path

import pytest

from ktrace.commands import assert_
from ktrace.expect import search
from ktrace.target import target
from tests.fakes.clock import Clock
from tests.fakes.http import FakeServer
from tests.fakes.jaeger import data, served
from tests.fakes.ktrace import Ktrace

_CHOSEN = "starts: pod starts, and the requests that caused them"
_TOLD = f"Jaeger gets only what the stack's tracing chooses ({_CHOSEN})"


@pytest.fixture(autouse=True)
def stack(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """One whose Jaeger has nothing."""
    outputs = {"jaegerUrl": server.url, "kubeconfig": "/none", "tracing": _CHOSEN}
    monkeypatch.setattr(target, "stack_outputs", lambda _: outputs)
    server.answer = served(lambda _: data())


@pytest.mark.parametrize("more", [(), ("--ending",)])
def test_a_pod_without_a_trace_may_have_been_left_out(ktrace: Ktrace, more: tuple[str]) -> None:
    absent = ktrace("show", "web-0", "--stack", "dev", "--timeout", "0", *more)
    assert absent.returncode == 1
    assert absent.stderr.endswith(f"(waited 0 s); {_TOLD}\n")


def test_a_bundle_has_it_too(ktrace: Ktrace, tmp_path: Path) -> None:
    bundle = str(tmp_path / "bundle.json")
    saved = ktrace("show", "web-0", "--stack", "dev", "--timeout", "0", "--save", bundle)
    assert f"; {_TOLD}\n" in saved.stderr
    assert f"; {_TOLD}\n" in ktrace("show", "web-0", "--from", bundle).stderr


def test_an_expectation_that_is_not_met_may_be_about_what_was_left_out(
    ktrace: Ktrace, monkeypatch: pytest.MonkeyPatch
) -> None:
    Clock().drive(monkeypatch, search, assert_)
    failed = ktrace("assert", "control-plane", "--stack", "dev")
    assert failed.returncode == 1
    assert failed.stderr == f"ktrace: {_TOLD}\n"


def test_requests_that_were_left_out_are_not_counted(ktrace: Ktrace) -> None:
    assert ktrace("top", "--stack", "dev", "--json").document["notes"] == [_TOLD]
