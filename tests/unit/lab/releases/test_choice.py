"""Where a tool comes from, row by row."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import LabError
from lab.releases.choice import OnPath, choose, look_on_path
from lab.releases.platforms import Platform
from lab.releases.table import TOOLS, Tool
from runtime_observability.core.compatibility import OLDEST_K3D
from runtime_observability.host.downloads import MIRROR

PULUMI, K3D, KUBECTL = TOOLS
LINUX = Platform("linux", "amd64")
NONE = OnPath(lack="none is on PATH")
OFFLINE = "https://x.example/k3d cannot be downloaded: HTTP 503"


@pytest.fixture(autouse=True)
def no_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(MIRROR, raising=False)


@pytest.mark.parametrize(
    ("tool", "on_path", "forced", "why_not", "nodes_built", "source", "reason"),
    [
        (
            K3D,
            OnPath("/usr/bin/k3d", "v5.8.3"),
            True,
            "",
            True,
            None,
            "/usr/bin/k3d (v5.8.3), found on PATH",
        ),
        (
            K3D,
            NONE,
            None,
            "",
            False,
            "k3d-release",
            f"the official release {K3D.release.version} from github.com, because none is on PATH "
            "(RUNTIME_OBSERVABILITY_LAB=1 builds it)",
        ),
        (
            PULUMI,
            OnPath(lack="/bin/pulumi reports v3.1.0 and 3.238.0 or newer is needed"),
            None,
            "",
            False,
            "pulumi-release",
            f"the official release {PULUMI.release.version} from get.pulumi.com, because "
            "/bin/pulumi reports v3.1.0 and 3.238.0 or newer is needed "
            "(RUNTIME_OBSERVABILITY_LAB=1 builds it)",
        ),
        (
            K3D,
            NONE,
            False,
            OFFLINE,
            False,
            "k3d-release",
            f"the official release {K3D.release.version} from github.com, because none is on PATH "
            "and RUNTIME_OBSERVABILITY_LAB=0",
        ),
        (
            K3D,
            NONE,
            None,
            OFFLINE,
            False,
            "k3d",
            f"built by the lab, because none is on PATH and {OFFLINE} "
            "(RUNTIME_OBSERVABILITY_LAB=0 downloads it nevertheless)",
        ),
        (
            K3D,
            NONE,
            True,
            "",
            False,
            "k3d",
            "built by the lab, because none is on PATH and RUNTIME_OBSERVABILITY_LAB=1",
        ),
        (
            KUBECTL,
            NONE,
            None,
            "",
            False,
            "kubectl-release",
            f"the official release {KUBECTL.release.version} from dl.k8s.io, because none is on "
            "PATH (RUNTIME_OBSERVABILITY_LAB=1 builds it)",
        ),
        (
            KUBECTL,
            NONE,
            None,
            OFFLINE,
            True,
            "kubectl",
            f"built by the lab, because none is on PATH and {OFFLINE} "
            "(RUNTIME_OBSERVABILITY_LAB=0 downloads it nevertheless)",
        ),
        (
            KUBECTL,
            NONE,
            None,
            OFFLINE,
            False,
            None,
            f"none, because none is on PATH and {OFFLINE}; `make up` does not need it "
            "(RUNTIME_OBSERVABILITY_LAB=0 downloads it nevertheless)",
        ),
    ],
)
def test_a_tool_comes_from_path_else_its_release_else_the_lab(
    *,
    tool: Tool,
    on_path: OnPath,
    forced: bool | None,
    why_not: str,
    nodes_built: bool,
    source: str | None,
    reason: str,
) -> None:
    chosen = choose(
        tool, on_path, LINUX, forced=forced, why_not_fetched=why_not, nodes_built=nodes_built
    )
    assert (chosen.step.name if chosen.step else None, chosen.reason) == (source, reason)


def test_a_mirror_is_named_as_the_site(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MIRROR, "https://mirror.example/all")
    chosen = choose(K3D, NONE, LINUX, forced=None, why_not_fetched="", nodes_built=False)
    assert "from mirror.example, because" in chosen.reason
    monkeypatch.setenv(MIRROR, "http://mirror.example")
    with pytest.raises(LabError, match="a mirror is an https address"):
        choose(K3D, NONE, LINUX, forced=False, why_not_fetched="", nodes_built=False)


def program(folder: Path, name: str, script: str) -> str:
    (folder / name).write_text(script)
    (folder / name).chmod(0o755)
    return str(folder / name)


@pytest.mark.parametrize(
    ("tool", "output", "version", "lack"),
    [
        (K3D, f"k3d version v{OLDEST_K3D}", f"v{OLDEST_K3D}", ""),
        (K3D, "k3d version v5.6.99", "", f"v5.6.99 and {OLDEST_K3D} or newer is needed"),
        (K3D, "k3d version dev", "", f"k3d version dev and {OLDEST_K3D} or newer is needed"),
        (K3D, "", "", f"nothing and {OLDEST_K3D} or newer is needed"),
        (PULUMI, "v3.259.0", "v3.259.0", ""),
        (KUBECTL, "Client Version: v1.20.0", "v1.20.0", ""),
        (KUBECTL, "", "", "nothing, not a version"),
    ],
)
def test_a_program_on_path_is_used_if_it_is_new_enough(
    tmp_path: Path, tool: Tool, output: str, version: str, lack: str
) -> None:
    found = program(tmp_path, tool.name, f"#!/bin/sh\necho '{output}'\n")
    wanted = OnPath(lack=f"{found} reports {lack}") if lack else OnPath(found, version)
    assert look_on_path(tool, str(tmp_path)) == wanted


def test_a_program_for_another_machine_is_none(tmp_path: Path) -> None:
    found = program(tmp_path, "k3d", "\x7fELF for another architecture")
    lack = look_on_path(K3D, str(tmp_path)).lack
    assert lack.startswith(f"{found} reports [Errno 8] Exec format error")
    assert look_on_path(PULUMI, str(tmp_path)) == NONE
