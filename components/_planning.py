"""What an environment will be, decided from its Args and a look at the machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import pulumi
from pulumi.runtime.settings import get_monitor

from runtime_observability.core import memory_limits, own_destinations
from runtime_observability.core.naming import Names
from runtime_observability.core.plan import Plan, make_plan
from runtime_observability.core.problem import UNTOUCHED, ProblemsError
from runtime_observability.core.settings.model import Settings
from runtime_observability.core.settings.parse import parse
from runtime_observability.core.settings.store_rules import CREDENTIAL
from runtime_observability.core.wanted import Wanted
from runtime_observability.host import (
    certificates,
    daemon,
    node_image,
    passphrase,
    preflight,
)

from . import stack_config
from .environment_args import TracedEnvironmentArgs

_SHORTEST_SECRET = 3
"""Characters; hiding a shorter text would only spoil the words around it."""

_claims: WeakKeyDictionary[Any, list[tuple[Names, set[str]]]] = WeakKeyDictionary()
"""The environments of a run with their ports, by the engine's monitor: each run has another one."""


def plan(args: TracedEnvironmentArgs) -> Plan:
    """Looks at the machine, decides, and logs what the user should know.

    Raises RunError, with every problem, where the run must not go on.
    """
    _refuse_outputs(args)
    names = Names(
        args.stack or pulumi.get_stack(),
        Path(args.folder or "").absolute(),
        Path(args.state_folder).absolute() if args.state_folder else None,
        "/".join(
            (
                pulumi.get_organization() or "organization",  # as Pulumi calls it without its cloud
                pulumi.get_project(),
                pulumi.get_stack(),
            )
        ),
    )
    try:
        settings = certificates.with_texts(parse(args.values(), args.secret_keys), names.folder)
        published = [
            problem
            for key in ("exporters", CREDENTIAL)
            if key in args.secret_keys
            and (problem := passphrase.problem_of(key, pulumi.get_stack(), names.folder))
        ]
        if unfit := [
            *published,
            *certificates.refuse_invalid_today(settings),
            *daemon.refuse_a_secret_address(stack_config.secret_of_docker()),
        ]:
            raise ProblemsError(UNTOUCHED, unfit)
        chosen = daemon.choose(stack_config.of_docker())
        daemon.use(chosen)
        observed = preflight.observe(
            names, Wanted.of(settings, names), preview=pulumi.runtime.is_dry_run()
        )
        problems = [
            *chosen.problems,
            *observed.problems,
            *memory_limits.refuse(settings, observed),
            *own_destinations.refuse(settings, names, observed),
        ]
        if problems:
            raise ProblemsError(UNTOUCHED, dict.fromkeys(problems))
        upstream = node_image.node_image(settings, observed.architecture)
    except ProblemsError as error:
        raise pulumi.RunError(_without_secrets(str(error), args)) from None
    _claim(names, settings)
    made = make_plan(settings, names, observed, upstream)
    for warning in (*made.warnings, *certificates.warnings(settings)):
        pulumi.log.warn(_without_secrets(warning, args))
    for line in made.tracing:
        pulumi.log.info(_without_secrets(line, args))
    return made


def _without_secrets(line: str, args: TracedEnvironmentArgs) -> str:
    """``line`` without the texts that are secret in the configuration."""
    values = args.values()
    secrets = {
        text for key in args.secret_keys for text in _texts(_secret_part(key, values.get(key)))
    }
    for secret in sorted(secrets, key=len, reverse=True):
        line = line.replace(secret, "[secret]")
    return line


def _secret_part(key: str, value: Any) -> Any:
    """Of an exporter its headers and its key: the rest has words that any line may have."""
    if key != "exporters" or not isinstance(value, list):
        return value
    entries = [entry for entry in value if isinstance(entry, Mapping)]
    tls = [entry.get("tls") for entry in entries]
    keys = [part.get("clientKey") for part in tls if isinstance(part, Mapping)]
    return [*(entry.get("headers") for entry in entries), *filter(None, keys)]


def _texts(value: Any) -> Iterator[str]:
    """Every text in ``value`` that is long enough to be worth hiding."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif len(str(value)) > _SHORTEST_SECRET:
        yield str(value)


def _refuse_outputs(args: TracedEnvironmentArgs) -> None:
    """An Output is not known when the resources are chosen, nor in every preview."""
    for field in fields(args):
        if _holds_an_output(getattr(args, field.name)):
            raise pulumi.RunError(
                f"{field.name} is an Output, or has one inside, and TracedEnvironmentArgs takes "
                "plain values alone: they decide which resources there are"
            )


def _holds_an_output(value: Any) -> bool:
    """Whether ``value`` is an Output, or has one anywhere inside."""
    if is_dataclass(value):
        value = [getattr(value, field.name) for field in fields(value)]
    elif isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return any(map(_holds_an_output, value))
    return isinstance(value, pulumi.Output)


def _claim(names: Names, settings: Settings) -> None:
    """Refuses what another environment of this program has: nothing of it is in Docker yet.

    Two of one owner would take each other's containers for orphans.
    """
    others = _claims.setdefault(get_monitor(), [])
    own = {
        f"{port}{protocol}": key
        for protocol, ports in (("", settings.host_ports), ("/udp", settings.host_udp_ports))
        for key, port in ports.items()
    }
    for other, ports in others:
        if names.owner == other.owner:
            raise pulumi.RunError(
                f"this program makes two environments of the name {names.stack} in {names.folder}. "
                "Give each a name of its own: TracedEnvironmentArgs(stack=…, port_offset=…)"
            )
        taken = [f"{key} {port}" for port, key in own.items() if port in ports]
        if taken:
            raise pulumi.RunError(
                f"environment {names.stack} has ports of environment {other.stack} of this "
                f"program: {', '.join(taken)}. Give it others: "
                "TracedEnvironmentArgs(port_offset=…) moves all but published_ports"
            )
    others.append((names, set(own)))
