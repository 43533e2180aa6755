"""The ``ktrace`` command: its subcommands, and one line and one exit code for each failure."""

from __future__ import annotations

import sys

import typer

from ktrace.commands.assert_ import assert_
from ktrace.commands.doctor import doctor
from ktrace.commands.open import open_
from ktrace.commands.render import render
from ktrace.commands.run import run
from ktrace.commands.show import show
from ktrace.commands.verify import verify
from ktrace.errors import UNREACHABLE, USAGE, KtraceError
from ktrace.jaeger import JaegerError
from runtime_observability.host.kubeapi import KubeconfigError
from runtime_observability.host.runner import CommandError

app = typer.Typer(
    name="ktrace",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(doctor)
app.command()(verify)
# Options after the command's first word are the command's, with or without -- before it.
app.command(context_settings={"allow_interspersed_args": False})(run)
app.command()(show)
app.command("assert")(assert_)
app.command()(render)
app.command("open")(open_)


@app.callback()
def _root() -> None:
    """Shows what happened in a traced cluster: a stack's, or any whose Jaeger --jaeger names."""


def main() -> None:
    try:
        app()
    except KtraceError as error:
        _end(str(error), error.code)
    except KubeconfigError as error:
        _end(str(error), USAGE)
    except (JaegerError, CommandError) as error:
        _end(str(error), UNREACHABLE)


def _end(message: str, code: int) -> None:
    print(f"ktrace: {message}", file=sys.stderr)
    sys.exit(code)
