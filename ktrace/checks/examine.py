"""Everything that ``ktrace doctor`` checks: preflight's checks and more. Read-only."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

from ktrace.checks import daemon, machine, releases, tools
from ktrace.checks.finding import UP_STOPS, Finding, problems
from runtime_observability.core import naming
from runtime_observability.core.naming import Names
from runtime_observability.core.settings import Settings
from runtime_observability.host import docker, engines, ownership, preflight, runner


def examine(names: Names, settings: Settings) -> list[Finding]:
    """Every finding, in the order in which to cure them."""
    findings = [
        tools.pulumi(),
        tools.kubectl(),
        *problems("k3d", preflight.check_k3d(), "on PATH, new enough"),
        *problems(
            "project folder",
            naming.refuse_a_folder_the_nodes_cannot_mount(names.folder),
            str(names.folder),
        ),
        releases.kubernetes(settings.k3s_version, date.today()),
    ]
    try:
        output = runner.run(docker.INFO).checked()
        engine, info = docker.Daemon.read(output), json.loads(output)
        unfit = engines.refuse_others(engine, names.folder, Path.home(), docker.program())
        containers, networks = docker.containers(), docker.networks()
        hosts = preflight.check_host()
    except runner.CommandError as error:
        cure = "start Docker, or name its socket in DOCKER_HOST; `make up` can start its own"
        unreachable = Finding("docker", "failure", str(error), UP_STOPS, cure)
        return [*findings, unreachable, *machine.inotify(), machine.disk(Path("/"))]
    host_ports = settings.host_ports
    return [
        *findings,
        daemon.release(engine.version),
        *problems("engine", unfit, "Docker's own"),
        *problems("one daemon", hosts, docker.provider_host()),
        daemon.rootless(engine),
        daemon.cgroup(info, settings.k3s_version),
        daemon.address_pools(
            info, len(networks), any(network.name == names.network for network in networks)
        ),
        *problems(
            "names", ownership.refuse_objects_of_others(names, containers, networks), names.base
        ),
        *problems(
            "ports",
            preflight.refuse_taken_ports(names, host_ports, containers, settings.port_offset),
            ", ".join(map(str, sorted(host_ports.values()))),
        ),
        daemon.images(settings),
        *machine.inotify(),
        machine.disk(Path(info.get("DockerRootDir", "/"))),
        *machine.memory(settings),
    ]
