"""A stack's names: valid everywhere they are used, and different from those of other stacks."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from runtime_observability.core import naming
from runtime_observability.core.naming import CLUSTER_NAME_LIMIT, Names

FOLDER = Path("/home/ada/observability")
DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?\Z")

# What Pulumi accepts as a stack's name (pulumi v3.259.0 sdk/go/common/tokens/stack_name.go).
stack_names = st.from_regex(r"[A-Za-z0-9_.-]{1,100}", fullmatch=True)
# Similar names: case, separators, and tails beyond k3d's limit.
similar_names = st.builds(
    lambda stem, tail: stem + tail,
    st.sampled_from(["a", "A", "a.", "a-", "a--", "-a", "a-b", "a.b", "a_b", "dev-" * 7]),
    st.sampled_from(["", "-", "x", "X", "-1", "-jaeger", "--ca9781"]),
)


def owned(names: Names) -> set[tuple[str, str]]:
    """Every name that no other stack in the Docker daemon may have, and the stack's folder.

    Docker and k3d have names of their own for each kind: the container of stack ``a`` may have the
    name of the network and of the cluster of stack ``a-jaeger``. Preflight refuses a new such pair.
    """
    nodes = [names.node(role, index) for role in ("server", "agent") for index in range(3)]
    containers = [names.jaeger, names.collector, *nodes]
    return {
        *(("container", name) for name in containers),
        ("network", names.network),
        ("cluster", names.cluster),
        ("owner", names.owner),
        ("folder", str(names.directory)),
    }


@given(stack_names)
def test_a_name_is_a_dns_label_that_k3d_takes(stack: str) -> None:
    names = Names(stack, FOLDER)
    assert DNS_LABEL.match(names.cluster)
    assert len(names.cluster) <= CLUSTER_NAME_LIMIT
    assert names.directory.parent == FOLDER / ".stacks"


@given(st.one_of(stack_names, similar_names), st.one_of(stack_names, similar_names))
@example("a", "a-jaeger")
@example("a-collector", "a")
def test_two_stacks_share_nothing(one: str, other: str) -> None:
    assume(one != other)
    assert not owned(Names(one, FOLDER)) & owned(Names(other, FOLDER))


def test_a_stack_cannot_be_named_like_the_digest_of_another() -> None:
    """The label of "A" ends with a digest; a stack with that label as its name gets another one."""
    label = Names("A", FOLDER).cluster.removeprefix("traced-")
    assert Names(label, FOLDER).cluster != Names("A", FOLDER).cluster


@given(stack_names)
def test_two_clones_have_two_owners(stack: str) -> None:
    here, there = Names(stack, FOLDER), Names(stack, Path("/home/bob/observability"))
    assert here.owner != there.owner
    assert here.directory != there.directory


@pytest.mark.parametrize(
    ("stack", "cluster"),
    [
        ("dev", r"traced-dev"),
        ("a-developer-of-25-letters", r"traced-a-developer-of-25-letters"),
        ("Dev", r"traced-dev--[0-9a-f]{6}"),
        ("...", r"traced-stack--[0-9a-f]{6}"),
        ("a-developer-of-26-lettersx", r"traced-a-developer-of-26--[0-9a-f]{6}"),
    ],
)
def test_names_are_as_near_as_can_be(stack: str, cluster: str) -> None:
    assert re.fullmatch(cluster, Names(stack, FOLDER).cluster)


def test_an_owner_stays_what_it_was() -> None:
    """Another owner would be another label, and so another container for every existing stack."""
    assert Names("dev", FOLDER).owner == "3fa94df69a7a768b"
    assert Names("dev", FOLDER, None, "acme/shop/dev").owner == Names("dev", FOLDER).owner


def test_all_names_of_a_stack() -> None:
    names = Names("dev", FOLDER)
    assert (names.network, names.cluster) == ("traced-dev", "traced-dev")
    assert (names.jaeger, names.collector) == ("traced-dev-jaeger", "traced-dev-collector")
    assert names.node("agent", 1) == "k3d-traced-dev-agent-1"
    assert names.node_directory == FOLDER / ".stacks/dev/node"
    assert names.kubeconfig == FOLDER / ".stacks/dev/kubeconfig"
    assert names.labels == {
        "runtime-observability.owner": names.owner,
        "runtime-observability.stack": "dev",
        "runtime-observability.folder": str(FOLDER),
    }


@given(stack_names)
def test_an_owner_passes_through_shells_filters_and_k3d(stack: str) -> None:
    assert re.fullmatch(r"[0-9a-f]{16}", Names(stack, FOLDER).owner)


@pytest.mark.parametrize("bad", [":", "$"])
def test_a_folder_that_nodes_cannot_mount_is_refused(bad: str) -> None:
    (problem,) = naming.refuse_a_folder_the_nodes_cannot_mount(Path(f"/home/ada/x{bad}y"))
    assert f"/home/ada/x{bad}y has {bad!r} in its path" in problem.seen
    assert "move the project" in problem.cure


@pytest.mark.parametrize(
    ("bad", "shown"), [("\n", r"'/home/ada/x\ny'"), ("\x85", r"'/home/ada/x\x85y'")]
)
def test_a_folder_that_is_no_line_is_refused(bad: str, shown: str) -> None:
    (problem,) = naming.refuse_a_folder_the_nodes_cannot_mount(Path(f"/home/ada/x{bad}y"))
    assert problem.seen.startswith(f"{shown} has a control character")


def test_a_folder_that_is_no_text_is_refused() -> None:
    folder = Path(os.fsdecode(b"/home/ada/\xff"))
    (problem,) = naming.refuse_a_folder_the_nodes_cannot_mount(folder)
    assert "a byte that is not UTF-8" in problem.seen
    str(problem).encode()
    assert re.fullmatch(r"[0-9a-f]{16}", Names("dev", folder).owner)


@pytest.mark.parametrize("letter", ["x", "ä"])
def test_a_path_that_is_too_long_is_refused(letter: str) -> None:
    """The limit counts bytes."""
    longest = Path("/" + letter * (3966 // len(letter.encode())))
    assert naming.refuse_a_folder_the_nodes_cannot_mount(longest) == []
    (problem,) = naming.refuse_a_folder_the_nodes_cannot_mount(Path(f"{longest}{letter}"), "state")
    assert problem.key == "state folder"
    assert "the maximum is 3967" in problem.why


@pytest.mark.parametrize(
    "good",
    [
        "/home/ada/observability",
        "/home/ada/mit Umlaut ä/#1",
        "/home/ada@example.org/a,b",
        '/home/ada/日本語 😀/it\'s "quoted"',
    ],
)
def test_other_folders_will_do(good: str) -> None:
    assert naming.refuse_a_folder_the_nodes_cannot_mount(Path(good)) == []
