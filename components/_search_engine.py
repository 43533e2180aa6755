"""The stack's part of an OpenSearch or Elasticsearch: checked, aged, and taken back."""

from __future__ import annotations

import json
from typing import Any

import pulumi
from pulumi_command import local

from runtime_observability.core import search_engine
from runtime_observability.core.args import SearchEngineArgs
from runtime_observability.host.search_engine import archive_of

from . import _commands
from .network import StackNetwork

_MODULE = "runtime_observability.host.search_engine"


def before(
    name: str,
    args: SearchEngineArgs,
    network: StackNetwork,
    parent: pulumi.Resource,
    made: pulumi.Input[str],
) -> local.Command:
    """The check of a cluster that exists, which precedes every Jaeger: where it fails, the old one
    stays. ``made`` is the value of Jaeger's MADE_LABEL.

    Beside it: the guard, whose delete removes the stack's indices and templates after Jaeger has
    gone, and ``expire``.
    """
    guard = _commands.guard(
        f"{name}-{args.store}",
        ["remove_indices.sh"],
        {
            "STACK": args.stack,
            "STORE": args.store,
            "URLS": " ".join(args.urls),
            "PREFIX": args.prefix,
            "IMAGE": args.image,
            "OWNER": args.owner,
            "KEEP": "true" if args.keep else "",
            "NETWORK": network.name,
        },
        stdin=pulumi.Output.secret(_on_stdin(args)),
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[network]),
    )
    check = _command(
        f"{name}-{args.store}-check",
        args,
        network,
        {
            "task": "check",
            "jaeger": args.jaeger,
            "replicas": args.replicas,
            "days": args.days,
            "shards": args.shards,
        },
        environment={"JAEGER": args.of_container, "NETWORK": network.id, "MADE": made},
        after=guard,
        parent=parent,
    )
    expire(name, args, network, check, parent)
    return check


def expire(
    name: str,
    args: SearchEngineArgs,
    network: StackNetwork,
    after: pulumi.Resource,
    parent: pulumi.Resource,
) -> None:
    """Deletes what is older than the retention, at the first up of a day."""
    _command(
        f"{name}-{args.store}-expire",
        args,
        network,
        {"task": "expire", "days": args.days, "today": args.today},
        environment={},
        after=after,
        parent=parent,
    )


def replicas(check: local.Command) -> pulumi.Output[str]:
    """As the cluster told when it was last checked."""
    return _commands.printed(check).apply(lambda told: str(told["replicas"]))


def _command(
    name: str,
    args: SearchEngineArgs,
    network: StackNetwork,
    task: dict[str, Any],
    *,
    environment: dict[str, pulumi.Input[str]],
    after: pulumi.Resource,
    parent: pulumi.Resource,
) -> local.Command:
    def request(network_name: str) -> str:
        cluster = {
            "store": args.store,
            "urls": list(args.urls),
            "user": args.user,
            "password": args.password,
            "certificates": args.certificates,
            "network": network_name,
            "image": args.image,
            "owner": args.owner,
        }
        return json.dumps({**task, "prefix": args.prefix, "cluster": cluster})

    requested: pulumi.Output[str] = network.name.apply(request)
    return _commands.python(
        name,
        _MODULE,
        stdin=pulumi.Output.secret(requested),
        environment=environment,
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[after]),
    )


def _on_stdin(args: SearchEngineArgs) -> str:
    """curl's options, and after a line with -- the archive of the certificates: more than a
    variable may hold."""
    options = search_engine.options(args.user, args.password, own_ca=bool(args.certificates))
    archive = _printf(archive_of(args.certificates)) if args.certificates else ""
    return f"{options}--\n{archive}"


def _printf(content: bytes) -> str:
    """``content`` for %b of sh's printf: a variable has no null character."""
    return "".join(f"\\0{byte:03o}" for byte in content)
