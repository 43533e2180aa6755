"""What the live tiers ask of machines other than the one they are run on."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lab.build import programs
from tests.configuration import of_stack_file
from tests.live import environment, nodes
from tests.live.stack import Stack


def stack_with(**base: Any) -> Stack:
    return cast(Stack, SimpleNamespace(base=base))


def test_what_make_test_has_decided_is_not_decided_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # no make is found there
    monkeypatch.setenv("RUNTIME_OBSERVABILITY_STACK", "dev")
    monkeypatch.setenv("KUBECONFIG", "/of/some/stack")
    found = environment.of_make()
    assert (found["RUNTIME_OBSERVABILITY_STACK"], found["PATH"]) == ("dev", str(tmp_path))
    assert "KUBECONFIG" not in found


def test_official_images_get_the_official_containerd_of_their_release() -> None:
    wanted = {"containerdTracing": "upstream"}
    assert nodes.upstream_containerd(stack_with()) == (wanted, "2.3.4")
    assert nodes.upstream_containerd(stack_with(k3sVersion="v1.27.4-k3s1")) == (wanted, "1.7.29")


def test_the_labs_images_get_the_labs_containerd() -> None:
    given, release = nodes.upstream_containerd(stack_with(**of_stack_file("lab")))
    assert release == programs.CONTAINERD
    assert "steps" in given["containerdBinary"]
