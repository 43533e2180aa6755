"""``ktrace doctor``: a machine of fakes on which all is well, until a test breaks something."""

from __future__ import annotations

import json
import os
import shutil
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ktrace.checks import machine
from ktrace.checks.finding import UP_STOPS
from ktrace.target import stack as stack_module
from runtime_observability.core import naming, support
from runtime_observability.core.naming import Names
from runtime_observability.core.observation import Record
from runtime_observability.host import ports, store
from runtime_observability.host.daemon import resolved
from tests.configuration import PROJECT, parsed, spec_of
from tests.fakes.daemon import FakeDaemon
from tests.fakes.ktrace import Done, Ktrace
from tests.schemas import validate

GIB = 1 << 30
NAMES = Names("dev", PROJECT)
K3S = parsed().k3s_version


def end_of_support() -> support.End:
    found = support.KUBERNETES.end_of(K3S)
    assert found, "a default has a known end of support"
    return found


class Machine:
    """Enough of everything; a test takes some of it away.

    The day is the last one on which the default Kubernetes is supported.
    """

    def __init__(self, daemon: FakeDaemon, root: Path) -> None:
        self.daemon = daemon
        self.root = root
        self.total, self.free = 100 * GIB, 50 * GIB
        self.taken_ports: set[int] = set()
        self.day = end_of_support().day
        settings = parsed().images
        self.daemon.images |= {
            image: {} for image in (settings.jaeger, settings.collector, settings.nodes)
        }
        self.daemon.info["DockerRootDir"] = "/docker"
        (root / "docker").mkdir()
        self.write("proc/sys/fs/inotify/max_user_watches", "524288\n")
        self.write("proc/sys/fs/inotify/max_user_instances", "512\n")
        self.memory(64 * 1024)
        self.pulumi()
        self.kubectl("""echo '{"clientVersion": {"gitVersion": "v1.34.1"}}'""")

    def write(self, file: str, text: str) -> None:
        path = self.root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def memory(self, mib: int) -> None:
        self.write("proc/meminfo", f"MemTotal: 1 kB\nMemAvailable: {mib * 1024} kB\n")

    def pulumi(self, version: str = "v3.272.0", selected: str = "echo dev") -> None:
        """Its version, and the shell text that answers which stack is selected."""
        self.daemon.executables.script(
            "pulumi",
            f"#!/bin/sh\ncase $* in version) echo {version} ;; *--show-name) {selected} ;; "
            '*--fully-qualify-stack-names*) eval "echo acme/shop/\\${$#}" ;; *) exit 64 ;; esac\n',
        )

    def kubectl(self, script: str) -> None:
        self.daemon.executables.script("kubectl", f"#!/bin/sh\n{script}\n")


class PathBelow:
    """Stands in for ``Path``: absolute paths are below ``root``."""

    cwd = staticmethod(Path.cwd)
    home = staticmethod(Path.home)

    def __init__(self, root: Path) -> None:
        self._root = root

    def __call__(self, path: str) -> Path:
        return self._root / path.lstrip("/")


@pytest.fixture
def computer(daemon: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    root = tmp_path / "root"
    root.mkdir()
    made = Machine(daemon, root)

    def usage(_: Path) -> SimpleNamespace:
        return SimpleNamespace(total=made.total, free=made.free)

    monkeypatch.setattr(machine, "Path", PathBelow(root))
    monkeypatch.setattr("ktrace.checks.examine.Path", PathBelow(root))
    monkeypatch.setattr("ktrace.checks.examine.date", SimpleNamespace(today=lambda: made.day))
    monkeypatch.setattr(shutil, "disk_usage", usage)
    monkeypatch.setattr(ports, "is_free", lambda port, _protocol: port not in made.taken_ports)
    monkeypatch.setattr(ports, "is_published_by_docker", lambda _port, _protocol: False)
    return made


def by_check(done: Done) -> dict[str, dict[str, Any]]:
    return {finding["check"]: finding for finding in done.document["findings"]}


def test_a_machine_that_can_run_it(ktrace: Ktrace, computer: Machine) -> None:
    shown = ktrace("doctor")
    assert (shown.returncode, shown.stderr) == (0, "")
    all_ports = ", ".join(map(str, sorted(parsed().host_ports.values())))
    assert shown.lines == [
        "ok   pulumi                      3.272.0",
        "ok   kubectl                     v1.34.1",
        "ok   k3d                         on PATH, new enough",
        f"ok   project folder              {PROJECT}",
        "ok   stack name                  acme/shop/dev",
        f"ok   Kubernetes support          {K3S}, until {end_of_support()}",
        "ok   docker                      20.10.24",
        "ok   engine                      Docker's own",
        f"ok   one daemon                  {resolved(computer.daemon.host)}",
        "ok   rootless                    Docker runs as root",
        "ok   cgroup                      cgroup v2",
        "ok   address pools               0 networks",
        f"ok   names                       {NAMES.base}",
        f"ok   ports                       {all_ports}",
        "ok   images                      all in the daemon",
        "ok   inotify max_user_watches    524288",
        "ok   inotify max_user_instances  512",
        f"ok   disk                        50.0 GiB (50%) free at {computer.root}/docker",
        f"ok   memory                      65536 MiB available; this stack may take {needed()} MiB",
    ]


def needed() -> int:
    settings = parsed()
    nodes = settings.servers + settings.agents
    return settings.jaeger_memory_mib + settings.collector_memory_mib + 1024 * nodes


def test_the_json_has_each_finding(ktrace: Ktrace, computer: Machine) -> None:
    shown = ktrace("doctor", "--json")
    assert (shown.returncode, shown.stderr) == (0, "")
    validate("doctor", shown.document)
    assert shown.document["ok"] is True
    assert shown.document["findings"][0] == {
        "check": "pulumi",
        "status": "ok",
        "seen": "3.272.0",
        "breaks": "",
        "cure": "",
    }
    assert len(shown.document["findings"]) == 19


def test_a_warning_is_told_with_its_cure_and_is_0(ktrace: Ktrace, computer: Machine) -> None:
    computer.write("proc/sys/fs/inotify/max_user_instances", "128\n")
    computer.memory(needed() - 1)
    shown = ktrace("doctor")
    assert shown.returncode == 0
    at = shown.lines.index("warn inotify max_user_instances  128")
    assert shown.lines[at + 1 : at + 3] == [
        f'{"":33}breaks: with several nodes or stacks kubelets fail with "too many open files"',
        f"{'':33}cure: `sudo sysctl -w fs.inotify.max_user_instances=512`",
    ]
    assert "warn memory " in shown.stdout


def test_a_failure_is_told_with_its_cure_and_is_1(ktrace: Ktrace, computer: Machine) -> None:
    computer.pulumi(version="v3.1.0")
    computer.taken_ports = {parsed().host_ports["jaegerUiPort"]}
    shown = ktrace("doctor")
    assert (shown.returncode, shown.stderr) == (1, "")
    assert shown.lines[0] == "FAIL pulumi                      3.1.0"
    assert shown.lines[1] == f"{'':33}breaks: {UP_STOPS}"
    assert shown.lines[2].startswith(f"{'':33}cure: install pulumi ")
    as_json = ktrace("doctor", "--json")
    assert as_json.returncode == 1
    validate("doctor", as_json.document)
    assert as_json.document["ok"] is False
    held = by_check(as_json)["ports"]
    assert held["status"] == "failure"
    assert "is held by another program on this machine" in held["seen"]
    assert "portOffset" in held["cure"]


@pytest.mark.parametrize(
    ("free", "total", "status"),
    [
        (10, 100, "ok"),
        (9.9, 50, "warning"),
        (10, 101, "warning"),
        (3, 60, "warning"),
        (2.9, 50, "failure"),
        (10, 201, "failure"),
    ],
)
def test_a_full_disk_is_told_before_it_evicts_pods(
    ktrace: Ktrace, computer: Machine, free: float, total: int, status: str
) -> None:
    computer.free, computer.total = int(free * GIB), total * GIB
    shown = ktrace("doctor", "--json")
    assert by_check(shown)["disk"]["status"] == status
    assert shown.returncode == int(status == "failure")


@pytest.mark.parametrize("printed", ["nonsense", "[]", "5", '{"ServerVersion": "28.2.2"}'])
def test_a_docker_that_prints_something_else_is_a_finding(
    ktrace: Ktrace, computer: Machine, printed: str
) -> None:
    computer.daemon.executables.script("docker", f"#!/bin/sh\necho '{printed}'\n")
    shown = ktrace("doctor", "--json")
    assert shown.returncode == 1
    validate("doctor", shown.document)
    assert "prints what is not a Docker daemon's" in by_check(shown)["docker"]["seen"]


@pytest.mark.parametrize("printed", ["nonsense", "[]", "5", '{"clientVersion": []}'])
def test_a_kubectl_that_prints_something_else_is_a_finding(
    ktrace: Ktrace, computer: Machine, printed: str
) -> None:
    computer.kubectl(f"echo '{printed}'")
    shown = ktrace("doctor", "--json")
    assert shown.returncode == 0
    assert by_check(shown)["kubectl"]["status"] == "warning"


def test_what_a_tool_prints_is_shown_as_text(ktrace: Ktrace, computer: Machine) -> None:
    computer.kubectl(r"printf '\033[2Jbroken\nFAKE' >&2; exit 1")
    shown = ktrace("doctor")
    assert "\x1b" not in shown.stdout
    assert "\\x1b[2Jbroken FAKE" in shown.stdout


def test_limits_that_the_kernel_does_not_tell_are_no_findings(
    ktrace: Ktrace, computer: Machine
) -> None:
    shutil.rmtree(computer.root / "proc")
    shutil.rmtree(computer.root / "docker")
    checks = by_check(ktrace("doctor", "--json"))
    assert "memory" not in checks
    assert not any(check.startswith("inotify") for check in checks)
    assert checks["disk"]["seen"].endswith(f" free at {PROJECT}"), "the daemon is in a VM"


def test_a_kubernetes_without_fixes_is_a_warning(ktrace: Ktrace, computer: Machine) -> None:
    computer.day = end_of_support().day + timedelta(days=1)
    shown = ktrace("doctor", "--json")
    assert shown.returncode == 0
    assert by_check(shown)["Kubernetes support"]["status"] == "warning"


def test_another_engine_than_dockers_is_a_failure(ktrace: Ktrace, computer: Machine) -> None:
    computer.daemon.info["DockerRootDir"] = "/var/lib/containers/storage"
    shown = ktrace("doctor", "--json")
    assert shown.returncode == 1
    assert by_check(shown)["engine"]["seen"].startswith("what answers is Podman")


def test_a_kubectl_is_a_convenience(ktrace: Ktrace, computer: Machine) -> None:
    computer.kubectl("echo nonsense")
    shown = ktrace("doctor", "--json")
    assert shown.returncode == 0
    finding = by_check(shown)["kubectl"]
    assert finding["status"] == "warning"
    assert finding["cure"] == "see what `kubectl version --client -o json` prints"


def test_without_tools_and_docker_the_rest_is_still_told(
    ktrace: Ktrace, computer: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    shown = ktrace("doctor", "--json")
    assert (shown.returncode, shown.stderr) == (1, "")
    statuses = {check: finding["status"] for check, finding in by_check(shown).items()}
    assert statuses == {
        "pulumi": "failure",
        "kubectl": "warning",
        "k3d": "failure",
        "project folder": "ok",
        "Kubernetes support": "ok",
        "docker": "failure",
        "inotify max_user_watches": "ok",
        "inotify max_user_instances": "ok",
        "disk": "ok",
    }


def test_a_daemon_that_does_not_answer_is_a_finding(ktrace: Ktrace, computer: Machine) -> None:
    computer.daemon.down = True
    shown = ktrace("doctor", "--json")
    assert shown.returncode == 1
    finding = by_check(shown)["docker"]
    assert "Cannot connect to the Docker daemon" in finding["seen"]
    assert finding["breaks"] == UP_STOPS
    assert "DOCKER_HOST" in finding["cure"]
    assert "make up" in finding["cure"]


def test_a_socket_that_this_user_may_not_use_is_told_with_its_group(
    ktrace: Ktrace, computer: Machine
) -> None:
    """`make up` cannot start a daemon here: only root can."""
    computer.daemon.denied = True
    shown = ktrace("doctor", "--json")
    finding = by_check(shown)["docker"]
    assert finding["seen"].startswith("this user may not use the daemon's socket: ")
    assert "usermod -aG docker" in finding["cure"]
    assert "make up" not in finding["cure"]


def test_a_key_that_docker_would_not_follow_is_a_finding(
    ktrace: Ktrace, computer: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: runtime-observability")
    monkeypatch.chdir(tmp_path)
    stack_file = tmp_path / "Pulumi.mine.yaml"
    stack_file.write_text("config: {docker:host: unix:///own.sock}")
    shown = ktrace("doctor", "--stack", "mine", "--json")
    assert by_check(shown)["one daemon"]["seen"] == "unix:///own.sock"
    stack_file.write_text("config: {docker:context: colima}")
    shown = ktrace("doctor", "--stack", "mine", "--json")
    assert shown.returncode == 1
    finding = by_check(shown)["one daemon"]
    assert (finding["status"], finding["breaks"]) == ("failure", UP_STOPS)
    assert "pulumi config rm docker:context" in finding["cure"]


def test_a_folder_that_another_pulumi_stack_has_is_a_failure(
    ktrace: Ktrace, computer: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: runtime-observability")
    (tmp_path / "Pulumi.mine.yaml").touch()
    monkeypatch.chdir(tmp_path)
    other = Names("mine", tmp_path, pulumi_stack="me/shop/mine")
    other.directory.mkdir(parents=True)
    other.claim_file.write_text(other.claim)
    shown = ktrace("doctor", "--stack", "mine", "--json")
    assert shown.returncode == 1
    finding = by_check(shown)["stack name"]
    assert finding["status"] == "failure"
    assert finding["seen"].startswith(f"{other.directory} belongs to the Pulumi stack me/shop/mine")
    assert "pulumi destroy --stack me/shop/mine" in finding["cure"]


def test_what_the_nodes_would_miss_is_a_failure(
    ktrace: Ktrace, computer: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: runtime-observability")
    monkeypatch.chdir(tmp_path)
    keys = {"nodeVolumes": ["ca.pem:/etc/ca.pem:ro"], "registries": {"use": ["mirror:5000"]}}
    config = {f"{naming.PROJECT}:{key}": value for key, value in keys.items()}
    (tmp_path / "Pulumi.mine.yaml").write_text(json.dumps({"config": config}))
    checks = by_check(ktrace("doctor", "--stack", "mine", "--json"))
    assert checks["volumes"]["seen"].startswith(f"{tmp_path}/ca.pem does not exist")
    assert checks["registries"]["seen"].startswith("k3d has no registry mirror")
    (tmp_path / "ca.pem").touch()
    labels = {"k3d.cluster": "none", "k3d.role": "registry"}
    computer.daemon.container("k3d-mirror", labels=labels)
    checks = by_check(ktrace("doctor", "--stack", "mine", "--json"))
    assert checks["volumes"]["status"] == checks["registries"]["status"] == "ok"


def test_a_stack_of_another_daemon_is_a_failure(
    ktrace: Ktrace, computer: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: runtime-observability")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Pulumi.mine.yaml").touch()
    names = Names("mine", tmp_path)
    names.directory.mkdir(parents=True)
    spec = spec_of(names, parsed()).document
    elsewhere = Record(1, True, "0" * 16, spec, (), daemon="other", docker_host="tcp://far:2376")
    store.save(names, elsewhere)
    finding = by_check(ktrace("doctor", "--stack", "mine", "--json"))["one daemon"]
    assert finding["seen"].startswith("stack mine is in the daemon at tcp://far:2376")
    assert "DOCKER_HOST=tcp://far:2376" in finding["cure"]


def test_the_stack_that_is_named_is_checked(ktrace: Ktrace, computer: Machine) -> None:
    names = Names("lab", PROJECT)
    shown = ktrace("doctor", "--stack", "lab", "--json")
    checks = by_check(shown)
    assert checks["names"]["seen"] == names.base
    assert checks["images"]["status"] == "failure", "its images are not in the daemon"


def test_a_stack_that_does_not_exist_is_wrong_usage(ktrace: Ktrace, computer: Machine) -> None:
    refused = ktrace("doctor", "--stack", "nosuch")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == (
        f"ktrace: there is no stack nosuch: {PROJECT / 'Pulumi.nosuch.yaml'} does not exist. "
        "`pulumi stack ls` names the stacks\n"
    )


@pytest.mark.parametrize("selected", ["exit 1", "echo"])
def test_without_a_selected_stack_the_defaults_are_checked(
    ktrace: Ktrace, computer: Machine, selected: str
) -> None:
    computer.pulumi(selected=selected)
    shown = ktrace("doctor", "--json")
    assert shown.returncode == 0
    assert by_check(shown)["names"]["seen"] == NAMES.base


@pytest.fixture
def outside(
    ktrace: Ktrace, computer: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """ktrace is installed as a package, and the folder is not this project's."""
    installed = tmp_path / "site-packages/ktrace/target/stack.py"
    monkeypatch.setattr(stack_module, "__file__", str(installed))
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("outside")
def test_outside_a_project_the_defaults_are_checked(ktrace: Ktrace, tmp_path: Path) -> None:
    checks = by_check(ktrace("doctor", "--json"))
    assert checks["project folder"]["seen"] == os.fspath(tmp_path)
    assert checks["names"]["seen"] == Names("dev", tmp_path).base


@pytest.mark.usefixtures("outside")
def test_of_another_program_the_names_are_checked_and_the_defaults(
    ktrace: Ktrace, computer: Machine, tmp_path: Path
) -> None:
    """Its settings are in its code: a stack file of its own does not count."""
    (tmp_path / "Pulumi.yaml").write_text("name: shop")
    computer.pulumi(selected="echo prod")
    checks = by_check(ktrace("doctor", "--json"))
    assert checks["names"]["seen"] == Names("prod", tmp_path).base
    assert checks["images"]["seen"] == "all in the daemon"


@pytest.mark.usefixtures("outside")
def test_a_secret_does_not_stop_the_other_checks(ktrace: Ktrace, tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: runtime-observability")
    (tmp_path / "Pulumi.own.yaml").write_text(
        "config: {runtime-observability:k3sArgs: [{secure: v1:abc}], "
        "runtime-observability:jaegerUiPort: 26686}"
    )
    checks = by_check(ktrace("doctor", "--stack", "own", "--json"))
    assert "26686" in checks["ports"]["seen"]
