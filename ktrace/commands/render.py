"""``ktrace render``: every file that a stack generates."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ktrace.errors import UsageError
from ktrace.target import options, stack_settings
from ktrace.target.stack import project_folder, selected_stack
from ktrace.view import terminal
from runtime_observability.core import documents, naming
from runtime_observability.core import plan as stack_plan
from runtime_observability.core.compatibility import JAEGER_GENERATION
from runtime_observability.core.naming import Names
from runtime_observability.core.plan import StackPlan
from runtime_observability.host.preflight import Observation

_K3D_FILE = "k3d.yaml"


def render(
    *,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="Write the files there.")
    ] = None,
    stack: options.StackOption = None,
    cgroup_v1: Annotated[
        bool, typer.Option("--cgroup-v1", help="For a machine with cgroup v1.")
    ] = False,
    as_json: options.JsonOption = False,
) -> None:
    """What would this stack generate? Every file, and k3d's command line.

    Neither Docker nor the machine is looked at, so the same settings give the same files
    everywhere: to read, to compare, or to carry to a machine by hand.

    Examples:

      ktrace render

      ktrace render --stack lab -o before/ && git diff --no-index before/ after/

    Exit codes: 0 rendered, 2 wrong usage or no stack.
    """
    folder = project_folder()
    name = stack or selected_stack()
    if name is None:
        raise UsageError("no stack is selected: name one with --stack NAME")
    settings = stack_settings.read(folder, name)
    try:
        plan = stack_plan.decide(settings, Names(name, folder), Observation(cgroup_v1=cgroup_v1))
    except ValueError as error:
        raise UsageError(str(error)) from None
    files = rendered(plan)
    command, environment = k3d_command(plan)
    line = " ".join([*(f"{key}={shlex.quote(v)}" for key, v in environment.items()), *command])
    if output:
        for file, text in files.items():
            path = output / file
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            except OSError as error:
                raise UsageError(f"{path} cannot be written: {error.strerror}") from None
    if as_json:
        terminal.print_json(
            {"stack": name, "files": files, "command": command, "environment": environment}
        )
    elif output:
        print(*(str(output / file) for file in files), line, sep="\n")
    else:
        print(*(f"# {file}\n{text}" for file, text in files.items()), f"# then\n{line}", sep="\n")


def rendered(plan: StackPlan) -> dict[str, str]:
    """The text of every generated file, by its path."""
    settings = plan.settings
    labels = plan.names.labels | {naming.SPEC_LABEL: plan.spec.digest}
    files = {f"node/{name}": text for name, text in plan.files.items()}
    files["collector.yaml"] = documents.collector(
        settings.collector_version,
        settings.collector_sampling_per_million,
        settings.collector_memory_mib,
    )
    if JAEGER_GENERATION.at(settings.jaeger_version) == "v2":
        files["jaeger.yaml"] = documents.jaeger(settings.jaeger_max_traces)
    else:
        variables = documents.jaeger_v1_environment(settings.jaeger_max_traces)
        files["jaeger.env"] = "".join(f"{name}={value}\n" for name, value in variables.items())
    if plan.node_image:
        files["node-image.json"] = json.dumps(asdict(plan.node_image), indent=2, default=str)
    files[_K3D_FILE] = documents.dump(documents.with_labels(plan.spec.config, labels))
    return files


def k3d_command(plan: StackPlan) -> tuple[list[str], dict[str, str]]:
    """The command that creates the cluster, and what it needs in its environment."""
    tools = plan.spec.tools_image
    environment = {"K3D_IMAGE_TOOLS": tools} if tools else {}
    return ["k3d", "cluster", "create", "--config", _K3D_FILE], environment
