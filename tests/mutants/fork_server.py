"""A process that has imported the large libraries, and forks once for each mutant.

``python -m tests.mutants.fork_server SCRATCH`` runs in a copy of the project. From stdin it reads
one ``Order`` after the other, each a line of JSON. Its answer is a line on stdout: "killed",
"survived" or "timeout".
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import TypedDict

import pytest

_LIBRARIES = (
    "cryptography.x509",
    "httpx",
    "hypothesis",
    "kubernetes.client",
    "kubernetes.config",
    "pulumi",
    "pulumi_command",
    "pulumi_docker",
    "pydantic",
    "rich.console",
    "rich.table",
    "trustme",
    "typer",
    "yaml",
)
"""Each takes longer to import than most tests to run. Not all that the tests import: with every
module of them, Pulumi's event loop does not end in a forked process."""
_LOOK_SECONDS = 0.02
_TESTS_FAILED = 1
_SURVIVED = 0


class Order(TypedDict):
    file: str
    text: str | None
    """What is in ``file`` while the tests run; None: what is there."""
    tests: list[str]
    """Node ids without parameters, in the order in which they run."""
    seconds: float
    """A mutant that takes longer hangs."""


class Chosen:
    """A plugin that runs the tests of an order, in its order."""

    def __init__(self, tests: list[str]) -> None:
        self._rank = {test: number for number, test in enumerate(tests)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        wanted = [item for item in items if item.nodeid.partition("[")[0] in self._rank]
        items[:] = sorted(wanted, key=lambda item: self._rank[item.nodeid.partition("[")[0]])


def serve(scratch: Path) -> None:
    for library in _LIBRARIES:
        importlib.import_module(library)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who started it
    for line in sys.stdin:
        order: Order = json.loads(line)
        file = Path(order["file"])
        original = file.read_text()
        file.write_text(original if order["text"] is None else order["text"])
        try:
            answer = _run(order, scratch)
        finally:
            file.write_text(original)
        print(answer, flush=True)


def _run(order: Order, scratch: Path) -> str:
    child = os.fork()
    if child == 0:
        _test(order["tests"], scratch)
    deadline = time.monotonic() + order["seconds"]
    status = None
    try:
        while status is None and time.monotonic() < deadline:
            ended, found = os.waitpid(child, os.WNOHANG)
            status = found if ended else None
            time.sleep(0 if ended else _LOOK_SECONDS)
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child, signal.SIGKILL)  # it, and what its tests have started
        if status is None:
            os.waitpid(child, 0)
    if status is None:
        return "timeout"
    return "survived" if os.waitstatus_to_exitcode(status) == _SURVIVED else "killed"


def _test(tests: list[str], scratch: Path) -> None:
    """Never returns: the process ends without the exits of what it has imported."""
    code = _TESTS_FAILED
    try:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        log = os.open(scratch / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        null = os.open(os.devnull, os.O_RDONLY)
        for stream, target in ((0, null), (1, log), (2, log)):
            os.dup2(target, stream)
        sys.dont_write_bytecode = True
        files = list(dict.fromkeys(test.partition("::")[0] for test in tests))
        options = ["-x", "-p", "no:cacheprovider", "--tb=line", f"--basetemp={scratch / 'tmp'}"]
        options.append("--timeout=0")  # the order's own seconds are for all of its tests
        code = int(pytest.main([*options, *files], plugins=[Chosen(tests)]))
    finally:
        os._exit(code)


if __name__ == "__main__":
    sys.path[0] = str(Path.cwd())
    serve(Path(sys.argv[1]))
