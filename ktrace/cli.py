"""The ``ktrace`` command: its subcommands, and one line and one exit code for each failure."""

from __future__ import annotations

import ast
import importlib
import io
import itertools
import json
import os
import pkgutil
import sys
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from ktrace import document
from ktrace.errors import FINDING, USAGE
from ktrace.failures import FAILURES, code_of, line_of
from ktrace.text import clean

_DISTRIBUTION = "runtime-observability"
_UsageError: Any = typer.BadParameter.__bases__[0]
"""What typer raises for options and arguments that it does not understand."""
_PLAIN: dict[str, Any] = {
    "add_completion": False,
    "pretty_exceptions_enable": False,
    "rich_markup_mode": None,
}


@dataclass(frozen=True)
class _Entry:
    """Where a command is. It is imported when it runs, completes or shows its help, no sooner."""

    module: str
    function: str
    settings: dict[str, Any] = field(default_factory=dict)
    owns_stdout: bool = True
    """Whether stdout is the command's, and not that of a program that it runs."""

    def load(self, name: str) -> TyperCommand:
        app = typer.Typer(**_PLAIN)
        function = getattr(importlib.import_module(self.module), self.function)
        app.command(name, cls=_Command, **self.settings)(function)
        command = typer.main.get_command(app)
        assert isinstance(command, TyperCommand)  # noqa: S101  one function is one command
        return command

    def summary(self) -> str:
        """The first line of the function's docstring, read without an import."""
        package, _, module = self.module.rpartition(".")
        source = pkgutil.get_data(package, f"{module}.py") or b""
        functions = (
            node
            for node in ast.parse(source).body
            if isinstance(node, ast.FunctionDef) and node.name == self.function
        )
        return (ast.get_docstring(next(functions)) or "").partition("\n")[0]


_ENTRIES = {
    "doctor": _Entry("ktrace.commands.doctor", "doctor"),
    "verify": _Entry("ktrace.commands.verify", "verify"),
    # Options after the command's first word are the command's, with or without -- before it.
    "run": _Entry(
        "ktrace.commands.run",
        "run",
        {"context_settings": {"allow_interspersed_args": False}},
        owns_stdout=False,
    ),
    "show": _Entry("ktrace.commands.show", "show"),
    "assert": _Entry("ktrace.commands.assert_", "assert_"),
    "render": _Entry("ktrace.commands.render", "render"),
    "open": _Entry("ktrace.commands.open", "open_"),
}


class _Command(TyperCommand):
    """A command whose failures are one line, with the exit code that its help documents."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if ctx.resilient_parsing:  # for completion, which reads no values
            for parameter in self.get_params(ctx):
                # typer imports pydantic, which takes 0.1 s, to convert them.
                vars(parameter)["process_value"] = lambda _, value: value
        return super().parse_args(ctx, args)

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise  # whoever read what this prints has left
        except FAILURES as error:
            _end(
                line_of(error),
                code_of(error),
                in_json=bool(ctx.params.get("as_json")),
                owns_stdout=_ENTRIES[str(self.name)].owns_stdout,
            )


class _Unloaded(TyperCommand):
    """A command in the list of commands, which is imported when its context is needed."""

    def get_short_help_str(self, limit: int = 45) -> str:
        return _ENTRIES[str(self.name)].summary()

    def make_context(self, info_name: str | None, args: list[str], *rest: Any, **more: Any) -> Any:
        name = str(self.name)
        return _ENTRIES[name].load(name).make_context(info_name, args, *rest, **more)


class _Commands(TyperGroup):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = {name: _Unloaded(name) for name in _ENTRIES}

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        for parameter in self.get_params(ctx):
            # typer imports pydantic, which takes 0.1 s, to find out what None is as a flag.
            parameter.default = parameter.default or False
        return super().parse_args(ctx, args)


app = typer.Typer(name="ktrace", cls=_Commands, **(_PLAIN | {"add_completion": True}))


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib import metadata  # noqa: PLC0415  the other commands do not wait for it

        print(f"ktrace {metadata.version(_DISTRIBUTION)}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Shows what happened in a traced cluster: a stack's, or any whose Jaeger --jaeger names."""
    if context.invoked_subcommand is None:
        print(context.get_help(), file=sys.stderr)
        raise typer.Exit(USAGE)


def main() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # where output is ASCII, a bar is ?
    try:
        code = app(standalone_mode=False, prog_name="ktrace")
        sys.stdout.flush()
    except _UsageError as error:
        own = itertools.takewhile(lambda argument: argument != "--", sys.argv)
        entry = _ENTRIES.get(error.ctx.info_name) if error.ctx else None
        _end(
            _usage(error),
            USAGE,
            in_json="--json" in own,
            owns_stdout=entry is None or entry.owns_stdout,
        )
    except OSError as error:
        _abandon_output()
        if isinstance(error, BrokenPipeError):
            sys.exit(FINDING)  # as typer ends where a command's own output is cut off
        file = f"{error.filename}: " if error.filename else ""
        _end(f"{file}{error.strerror or error}", USAGE)
    sys.exit(code)


def _abandon_output() -> None:
    """What cannot be written now must not fail once more when the interpreter ends."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _usage(error: Any) -> str:
    path = error.ctx.command_path if error.ctx else "ktrace"
    message = error.format_message()
    end = "" if message.endswith((".", "?")) else "."
    return f"{message}{end} `{path} --help` shows what there is"


def _end(message: str, code: int, *, in_json: bool = False, owns_stdout: bool = True) -> None:
    line = clean(message)
    if in_json:
        stream = sys.stdout if owns_stdout else sys.stderr
        print(json.dumps(document.of_error(line, code), indent=2), file=stream)
    if owns_stdout or not in_json:
        print(f"ktrace: {line}", file=sys.stderr)
    sys.exit(code)
