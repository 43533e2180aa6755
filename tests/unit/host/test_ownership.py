"""Whose Docker's objects and a stack's folder are: other stacks, moved folders and copies."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from runtime_observability.core.naming import Names
from runtime_observability.core.observation import Record
from runtime_observability.core.transition import identity
from runtime_observability.core.wanted import Wanted
from runtime_observability.host import ownership, store
from runtime_observability.host.docker import Daemon, Owned
from tests.configuration import parsed, spec_of
from tests.unit.host.objects import STRANGER, container

# --- names of other owners ------------------------------------------------------------------------


def test_what_is_ours_is_no_problem(names: Names) -> None:
    ours = [
        container(names.jaeger, names.owner),
        container(names.node("server", 0), names.owner, cluster=names.cluster, role="server"),
        container("k3d-traced-dev-tools", cluster=names.cluster, role="noRole"),
    ]
    networks = [container(names.network, names.owner), container("bridge")]
    assert ownership.refuse_objects_of_others(names, ours, networks) == []


def test_other_names_are_no_problem(names: Names) -> None:
    others = [
        container("traced-dev2-jaeger", STRANGER),
        container("k3d-other-server-0", STRANGER, cluster="other", role="server"),
        container("jaeger"),
    ]
    assert ownership.refuse_objects_of_others(names, others, []) == []


def test_what_others_hold_is_refused_with_their_folder(names: Names) -> None:
    problems = ownership.refuse_objects_of_others(
        names,
        [
            container(names.collector, STRANGER),
            container(names.node("server", 0), STRANGER, cluster=names.cluster, role="server"),
        ],
        [container(names.network)],
    )
    assert [problem.seen for problem in problems] == [
        "traced-dev-collector is taken by traced-dev-collector of stack other in /home/bob/x",
        "k3d-traced-dev-server-0 is taken by k3d-traced-dev-server-0 of stack other in /home/bob/x",
        "traced-dev is taken by traced-dev, which no stack of this project made",
    ]
    assert all("choose another stack name" in problem.cure for problem in problems)


def test_further_containers_are_refused_where_the_stack_wants_them(names: Names) -> None:
    others = [container(names.open_search), container(names.retention, STRANGER)]
    assert ownership.refuse_objects_of_others(names, others, []) == []
    (problem,) = ownership.refuse_objects_of_others(names, others, [], [names.retention])
    assert problem.seen.startswith("traced-dev-retention is taken by traced-dev-retention of stack")


def test_what_has_the_name_of_a_node_is_refused_and_the_clusters_own_is_not(names: Names) -> None:
    """k3d makes the servers in order: the old cluster is gone when it comes to the third."""
    third, tools = names.node("server", 2), f"k3d-{names.cluster}-tools"
    own = container(tools, cluster=names.cluster, role="noRole")
    added = container(third, cluster=names.cluster, role="server")
    first = container(names.node("server", 0), names.owner, cluster=names.cluster, role="server")
    wanted = Wanted.of(parsed(servers=3), names).containers(names)
    assert ownership.refuse_objects_of_others(names, [first, own, added], [], wanted) == []
    problems = ownership.refuse_objects_of_others(
        names, [first, container(third), container(tools)], [], wanted
    )
    assert [problem.seen.partition(" ")[0] for problem in problems] == [third, tools]


@pytest.mark.parametrize("role", ["server", "agent"])
def test_a_single_node_of_others_takes_the_clusters_name(names: Names, role: str) -> None:
    node = container(names.node(role, 0), STRANGER, cluster=names.cluster, role=role)
    (problem,) = ownership.refuse_objects_of_others(names, [node], [])
    assert problem.seen.startswith(f"k3d-traced-dev-{role}-0 is taken by")


def test_a_folder_that_is_gone_is_not_where_to_destroy(names: Names, tmp_path: Path) -> None:
    for folder, cure in ((tmp_path, "destroy that first"), (tmp_path / "gone", "pulumi destroy")):
        found = container(names.jaeger, STRANGER, folder=str(folder))
        (problem,) = ownership.refuse_objects_of_others(names, [found], [])
        assert problem.cure.partition(",")[0].startswith((cure, f"run `{cure} --stack other`"))


# --- names of two kinds ---------------------------------------------------------------------------


@pytest.mark.parametrize(("one", "other"), [("a", "a-jaeger"), ("b", "b-collector")])
def test_two_stacks_do_not_begin_to_share_a_name(one: str, other: str, tmp_path: Path) -> None:
    first, second = Names(one, tmp_path), Names(other, tmp_path)
    shared = second.network
    assert shared in (first.jaeger, first.collector)
    held = container(shared, first.owner)
    (problem,) = ownership.refuse_objects_of_others(second, [held], [])
    assert problem.seen == f"{shared} is taken by {held.whose}"
    network = container(shared, second.owner)
    (problem,) = ownership.refuse_objects_of_others(first, [], [network])
    assert problem.seen == f"{shared} is taken by {network.whose}"


def test_stacks_that_share_a_name_already_keep_it(tmp_path: Path) -> None:
    first, second = Names("a", tmp_path), Names("a-jaeger", tmp_path)
    containers = [container(first.jaeger, first.owner), container(second.jaeger, second.owner)]
    networks = [container(first.network, first.owner), container(second.network, second.owner)]
    for names in (first, second):
        assert ownership.refuse_objects_of_others(names, containers, networks) == []
    second.directory.mkdir(parents=True)
    assert ownership.refuse_objects_of_others(second, containers[:1], networks[:1]) == []


# --- another daemon -------------------------------------------------------------------------------

HERE, THERE = "unix:///var/run/docker.sock", "unix:///home/me/.colima/docker.sock"


@pytest.mark.parametrize(
    ("known", "found", "address", "refused"),
    [
        ("one", "other", THERE, True),
        ("one", "one", THERE, False),  # two names of one daemon
        ("one", "other", HERE, False),  # the daemon was reset: nothing of the stack is left
        ("", "other", THERE, False),  # the record of a release that did not write it down
        ("one", "", THERE, False),
    ],
)
def test_a_stack_in_another_daemon_is_not_forgotten(
    tmp_path: Path, known: str, found: str, address: str, *, refused: bool
) -> None:
    names = Names("dev", tmp_path)
    record = Record(7, True, "", {}, (), daemon=known, docker_host=HERE)
    engine = Daemon("28.0.0", "2", "amd64", limits_swap=True, id=found)
    problems = ownership.refuse_another_daemon(names, record, engine, address)
    assert len(problems) == refused
    for problem in problems:
        assert HERE in str(problem)
        assert THERE in str(problem)
        assert f"Run with DOCKER_HOST={HERE}, and `pulumi destroy` there first" in str(problem)


@pytest.mark.parametrize(
    ("known", "found", "left", "told"),
    [
        ("one", "other", False, True),
        ("one", "other", True, False),  # as where Docker has another id at each start
        ("one", "one", False, False),
        ("", "other", False, False),
    ],
)
def test_a_stack_of_which_another_daemon_may_have_all_is_told(
    tmp_path: Path, known: str, found: str, *, left: bool, told: bool
) -> None:
    names = Names("dev", tmp_path)
    record = Record(7, True, "", {}, (), daemon=known, docker_host=HERE)
    engine = Daemon("28.0.0", "2", "amd64", limits_swap=True, id=found)
    there = [container("x", STRANGER), *([container("y", names.owner)] if left else [])]
    lines = ownership.advise_on_another_daemon(names, record, engine, there)
    assert len(lines) == told
    for line in lines:
        assert line.startswith("nothing of stack dev is in this Docker, and another had it: ")
        assert line.endswith("if it still exists, go back to it first")


# --- folders that were moved or copied ------------------------------------------------------------


@pytest.fixture(params=["claim", "record"])
def origin(request: pytest.FixtureRequest, tmp_path: Path) -> Names:
    """A stack that is up; an earlier release left only the record of its cluster."""
    folder = tmp_path / "old place"
    folder.mkdir()
    (folder / "Pulumi.yaml").touch()
    names = Names("dev", folder, pulumi_stack="organization/p/dev")
    spec = spec_of(names, parsed())
    store.save(names, Record(7, True, identity(spec), spec.document, ()))
    if request.param == "claim":
        names.claim_file.write_text(names.claim)
    return names


def objects(names: Names) -> tuple[list[Owned], list[Owned]]:
    mine = {"stack": names.stack, "folder": str(names.folder)}
    node = {"cluster": names.cluster, "role": "server"}
    return [
        container(names.jaeger, names.owner, **mine),
        container(names.node("server", 0), names.owner, **mine, **node),
    ], [container(names.network, names.owner, **mine)]


def test_a_folder_that_was_moved_is_told_how_to_go_on(origin: Names, tmp_path: Path) -> None:
    moved = replace(origin, folder=tmp_path / "new place")
    origin.folder.rename(moved.folder)
    (problem,) = ownership.refuse_objects_of_others(moved, *objects(origin))
    assert problem.key == "project folder"
    assert f"it was moved here from {origin.folder}" in problem.seen
    assert f"`mv '{moved.folder}' '{origin.folder}'`" in problem.cure
    assert "`pulumi destroy --stack dev`" in problem.cure
    assert ownership.refuse_objects_of_others(moved, [], []) == [], "after the destroy it is free"


def test_what_docker_made_at_the_old_path_is_no_project(origin: Names, tmp_path: Path) -> None:
    moved = replace(origin, folder=tmp_path / "new")
    origin.folder.rename(moved.folder)
    origin.node_directory.mkdir(parents=True)
    (problem,) = ownership.refuse_objects_of_others(moved, *objects(origin))
    assert problem.cure == "run `pulumi destroy --stack dev` and then `pulumi up`"


def test_a_copy_is_not_told_to_destroy(origin: Names, tmp_path: Path) -> None:
    copy = replace(origin, folder=tmp_path / "new")
    shutil.copytree(origin.folder, copy.folder)
    (problem,) = ownership.refuse_objects_of_others(copy, *objects(origin))
    assert problem.key == ownership.FOLDER
    assert problem.seen == (
        f"it is a copy of {origin.folder}, where stack dev has traced-dev-jaeger"
    )
    assert "`pulumi destroy` here would remove it" in problem.why
    assert f"`cd '{origin.folder}'`" in problem.cure
    assert "`pulumi stack init NAME`" in problem.cure


def test_another_clone_is_no_copy(origin: Names, tmp_path: Path) -> None:
    clone = replace(origin, folder=tmp_path / "clone")
    problems = ownership.refuse_objects_of_others(clone, *objects(origin))
    assert [problem.key for problem in problems] == ["stack name"] * 3


def test_a_stack_in_its_own_folder_was_not_moved(origin: Names) -> None:
    assert ownership.refuse_objects_of_others(origin, *objects(origin)) == []
    foreign = container(origin.jaeger, STRANGER)
    (problem,) = ownership.refuse_objects_of_others(origin, [foreign], [])
    assert problem.key == "stack name"


# --- the claim on the stack's own folder ----------------------------------------------------------


@pytest.fixture
def claimed(tmp_path: Path) -> Names:
    names = Names("dev", tmp_path, pulumi_stack="acme/shop/dev")
    names.directory.mkdir(parents=True)
    names.claim_file.write_text(names.claim)
    return names


@pytest.mark.parametrize("other", ["me/shop/dev", "acme/store/dev", "acme/shop/prod"])
def test_one_folder_is_for_one_pulumi_stack(claimed: Names, other: str) -> None:
    (problem,) = ownership.refuse_a_claimed_folder(replace(claimed, pulumi_stack=other))
    assert problem.seen == f"{claimed.directory} belongs to the Pulumi stack acme/shop/dev"
    assert other in problem.why
    assert "`pulumi destroy --stack acme/shop/dev`" in problem.cure
    assert str(claimed.claim_file) in problem.cure


@pytest.mark.parametrize(
    ("other", "elsewhere"),
    [("me/shop/dev", False), ("acme/shop/prod", False), ("me/store/dev", True)],
)
def test_the_destroy_is_where_pulumi_takes_the_stack_s_name(
    claimed: Names, other: str, elsewhere: bool
) -> None:
    """Beside a Pulumi.yaml of another project it says that the names do not match."""
    (problem,) = ownership.refuse_a_claimed_folder(replace(claimed, pulumi_stack=other))
    where = "--stack acme/shop/dev` in a folder that has no Pulumi.yaml, nor one above it, first"
    assert (where in problem.cure) == elsewhere


def test_who_has_the_claim_has_the_folder(claimed: Names, tmp_path: Path) -> None:
    assert ownership.refuse_a_claimed_folder(claimed) == []
    assert ownership.refuse_a_claimed_folder(replace(claimed, stack="free")) == []
    copied = replace(claimed, pulumi_stack="me/shop/dev", folder=tmp_path / "copy")
    shutil.copytree(claimed.directory, copied.directory)
    assert ownership.refuse_a_claimed_folder(copied) == []


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"folder": 1}'])
def test_a_claim_that_cannot_be_read_is_none(claimed: Names, text: str) -> None:
    claimed.claim_file.write_text(text)
    assert ownership.refuse_a_claimed_folder(replace(claimed, pulumi_stack="me/shop/dev")) == []


def test_a_claim_has_its_form(claimed: Names) -> None:
    assert json.loads(claimed.claim) == {
        "folder": str(claimed.folder),
        "pulumiStack": "acme/shop/dev",
    }


def test_a_folder_of_another_user_is_refused(
    claimed: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: object, **__: object) -> str:
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(Path, "read_text", denied)
    (problem,) = ownership.refuse_a_claimed_folder(claimed)
    assert "belongs to another user of this machine" in problem.seen
    claimed.directory.rename(claimed.directory.with_name("other"))
    assert ownership.refuse_a_claimed_folder(claimed) == [], "nobody has it"


# --- nodes that somebody added --------------------------------------------------------------------


@pytest.mark.parametrize("role", ["server", "agent"])
def test_a_node_that_somebody_added_stops_no_run_and_is_named(names: Names, role: str) -> None:
    """`k3d node create` gives it no owner label."""
    nodes = [
        container(names.node("server", 0), names.owner, cluster=names.cluster, role="server"),
        container("k3d-extra-0", cluster=names.cluster, role=role),
    ]
    assert ownership.refuse_objects_of_others(names, nodes, []) == []
    (line,) = ownership.advise_on_added_nodes(names, nodes)
    assert line.startswith("node k3d-extra-0 of cluster traced-dev is not this stack's")
    assert "`k3d node delete k3d-extra-0`" in line
    assert ownership.advise_on_added_nodes(names, nodes[:1]) == []


@pytest.mark.parametrize("owner", ["", STRANGER])
def test_a_node_is_added_to_a_cluster_of_ours_alone(names: Names, owner: str) -> None:
    nodes = [
        container(names.node("server", 0), owner, cluster=names.cluster, role="server"),
        container("k3d-extra-0", cluster=names.cluster, role="agent"),
    ]
    refused = ownership.refuse_objects_of_others(names, nodes, [])
    assert [problem.seen.partition(" ")[0] for problem in refused] == [
        "k3d-traced-dev-server-0",
        "k3d-extra-0",
    ]
    assert ownership.advise_on_added_nodes(names, nodes) == []


def test_a_node_of_another_owner_takes_the_name_though_we_have_one(names: Names) -> None:
    nodes = [
        container(names.node("server", 0), names.owner, cluster=names.cluster, role="server"),
        container(names.node("agent", 0), STRANGER, cluster=names.cluster, role="agent"),
        container("k3d-extra-0", cluster=names.cluster, role="agent"),
    ]
    (problem,) = ownership.refuse_objects_of_others(names, nodes, [])
    assert problem.seen.startswith("k3d-traced-dev-agent-0 is taken by")
    assert ownership.advise_on_added_nodes(names, nodes) == []
