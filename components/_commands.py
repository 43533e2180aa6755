"""How components use Command resources: guards that only delete, and Python that only makes."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pulumi
from pulumi_command import local

import runtime_observability
from runtime_observability.core.observation import GENERATION_LATER
from runtime_observability.host import runner

LIBRARY_FOLDER = Path(runtime_observability.__file__).resolve().parents[1]
"""Where ``python -m`` finds the library, installed or not."""


def _environment(values: Mapping[str, pulumi.Input[str]]) -> dict[str, pulumi.Input[str]]:
    """``values`` and the Docker daemon in use: a delete in another shell uses it too."""
    return {**values, **runner.variables}


def generation(observed: int) -> pulumi.Output[int]:
    """That of the run, as an input: one of the up alone is not known in its preview, so that the up
    may have any (`up --plan`)."""
    later = observed == GENERATION_LATER
    return pulumi.Output.from_input(cast(int, pulumi.UNKNOWN) if later else observed)


def generation_variable(observed: int) -> dict[str, pulumi.Input[str]]:
    """The same as an environment variable, which the scripts and modules read."""
    return {"GENERATION": generation(observed).apply(str)}


def interpreter() -> str:
    """This Python, by the same path however it was started.

    A virtual environment has several names for its Python, and a folder can be reached by several
    paths; a Command would run again for another one. It is not ignored as a change: the path in the
    state of a virtual environment that was moved leads nowhere.
    """
    if sys.prefix == sys.base_prefix:
        return sys.executable
    home = Path(sys.prefix)
    python = home.parent.resolve() / home.name / "bin" / "python"
    return str(python) if python.exists() else sys.executable


def keep_stdin_secret(
    args: pulumi.ResourceTransformationArgs,
) -> pulumi.ResourceTransformationResult | None:
    """Marks what every Command below a resource reads: values of the configuration are in it.

    A Command then keeps its stdin encrypted in the state, and no plan shows it.
    """
    stdin = args.props.get("stdin")
    if args.type_ != "command:local:Command" or stdin is None:
        return None
    props = {**args.props, "stdin": pulumi.Output.secret(stdin)}
    return pulumi.ResourceTransformationResult(props, args.opts)


def printed(command: local.Command) -> pulumi.Output[dict[str, Any]]:
    """The document that ``command`` printed: no part of its stdin, so never a secret.

    Outputs of a Command with a secret stdin have its mark.
    """
    return pulumi.Output.unsecret(command.stdout).apply(json.loads)


def in_turn(scripts: Sequence[str]) -> str:
    """One shell text of ``scripts``, each run after the one before it has succeeded."""
    return f"set -e\n{runner.script(runner.FUNCTIONS)}" + "".join(
        f"(\n{runner.script(name)})\n" for name in scripts
    )


def guard(
    name: str,
    scripts: Sequence[str],
    environment: Mapping[str, pulumi.Input[str]],
    *,
    create: Sequence[str] = (),
    stdin: pulumi.Input[str] | None = None,
    triggers: Sequence[Any] = (),
    opts: pulumi.ResourceOptions,
) -> local.Command:
    """A Command whose delete runs ``scripts``, and that makes nothing that could fail halfway: at
    most a file, by the scripts ``create``.

    It is in the state before anything that depends on it exists, so an interrupted create, a
    replacement and a destroy all end in the same delete.

    The scripts are in its environment, because an error quotes the command before its reason.
    """
    texts = {"DELETE": in_turn(scripts), **({"CREATE": in_turn(create)} if create else {})}
    unset = {name: value for text in texts.values() for name, value in runner.unset(text).items()}
    return local.Command(
        name,
        create=_run("CREATE") if create else "true",
        delete=_run("DELETE"),
        stdin=stdin,
        environment=_environment({**unset, **environment, **texts}),
        triggers=list(triggers),
        logging=local.Logging.STDERR,
        add_previous_output_in_env=False,
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(delete_before_replace=True)),
    )


def _run(variable: str) -> str:
    """The command that runs the shell text in ``variable``."""
    return f'eval "${variable}"'


def python(
    name: str,
    module: str,
    *,
    stdin: pulumi.Input[str],
    environment: Mapping[str, pulumi.Input[str]] | None = None,
    triggers: Sequence[Any] = (),
    unless: str = "",
    opts: pulumi.ResourceOptions,
) -> local.Command:
    """A Command that runs ``python -m module`` at create and at update; it has no delete.

    ``unless`` is a shell command: where it succeeds the module is not even started.

    The module reads one JSON document on stdin, tells its progress on stderr (shown by Pulumi as
    it comes) and prints one JSON document on stdout.
    """
    values = {"PYTHON": interpreter(), **({"UNLESS": unless} if unless else {})}
    return local.Command(
        name,
        create=(f"if {_run('UNLESS')}; then exit 0; fi; " if unless else "")
        + f'exec "$PYTHON" -m {module}',
        stdin=stdin,
        dir=str(LIBRARY_FOLDER),
        environment=_environment({**values, **(environment or {})}),
        triggers=list(triggers),
        logging=local.Logging.STDERR,
        add_previous_output_in_env=False,
        opts=pulumi.ResourceOptions.merge(pulumi.ResourceOptions(delete_before_replace=True), opts),
    )
