"""`make raise`: one command changes every place of a pin, or nothing."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from lab import pins, raising
from lab.build import maven
from lab.commands import raise_
from lab.errors import LabError
from lab.paths import PROJECT, Cache
from tests.unit.lab.pinned import disagreements

COPIED = (
    "lab/pins.toml",
    "lab/providers/__init__.py",
    "runtime_observability/core/support.py",
    "config_templates/k3d.yaml",
    "Pulumi.yaml",
    "Pulumi.lab.yaml",
    "Pulumi.dev.yaml",
    "examples/central/compose.yaml",
    *(
        f"lab/{of}/{file}"
        for of in ("cassandra", "elasticsearch", "opensearch")
        for file in ("pom.xml", "jars.sha256")
    ),
)
FAKE_GO = """\
#!/bin/sh
# Writes down its calls; `get MODULE@VERSION` requires that version in go.mod, as go does.
echo "${PWD##*/}: $*" >>"$CALLS"
[ -z "$GO_FAILS" ] || { echo broken >>go.mod; echo left >left-behind; exit 1; }
if [ "$1" = mod ] && [ -e main_windows.go ]; then echo "found main_windows.go" >>"$CALLS"; fi
if [ "$1" = run ]; then echo package main >main_windows.go; fi
if [ "$1" = get ]; then
  shift
  for wanted; do sed -i "s#${wanted%@*} v[^ ]*#${wanted%@*} ${wanted#*@}#" go.mod; done
fi
"""
FAKE_MAVEN = """\
#!/bin/sh
# Writes down its call; copies what the POM names, one more jar, and one of the module's.
for argument; do
  case $argument in
    -DoutputDirectory=*) out=${argument#*=} ;;
    -Dcassandra=*) jars="cassandra-all-${argument#*=}" ;;
    -Delasticsearch=*)
      jars="elasticsearch-${argument#*=} transport-netty4-${argument#*=}" ;;
    -Dopensearch=*) release=${argument#*=} ;;
    -Dlog4j=*) log4j=${argument#*=} ;;
  esac
done
echo "mvn: $(ls) $out" >>"$CALLS"
[ -z "$MAVEN_FAILS" ] || exit 1
[ -z "$release" ] || jars="opensearch-$release opensearch-plugin-classloader-$release \
  transport-netty4-client-$release log4j-core-$log4j"
mkdir -p "$out"
for jar in $jars brand-new-1.0; do echo "$jar" >"$out/$jar.jar"; done
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the files that pins are written in, and a fake go on PATH."""
    copy = tmp_path / "project"
    for file in COPIED:
        (copy / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / file, copy / file)
    shutil.copytree(PROJECT / "lab" / "go", copy / "lab" / "go")
    own = (copy / "Pulumi.lab.yaml").read_text().replace("config:", "config:\n  x: 1")
    (copy / "Pulumi.mine.yaml").write_text(own)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in (("go", FAKE_GO), ("mvn", FAKE_MAVEN)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("MAVEN_FAILS", "")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("GO_FAILS", "")
    return copy


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def calls(project: Path) -> list[str]:
    file = project.parent / "calls"
    return file.read_text().splitlines() if file.exists() else []


def changed(before: dict[str, bytes], project: Path) -> set[str]:
    after = contents(project)
    return {file for file in before | after if before.get(file) != after.get(file)}


STACKS = {"Pulumi.lab.yaml", "Pulumi.mine.yaml"}
DEFAULTS = {"Pulumi.yaml", "runtime_observability/core/support.py"}
JARS = "lab/opensearch/jars.sha256"
CASES = {
    "cassandra": ("9.1.2", "", {"lab/cassandra/jars.sha256"}),
    "elasticsearch": ("9.1.2", "", {"lab/elasticsearch/jars.sha256"}),
    "log4j": ("9.1.2", "", {JARS}),
    "opensearch": ("9.1.2", "", {JARS, "examples/central/compose.yaml", *STACKS, *DEFAULTS}),
    "containerd": ("9.1.2", "", {"lab/go/containerd/go.mod"}),
    "jaeger": ("9.1.2", "v9.8.7-rc.1", {"lab/go/jaeger/go.mod", *STACKS, *DEFAULTS}),
    "collector": ("9.1.2", "v9.8.7", {"lab/go/collector/manifest.yaml", *STACKS, *DEFAULTS}),
    "k3d": ("9.1.2", "", {"lab/go/k3d/go.mod", *STACKS}),
    "etcd": ("9.1.2", "", {"lab/go/etcd/go.mod"}),
    "pulumi": ("9.1.2", "", {"lab/go/pulumi/go.mod"}),
    "language-host": ("9.1.2", "", {"lab/go/language-host/go.mod"}),
    "pulumi-kubernetes": ("9.1.2", "v9.8.7", {"lab/go/pulumi-kubernetes/go.mod"}),
    "pulumi-command": ("9.1.2", "", {"lab/providers/__init__.py"}),
    "pulumi-docker": ("9.1.2", "", {"lab/providers/__init__.py"}),
    "kubernetes": ("1.35.99", "", {"lab/go/kubernetes-1.35/go.mod"}),
    "kubernetes-default": ("1.37.2", "", {"config_templates/k3d.yaml", *DEFAULTS}),
}


def test_every_pin_is_tried() -> None:
    assert set(CASES) == set(raising.NAMES)


@pytest.mark.parametrize("name", CASES)
def test_a_raised_pin_is_written_wherever_it_must_be(
    name: str, project: Path, cache: Cache, capsys: pytest.CaptureFixture[str]
) -> None:
    version, module, files = CASES[name]
    before = contents(project)
    assert raise_.run(cache, name, version, module, project) == 0
    assert changed(before, project) == {"lab/pins.toml", *files}
    assert disagreements(project) == []
    said = capsys.readouterr().out
    assert f"→ {version}. Changed:\n" in said
    assert all(f"  {file}\n" in said for file in files)
    assert "A person has to look at:\n  " in said


def test_go_resolves_in_the_folder_of_the_module(project: Path, cache: Cache) -> None:
    raise_.run(cache, "k3d", "9.1.2", project=project)
    raise_.run(cache, "jaeger", "9.1.2", "v9.8.7", project)
    raise_.run(cache, "collector", "9.1.2", "v9.8.7", project)
    raise_.run(cache, "pulumi-command", "9.1.2", project=project)
    assert calls(project) == [
        "k3d: get github.com/k3d-io/k3d/v5@v9.1.2",
        "k3d: mod tidy",
        "jaeger: get github.com/jaegertracing/jaeger@v9.8.7",
        "collector: run go.opentelemetry.io/collector/cmd/builder@v9.1.2 --skip-compilation "
        "--config manifest.yaml",
        "collector: mod tidy",
    ]
    assert not (project / "lab" / "go" / "collector" / "main_windows.go").exists()


def test_jars_stay_in_their_folders_and_a_new_one_is_told(
    project: Path, cache: Cache, capsys: pytest.CaptureFixture[str]
) -> None:
    raise_.run(cache, "opensearch", "9.1.2", project=project)
    lock = maven.locked((project / JARS).read_text())
    module = "modules/transport-netty4/transport-netty4-client-9.1.2.jar"
    assert lock[module] == hashlib.sha256(b"transport-netty4-client-9.1.2\n").hexdigest()
    assert {"lib/opensearch-9.1.2.jar", "lib/brand-new-1.0.jar"} <= lock.keys()
    assert f"  {JARS}: brand-new is new: is lib/ its folder?\n" in capsys.readouterr().out
    (call,) = calls(project)
    assert call.startswith("mvn: pom.xml /")
    assert not Path(call.split()[-1]).exists()


def test_the_default_kubernetes_is_raised_with_its_minor(project: Path, cache: Cache) -> None:
    found = pins.read(project / "lab" / "pins.toml")
    release = f"{found.kubernetes_default}.99"
    raise_.run(cache, "kubernetes", release, project=project)
    assert disagreements(project) == []
    assert f"default: v{release}-k3s1\n" in (project / "Pulumi.yaml").read_text()


def test_a_new_minor_gets_a_module_of_its_own(project: Path, cache: Cache) -> None:
    before = contents(project)
    raise_.run(cache, "kubernetes", "1.99.3", project=project)
    added = {f"lab/go/kubernetes-1.99/{file}" for file in ("go.mod", "go.sum")}
    assert changed(before, project) == {"lab/pins.toml", *added}
    assert disagreements(project) == []
    assert list(pins.read(project / "lab" / "pins.toml").kubernetes)[-1] == "1.99"
    assert calls(project) == ["kubernetes-1.99: mod tidy"]


@pytest.mark.parametrize(
    ("name", "version", "module", "message"),
    [
        ("jager", "2.14.0", "v1.77.0", r"PIN=jager: there is no such pin. The pins are cass"),
        ("k3d", "5.10", "", r"VERSION=5.10: not a release number"),
        ("k3d", "v5.10.0", "", r"VERSION=v5.10.0: not a release number"),
        ("k3d", "9.9.9\n", "", "not a release number"),
        ("k3d", "5.9.0; rm", "", "not a release number"),
        ("k3d", "5.8.9", "", "k3d is .*, and a pin is only raised"),
        ("k3d", "9.9.9", "v9.9.9", "k3d has no Go module of another version. Leave it out"),
        ("opensearch", "2.19.5", "", "opensearch is .*, and a pin is only raised"),
        ("opensearch", "3.0.0", "v3.0.0", "opensearch has no Go module of another version"),
        ("jaeger", "9.9.9", "", r"not a version of a Go module.*VERSION=… MODULE=v…"),
        ("jaeger", "9.9.9", "v1.77.0 -x", "not a version of a Go module"),
        ("kubernetes", "1.35.0", "", "kubernetes 1.35 is .*, and a pin is only raised"),
        ("kubernetes", "1.20.0", "", "the newest kubernetes is .*, and a pin is only raised"),
        ("kubernetes-default", "1.38.0", "", "the lab does not build it. Choose one of 1.34"),
        ("kubernetes-default", "1.34.4", "", "and a pin is only raised"),
        ("pulumi-docker", "0.0.1", "", "pulumi-docker is .*, and a pin is only raised"),
    ],
)
def test_what_cannot_be_meant_touches_nothing(
    name: str, version: str, module: str, message: str, *, project: Path, cache: Cache
) -> None:
    before = contents(project)
    with pytest.raises(LabError, match=message):
        raise_.run(cache, name, version, module, project)
    assert contents(project) == before
    assert calls(project) == []


def test_a_pin_raised_to_what_it_is_touches_nothing(project: Path, cache: Cache) -> None:
    before = contents(project)
    for name, release in pins.read(project / "lab" / "pins.toml").programs.items():
        module = "v9.9.9" if name in ("jaeger", "collector") else ""
        with pytest.raises(LabError, match=f"{name} is {release}, and a pin is only raised"):
            raise_.run(cache, name, release, module, project)
    assert contents(project) == before


@pytest.mark.parametrize("file", ["Pulumi.yaml", "lab/go/collector/manifest.yaml"])
@pytest.mark.parametrize("twice", [False, True])
def test_a_file_that_is_not_as_expected_touches_nothing(
    file: str, twice: bool, project: Path, cache: Cache
) -> None:
    path = project / file
    path.write_text(path.read_text() * 2 if twice else "")
    before = contents(project)
    with pytest.raises(
        LabError, match=f"{file} has {2 if twice else 0} times '.*must have it once"
    ):
        raise_.run(cache, "collector", "9.1.2", "v9.8.7", project)
    assert contents(project) == before


@pytest.mark.parametrize(("name", "version"), [("k3d", "9.1.2"), ("kubernetes", "1.99.0")])
def test_if_go_refuses_every_file_is_as_it_was(
    name: str, version: str, project: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GO_FAILS", "1")
    before = contents(project)
    with pytest.raises(LabError, match=r"exited with 1, so every file is as it was"):
        raise_.run(cache, name, version, project=project)
    assert calls(project)
    assert contents(project) == before
    assert not (project / "lab" / "go" / "kubernetes-1.99").exists()


@pytest.mark.parametrize("name", ["cassandra", "elasticsearch", "log4j", "opensearch"])
def test_if_maven_refuses_every_file_is_as_it_was(
    name: str, project: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAVEN_FAILS", "1")
    before = contents(project)
    with pytest.raises(LabError, match=r"`mvn .* exited with 1, so every file is as it was"):
        raise_.run(cache, name, "9.1.2", project=project)
    assert calls(project)
    assert contents(project) == before


def test_without_maven_nothing_is_touched(
    project: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    before = contents(project)
    with pytest.raises(LabError, match="opensearch is fetched by Maven"):
        raise_.run(cache, "opensearch", "9.1.2", project=project)
    assert contents(project) == before


def test_without_go_nothing_is_touched(
    project: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    before = contents(project)
    with pytest.raises(LabError, match="`go` is not on PATH"):
        raise_.run(cache, "k3d", "9.1.2", project=project)
    assert contents(project) == before
    raise_.run(cache, "pulumi-docker", "9.1.2", project=project)
