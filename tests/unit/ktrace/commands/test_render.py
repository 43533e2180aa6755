"""``ktrace render``: the files of a stack, printed, written or as JSON, and every way to fail."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme
import yaml

from tests.fakes.daemon import FakeDaemon
from tests.fakes.ktrace import Ktrace

COMMAND = "k3d cluster create --config k3d.yaml"


def test_every_file_is_printed_with_its_name_and_then_the_command(ktrace: Ktrace) -> None:
    files = ktrace("render", "--stack", "dev", "--json").document["files"]
    shown = ktrace("render", "--stack", "dev")
    assert (shown.returncode, shown.stderr) == (0, "")
    expected = "".join(f"# {file}\n{text}\n" for file, text in files.items())
    assert shown.stdout == f"{expected}# then\n{COMMAND}\n"


def test_every_file_is_written_and_named(ktrace: Ktrace, tmp_path: Path) -> None:
    files = ktrace("render", "--stack", "dev", "--json").document["files"]
    folder = tmp_path / "new" / "folder"
    shown = ktrace("render", "--stack", "dev", "-o", str(folder))
    assert shown.lines == [*(str(folder / file) for file in files), COMMAND]
    assert {file: (folder / file).read_text() for file in files} == files


def test_the_json_has_the_command_and_its_environment(ktrace: Ktrace) -> None:
    dev = ktrace("render", "--stack", "dev", "--json").document
    assert dev["stack"] == "dev"
    assert dev["command"] == COMMAND.split()
    assert dev["environment"] == {}


def test_cgroup_v1_changes_the_kubelets_file_where_k3s_refuses_it(
    ktrace: Ktrace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Pulumi.yaml").write_text("name: runtime-observability")
    (tmp_path / "Pulumi.new.yaml").write_text(
        "config: {runtime-observability:k3sVersion: v1.35.4-k3s1}"
    )
    kubelet = [
        yaml.safe_load(
            ktrace("render", "--stack", "new", *option, "--json").document["files"][
                "node/kubelet-tracing.yaml"
            ]
        )
        for option in ((), ("--cgroup-v1",))
    ]
    assert kubelet[0].get("failCgroupV1") is None
    assert kubelet[1]["failCgroupV1"] is False


def test_the_selected_stack_is_rendered(ktrace: Ktrace, daemon: FakeDaemon) -> None:
    daemon.executables.script("pulumi", "#!/bin/sh\necho lab\n")
    assert ktrace("render", "--json").document["stack"] == "lab"


def test_without_a_stack_it_is_wrong_usage(ktrace: Ktrace, daemon: FakeDaemon) -> None:
    daemon.executables.script("pulumi", "#!/bin/sh\nexit 1\n")
    refused = ktrace("render")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == "ktrace: no stack is selected: name one with --stack NAME\n"


def test_a_folder_that_cannot_be_written_is_wrong_usage(ktrace: Ktrace, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused = ktrace("render", "--stack", "dev", "-o", str(tmp_path / "file"))
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "cannot be written: " in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


@pytest.mark.parametrize("text", ["config: {runtime-observability:servers: x}", "config: ["])
def test_a_broken_stack_file_is_wrong_usage(
    ktrace: Ktrace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Pulumi.yaml").write_text("name: runtime-observability")
    (tmp_path / "Pulumi.bad.yaml").write_text(text)
    refused = ktrace("render", "--stack", "bad")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "Pulumi.bad.yaml" in refused.stderr


@pytest.mark.parametrize(
    "value", ["{secure: v1:abc}", "{config: {secure: v1:abc}}", "{use: [{secure: v1:abc}]}"]
)
def test_a_secret_cannot_be_rendered(
    value: str, ktrace: Ktrace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Pulumi.yaml").write_text("name: runtime-observability")
    stack_file = tmp_path / "Pulumi.new.yaml"
    stack_file.write_text(f"config: {{runtime-observability:registries: {value}}}")
    refused = ktrace("render", "--stack", "new")
    assert refused.returncode == 2
    assert refused.stderr == (
        "ktrace: Pulumi.new.yaml: registries: secret, and only Pulumi can decrypt it\n"
    )


def test_the_files_of_destinations_are_there_without_their_secrets(
    ktrace: Ktrace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pulumi alone decrypts a header; what is generated does not depend on it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Pulumi.yaml").write_text("name: runtime-observability")
    certificate = trustme.CA().cert_pem.bytes().decode()
    (tmp_path / "ca.pem").write_text(certificate)
    exporter = {
        "name": "team",
        "endpoint": "collector.example:4317",
        "headers": {"authorization": {"secure": "v1:abc"}, "plain": "hush"},
        "tls": {"caFile": "ca.pem", "clientCert": "ca.pem", "clientKey": {"secure": "v1:def"}},
    }
    (tmp_path / "Pulumi.new.yaml").write_text(
        yaml.safe_dump({"config": {"runtime-observability:exporters": [exporter]}})
    )
    files = ktrace("render", "--stack", "new", "--json").document["files"]
    configuration = yaml.safe_load(files["collector.yaml"])
    assert "otlp_grpc/team" in configuration["exporters"]
    assert files["collector/team-ca.pem"] == certificate
    secret = {file for file, text in files.items() if text == "[secret]\n"}
    assert secret == {
        "collector/team-client-key.pem",
        "collector/team.authorization.header",
        "collector/team.plain.header",
    }
    assert "hush" not in str(files)
