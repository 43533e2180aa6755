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
    tasks: Sequence[Task], copies: Sequence[Path], scratch: Path, modules: list[str]
) -> Iterator[tuple[Mutant, str]]:
    """Yields each mutant with its result, as they end; ``modules`` are imported before."""
    waiting: queue.SimpleQueue[Task] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[Mutant, str] | BaseException] = queue.SimpleQueue()
    for task in tasks:
        waiting.put(task)
    stopping = threading.Event()

    def work(number: int, copy: Path) -> None:
        try:
            with _server(copy, scratch / f"job-{number}", modules) as ask:
                while not stopping.is_set():
                    task = waiting.get_nowait()
                    mutant = task.mutant
                    order = Order(
                        file=mutant.file, text=mutant.text, tests=task.tests, seconds=task.seconds
                    )
                    done.put((mutant, ask(order)))
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
        stopping.set()
        for thread in threads:
            thread.join(timeout=0.1)


@contextlib.contextmanager
def _server(copy: Path, scratch: Path, modules: list[str]) -> Iterator[Callable[[Order], str]]:
    """Starts a server in ``copy``; yields a function that returns its answer to an order."""
    scratch.mkdir()
    with (scratch / "errors").open("w") as errors:
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.mutants.fork_server", str(scratch)],
            cwd=copy,
            env=environment(scratch),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        assert server.stdin
        assert server.stdout

        def send(value: object) -> None:
            assert server.stdin
            server.stdin.write(json.dumps(value) + "\n")
            server.stdin.flush()

        def ask(order: Order) -> str:
            assert server.stdout
            send(order)
            answer = server.stdout.readline().strip()
            if not answer:
                raise RuntimeError(f"a fork server ended: {(scratch / 'errors').read_text()}")
            return answer

        try:
            send(modules)
            yield ask
        finally:
            server.terminate()
            server.wait()
