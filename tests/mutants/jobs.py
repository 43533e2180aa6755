"""Runs mutants in fork servers, one for each job, each in its own copy of the project."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.fork_server import Order
from tests.mutants.mutation import Mutant


@dataclass(frozen=True)
class Task:
    mutant: Mutant
    tests: list[str]
    seconds: float
    """After which it counts as killed: a change can make a loop endless."""


def environment(home: Path) -> dict[str, str]:
    """Nothing of the user's can be reached by a mutant: no daemon, no cluster, no settings."""
    kept = {"PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "VIRTUAL_ENV"}
    return {
        **{name: value for name, value in os.environ.items() if name in kept},
        "HOME": str(home),
        "TMPDIR": str(home),
        "KUBECONFIG": str(home / "no-kubeconfig"),
        "DOCKER_HOST": f"unix://{home / 'no-docker.sock'}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def run(
    tasks: Sequence[Task], copies: Sequence[Path], scratch: Path
) -> Iterator[tuple[Mutant, str]]:
    """Yields each mutant with its result, as they end. RuntimeError where no result can be had."""
    waiting: queue.SimpleQueue[Task] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[Mutant, str] | BaseException] = queue.SimpleQueue()
    for task in tasks:
        waiting.put(task)
    servers: list[subprocess.Popen[str]] = []

    def work(number: int, copy: Path) -> None:
        try:
            own = scratch / f"job-{number}"
            with _server(copy, own, servers) as ask:
                _refuse_failing_tests(ask, tasks[0], own)
                while True:
                    task = waiting.get_nowait()
                    done.put((task.mutant, _answer(ask, _order(task))))
        except queue.Empty:
            pass
        except Exception as error:
            done.put(error)

    threads = [
        threading.Thread(target=work, args=numbered, daemon=True) for numbered in enumerate(copies)
    ]
    for thread in threads:
        thread.start()
    try:
        for _ in tasks:
            result = done.get()
            if isinstance(result, BaseException):
                raise result
            yield result
    finally:
        for server in servers:
            server.terminate()
        for thread in threads:
            thread.join()


def _order(task: Task) -> Order:
    mutant = task.mutant
    return Order(file=mutant.file, text=mutant.text, tests=task.tests, seconds=task.seconds)


def _refuse_failing_tests(ask: Callable[[Order], str], task: Task, scratch: Path) -> None:
    """RuntimeError where tests fail without a mutant: every mutant would count as killed."""
    order = Order(**{**_order(task), "text": None, "seconds": 600})
    if (answer := ask(order)) != "survived":
        log = (scratch / "log").read_text(errors="replace")[-2000:]
        raise RuntimeError(
            f"tests of {task.mutant.file} fail without any change ({answer}):\n{log}"
        )


def _answer(ask: Callable[[Order], str], order: Order) -> str:
    """A mutant hangs only if unchanged code is fast enough at the same time on the same machine."""
    unchanged = Order(**{**order, "text": None})
    while (answer := ask(order)) == "timeout" and ask(unchanged) == "timeout":
        order["seconds"] *= 2
        unchanged["seconds"] *= 2
    return answer


@contextlib.contextmanager
def _server(
    copy: Path, scratch: Path, servers: list[subprocess.Popen[str]]
) -> Iterator[Callable[[Order], str]]:
    """Starts a server in ``copy``; yields a function that returns its answer to an order.

    The server is added to ``servers``: who terminates it ends the wait for an answer.
    """
    scratch.mkdir()
    with (
        (scratch / "errors").open("w") as errors,
        subprocess.Popen(
            [sys.executable, "-m", "tests.mutants.fork_server", str(scratch)],
            cwd=copy,
            env=environment(scratch),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as server,
    ):
        servers.append(server)

        def ask(order: Order) -> str:
            assert server.stdin
            assert server.stdout
            server.stdin.write(json.dumps(order) + "\n")
            server.stdin.flush()
            answer = server.stdout.readline().strip()
            if not answer:
                raise RuntimeError(f"a fork server ended: {(scratch / 'errors').read_text()}")
            return answer

        try:
            yield ask
        finally:
            server.terminate()  # may come just before the server's read: the end of its input, too
