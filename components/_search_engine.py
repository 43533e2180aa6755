"""The stack's part of an OpenSearch or Elasticsearch that exists: checked, and taken back."""

from __future__ import annotations

import json

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
    gone.
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
        stdin=pulumi.Output.secret(on_stdin(args.user, args.password, args.certificates)),
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[network]),
    )

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
        return json.dumps(
            {
                "jaeger": args.jaeger,
                "replicas": args.replicas,
                "days": args.days,
                "shards": args.shards,
                "prefix": args.prefix,
                "cluster": cluster,
            }
        )

    requested: pulumi.Output[str] = network.name.apply(request)
    return _commands.python(
        f"{name}-{args.store}-check",
        _MODULE,
        stdin=pulumi.Output.secret(requested),
        environment={"JAEGER": args.of_container, "NETWORK": network.id, "MADE": made},
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[guard]),
    )


def replicas(check: local.Command) -> pulumi.Output[str]:
    """As the cluster told when it was last checked."""
    return _commands.printed(check).apply(lambda told: str(told["replicas"]))


def on_stdin(user: str, password: str, certificates: str) -> str:
    """Of remove_indices.sh: curl's options, and after a line with -- the archive of the
    certificates: more than a variable may hold."""
    options = search_engine.options(user, password, own_ca=bool(certificates))
    archive = _printf(archive_of(certificates)) if certificates else ""
    return f"{options}--\n{archive}"


def _printf(content: bytes) -> str:
    """``content`` for %b of sh's printf: a variable has no null character."""
    return "".join(f"\\0{byte:03o}" for byte in content)
