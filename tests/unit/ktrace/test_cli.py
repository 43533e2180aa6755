"""The command line: one clear line and one exit code for each way to fail; doctor's findings."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from ktrace.checks import daemon as daemon_checks
from ktrace.checks import tools
from ktrace.checks.examine import examine
from ktrace.checks.finding import problems
from ktrace.cli import load
from ktrace.errors import UsageError
from ktrace.jaeger import Jaeger
from ktrace.target import stack, stack_file, stack_settings
from ktrace.target.stack import is_this_project, project_folder
from runtime_observability.core.compatibility import OLDEST_DOCKER
from runtime_observability.core.naming import Names
from runtime_observability.core.problem import Problem
from runtime_observability.core.support import DEFAULT_K3S
from runtime_observability.host.docker import Daemon
from tests.configuration import PROJECT, parsed
from tests.fakes.daemon import FakeDaemon
from tests.fakes.http import write_kubeconfig
from tests.fakes.ktrace import Ktrace
from tests.schemas import validate

COMMANDS = (
    "doctor",
    "verify",
    "run",
    "show",
    "boot",
    "watch",
    "top",
    "bench",
    "diff",
    "assert",
    "render",
    "open",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples_and_exit_codes(ktrace: Ktrace, command: str) -> None:
    shown = ktrace(command, "--help")
    assert shown.returncode == 0
    assert "Examples:" in shown.stdout
    assert "Exit codes:" in shown.stdout
    assert "--json" in shown.stdout
    assert "\x1b" not in shown.stdout


def test_no_command_of_the_help_is_broken_on_a_narrow_terminal(
    ktrace: Ktrace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    lines = ktrace("verify", "--help").lines
    assert "    ktrace verify --jaeger http://127.0.0.1:16686 --kubeconfig ~/.kube/config" in lines
    assert max(len(line) for line in lines if "ktrace " not in line) <= 60


def test_boot_advises_no_option_that_it_lacks(ktrace: Ktrace, tmp_path: Path) -> None:
    told = ktrace("boot", "--stack", "nosuch").stderr
    assert told
    assert "--jaeger" not in told


def test_help_has_the_whole_summary_of_each_command(
    ktrace: Ktrace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also on a narrow terminal, where typer would cut them."""
    monkeypatch.setenv("COLUMNS", "60")
    shown = ktrace("--help")
    assert max(map(len, shown.lines)) <= 60
    told = " ".join(shown.stdout.split())
    for command in COMMANDS:
        summary = " ".join(ktrace(command, "--help").stdout.split("\n\n")[1].split())
        assert f"{command} {summary}" in told


def test_the_version_is_that_of_the_distribution(ktrace: Ktrace) -> None:
    shown = ktrace("--version")
    assert (shown.returncode, shown.stderr) == (0, "")
    with (PROJECT / "pyproject.toml").open("rb") as file:
        assert shown.lines == [f"ktrace {tomllib.load(file)['project']['version']}"]


def test_without_a_command_the_help_is_shown_and_it_is_wrong_usage(ktrace: Ktrace) -> None:
    shown = ktrace()
    assert (shown.returncode, shown.stdout) == (2, "")
    assert shown.stderr.startswith("Usage: ktrace ")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("shw",), "No such command 'shw'. Did you mean 'show'? `ktrace --help` shows"),
        (("diff",), "Missing argument 'A'. `ktrace diff --help` shows"),
        (("show", "a", "--jsn"), "No such option: --jsn (Possible options: --json). `ktrace show"),
        (("top", "--by", "foo"), "Invalid value for '--by': 'foo' is not one of 'client'"),
        (("verify", "surplus\x1b[2J"), "(surplus\\x1b[2J)"),
    ],
)
def test_wrong_usage_is_one_line_with_the_cure(
    ktrace: Ktrace, arguments: tuple[str, ...], told: str
) -> None:
    done = ktrace(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("ktrace: ")
    assert told in line


def numeric_options(command: str) -> list[str]:
    parameters: list[Any] = list(load(command).params)
    return [
        option
        for parameter in parameters
        if parameter.type_descriptor.annotation in (int, float)
        for option in parameter.opts
    ]


NUMERIC = [(command, option) for command in COMMANDS for option in numeric_options(command)]
"""Every option of every command whose value is a number."""


def test_the_numeric_options_are_found() -> None:
    waiting = {("show", "--timeout"), ("assert", "--timeout"), ("verify", "--timeout")}
    assert {("run", "--for"), *waiting} <= set(NUMERIC)


@pytest.mark.parametrize(
    "value", ["nan", "inf", "-inf", "-1", "-0.001", "1e999", "soon", "", "1 2"]
)
@pytest.mark.parametrize(("command", "option"), NUMERIC)
def test_a_number_that_is_none_is_refused(
    ktrace: Ktrace, command: str, option: str, value: str
) -> None:
    argument = {"show": ["a"], "assert": ["pod-start"], "run": ["true"]}.get(command, [])
    done = ktrace(command, f"{option}={value}", *argument)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"ktrace: Invalid value for '{option}'")
    assert line.endswith(f"`ktrace {command} --help` shows what there is")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("show", "a", "--jaeger", "http://127.0.0.1:9", "--json"), 3),
        (("verify", "--json", "--jaeger", "http://127.0.0.1:9"), 2),
        (("open", "nosuch", "--json", "--jaeger", "http://127.0.0.1:9"), 2),
        (("render", "--stack", "nosuch", "--json"), 2),
        (("show", "--json"), 2),
        (("show", "a", "--json", "--nosuch"), 2),
    ],
)
def test_an_error_is_a_document_too(ktrace: Ktrace, arguments: tuple[str, ...], code: int) -> None:
    done = ktrace(*arguments)
    assert done.returncode == code
    validate("error", done.document)
    assert done.document["error"]["exitCode"] == code
    assert done.stderr == f"ktrace: {done.document['error']['message']}\n"


def test_stdout_of_a_command_that_is_run_has_no_document(ktrace: Ktrace) -> None:
    done = ktrace("run", *NOWHERE, "--kubeconfig", "absent", "--json", "--", "true")
    assert (done.returncode, done.stdout) == (3, "")
    validate("error", json.loads(done.stderr))


def test_the_json_of_a_command_that_is_run_is_not_ktraces(ktrace: Ktrace) -> None:
    done = ktrace("run", "--nosuch", "--", "kubectl", "get", "--json")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("ktrace: No such option: --nosuch")
    done = ktrace("run", "--json", "--nosuch", "--", "kubectl", "get")
    assert (done.returncode, done.stdout) == (2, "")
    validate("error", json.loads(done.stderr))


def test_a_reader_that_stops_is_no_traceback() -> None:
    program = subprocess.run(
        ["/bin/sh", "-c", f"{sys.executable} -m ktrace render --stack lab | head -n 1"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(program.stdout.splitlines()) == 1
    assert program.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a full device")
def test_a_full_disk_is_one_line() -> None:
    program = subprocess.run(
        ["/bin/sh", "-c", f"{sys.executable} -m ktrace render --stack lab > /dev/full"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert program.returncode == 2
    assert program.stderr == (
        "ktrace: stdout cannot be written: No space left on device. Redirect it to another file\n"
    )


@pytest.mark.parametrize("dashes", [("--",), ()])
def test_what_follows_a_command_is_its_own(ktrace: Ktrace, dashes: tuple[str, ...]) -> None:
    done = ktrace("run", *NOWHERE, *dashes, "kubectl", "get", "pods", "-o", "name", "--json")
    assert "No such option" not in done.stderr


NOWHERE = ("--jaeger", "http://127.0.0.1:9")


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("show", "pod/a", *NOWHERE), 3, "Jaeger at http://127.0.0.1:9 cannot be reached"),
        (("show", "secret/a", *NOWHERE), 2, "is not a pod or a workload"),
        (("show", "a", "--jaeger", "localhost:16686"), 2, "is not http://HOST:PORT"),
        (("open", "--jaeger", "http://"), 2, "'http://' is not http://HOST:PORT"),
        (("verify", "--jaeger", "http://a:99999"), 2, "is not http://HOST:PORT"),
        (("assert", "absent.yaml", *NOWHERE), 2, "absent.yaml cannot be read"),
        (("verify", *NOWHERE), 2, "no cluster is known"),
        (("show", "a", "--jaeger", ""), 2, "--jaeger '' is not http://HOST:PORT"),
        (("run", "--kubeconfig", "absent", "--", "true"), 2, "no Jaeger is known: give its addr"),
        (("verify", *NOWHERE, "--kubeconfig", "absent"), 2, "there is no kubeconfig absent"),
        (("open", "nosuch", *NOWHERE), 2, "there is no search 'nosuch'"),
        (("render", "--stack", "nosuch"), 2, "there is no stack nosuch"),
        (("run", *NOWHERE, "--kubeconfig", "absent", "--", "true"), 3, "cannot be reached"),
    ],
)
def test_a_failure_is_one_line_and_its_code(
    ktrace: Ktrace, arguments: tuple[str, ...], code: int, told: str
) -> None:
    done = ktrace(*arguments)
    assert done.returncode == code, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("ktrace: ")
    assert told in line
    assert done.stdout == ""


def test_ctrl_c_is_no_traceback(ktrace: Ktrace, monkeypatch: pytest.MonkeyPatch) -> None:
    def pressed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Jaeger, "find_all", pressed)
    done = ktrace("show", "a", *NOWHERE)
    assert done.returncode == 130
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("text", ["text", "{", "contexts: []\ncurrent-context: x", "[]", ""])
def test_a_broken_kubeconfig_is_wrong_usage(ktrace: Ktrace, tmp_path: Path, text: str) -> None:
    (tmp_path / "config").write_text(text)
    done = ktrace("verify", *NOWHERE, "--kubeconfig", str(tmp_path / "config"))
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "is not a kubeconfig" in line


def test_a_kubeconfig_without_its_certificate_is_wrong_usage(
    ktrace: Ktrace, tmp_path: Path
) -> None:
    own = {"client-certificate": "absent.crt", "client-key": "absent.key"}
    write_kubeconfig(tmp_path / "config", "https://127.0.0.1:9", user=own)
    done = ktrace("verify", *NOWHERE, "--kubeconfig", str(tmp_path / "config"))
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "cannot be used: File does not exist: " in line


def test_a_cluster_that_does_not_answer_has_a_code_of_its_own(
    ktrace: Ktrace, tmp_path: Path
) -> None:
    write_kubeconfig(tmp_path / "config", "http://127.0.0.1:9")
    done = ktrace("verify", *NOWHERE, "--kubeconfig", str(tmp_path / "config"))
    assert done.returncode == 3
    (line,) = done.stderr.splitlines()
    assert "the cluster of" in line


def test_render_needs_no_docker_and_gives_the_same_twice(ktrace: Ktrace, tmp_path: Path) -> None:
    first, second = (ktrace("render", "--stack", "lab", "--json") for _ in range(2))
    assert first.returncode == 0, first.stderr
    assert first.stdout == second.stdout
    validate("render", first.document)
    files = json.loads(first.stdout)["files"]
    assert {"k3d.yaml", "collector.yaml", "jaeger.yaml", "node/kubelet-tracing.yaml"} <= set(files)
    written = ktrace("render", "--stack", "lab", "-o", str(tmp_path))
    assert written.stdout.rstrip().endswith("k3d cluster create --config k3d.yaml")
    assert (tmp_path / "k3d.yaml").read_text() == files["k3d.yaml"]


def test_a_stacks_file_gives_its_settings() -> None:
    settings = stack_settings.read(PROJECT, "lab")
    assert settings.containerd_tracing == "image"
    assert stack_settings.read(PROJECT, None) == parsed()


def test_keys_of_other_namespaces_are_not_settings(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.dev.yaml").write_text(
        "config: {docker:host: x, other:servers: 3, runtime-observability:agents: 2}"
    )
    assert stack_settings.read(tmp_path, "dev") == parsed(agents=2)


def test_the_keys_of_dockers_provider_are_read_for_its_daemon(tmp_path: Path) -> None:
    assert stack_file.of_docker(tmp_path, "dev") == {}
    (tmp_path / "Pulumi.dev.yaml").write_text(
        "config: {docker:host: unix:///a.sock, dockerish:host: x, runtime-observability:agents: 2}"
    )
    assert stack_file.of_docker(tmp_path, "dev") == {"host": "unix:///a.sock"}
    assert stack_file.of_docker(tmp_path, "acme/dev") == {"host": "unix:///a.sock"}
    (tmp_path / "Pulumi.dev.yaml").write_text("config: {docker:host: {secure: AAAB}}")
    with pytest.raises(UsageError, match="is a secret, which ktrace cannot read"):
        stack_file.of_docker(tmp_path, "dev")


def test_the_project_is_found_from_any_folder_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    (tmp_path / "Pulumi.yaml").write_text("name: runtime-observability")
    assert project_folder() == tmp_path
    (tmp_path / "Pulumi.yaml").write_text("name: shop")
    assert project_folder() == PROJECT, "a checkout is its own project"


BROKEN_PROJECTS = ["", "[", "[]", "text", "name: ''", "name: 3", "\x00", "{}"]


@pytest.mark.parametrize("text", BROKEN_PROJECTS)
def test_a_broken_project_above_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """An empty Pulumi.yaml above the folder was a traceback (finding 35)."""
    inner = tmp_path / "a"
    inner.mkdir()
    monkeypatch.chdir(inner)
    (inner / "Pulumi.yaml").write_text(text)
    assert not is_this_project(inner)
    assert project_folder() == PROJECT
    (tmp_path / "Pulumi.yaml").write_text("name: runtime-observability")
    assert project_folder() == tmp_path


@pytest.mark.parametrize("command", ["verify", "render", "open"])
@pytest.mark.parametrize("text", BROKEN_PROJECTS)
def test_a_broken_project_alone_is_one_line(
    ktrace: Ktrace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, command: str
) -> None:
    monkeypatch.setattr(stack, "__file__", str(tmp_path / "site-packages/ktrace/target/stack.py"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Pulumi.yaml").write_text(text)
    refused = ktrace(command, "--stack", "dev")
    assert (refused.returncode, refused.stdout) == (2, "")
    (line,) = refused.stderr.splitlines()
    assert f"{tmp_path}/Pulumi.yaml is not a Pulumi project: it has no name. Correct it" in line


@pytest.mark.parametrize("text", ["[", "config: []x", "config: 5", "config: [1]", "\x00"])
def test_a_broken_stack_file_is_one_line(
    ktrace: Ktrace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Pulumi.yaml").write_text("name: runtime-observability")
    (tmp_path / "Pulumi.dev.yaml").write_text(text)
    refused = ktrace("render", "--stack", "dev")
    assert (refused.returncode, refused.stdout) == (2, "")
    (line,) = refused.stderr.splitlines()
    assert f"{tmp_path}/Pulumi.dev.yaml cannot be read: " in line


@pytest.mark.parametrize("printed", ["no json", "[]", "5"])
def test_outputs_that_are_none_are_one_line(
    ktrace: Ktrace, daemon: FakeDaemon, printed: str
) -> None:
    daemon.executables.script("pulumi", f"#!/bin/sh\necho '{printed}'\n")
    refused = ktrace("verify", "--stack", "dev")
    assert (refused.returncode, refused.stdout) == (2, "")
    (line,) = refused.stderr.splitlines()
    assert "stack dev cannot be read (`pulumi stack output --json` prints no JSON object)" in line


def test_an_output_of_another_kind_is_no_output(ktrace: Ktrace, daemon: FakeDaemon) -> None:
    daemon.executables.script("pulumi", "#!/bin/sh\necho '{\"jaegerUrl\": 5}'\n")
    refused = ktrace("verify", "--stack", "dev")
    assert refused.returncode == 2
    assert "is not up: it has no output jaegerUrl" in refused.stderr


def test_an_installed_ktrace_finds_the_program_that_uses_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stack, "__file__", str(tmp_path / "site-packages/ktrace/target/stack.py"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="no Pulumi project around"):
        project_folder()
    (tmp_path / "Pulumi.yaml").write_text("name: shop")
    assert project_folder() == tmp_path
    assert not is_this_project(tmp_path)


def test_render_refuses_to_guess_another_programs_settings(
    ktrace: Ktrace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stack, "__file__", str(tmp_path / "site-packages/ktrace/target/stack.py"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Pulumi.yaml").write_text("name: shop")
    refused = ktrace("render", "--stack", "dev")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "holds another program" in refused.stderr


def test_doctor_tells_every_problem_of_preflight_with_its_cure() -> None:
    held = Problem("jaegerUiPort", "port 1 is held by x", cure="choose another: y")
    (finding,) = problems("ports", [held], "")
    assert (finding.status, finding.seen) == ("failure", "port 1 is held by x")
    assert finding.cure == "choose another: y"
    old = Problem("k3d", "4.4.8 is too old", "the minimum is 5.7.0", "install k3d (https://x)")
    (finding,) = problems("k3d", [old], "")
    assert finding.seen == "4.4.8 is too old: the minimum is 5.7.0"
    assert finding.cure == "install k3d (https://x)"
    assert problems("k3d", [], "there")[0].status == "ok"


def test_images_are_in_the_daemon_or_to_be_had(daemon: FakeDaemon) -> None:
    settings = parsed(k3sImage="mirror/k3s:v{version}")
    daemon.images[settings.images.jaeger] = {}
    finding = daemon_checks.images(settings)
    assert finding.status == "failure"
    assert "neither in the daemon nor in a registry: " in finding.seen
    assert f"mirror/k3s:v{DEFAULT_K3S}" in finding.seen
    assert "jaegertracing" not in finding.seen
    daemon.served |= {settings.images.nodes, settings.images.collector}
    assert daemon_checks.images(settings).seen == "2 to be pulled"
    daemon.images |= {image: {} for image in daemon.served}
    assert daemon_checks.images(settings).seen == "all in the daemon"


def test_a_full_address_pool_and_rootless_are_findings() -> None:
    assert daemon_checks.address_pools({}, 40, exists=False).status == "failure"
    assert daemon_checks.address_pools({}, 40, exists=True).status == "ok"
    assert (
        daemon_checks.address_pools({"DefaultAddressPools": [1]}, 40, exists=False).status == "ok"
    )
    engine = Daemon("28.2.2", "2", "amd64", limits_swap=True, rootless=True)
    assert daemon_checks.rootless(engine).status == "warning"
    assert daemon_checks.cgroup({}, parsed().k3s_version).status == "warning"


def test_an_engine_that_cannot_run_the_nodes_is_a_failure(names: Names, daemon: FakeDaemon) -> None:
    fine = {finding.check: finding for finding in examine(names, parsed())}
    assert (fine["engine"].status, fine["engine"].seen) == ("ok", "Docker's own")
    daemon.info["DockerRootDir"] = "/var/lib/containers/storage"
    found = {finding.check: finding for finding in examine(names, parsed())}
    assert found["engine"].status == "failure"
    assert found["engine"].seen.startswith("what answers is Podman 20.10.24")


def test_an_old_release_is_a_failure_and_a_new_one_is_fine() -> None:
    oldest = OLDEST_DOCKER
    assert tools.release("docker", "20.10.4", oldest, "x").status == "failure"
    assert tools.release("docker", "28.2.2", oldest, "x").status == "ok"
    assert tools.release("docker", "dev", oldest, "x").status == "warning"


def test_without_docker_the_rest_is_still_told(
    names: Names, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    findings = {finding.check: finding for finding in examine(names, parsed())}
    assert findings["docker"].status == "failure"
    assert "make up" in findings["docker"].cure
    assert findings["pulumi"].status == "failure"
    assert findings["k3d"].status == "failure"
    assert "disk" in findings
    assert findings["Kubernetes support"].seen.startswith(f"{DEFAULT_K3S}")
