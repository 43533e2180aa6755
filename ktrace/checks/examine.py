"""Everything that ``ktrace doctor`` checks: preflight's checks and more. Read-only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from ktrace.checks import daemon, machine, releases, tools
from ktrace.checks.finding import Finding, problems
from runtime_observability.core import naming
from runtime_observability.core.naming import Names
from runtime_observability.core.problem import Problem
from runtime_observability.core.settings.model import Settings
from runtime_observability.core.wanted import Wanted
from runtime_observability.host import daemon as daemons
from runtime_observability.host import (
    disk,
    docker,
    engines,
    own_container,
    ownership,
    preflight,
    registries,
    runner,
    store,
    taken_ports,
    volume,
)


def examine(
    names: Names, settings: Settings, configured: Mapping[str, Any] | None = None
) -> list[Finding]:
    """Every finding, in the order in which to cure them.

    ``configured`` has the keys ``docker:…`` of the stack without their namespace.
    """
    chosen = daemons.choose(configured or {})
    daemons.use(chosen)
    findings = [
        tools.pulumi(),
        tools.kubectl(),
        *problems("k3d", preflight.check_k3d(), "on PATH, new enough"),
        *problems(
            "project folder",
            [
                *naming.refuse_a_folder_the_nodes_cannot_mount(names.folder),
                *disk.refuse_unusable(names),
            ],
            str(names.folder),
        ),
        *_claim(names),
        *_volumes(names, settings),
        releases.kubernetes(settings.k3s_version, date.today()),
    ]
    try:
        engine, info = _engine()
        unfit = engines.refuse_others(engine, names.folder, Path.home(), docker.program())
        containers, networks = docker.containers(), docker.networks()
        hosts = [*chosen.problems, *own_container.refuse(names, containers)]
    except runner.CommandError as error:
        return [
            *findings,
            *problems("docker", _without_daemon(chosen, error), ""),
            *machine.inotify(),
            machine.disk(Path("/")),
        ]
    wanted = Wanted.of(settings, names)
    taken = [*wanted.host_ports.values(), *wanted.host_udp_ports.values()]
    return [
        *findings,
        daemon.release(engine.version),
        *problems("engine", unfit, "Docker's own"),
        *problems("one daemon", [*hosts, *_elsewhere(names, engine, chosen)], chosen.address),
        daemon.rootless(engine),
        daemon.cgroup(info, settings.k3s_version),
        daemon.address_pools(
            info, len(networks), any(network.name == names.network for network in networks)
        ),
        *problems(
            "names",
            [
                *ownership.refuse_objects_of_others(
                    names,
                    containers,
                    networks,
                    wanted.containers(names),
                ),
                *volume.refuse_those_of_others(names, wanted.volumes),
            ],
            names.base,
        ),
        *problems(
            "ports",
            taken_ports.refuse(names, wanted, containers),
            ", ".join(map(str, sorted(taken))),
        ),
        *_registries(settings, containers),
        daemon.images(settings),
        *machine.inotify(),
        machine.disk(Path(info.get("DockerRootDir", "/"))),
        *machine.memory(settings),
    ]


def _claim(names: Names) -> list[Finding]:
    """Whose the stack's own folder is; nothing where Pulumi does not know the stack yet."""
    if not names.pulumi_stack:
        return []
    claimed = ownership.refuse_a_claimed_folder(names)
    return problems("stack name", claimed, names.pulumi_stack)


def _volumes(names: Names, settings: Settings) -> list[Finding]:
    volumes = settings.node_volumes
    unfit = list(preflight.refuse_sources(names, volumes))
    return problems("volumes", unfit, ", ".join(volumes)) if volumes else []


def _registries(settings: Settings, containers: list[docker.Owned]) -> list[Finding]:
    use = settings.registries.use
    missing = registries.refuse_missing(use, containers)
    return problems("registries", missing, ", ".join(use)) if use else []


def _elsewhere(names: Names, engine: docker.Daemon, chosen: daemons.Choice) -> list[Problem]:
    """Why the stack cannot use this daemon: it is in another one."""
    record = store.load(names)
    return ownership.refuse_another_daemon(names, record, engine, chosen.address) if record else []


def _engine() -> tuple[docker.Daemon, dict[str, Any]]:
    """The daemon, and the JSON of `docker info`. Raises CommandError."""
    output = runner.run(docker.INFO).checked()
    try:
        return docker.Daemon.read(output), json.loads(output)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise runner.CommandError(
            f"`{' '.join(docker.INFO)}` prints what is not a Docker daemon's ({error})"
        ) from None


def _without_daemon(chosen: daemons.Choice, error: runner.CommandError) -> list[Problem]:
    """The problems when a docker command ended with ``error``; the lab may have a daemon too."""
    unusable = daemons.unusable(error)
    cure = unusable.cure
    if not daemons.is_denied(error):
        cure += "; `make up` can start its own"
    others = [problem for problem in chosen.problems if problem != unusable]
    return [*others, replace(unusable, cure=cure)]
