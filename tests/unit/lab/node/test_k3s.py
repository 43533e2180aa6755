"""The lab's stand-in for k3s: its command line, files and variables."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.node.k3s import command_line, registries
from lab.node.k3s.command_line import parse, refuse_the_unknown
from lab.node.k3s.node import Options
from lab.node.k3s.processes import FatalError, merged
from lab.node.k3s.worker import containerd_environment, take_config


def test_a_server_and_an_agent_take_what_k3d_and_the_program_give_them() -> None:
    server = parse([
        "server", "--kube-apiserver-arg=tracing-config-file=/t.yaml", "--disable=traefik,coredns",
        "--kubelet-arg=config=/k.yaml", "--kubelet-arg=v=2", "--tls-san", "10.0.0.9", "--disable=",
    ])  # fmt: skip
    assert server == Options(
        "server",
        kubelet_arg=("config=/k.yaml", "v=2"),
        tls_san=("10.0.0.9",),
        kube_apiserver_arg=("tracing-config-file=/t.yaml",),
    )
    assert parse(["agent", "--kubelet-arg=v=2"]) == Options("agent", kubelet_arg=("v=2",))
    first = parse(["server", "--etcd-arg=auto-compaction-retention=1h", "--cluster-init"])
    assert first == Options("server", etcd_arg=("auto-compaction-retention=1h",), cluster_init=True)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["agent", "--cluster-init"], "flag provided but not defined: -cluster-init"),
        (["server", "--cluster-reset"], "flag provided but not defined: -cluster-reset"),
        (["server", "--kube-scheduler-arg=v=2"], "not defined: -kube-scheduler-arg"),
        (["server", "--kubelet=v=2"], "not defined: -kubelet "),
        (["agent", "--tls-san=a"], "flag provided but not defined: -tls-san"),
        (["agent", "--kubelet-arg"], "expected one argument"),
        (["server", "--disable=metrics-server,helm"], "--disable=helm: not one of coredns"),
        (["etcd-snapshot"], "invalid choice: 'etcd-snapshot'"),
        ([], "role"),
    ],
)
def test_what_would_have_an_effect_in_k3s_is_refused(arguments: list[str], complaint: str) -> None:
    with pytest.raises(FatalError) as refused:
        parse(arguments)
    assert complaint in str(refused.value)


def test_a_variable_or_file_that_k3s_would_obey_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command_line, "REFUSED_FILES", ((tmp_path, "*.tmpl"),))
    for name in ("K3S_TOKEN", "K3S_URL", "K3S_KUBECONFIG_OUTPUT"):
        monkeypatch.setenv(name, "known")
    (tmp_path / "config.toml").touch()
    refuse_the_unknown()
    (tmp_path / "config.toml.tmpl").touch()
    with pytest.raises(FatalError, match=r"config\.toml\.tmpl is not supported"):
        refuse_the_unknown()
    monkeypatch.setenv("K3S_DATASTORE_ENDPOINT", "postgres")
    with pytest.raises(FatalError, match="variable K3S_DATASTORE_ENDPOINT is not supported"):
        refuse_the_unknown()


@pytest.mark.parametrize(
    ("extra", "merged_with_it"),
    [
        ([], ["--v=0", "--profiling=false"]),
        (["v=4"], ["--profiling=false", "--v=4"]),
        (["profiling"], ["--v=0", "--profiling=true"]),
        (["--v=4", "v=5", "a=b=c"], ["--profiling=false", "--v=4", "--v=5", "--a=b=c"]),
    ],
)
def test_an_argument_replaces_the_default_of_its_key(
    extra: list[str], merged_with_it: list[str]
) -> None:
    assert merged({"v": "0", "profiling": "false"}, extra) == merged_with_it


def test_the_kubelets_file_becomes_a_drop_in_and_no_argument(tmp_path: Path) -> None:
    given, drop_in = tmp_path / "kubelet.yaml", tmp_path / "10-cli-config.conf"
    given.write_text("kind: KubeletConfiguration\n")
    assert take_config(["v=2", f"config={given}"], drop_in) == ["v=2"]
    assert drop_in.read_text() == given.read_text()


def test_a_kubelets_file_that_is_not_there_and_a_folder_of_ones_own_are_refused(
    tmp_path: Path,
) -> None:
    with pytest.raises(FatalError, match=r'copy config "/no/file" to .*: No such file'):
        take_config(["config=/no/file"], tmp_path / "drop-in")
    with pytest.raises(FatalError, match="config-dir is not supported"):
        take_config(["--config-dir=/etc"], tmp_path / "drop-in")


def test_mirrors_become_files_of_containerd_and_go_with_them(tmp_path: Path) -> None:
    file, folder = tmp_path / "registries.yaml", tmp_path / "certs.d"
    registries.write(file, folder)
    assert not folder.exists()
    file.write_text(
        "mirrors:\n"
        "  images.example: {endpoint: ['http://127.0.0.1:5000', 'https://b.example/']}\n"
        "  docker.io: {endpoint: ['https://b.example']}\n"
        "  '*': {endpoint: ['https://c.example']}\n"
    )
    registries.write(file, folder)
    asked = 'capabilities = ["pull", "resolve"]\n'
    assert {path.parent.name: path.read_text() for path in folder.glob("*/hosts.toml")} == {
        "images.example": (
            'server = "https://images.example/v2"\n'
            f'[host."http://127.0.0.1:5000/v2"]\n{asked}[host."https://b.example/v2"]\n{asked}'
        ),
        "docker.io": (
            f'server = "https://registry-1.docker.io/v2"\n[host."https://b.example/v2"]\n{asked}'
        ),
        "_default": f'[host."https://c.example/v2"]\n{asked}',
    }
    file.write_text("{}\n")
    registries.write(file, folder)
    assert not folder.exists()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("configs: {a: {}}\nauths: {}", "configs is not supported"),
        ("mirrors: {a: {rewrite: {x: y}}}", "rewrite is not supported"),
        ("mirrors: [", "registries.yaml: "),
    ],
)
def test_registries_that_would_have_another_effect_are_refused(
    tmp_path: Path, text: str, complaint: str
) -> None:
    (tmp_path / "registries.yaml").write_text(text)
    with pytest.raises(FatalError) as refused:
        registries.write(tmp_path / "registries.yaml", tmp_path / "certs.d")
    assert complaint in str(refused.value)


def test_containerd_alone_has_the_variables_with_its_prefix_and_they_win() -> None:
    environment = {"OTEL_X": "node", "CONTAINERD_OTEL_X": "own", "CONTAINERD_Y": "1", "Z": "2"}
    assert containerd_environment(environment) == {"OTEL_X": "own", "Y": "1", "Z": "2"}
