"""Which cluster, Jaeger and stack the options of a command name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ktrace.errors import UsageError
from ktrace.target import target
from runtime_observability.core import origin

OWN = "http://127.0.0.1:16686"
SHARED = "http://jaeger.example:16686"
NAMED = {origin.STACK: "organization/traced/dev", origin.OWNER: "0123456789abcdef"}


@pytest.fixture(autouse=True)
def pulumi(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The outputs of the only stack that Pulumi knows, dev."""
    outputs = {"jaegerUrl": OWN, "kubeconfig": "/k", "resourceAttributes": dict(NAMED)}

    def of(stack: str | None) -> dict[str, Any]:
        if stack not in (None, "dev"):
            raise UsageError(f"there is no stack {stack}")
        return outputs

    monkeypatch.setattr(target, "stack_outputs", of)
    return outputs


def test_a_stack_s_own_jaeger_holds_no_other_s_traces() -> None:
    chosen = target.choose("dev", None, None)
    assert (chosen.jaeger, chosen.kubeconfig, chosen.is_shared) == (OWN, Path("/k"), False)


def test_a_stack_that_pulumi_knows_is_read_in_another_jaeger_by_its_own_name() -> None:
    chosen = target.choose("dev", SHARED, None)
    assert (chosen.jaeger, chosen.is_shared) == (SHARED, True)
    assert chosen.stack is not None
    assert chosen.stack.tags == NAMED
    with chosen.connect() as jaeger:
        assert (jaeger.shared, jaeger.stack) == (True, chosen.stack)


def test_a_stack_of_an_older_release_has_no_name(pulumi: dict[str, Any]) -> None:
    del pulumi["resourceAttributes"]
    assert target.choose("dev", SHARED, None).stack is None


@pytest.mark.parametrize("owner", ["", "ada", "ci/1234"])
def test_a_stack_that_pulumi_does_not_know_is_named_as_its_spans_name_it(owner: str) -> None:
    text = f"acme/traced/staging@{owner}" if owner else "acme/traced/staging"
    chosen = target.choose(text, SHARED, None)
    assert str(chosen.stack) == text
    assert (chosen.outputs, chosen.is_shared) == ({}, True)


@pytest.mark.parametrize("text", ["staging", "acme/staging", "acme//staging", "acme/traced/x@"])
def test_less_than_a_whole_name_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="ORGANIZATION/PROJECT/STACK"):
        target.choose(text, SHARED, None)


def test_a_name_with_an_owner_needs_a_jaeger() -> None:
    with pytest.raises(UsageError, match="name that Jaeger with --jaeger URL"):
        target.choose("acme/traced/dev@ada", None, None)


def test_a_jaeger_alone_needs_no_pulumi() -> None:
    chosen = target.choose(None, SHARED, Path("/other"))
    assert (chosen.stack, chosen.kubeconfig, chosen.is_shared) == (None, Path("/other"), True)


@pytest.mark.parametrize("named", [False, True], ids=["the stack's", "with --kubeconfig"])
def test_a_stack_s_kubeconfig_whose_current_context_is_another_cluster_s_is_refused(
    pulumi: dict[str, Any], tmp_path: Path, named: bool
) -> None:
    """After `kubectl config use-context`: the answers would be told of the stack's cluster."""
    clusters = ("k3d-traced-dev", "prod")
    document: dict[str, Any] = {
        "current-context": "mine",
        "clusters": [{"name": name, "cluster": {"server": f"https://{name}"}} for name in clusters],
        "contexts": [{"name": "mine", "context": {"cluster": "prod", "user": "ada"}}],
    }
    own, other = tmp_path / "kubeconfig", tmp_path / "other"
    for file in (own, other):
        file.write_text(yaml.safe_dump(document))
    pulumi |= {"kubeconfig": str(own), "clusterName": "traced-dev"}
    if named:
        assert target.choose("dev", None, other).cluster == other
        return
    with pytest.raises(UsageError, match=r"is mine, .* use-context k3d-traced-dev`, or name"):
        target.choose("dev", None, None)
    document["contexts"][0]["context"]["cluster"] = "k3d-traced-dev"
    own.write_text(yaml.safe_dump(document))
    assert target.choose("dev", None, None).cluster == own
