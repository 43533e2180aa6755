"""The ``ktrace`` command: its subcommands, and one line and one exit code for each failure."""

from __future__ import annotations

import importlib
import itertools
import json
import pkgutil
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from ktrace import distribution, document, interrupts, streams
from ktrace.bundle import choice
from ktrace.errors import FINDING, USAGE
from ktrace.failures import FAILURES, code_of, line_of
from ktrace.text import clean

_UsageError: Any = typer.BadParameter.__bases__[0]
"""What typer raises for options and arguments that it does not understand."""
_PYDANTIC = "Value error, "
"""Before the reason why a value is refused."""
_PLAIN: dict[str, Any] = {
    "add_completion": False,
    "pretty_exceptions_enable": False,
    "rich_markup_mode": None,
}


_EXAMPLE = re.compile(r"^( +)ktrace ", re.M)
"""Begins an example in a docstring: a terminal that folds it leaves the command whole where it is
copied, a line break of the help does not."""
_EVIDENT: dict[type, tuple[type, ...]] = {str: (str, Path), int: (int, float), float: (float,)}
"""By the type of what is given, or of a default, those that make their value of it."""


@dataclass(frozen=True)
class _Entry:
    """Where a command is. It is imported when it runs, completes or shows its help, no sooner."""

    module: str
    function: str
    settings: dict[str, Any] = field(default_factory=dict)
    owns_stdout: bool = True
    """Whether stdout is the command's, and not that of a program that it runs."""
    repeatable: bool = True
    """Whether what it does can be done again with a recording of what it read."""

    def summary(self) -> str:
        """The first line of the function's docstring, read without an import."""
        import ast  # noqa: PLC0415  for the list of commands alone

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
    "verify": _Entry("ktrace.commands.verify", "verify", repeatable=False),
    # Options after the command's first word are the command's, with or without -- before it.
    "run": _Entry(
        "ktrace.commands.run",
        "run",
        {"context_settings": {"allow_interspersed_args": False}},
        owns_stdout=False,
        repeatable=False,
    ),
    "show": _Entry("ktrace.commands.show", "show"),
    "watch": _Entry("ktrace.commands.watch", "watch", repeatable=False),
    "top": _Entry("ktrace.commands.top", "top"),
    "bench": _Entry("ktrace.commands.bench", "bench"),
    "diff": _Entry("ktrace.commands.diff", "diff"),
    "assert": _Entry("ktrace.commands.assert_", "assert_"),
    "render": _Entry("ktrace.commands.render", "render"),
    "boot": _Entry("ktrace.commands.boot", "boot", repeatable=False),
    "open": _Entry("ktrace.commands.open", "open_"),
}
COMMANDS = tuple(_ENTRIES)


class _Command(TyperCommand):
    """A command whose failures are one line, with the exit code that its help documents."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        for parameter in self.get_params(ctx):
            by_typer = parameter.process_value
            if ctx.resilient_parsing:  # for completion, which reads no values
                vars(parameter)["process_value"] = lambda _, value: value
            else:
                vars(parameter)["process_value"] = partial(_processed, parameter, by_typer)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        try:
            with choice.of(ctx, repeatable=_ENTRIES[str(self.name)].repeatable):
                return super().invoke(ctx)
        except FAILURES as error:
            if isinstance(error, OSError) and streams.is_of_stdout(error):
                raise
            code, in_json = code_of(error), bool(ctx.params.get("as_json"))
            owns_stdout = _ENTRIES[str(self.name)].owns_stdout
            _tell(line_of(error), code, in_json=in_json, owns_stdout=owns_stdout)
            raise typer.Exit(code) from None


def _processed(parameter: Any, by_typer: Callable[..., Any], ctx: Any, value: Any) -> Any:
    """``value`` as its command gets it.

    To convert it, typer imports pydantic, which takes 0.1 s: that is for what may be wrong alone.
    """
    kind = getattr(getattr(parameter, "type_descriptor", None), "annotation", None)
    if kind in _EVIDENT.get(type(value), ()):
        value = kind(value)
    elif value is not None or parameter.required or parameter.multiple or parameter.nargs != 1:
        return by_typer(ctx, value)
    return parameter.callback(ctx, parameter, value) if parameter.callback else value


def load(name: str) -> TyperCommand:
    """A command with its options and arguments; imports it."""
    entry, app = _ENTRIES[name], typer.Typer(**_PLAIN)
    function = getattr(importlib.import_module(entry.module), entry.function)
    app.command(name, cls=_Command, **entry.settings)(function)
    command = typer.main.get_command(app)
    assert isinstance(command, TyperCommand)  # noqa: S101  one function is one command
    command.help = _EXAMPLE.sub(r"\1\b\nktrace ", command.help or "")
    return command


class _Unloaded(TyperCommand):
    """A command in the list of commands, which is imported when its context is needed."""

    def get_short_help_str(self, limit: int = 45) -> str:
        return _ENTRIES[str(self.name)].summary()

    def make_context(self, info_name: str | None, args: list[str], *rest: Any, **more: Any) -> Any:
        return load(str(self.name)).make_context(info_name, args, *rest, **more)


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
        print(f"ktrace {distribution.version()}")
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
    interrupts.prepare()
    streams.prepare()
    try:
        code = _run()
        sys.stdout.flush()
    except OSError as error:  # of stdout: a command's own are told by _Command
        streams.abandon(sys.stdout)
        code = FINDING
        if not isinstance(error, BrokenPipeError):
            streams.tell(f"stdout cannot be written: {line_of(error)}. Redirect it to another file")
            code = USAGE
    sys.exit(code)


def _run() -> int:
    """The exit code of what the command line names."""
    try:
        return app(standalone_mode=False, prog_name="ktrace") or 0
    except _UsageError as error:
        own = itertools.takewhile(lambda argument: argument != "--", sys.argv)
        entry = _ENTRIES.get(error.ctx.info_name) if error.ctx else None
        in_json, owns_stdout = "--json" in own, entry is None or entry.owns_stdout
        _tell(_usage(error), USAGE, in_json=in_json, owns_stdout=owns_stdout)
        return USAGE


def _usage(error: Any) -> str:
    path = error.ctx.command_path if error.ctx else "ktrace"
    message = error.format_message().replace(_PYDANTIC, "")
    end = "" if message.endswith((".", "?")) else "."
    return clean(f"{message}{end} `{path} --help` shows what there is")


def _tell(line: str, code: int, *, in_json: bool, owns_stdout: bool) -> None:
    """Why ktrace ends with ``code``: on stderr, and under --json as a document where that goes."""
    if owns_stdout or not in_json:
        streams.tell(line)
    if in_json:
        text = json.dumps(document.of_error(line, code), indent=2)
        if owns_stdout:
            print(text)
        else:
            streams.write_error(text)
