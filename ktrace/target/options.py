"""The command-line options that several commands share."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from ktrace import completion
from ktrace.errors import UsageError

StackOption = Annotated[
    str | None,
    typer.Option(
        "--stack",
        metavar="NAME",
        autocompletion=completion.stacks,
        help="Pulumi stack. Default: the selected one.",
    ),
]
TracesOption = Annotated[
    str | None,
    typer.Option(
        "--stack",
        metavar="NAME",
        autocompletion=completion.stacks,
        help="Pulumi stack; with --jaeger, whose traces are read of those that Jaeger has. "
        "ORGANIZATION/PROJECT/STACK[@OWNER] for one that Pulumi does not know here.",
    ),
]
JaegerOption = Annotated[
    str | None,
    typer.Option(
        "--jaeger",
        metavar="URL",
        help="Jaeger to query instead of the stack's.",
        show_default=False,
    ),
]
KubeconfigOption = Annotated[
    Path | None,
    typer.Option(
        "--kubeconfig",
        metavar="PATH",
        help="Cluster to query instead of the stack's; needs --jaeger or a stack.",
    ),
]
SaveOption = Annotated[
    Path | None,
    typer.Option(
        "--save", metavar="FILE", help="Write a bundle: what was asked, read and answered."
    ),
]
FromOption = Annotated[
    Path | None,
    typer.Option(
        "--from", metavar="FILE", help="Answer from a bundle, without cluster, Jaeger and Pulumi."
    ),
]
ValuesOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Value for ${NAME} in the file; repeatable."),
]
NamespaceOption = Annotated[
    str,
    typer.Option(
        "--namespace",
        "-n",
        metavar="NS",
        autocompletion=completion.namespaces,
        help="The object's namespace.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]


def values_of(given: Iterable[str]) -> dict[str, str]:
    """What --set gives: UsageError for what is not NAME=VALUE."""
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"--set {text!r} is not NAME=VALUE")
        found[name] = value
    return found


def finite(seconds: float) -> float:
    """Refuses nan and inf, with which no wait would ever end."""
    if not math.isfinite(seconds):
        raise typer.BadParameter(f"{seconds} is not a number of seconds")
    return seconds


TimeoutOption = Annotated[
    float,
    typer.Option(
        "--timeout",
        metavar="SECONDS",
        min=0,
        callback=finite,
        help="How long to wait for spans to arrive.",
    ),
]
