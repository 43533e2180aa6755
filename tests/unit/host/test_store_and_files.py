"""The record of a cluster: written atomically, readable only by its owner, None if invalid."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_observability.core import spec_changes
from runtime_observability.core.naming import Names
from runtime_observability.core.observation import Record
from runtime_observability.host import cluster_drift, store
from runtime_observability.host.files import write_private
from tests.configuration import PROJECT, parsed, spec_of

RECORD = Record(
    generation=7,
    complete=True,
    digest="0123456789abcdef",
    spec=spec_of(Names("dev", PROJECT), parsed()).document,
    nodes=("k3d-traced-dev-server-0",),
)


def path_of(names: Names) -> Path:
    return names.directory / "cluster.json"


def test_nothing_was_ever_made(names: Names) -> None:
    assert store.load(names) is None


def test_a_record_is_read_as_it_was_written(names: Names) -> None:
    store.save(names, RECORD)
    assert store.load(names) == RECORD
    assert stat.S_IMODE(path_of(names).stat().st_mode) == 0o600


def test_a_record_of_an_earlier_release_has_what_that_knew(names: Names) -> None:
    """One that is taken for lost would have its cluster replaced."""
    document = asdict(RECORD)
    del document["never_complete"], document["content"], document["spec"]["settings"]
    write_private(path_of(names), json.dumps(document))
    assert store.load(names) == replace(
        RECORD, spec={key: value for key, value in RECORD.spec.items() if key != "settings"}
    )


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "7", '"text"', "{}", '{"nodes": []}', '{"nodes": null}', "\udcff"],
)
def test_what_is_no_record_is_none(names: Names, text: str) -> None:
    write_private(path_of(names), "")
    path_of(names).write_bytes(text.encode(errors="surrogateescape"))
    assert store.load(names) is None


@pytest.mark.parametrize("length", [1, 20, 100, 180])
def test_half_a_record_is_none(names: Names, length: int) -> None:
    store.save(names, RECORD)
    path_of(names).write_text(path_of(names).read_text()[:length])
    assert store.load(names) is None


def test_a_record_of_another_release_is_none(names: Names) -> None:
    store.save(names, RECORD)
    text = path_of(names).read_text()
    path_of(names).write_text(text.replace('"complete"', '"finished"'))
    assert store.load(names) is None


@pytest.mark.parametrize(
    "edit",
    [
        {"generation": "7"},
        {"generation": True},
        {"generation": None},
        {"complete": 1},
        {"digest": 5},
        {"nodes": "k3d-traced-dev-server-0"},
        {"nodes": [1]},
        {"nodes": {"a": 1}},
        {"spec": None},
        {"spec": []},
        {"spec": {}},
        {"spec": {"k3d": []}},
        {"spec": {"k3d": {}, "files": {}}},
        {"spec": {"k3d": {"image": 1}, "files": {}}},
        {"spec": {"k3d": {"image": "a:1"}}},
        {"spec": {"k3d": {"image": "a:1"}, "files": []}},
        {"spec": {"k3d": {"image": "a:1"}, "files": {"a": None}}},
        {"spec": {"k3d": {"image": "a:1"}, "files": {}, "settings": []}},
        {"spec": RECORD.spec | {"k3d": RECORD.spec["k3d"] | {"servers": "1"}}},
        {"content": ["a"]},
        {"never_complete": None},
        {"of another release": 1},
    ],
    ids=json.dumps,
)
def test_a_record_that_somebody_edited_counts_as_lost(names: Names, edit: dict[str, Any]) -> None:
    write_private(path_of(names), json.dumps(asdict(RECORD) | edit))
    assert store.load(names) is None


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=5,
    ),
    st.sampled_from(["generation", "complete", "digest", "nodes", "spec", "k3d", "files"]),
)
def test_whatever_a_record_has_its_readers_can_use_it(
    tmp_path_factory: pytest.TempPathFactory, value: Any, key: str
) -> None:
    names = Names("dev", tmp_path_factory.mktemp("project"))
    document = asdict(RECORD)
    (document["spec"] if key in ("k3d", "files") else document)[key] = value
    write_private(path_of(names), json.dumps(document))
    record = store.load(names)
    if record:
        cluster_drift.find(names, record, [])
        spec_changes.changes(record.spec, RECORD.spec | {"settings": {"agents": 1}})
        assert record.generation + 1 > record.generation
        assert isinstance(record.spec["k3d"]["image"], str)


def test_a_record_too_deep_to_read_is_none(names: Names) -> None:
    write_private(path_of(names), "[" * 100_000)
    assert store.load(names) is None


# --- files ----------------------------------------------------------------------------------------


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\r")))
def test_a_file_is_written_as_it_is(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("files") / "file"
    write_private(path, text)
    assert path.read_text() == text


def test_file_and_folder_are_for_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "stack" / "kubeconfig"
    previous = os.umask(0)
    try:
        write_private(path, "secret")
    finally:
        os.umask(previous)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_an_old_file_that_all_could_read_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_empty_folder_in_its_place_gives_way_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.mkdir()
    write_private(path, "text")
    assert path.read_text() == "text"
    path.unlink()
    (path / "content").mkdir(parents=True)
    with pytest.raises(IsADirectoryError, match="kubeconfig is a folder with files in it"):
        write_private(path, "text")
    assert (path / "content").is_dir()


def test_a_half_written_file_is_hidden_and_named_after_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever finds one that a kill has left knows whose it is."""
    path = tmp_path / "kubeconfig"
    seen: list[str] = []
    monkeypatch.setattr(Path, "replace", lambda self, _: seen.append(self.name))
    write_private(path, "text")
    assert [name.rpartition(".")[0] for name in seen] == [".kubeconfig"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    write_private(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_private(path, "new \udcff")
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["kubeconfig"]
