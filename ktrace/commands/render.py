"""``ktrace render``: every file that a stack generates."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ktrace.commands import output_file
from ktrace.document import versioned
from ktrace.errors import UsageError
from ktrace.target import options
from ktrace.target.stack import is_this_project, project_folder, selected_stack
from ktrace.view import terminal

if TYPE_CHECKING:
    from runtime_observability.core.plan import Plan

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
    from ktrace.target import stack_settings
    from runtime_observability.core.naming import Names
    from runtime_observability.core.observation import Observation
    from runtime_observability.core.plan import make_plan
    from runtime_observability.core.problem import ProblemsError
    from runtime_observability.host import certificates, node_image

    folder = project_folder()
    name = stack or selected_stack()
    if name is None:
        raise UsageError("no stack is selected: name one with --stack NAME")
    if not is_this_project(folder):
        raise UsageError(
            f"{folder} holds another program, which has its settings in its code: ktrace render "
            "reads the stack files of this project alone"
        )
    settings = stack_settings.read(folder, name)
    observed = Observation(cgroup_v1=cgroup_v1)
    try:
        settings = certificates.with_texts(settings, folder)
        upstream = node_image.node_image(settings, observed.architecture)
    except ProblemsError as error:
        raise UsageError(str(error)) from None
    plan = make_plan(settings, Names(name, folder), observed, upstream)
    files = rendered(plan)
    command, environment = k3d_command(plan)
    line = " ".join([*(f"{key}={shlex.quote(v)}" for key, v in environment.items()), *command])
    if output:
        for file, text in files.items():
            path = output / file
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise output_file.failed(path, error) from None
            output_file.write(path, text)
    if as_json:
        content = {"stack": name, "files": files, "command": command, "environment": environment}
        terminal.print_json(versioned(content))
    elif output:
        print(*(str(output / file) for file in files), line, sep="\n")
    else:
        print(*(f"# {file}\n{text}" for file, text in files.items()), f"# then\n{line}", sep="\n")


def rendered(plan: Plan) -> dict[str, str]:
    """Every generated file's text by its path."""
    from runtime_observability.core import documents

    files = {f"node/{name}": text for name, text in plan.files.files.items()}
    for name, container in (
        ("collector", plan.collector.container),
        *([("jaeger", plan.jaeger.container)] if plan.jaeger else []),
        *([("opensearch", plan.open_search.container)] if plan.open_search else []),
        *([("retention", plan.retention.container)] if plan.retention else []),
    ):
        for path, text in container.uploads.items():
            is_configuration = path in container.command
            files[f"{name}.yaml" if is_configuration else f"{name}/{Path(path).name}"] = text
        files |= {f"{name}/{Path(path).name}": "[secret]\n" for path in container.secret_uploads}
        if container.environment:
            lines = (f"{variable}={value}\n" for variable, value in container.environment.items())
            files[f"{name}.env"] = "".join(lines)
    if plan.node_image.upstream:
        files["node-image.json"] = json.dumps(asdict(plan.node_image.upstream), indent=2)
    files[_K3D_FILE] = documents.dump(plan.cluster.k3d_config)
    return files


def k3d_command(plan: Plan) -> tuple[list[str], dict[str, str]]:
    """The command that makes the cluster, and its environment beyond the user's."""
    tools = plan.cluster.spec.tools_image
    environment = {"K3D_IMAGE_TOOLS": tools} if tools else {}
    return ["k3d", "cluster", "create", "--config", _K3D_FILE], environment
