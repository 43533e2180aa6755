"""What doctor looks at besides the checks of components/preflight.py. Read-only."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from runtime_observability.core import naming
from runtime_observability.core.compatibility import FAIL_CGROUP_V1_IS_DEFAULT
from runtime_observability.core.naming import Names
from runtime_observability.core.problem import Problem
from runtime_observability.core.settings import Settings
from runtime_observability.core.versions import Version
from runtime_observability.host import docker, preflight, runner

Status = Literal["ok", "warning", "failure"]

OLDEST_DOCKER = Version.parse("20.10.5")
"""k3d expects failure up to 20.10.4 (k3d docs/faq/compatibility.md)."""
OLDEST_PULUMI = Version.parse("3.238.0")
_INOTIFY = {"max_user_watches": 524_288, "max_user_instances": 512}
"""What kind advises for several nodes (kind site/content/docs/user/known-issues.md)."""
_NODE_MIB = 1024
_GIB = 1 << 30
_DISK_LEAST, _DISK_GOOD = 3 * _GIB, 10 * _GIB
_DISK_SHARE = 0.05
"""k3s evicts pods when less of the image disk is free (k3s docs: eviction-hard)."""
_POOLS = 31
"""Networks that Docker's default address pools hold: 15 of /16 and 16 of /20."""
_UP = "`pulumi up` stops before it creates anything"


@dataclass(frozen=True)
class Finding:
    check: str
    status: Status
    seen: str
    breaks: str = ""
    cure: str = ""

    @property
    def document(self) -> dict[str, str]:
        return asdict(self)


def examine(names: Names, settings: Settings) -> list[Finding]:
    """Every finding, in the order in which one would cure them."""
    findings = [*tools()]
    findings += problems("k3d", preflight.check_k3d(), "on PATH, new enough")
    findings += problems(
        "project folder",
        naming.refuse_a_folder_the_nodes_cannot_mount(names.folder),
        str(names.folder),
    )
    try:
        info = json.loads(runner.run(["docker", "info", "--format", "{{json .}}"]).checked())
        daemon = docker.daemon()
        containers, networks = docker.containers(), docker.networks()
        hosts = preflight.check_host()
    except runner.CommandError as error:
        findings.append(
            Finding(
                "docker",
                "failure",
                str(error),
                _UP,
                "start Docker, or name its socket in DOCKER_HOST; `make up` can start its own",
            )
        )
        return findings + host()
    findings.append(version("docker", daemon.version, OLDEST_DOCKER, "k3d does not work with it"))
    findings += problems("one daemon", hosts, docker.provider_host())
    findings += daemon_facts(info, settings)
    findings.append(
        address_pools(info, len(networks), any(n.name == names.network for n in networks))
    )
    findings += problems(
        "names", preflight.refuse_objects_of_others(names, containers, networks), names.base
    )
    ports = ", ".join(map(str, sorted(settings.host_ports.values())))
    findings += problems(
        "ports",
        preflight.refuse_taken_ports(names, settings.host_ports, containers, settings.port_offset),
        ports,
    )
    findings += images(settings)
    return findings + host(settings, Path(info.get("DockerRootDir", "/")))


def problems(check: str, found: Sequence[Problem], fine: str) -> list[Finding]:
    """A failure for each problem that stops `pulumi up`; ``fine`` is shown where there is none."""
    if not found:
        return [Finding(check, "ok", fine)]
    return [
        Finding(
            check,
            "failure",
            ": ".join(filter(None, (problem.seen, problem.why))),
            _UP,
            problem.cure,
        )
        for problem in found
    ]


def version(check: str, found: str, oldest: Version, breaks: str) -> Finding:
    match = re.search(r"\d+\.\d+\.\d+", found)
    if not match:
        return Finding(check, "warning", f"{found!r} is no version that is known", breaks)
    if Version.parse(match[0]) < oldest:
        return Finding(check, "failure", match[0], breaks, f"install {check} {oldest} or newer")
    return Finding(check, "ok", match[0])


def tools() -> Iterator[Finding]:
    yield from _tool(
        "pulumi", ["pulumi", "version"], lambda said: version("pulumi", said, OLDEST_PULUMI, _UP)
    )
    yield from _tool(
        "kubectl",
        ["kubectl", "version", "--client", "-o", "json"],
        lambda said: Finding("kubectl", "ok", json.loads(said)["clientVersion"]["gitVersion"]),
        missing="warning",
    )


def _tool(
    name: str,
    argv: list[str],
    judge: Callable[[str], Finding],
    missing: Status = "failure",
) -> Iterator[Finding]:
    if not shutil.which(name):
        cure = 'install it, or let `make up` build it and run `eval "$(make -s env)"`'
        breaks = _UP if missing == "failure" else "nothing of `up`; you talk to the cluster with it"
        yield Finding(name, missing, "not on PATH", breaks, cure)
        return
    try:
        yield judge(runner.run(argv).checked())
    except (runner.CommandError, ValueError, KeyError) as error:
        yield Finding(name, missing, str(error), _UP, f"see what `{' '.join(argv)}` says")


def daemon_facts(info: dict[str, Any], settings: Settings) -> list[Finding]:
    rootless = any("rootless" in option for option in info.get("SecurityOptions") or ())
    cgroup = info.get("CgroupVersion", "1")
    v1_refused = FAIL_CGROUP_V1_IS_DEFAULT.at(settings.k3s_version)
    findings = [
        Finding(
            "rootless",
            "warning",
            "Docker runs rootless",
            "nodes restart without end unless cgroup v2 delegates cpu, cpuset, io, memory and pids",
            "use a daemon that runs as root, or delegate the controllers to your user's slice",
        )
        if rootless
        else Finding("rootless", "ok", "Docker runs as root")
    ]
    if cgroup == "1":
        told = "the kubelet is told to run all the same" if v1_refused else "the kubelet accepts it"
        findings.append(
            Finding(
                "cgroup",
                "warning",
                f"cgroup v1 with k3s {settings.k3s_version}: {told}",
                "later releases of Kubernetes drop cgroup v1",
                "boot the machine with systemd.unified_cgroup_hierarchy=1",
            )
        )
    else:
        findings.append(Finding("cgroup", "ok", f"cgroup v{cgroup}"))
    return findings


def address_pools(info: dict[str, Any], networks: int, exists: bool) -> Finding:
    seen = f"{networks} networks"
    if exists or info.get("DefaultAddressPools") or networks < _POOLS - 2:
        return Finding("address pools", "ok", seen)
    return Finding(
        "address pools",
        "failure" if networks > _POOLS else "warning",
        f"{seen}, and Docker's default pools hold {_POOLS}",
        "the stack's network cannot be created",
        "`docker network prune`, or default-address-pools in Docker's daemon.json",
    )


def images(settings: Settings) -> list[Finding]:
    """Whether the images are there, or can be had from their registries."""
    wanted = settings.images
    missing = [
        image
        for image in (wanted.jaeger, wanted.collector, wanted.nodes)
        if not docker.has_image(image)
    ]
    unserved = [image for image in missing if not docker.is_served(image)]
    if unserved:
        return [
            Finding(
                "images",
                "failure",
                f"{', '.join(unserved)} not in the daemon, and not to be had from a registry",
                "the images cannot be pulled",
                "`RUNTIME_OBSERVABILITY_LAB=1 make up` builds them, as Pulumi.lab.yaml names them",
            )
        ]
    seen = f"{len(missing)} to be pulled" if missing else "all in the daemon"
    return [Finding("images", "ok", seen)]


def host(settings: Settings | None = None, docker_root: Path = Path("/")) -> list[Finding]:
    """This machine's kernel, disk and memory, where they can be read."""
    findings = []
    for name, good in _INOTIFY.items():
        file = Path("/proc/sys/fs/inotify") / name
        if file.is_file():
            value = int(file.read_text())
            findings.append(
                Finding(f"inotify {name}", "ok", str(value))
                if value >= good
                else Finding(
                    f"inotify {name}",
                    "warning",
                    str(value),
                    'with several nodes or stacks kubelets fail with "too many open files"',
                    f"sudo sysctl -w fs.inotify.{name}={good}",
                )
            )
    findings.append(disk(docker_root))
    if settings:
        findings += memory(settings)
    return findings


def disk(folder: Path) -> Finding:
    here = folder if folder.exists() else Path.cwd()
    usage = shutil.disk_usage(here)
    seen = f"{usage.free / _GIB:.1f} GiB ({usage.free / usage.total:.0%}) free at {here}"
    if usage.free >= _DISK_GOOD and usage.free / usage.total >= 2 * _DISK_SHARE:
        return Finding("disk", "ok", seen)
    short = usage.free < _DISK_LEAST or usage.free / usage.total < _DISK_SHARE
    return Finding(
        "disk",
        "failure" if short else "warning",
        seen,
        f"below {_DISK_SHARE:.0%} the kubelet evicts pods; images need 2 GiB",
        "`docker system df` shows what takes it, `docker system prune` frees it",
    )


def memory(settings: Settings) -> Iterator[Finding]:
    file = Path("/proc/meminfo")
    found = re.search(r"MemAvailable:\s+(\d+) kB", file.read_text()) if file.is_file() else None
    if not found:
        return
    free = int(found[1]) // 1024
    nodes = (settings.servers + settings.agents) * _NODE_MIB
    need = settings.jaeger_memory_mib + settings.collector_memory_mib + nodes
    seen = f"{free} MiB available; this stack may take {need} MiB"
    if free >= need:
        yield Finding("memory", "ok", seen)
        return
    yield Finding(
        "memory",
        "warning",
        seen,
        "nodes or Jaeger are killed when it runs out",
        "`pulumi config set jaegerMemoryMiB 512` and fewer jaegerMaxTraces, or fewer agents",
    )
