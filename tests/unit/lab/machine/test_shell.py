"""The variables of a shell that works with a stack."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.build import programs
from lab.machine import shell
from lab.machine.machine import Machine
from lab.machine.plugins import NO_DOWNLOADS, OVERRIDES
from lab.machine.venv import SCRIPTS
from lab.paths import PROJECT, Cache
from runtime_observability.host.downloads import MIRROR

DEFAULT_HOST = "unix:///var/run/docker.sock"
OF_PULUMI = (
    "PULUMI_HOME",
    "PULUMI_BACKEND_URL",
    "PULUMI_CREDENTIALS_PATH",
    "PULUMI_CONFIG_PASSPHRASE",
    "PULUMI_CONFIG_PASSPHRASE_FILE",
)
OF_GRPC = ("grpc_proxy", "https_proxy", "http_proxy", "no_grpc_proxy", "no_proxy")
TOOLS = {"pulumi": programs.pulumi, "k3d": programs.k3d}


def machine(cache: Cache, *, lab: bool) -> Machine:
    return Machine(
        cache=cache,
        tools=TOOLS if lab else {},
        docker_host=None,
        lab_images=lab,
        stand_ins=lab,
        reasons=(),
    )


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's Pulumi folder; nothing else of the user's is set."""
    for name in (*OF_PULUMI, *OF_GRPC, OVERRIDES, MIRROR):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "pulumi"
    folder.mkdir()
    monkeypatch.setenv("PULUMI_HOME", str(folder))
    monkeypatch.setenv("PATH", "/usr/bin")
    return folder


def log_in(folder: Path) -> None:
    (folder / "credentials.json").write_text('{"current": "https://api.pulumi.com"}')


PATH = f"/usr/bin:{SCRIPTS}"


def tools(cache: Cache) -> str:
    """The outputs of the lab's tools, as on PATH."""
    return ":".join(str(step.output(cache)) for step in TOOLS.values())


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("variables", "direct"),
    [
        ({"https_proxy": "http://proxy.example:3128"}, "127.0.0.1"),
        ({"http_proxy": "proxy.example", "no_proxy": "localhost,.example"},
         "localhost,.example,127.0.0.1"),
        ({"grpc_proxy": "http://proxy.example", "no_grpc_proxy": "a", "no_proxy": "b"},
         "a,127.0.0.1"),
        ({"http_proxy": "http://proxy.example", "no_proxy": "localhost, 127.0.0.1"}, None),
        ({"http_proxy": "", "HTTP_PROXY": "http://proxy.example"}, None),
    ],
)  # fmt: skip
def test_pulumi_reaches_its_program_without_the_proxy(
    cache: Cache, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], direct: str | None
) -> None:
    """gRPC's own library sends even 127.0.0.1 through a proxy; Pulumi's SDK lets it."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    exports = shell.variables(machine(cache, lab=False), DEFAULT_HOST)
    assert exports.get("no_grpc_proxy") == direct


@pytest.mark.usefixtures("home")
def test_a_mirror_of_releases_is_pulumis_too(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MIRROR, "https://mirror.example")
    exports = shell.variables(machine(cache, lab=False), DEFAULT_HOST)
    assert "mirror.example" in exports[OVERRIDES]


@pytest.mark.usefixtures("home")
def test_without_a_login_state_and_secrets_stay_in_this_folder(cache: Cache) -> None:
    assert shell.variables(machine(cache, lab=False), DEFAULT_HOST) == {
        "PATH": PATH,
        "PULUMI_BACKEND_URL": f"file://{PROJECT}",
        "PULUMI_CONFIG_PASSPHRASE": "",
    }


@pytest.mark.usefixtures("home")
def test_the_state_is_in_this_folder_whatever_its_name(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pulumi reads a URL: it cut the path at a question mark, and kept the state above."""
    monkeypatch.setattr(shell, "PROJECT", Path("/home/ada/ä 100%41 what? #1"))
    exports = shell.variables(machine(cache, lab=False), DEFAULT_HOST)
    assert exports["PULUMI_BACKEND_URL"] == "file:///home/ada/ä 100%2541 what%3F %231"


def test_a_user_who_is_logged_in_stays_so(cache: Cache, home: Path) -> None:
    log_in(home)
    assert shell.variables(machine(cache, lab=False), DEFAULT_HOST) == {
        "PATH": PATH,
        "PULUMI_CONFIG_PASSPHRASE": "",
    }


def test_stand_ins_have_a_folder_of_their_own_and_the_users_login(cache: Cache, home: Path) -> None:
    log_in(home)
    assert shell.variables(machine(cache, lab=True), "unix:///lab.sock") == {
        "PATH": f"{tools(cache)}:{PATH}",
        "DOCKER_HOST": "unix:///lab.sock",
        "PULUMI_HOME": str(cache.pulumi_home),
        NO_DOWNLOADS: "true",
        "PULUMI_CREDENTIALS_PATH": str(home),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_CONFIG_PASSPHRASE": "",
    }


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    "passphrase", ["PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"]
)
def test_what_the_user_has_set_is_kept(
    cache: Cache, monkeypatch: pytest.MonkeyPatch, passphrase: str
) -> None:
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://states")
    monkeypatch.setenv(passphrase, "mine")
    monkeypatch.setenv("PATH", os.pathsep.join([str(SCRIPTS), tools(cache), "/usr/bin"]))
    exports = shell.variables(machine(cache, lab=False), DEFAULT_HOST)
    assert exports == {"PATH": PATH}, "once, however often it is evaluated"
