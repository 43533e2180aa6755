"""Which cluster and which Jaeger a command asks: a stack's, or those named on the command line."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer
import yaml

from ktrace.errors import UsageError
from runtime_observability.host import runner

PROJECT_NAME = "runtime-observability"
_STACK_SECONDS = 30

StackOption = Annotated[
    str | None,
    typer.Option("--stack", metavar="NAME", help="Pulumi stack to ask. Default: the selected one."),
]
JaegerOption = Annotated[
    str | None,
    typer.Option(
        "--jaeger", metavar="URL", help="Jaeger to ask in place of a stack's.", show_default=False
    ),
]
KubeconfigOption = Annotated[
    Path | None,
    typer.Option(
        "--kubeconfig",
        metavar="PATH",
        help="Cluster to ask in place of a stack's; with --jaeger, or with --stack.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
TimeoutOption = Annotated[
    float,
    typer.Option(
        "--timeout", metavar="SECONDS", min=0, help="How long to wait for spans on their way."
    ),
]


@dataclass(frozen=True)
class Target:
    """``outputs`` are the stack's, empty for a cluster that this project did not make."""

    jaeger_url: str | None
    kubeconfig: Path | None
    outputs: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def jaeger(self) -> str:
        if self.jaeger_url is None:
            raise UsageError("no Jaeger is known: name it with --jaeger URL, or a stack by --stack")
        return self.jaeger_url

    @property
    def cluster(self) -> Path:
        if self.kubeconfig is None:
            raise UsageError(
                "no cluster is known: name its kubeconfig with --kubeconfig PATH, or a stack by "
                "--stack"
            )
        if not self.kubeconfig.is_file():
            raise UsageError(f"there is no kubeconfig {self.kubeconfig}: is the stack up?")
        refuse_a_broken_kubeconfig(self.kubeconfig)
        return self.kubeconfig


def refuse_a_broken_kubeconfig(file: Path) -> None:
    """A current context, its cluster and its user: what every use of it needs."""
    try:
        document = yaml.safe_load(file.read_text())
        (context,) = (
            each["context"]
            for each in document["contexts"]
            if each["name"] == document["current-context"]
        )
        clusters = [each["name"] for each in document["clusters"]]
        known = context["cluster"] in clusters
    except (OSError, ValueError, LookupError, TypeError, yaml.YAMLError):
        known = False
    if not known:
        raise UsageError(f"{file} is no kubeconfig with a current context and its cluster")


def refuse_what_is_no_url(jaeger: str) -> None:
    try:
        url = urlsplit(jaeger)
        good = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:  # of a port that is none
        good = False
    if not good:
        raise UsageError(f"--jaeger {jaeger!r} is not http://HOST:PORT, where Jaeger's page is")


def choose(stack: str | None, jaeger: str | None, kubeconfig: Path | None) -> Target:
    """What the options name; the stack is asked only for what they leave open.

    Pulumi is not needed where one of --jaeger and --kubeconfig is given and --stack is not.
    """
    if jaeger is not None:
        refuse_what_is_no_url(jaeger)
    if stack is None and (jaeger or kubeconfig):
        return Target(jaeger, kubeconfig)
    outputs = stack_outputs(stack)
    return Target(
        jaeger or outputs["jaegerUrl"],
        kubeconfig or Path(outputs["kubeconfig"]),
        outputs,
    )


def project_folder() -> Path:
    """The project around the current folder, else the one that this file is part of."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        file = folder / "Pulumi.yaml"
        if file.is_file() and yaml.safe_load(file.read_text()).get("name") == PROJECT_NAME:
            return folder
    return Path(__file__).resolve().parents[2]


def selected_stack() -> str | None:
    """The stack that ``pulumi stack select`` chose last, or None."""
    shown = _pulumi("stack", "--show-name")
    return shown.stdout.strip() or None if shown.code == 0 else None


def stack_outputs(stack: str | None) -> dict[str, Any]:
    """The exports of ``stack`` (None: the selected one); UsageError when it is not up."""
    chosen = ["--stack", stack] if stack else []
    shown = _pulumi("stack", "output", "--json", *chosen)
    named = f"stack {stack}" if stack else "the selected stack"
    if shown.code:
        said = shown.stderr.strip().splitlines()
        why = said[0].removeprefix("error: ") if said else "pulumi says nothing"
        raise UsageError(
            f"{named} cannot be read ({why}): choose one with --stack NAME, or name --jaeger URL "
            "and --kubeconfig PATH"
        )
    outputs: dict[str, Any] = json.loads(shown.stdout or "{}")
    missing = {"jaegerUrl", "kubeconfig"} - outputs.keys()
    if missing:
        raise UsageError(f"{named} is not up, as it exports no {min(missing)}: run `make up`")
    return outputs


def _pulumi(*arguments: str) -> runner.Result:
    folder = str(project_folder())
    try:
        return runner.run(
            ["pulumi", "--cwd", folder, "--non-interactive", "--color", "never", *arguments],
            timeout=_STACK_SECONDS,
        )
    except runner.CommandError as error:
        raise UsageError(
            f"the stack cannot be read: {error}. "
            '`eval "$(make -s env)"` puts the tools on PATH; --jaeger URL does without a stack'
        ) from None
