"""The lab's own machinery: cached steps, the links, stack files, and what it makes of errors."""

from __future__ import annotations

import io
import os
import shutil
import socket
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from lab import builds, images, machine, providers, stacks
from lab.paths import LAB, PROJECT, Cache
from lab.providers import VERSIONS, install
from lab.steps import LabError, Step, Workbench, prepare, progress


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def writes(text: str, built: list[str]) -> Step:
    def build(bench: Workbench) -> None:
        built.append(text)
        (bench.out / "file").write_text(text)

    return Step("thing", (text,), build)


def test_a_step_is_built_once_for_the_same_inputs(cache: Cache) -> None:
    built: list[str] = []
    first = prepare(cache, [writes("one", built)])
    again = prepare(cache, [writes("one", built)])
    other = prepare(cache, [writes("two", built)])
    assert built == ["one", "two"]
    assert first == again
    assert (other["thing"] / "file").read_text() == "two"
    assert (first["thing"] / "file").read_text() == "one"


def test_of_a_steps_outputs_only_the_two_newest_are_kept(cache: Cache) -> None:
    base = Step("thing-base", (), lambda bench: None)
    prepare(cache, [base])
    steps = [writes(text, []) for text in ("one", "two", "three")]
    for age, step in zip((30, 20, 10), steps, strict=True):
        output = prepare(cache, [step])["thing"]
        os.utime(output, (1e9 - age, 1e9 - age))
    assert [step.output(cache).exists() for step in steps] == [False, True, True]
    assert base.output(cache).exists()


def test_a_step_depends_on_the_content_of_files_and_on_what_it_needs(tmp_path: Path) -> None:
    def keys() -> tuple[str, str]:
        need = Step("need", (tmp_path,), lambda bench: None)
        return need.key, Step("user", (), lambda bench: None, needs=(need,)).key

    (tmp_path / "a").write_text("1")
    before = keys()
    assert keys() == before
    (tmp_path / "a").rename(tmp_path / "b")
    renamed = keys()
    assert not set(renamed) & set(before)
    (tmp_path / "b").write_text("2")
    assert not set(keys()) & set(renamed)


def test_a_failed_step_leaves_no_output_and_names_its_log(cache: Cache) -> None:
    step = Step("bad", (), lambda bench: bench.run(["sh", "-c", "echo the reason; exit 3"]))
    with pytest.raises(LabError, match="the reason") as failure:
        prepare(cache, [step])
    assert str(cache.logs / "bad.log") in str(failure.value)
    assert not step.output(cache).exists()


def test_what_an_interrupted_run_left_is_cleared_and_built_anew(cache: Cache) -> None:
    def stop(bench: Workbench) -> None:
        (bench.out / "half").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(cache, [Step("thing", ("one",), stop)])
    step = writes("one", [])
    assert not step.output(cache).exists()
    prepare(cache, [step])
    assert [file.name for file in step.output(cache).iterdir()] == ["file"]
    assert not list(cache.steps.glob(f".{step.key}.*"))


def test_what_takes_no_time_is_not_announced() -> None:
    shown = io.StringIO()
    with progress("short", stream=shown):
        pass
    assert not shown.getvalue()


def test_the_tools_on_path_are_exactly_those_chosen(cache: Cache, tmp_path: Path) -> None:
    for name in ("pulumi", "k3d"):
        (tmp_path / name).touch()
    builds.link_tools(cache, [tmp_path / "pulumi", tmp_path / "k3d"])
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "pulumi").touch()
    builds.link_tools(cache, [tmp_path / "new" / "pulumi"])
    links = {link.name: link.readlink() for link in cache.bin.iterdir()}
    assert links == {"pulumi": tmp_path / "new" / "pulumi"}


def test_an_image_holds_programs_of_root_and_folders_for_anyone() -> None:
    stream = io.BytesIO()
    images.write_files({"/app/program": b"code", "/folder": None}, stream)
    stream.seek(0)
    with tarfile.open(fileobj=stream) as archive:
        entries = {entry.name: (entry.mode, entry.uid, entry.isdir()) for entry in archive}
    assert entries == {"app/program": (0o755, 0, False), "folder": (0o1777, 0, True)}


@pytest.mark.parametrize("version", builds.KUBERNETES_VERSIONS)
def test_a_kubernetes_is_built_of_the_release_that_it_says_it_is(version: str) -> None:
    module = LAB / "go" / f"kubernetes-{version.rpartition('.')[0]}" / "go.mod"
    assert f"require k8s.io/kubernetes v{version}\n" in module.read_text()
    assert module.parent in builds.kubernetes[version].inputs


@pytest.mark.parametrize("plugin", VERSIONS)
def test_a_stand_in_is_of_the_version_that_the_programs_sdk_asks_for(plugin: str) -> None:
    pins = (PROJECT / "requirements.txt").read_text()
    assert f"\npulumi-{plugin}=={VERSIONS[plugin]} " in pins
    assert f"pulumi-resource-{plugin} {VERSIONS[plugin]}" in (providers.__doc__ or "")


def test_the_stand_ins_are_found_where_the_engine_looks(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "plugins", replace(install.plugins, needs=(_an_echo(),)))
    for _ in range(2):
        install.install(cache)
    for name, version in VERSIONS.items():
        folder = cache.pulumi_home / "plugins" / f"resource-{name}-v{version}"
        program = folder / f"pulumi-resource-{name}"
        assert list(folder.iterdir()) == [program]
        said = subprocess.check_output([program, "127.0.0.1:1"], text=True).splitlines()
        built = install.plugins.output(cache)
        assert said[0] == "-I"
        assert said[-3:] == [str(built), name, "127.0.0.1:1"]
        assert (built / "lab" / "providers" / "server.py").is_file()


def _an_echo() -> Step:
    """In place of the packages' Python: a program that prints its arguments."""

    def build(bench: Workbench) -> None:
        python = bench.out / "bin" / "python"
        python.parent.mkdir()
        python.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
        python.chmod(0o755)

    return Step(install.packages.name, (), build)


def test_the_lab_builds_what_a_stack_has_by_default() -> None:
    tag = f"k3s:v{builds.KUBERNETES}-k3s1"
    assert machine.default_node_image().endswith(tag)
    settings = (PROJECT / "Pulumi.lab.yaml").read_text()
    settings = settings.replace("{version}", f"{builds.KUBERNETES}-k3s1")
    assert all(f"Image: {image.reference}\n" in settings for image in images.IMAGES)


def test_a_stack_is_given_the_node_of_its_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stacks, "PROJECT", tmp_path)
    image = "  runtime-observability:k3sImage: runtime-observability-lab/k3s:v{version}\n"
    newest = f"  runtime-observability:k3sVersion: v{builds.NEWEST_KUBERNETES}-k3s1\n"
    for name, settings in (("own", newest), ("usual", image), ("newest", image + newest)):
        (tmp_path / f"Pulumi.{name}.yaml").write_text(f"config:\n{settings}")
    assert stacks.nodes_of("not-yet-there") == stacks.nodes_of("own") == []
    assert stacks.nodes_of("usual") == []
    assert stacks.nodes_of("newest") == [images.NODES[builds.NEWEST_KUBERNETES]]
    (tmp_path / "Pulumi.old.yaml").write_text(
        f"config:\n{image}  runtime-observability:k3sVersion: v1.30.1-k3s1\n"
    )
    with pytest.raises(LabError, match=r"asks for k3s 1\.30\.1, which the lab does not build"):
        stacks.nodes_of("old")


def test_a_developers_stack_has_its_own_ports_and_no_salt() -> None:
    for template in ("dev", "lab"):
        lines = stacks.stack_file(template, 300).splitlines()
        assert lines.count("config:") == 1
        assert lines[lines.index("config:") + 1] == "  runtime-observability:portOffset: 300"
        assert not any("encryptionsalt" in line for line in lines)


def test_the_port_offset_avoids_other_stacks_and_listeners() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert stacks.first_free_offset([port - 200], {0, 100}) == 300
    assert stacks.first_free_offset([port - 200], {0, 100}) == 200


def test_a_lock_is_explained_by_whether_its_run_still_lives() -> None:
    def lock(pid: int) -> str:
        return f"locked\n  file:///x.json: created by me@{socket.gethostname()} (pid {pid}) at now"

    gone = subprocess.Popen(["true"])
    gone.wait()
    assert "pulumi cancel --yes --stack dev" in (stacks.explain(lock(gone.pid), "dev") or "")
    assert "wait" in (stacks.explain(lock(os.getpid()), "dev") or "")


def test_another_passphrase_is_explained_and_other_errors_are_left_alone() -> None:
    said = stacks.explain("error: get stack secrets manager: incorrect passphrase", "dev") or ""
    assert "Pulumi.dev.yaml" in said
    assert stacks.explain("error: something else", "dev") is None


@pytest.mark.parametrize(
    ("line", "flags"),
    [
        ("    virtualenv: .venv", ["-virtualenv=.venv"]),
        ("    virtualenv: '.my venv' # ours", ["-virtualenv=.my venv"]),
        ("    toolchain: pip", []),
    ],
)
def test_the_language_host_is_given_the_projects_virtual_environment(
    tmp_path: Path, line: str, flags: list[str]
) -> None:
    wrapper = tmp_path / "bin" / "pulumi-language-python"
    (tmp_path / "bin" / "host").mkdir(parents=True)
    shutil.copy(LAB / "go" / wrapper.name, wrapper)
    host = tmp_path / "bin" / "host" / wrapper.name
    host.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    host.chmod(0o755)
    project = tmp_path / "project"
    (project / "below").mkdir(parents=True)
    (project / "Pulumi.yaml").write_text(f"runtime:\n  name: python\n  options:\n{line}\n")
    for folder in (project, project / "below"):
        given = subprocess.run(
            [wrapper, "127.0.0.1:1"], cwd=folder, capture_output=True, text=True, check=True
        ).stdout.splitlines()
        root = [f"-root={project}"] if flags else []
        assert given == [*root, *flags, "127.0.0.1:1"]
