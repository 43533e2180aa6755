"""The mutants of a source file: one small change each, as text.

The operators are mutmut's, and three of this project: a call whose result is not used is dropped, a
context manager is not entered, and the condition of an ``if`` is negated. mutmut's own run cannot
be used: it leaves out constants, class bodies and decorated functions, which is where this project
has its tables, models and commands. Of a shell script, each line is dropped.
"""

from __future__ import annotations

import ast
import hashlib
import re
import shutil
import subprocess
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath

import libcst as cst
import libcst.matchers as m
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators

_PROSE = re.compile(r"^[^{\\]* [^{\\]* [^{\\]*$")
"""Three words: a message or a source. Its wording is not behaviour, which tests would notice."""
_INDENT = " " * 4


@dataclass(frozen=True)
class Mutant:
    """``text`` is the changed file. Without it and ``line``, a mutant is the same in a later file.

    ``before`` and ``after`` are the lines that differ, without their common indentation;
    ``number`` tells mutants apart whose other values are the same.
    """

    file: str
    scope: str
    """The function or class that holds it, as in ``Class.method``; empty for the module."""
    before: str
    after: str
    number: int
    line: int
    last_line: int
    text: str

    @property
    def id(self) -> str:
        parts = (self.file, self.scope, self.before, self.after, str(self.number))
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]

    @property
    def compiles(self) -> bool:
        if self.file.endswith(".sh"):
            shell = shutil.which("sh") or "sh"
            return (
                subprocess.run(
                    [shell, "-n"], input=self.text, text=True, check=False, capture_output=True
                ).returncode
                == 0
            )
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SyntaxWarning)  # `is` with a literal
                compile(self.text, self.file, "exec")
        except (SyntaxError, ValueError):
            return False
        return True


def mutants(file: str, source: str) -> list[Mutant]:
    """All mutants of ``file``, in its order; a few of them do not compile."""
    changes = _of_shell(source) if PurePath(file).suffix == ".sh" else _of_python(source)
    found: list[Mutant] = []
    seen: Counter[tuple[str, str, str]] = Counter()
    texts = {source}
    lines = source.splitlines(keepends=True)
    for change in sorted(changes, key=lambda change: (change.start, change.end, change.new)):
        text = source[: change.start] + change.new + source[change.end :]
        if text in texts:
            continue
        texts.add(text)
        first, before, after = _difference(lines, text.splitlines(keepends=True))
        key = (change.scope, before, after)
        found.append(
            Mutant(file, change.scope, before, after, seen[key], first, change.last_line, text)
        )
        seen[key] += 1
    return found


@dataclass(frozen=True)
class _Change:
    """``new`` instead of the characters from ``start`` to ``end``."""

    start: int
    end: int
    new: str
    scope: str
    last_line: int


def _difference(before: list[str], after: list[str]) -> tuple[int, str, str]:
    """The first line that differs, from 1, and the differing lines of both."""
    head = 0
    while head < min(len(before), len(after)) and before[head] == after[head]:
        head += 1
    tail = 0
    while tail < min(len(before), len(after)) - head and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    return (
        head + 1,
        _dedented(before[head : len(before) - tail]),
        _dedented(after[head : len(after) - tail]),
    )


def _dedented(lines: list[str]) -> str:
    return "\n".join(line.strip() for line in lines)


def _of_shell(source: str) -> Iterator[_Change]:
    start = 0
    for number, line in enumerate(source.splitlines(keepends=True), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield _Change(start, start + len(line), "", "", number)
        start += len(line)


def _of_python(source: str) -> list[_Change]:
    wrapper = MetadataWrapper(cst.parse_module(source), unsafe_skip_copy=True)
    collector = _Collector(source)
    wrapper.visit(collector)
    return collector.changes


class _Collector(cst.CSTVisitor):
    """Applies every operator to every node whose change can be noticed when the program runs."""

    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self, source: str) -> None:
        super().__init__()
        self.changes: list[_Change] = []
        self._source = source
        self._module = cst.parse_module("")
        self._lines = [0]
        for line in source.splitlines(keepends=True):
            self._lines.append(self._lines[-1] + len(line))
        self._scope: list[str] = []
        self._indentation = [""]
        self._annotations: list[bool] = [False]
        """Whether the node is in an annotation; a call in one is code: ``Field(ge=1)``."""

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, cst.Import | cst.ImportFrom | cst.Decorator):
            return False
        if _is_docstring(node) or _is_all(node):
            return False
        if isinstance(node, cst.FunctionDef | cst.ClassDef):
            self._scope.append(node.name.value)
        elif isinstance(node, cst.Annotation):
            self._annotations.append(True)
        elif isinstance(node, cst.Call):
            self._annotations.append(False)
        if not self._annotations[-1]:
            self._mutate(node)
        if isinstance(node, cst.IndentedBlock | cst.Match):
            self._indentation.append(self._indentation[-1] + (node.indent or _INDENT))
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        if isinstance(original_node, cst.FunctionDef | cst.ClassDef):
            self._scope.pop()
        elif isinstance(original_node, cst.IndentedBlock | cst.Match):
            self._indentation.pop()
        elif isinstance(original_node, cst.Annotation | cst.Call):
            self._annotations.pop()

    def _mutate(self, node: cst.CSTNode) -> None:
        for kind, operator in mutation_operators:
            if isinstance(node, kind) and not _is_prose(node):
                for changed in operator(node):
                    if not _is_another_case(node, changed):
                        self._add(node, self._module.code_for_node(changed))
        if isinstance(node, cst.Expr) and isinstance(node.value, cst.Call):
            self._add(node, "pass")
        elif isinstance(node, cst.If | cst.CompIf):
            self._add(node.test, f"not ({self._module.code_for_node(node.test)})")
        elif isinstance(node, cst.With) and all(item.asname is None for item in node.items):
            self._drop_context(node)

    def _add(self, node: cst.CSTNode, new: str) -> None:
        """Adds a change unless libcst prints ``node`` in another way than the file has it."""
        start, end, last_line = self._place(node)
        indentation = "\n" + self._indentation[-1]
        printed = self._module.code_for_node(node).replace("\n", indentation)
        new = new.replace("\n", indentation)
        for part in (str, str.strip, _inside_parentheses):
            if self._source[start:end] == part(printed):
                self._append(start, end, part(new), last_line)
                return

    def _drop_context(self, node: cst.With) -> None:
        start, _, _ = self._place(node)
        body, _, last_line = self._place(node.body)
        colon = self._source.rindex(":", start, body)
        self._append(start, colon, "if True", last_line)

    def _append(self, start: int, end: int, new: str, last_line: int) -> None:
        self.changes.append(_Change(start, end, new, ".".join(self._scope), last_line))

    def _place(self, node: cst.CSTNode) -> tuple[int, int, int]:
        """Where ``node`` begins and ends in the text, and its last line."""
        place = self.get_metadata(PositionProvider, node)
        return (
            self._lines[place.start.line - 1] + place.start.column,
            self._lines[place.end.line - 1] + place.end.column,
            place.end.line,
        )


def _inside_parentheses(code: str) -> str:
    """The place of an expression is without its parentheses, which libcst prints."""
    return code[1:-1].strip() if code.startswith("(") and code.endswith(")") else code


def _is_docstring(node: cst.CSTNode) -> bool:
    return isinstance(node, cst.Expr) and isinstance(
        node.value, cst.SimpleString | cst.ConcatenatedString
    )


def _is_all(node: cst.CSTNode) -> bool:
    """``__all__``, which only an import of ``*`` reads."""
    return isinstance(node, cst.Assign) and m.matches(node.targets[0].target, m.Name("__all__"))


def _is_prose(node: cst.CSTNode) -> bool:
    return isinstance(node, cst.SimpleString) and bool(_PROSE.search(node.value))


def _is_another_case(node: cst.CSTNode, changed: cst.CSTNode) -> bool:
    """mutmut changes a text in three ways; the first of them is enough."""
    return (
        isinstance(node, cst.SimpleString)
        and isinstance(changed, cst.SimpleString)
        and node.value.lower() == changed.value.lower()
    )


def statements(source: str) -> dict[int, tuple[int, int]]:
    """The first and last line of the statement that each line belongs to.

    Of a statement with a body these are the lines before its body.
    """
    found: dict[int, tuple[int, int]] = {}
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.stmt):
            continue
        last = node.end_lineno or node.lineno
        if body := getattr(node, "body", None) or getattr(node, "cases", None):
            first_inside = body[0].pattern if isinstance(node, ast.Match) else body[0]
            last = max(node.lineno, first_inside.lineno - 1)
        for line in range(node.lineno, last + 1):
            before = found.get(line)
            if before is None or before[0] < node.lineno:
                found[line] = (node.lineno, last)
    return found
