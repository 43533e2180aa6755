"""Stack files: written on free ports, and read for the node they need."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import yaml

from lab.build import images, programs
from lab.errors import LabError
from lab.paths import PROJECT
from lab.stacks import settings_file
from runtime_observability.core.settings.model import PORT_DEFAULTS


def test_a_stack_is_given_the_node_of_its_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings_file, "PROJECT", tmp_path)
    image = "  runtime-observability:k3sImage: runtime-observability-lab/k3s:v{version}\n"
    newest = f"  runtime-observability:k3sVersion: v{programs.NEWEST_KUBERNETES}-k3s1\n"
    for name, settings in (("own", newest), ("usual", image), ("newest", image + newest)):
        (tmp_path / f"Pulumi.{name}.yaml").write_text(f"config:\n{settings}")
    assert settings_file.more_images("not-yet-there") == settings_file.more_images("own") == []
    assert settings_file.more_images("usual") == []
    assert settings_file.more_images("newest") == [images.NODES[programs.NEWEST_KUBERNETES]]
    (tmp_path / "Pulumi.old.yaml").write_text(
        f"config:\n{image}  runtime-observability:k3sVersion: v1.30.1-k3s1\n"
    )
    with pytest.raises(
        LabError, match=r"sets k3sVersion to 1\.30\.1, which the lab does not build"
    ):
        settings_file.more_images("old")


def test_a_stack_is_given_opensearch_where_its_traces_go_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings_file, "PROJECT", tmp_path)
    image = f"  runtime-observability:openSearchImage: {images.OPENSEARCH.reference}\n"
    store = "  runtime-observability:traceStore: opensearch\n"
    official = "  runtime-observability:openSearchImage: opensearchproject/opensearch:2.19.1\n"
    for name, settings in (
        ("usual", image),
        ("own", image + store),
        ("official", official + store),
        ("badger", image + store.replace("opensearch\n", "badger\n")),
    ):
        (tmp_path / f"Pulumi.{name}.yaml").write_text(f"config:\n{settings}")
    assert settings_file.more_images("own") == [images.OPENSEARCH]
    for name in ("usual", "official", "badger"):
        assert settings_file.more_images(name) == []


def test_a_stack_with_elasticsearch_is_given_curl_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings_file, "PROJECT", tmp_path)
    keys = {
        "traceStore": "elasticsearch",
        "curlImage": images.CURL.reference,
        "openSearchImage": images.OPENSEARCH.reference,
    }
    lines = [f"  runtime-observability:{key}: {value}\n" for key, value in keys.items()]
    (tmp_path / "Pulumi.own.yaml").write_text(f"config:\n{''.join(lines)}")
    assert settings_file.more_images("own") == [images.CURL]


def test_a_developers_stack_has_its_own_ports_and_no_salt() -> None:
    for template in ("dev", "lab"):
        lines = settings_file.contents(template, 300).splitlines()
        assert yaml.safe_load("\n".join(lines))["config"]
        assert lines[lines.index("config:") + 1] == "  runtime-observability:portOffset: 300"
        assert not any("encryptionsalt" in line for line in lines)


@pytest.mark.parametrize("written", ["300", "'300'", '"300"'])
def test_a_new_stack_has_an_offset_that_no_other_file_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    """Pulumi writes the number as text."""
    for file in ("Pulumi.yaml", "Pulumi.dev.yaml"):
        (tmp_path / file).write_bytes((PROJECT / file).read_bytes())
    monkeypatch.setattr(settings_file, "PROJECT", tmp_path)
    monkeypatch.setattr(settings_file, "is_free", lambda port: True)
    for stack, offset in (("a", "100"), ("b", "200"), ("c", written)):
        text = f"config:\n  runtime-observability:portOffset: {offset}\n"
        (tmp_path / f"Pulumi.{stack}.yaml").write_text(text)
    settings_file.ensure("mine", "dev")
    made = tmp_path / "Pulumi.mine.yaml"
    assert "  runtime-observability:portOffset: 400\n" in made.read_text()
    made.write_text("kept")
    settings_file.ensure("mine", "dev")
    assert made.read_text() == "kept"


def test_the_offset_is_for_every_port_of_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def is_free(port: int) -> bool:
        asked.append(port)
        return True

    monkeypatch.setattr(settings_file, "is_free", is_free)
    offset = settings_file.first_free_offset(settings_file._default_ports(), {0})
    assert offset == 100
    assert sorted(asked) == sorted(port + 100 for port in PORT_DEFAULTS.values())


def test_the_port_offset_avoids_other_stacks_and_listeners() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert settings_file.first_free_offset([port - 200], {0, 100}) == 300
    assert settings_file.first_free_offset([port - 200], {0, 100}) == 200


def test_a_stack_file_that_is_not_yaml_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings_file, "PROJECT", tmp_path)
    (tmp_path / "Pulumi.bad.yaml").write_text("config: [\n")
    with pytest.raises(LabError, match=r"Pulumi\.bad\.yaml is not YAML.*Correct it"):
        settings_file.more_images("bad")


def test_a_stacks_mirror_is_read_from_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings_file, "PROJECT", tmp_path)
    (tmp_path / "Pulumi.own.yaml").write_text(
        "config:\n  runtime-observability:registryMirror: mirror.example\n"
    )
    (tmp_path / "Pulumi.none.yaml").write_text("")
    assert settings_file.mirror("own") == "mirror.example"
    assert settings_file.mirror("none") == ""
