"""Build steps that are done once: a step's output is kept under a hash of all that went into it.

Standard library only: this runs on the system's Python before any virtual environment exists.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TextIO

from lab.paths import Cache

QUIET_SECONDS = 2.0
SECONDS_BETWEEN_LINES = 30.0
LINES_OF_LOG_IN_ERROR = 15
OUTPUTS_KEPT = 2


class LabError(Exception):
    """Something the lab can't do; the message says what, why and what to do about it."""


@dataclass(frozen=True)
class Workbench:
    """What a step's `build` gets: a folder to fill, the outputs it needs, and a log."""

    out: Path
    """An empty folder; it is renamed to the step's output when `build` returns."""
    needs: Mapping[str, Path]
    """The output folder of each needed step, by the step's name."""
    cache: Cache
    log: IO[bytes]

    def run(
        self, argv: Sequence[str | Path], *, cwd: Path | None = None, **environment: str
    ) -> None:
        """Run a command, its output in the step's log; raise LabError when it fails."""
        words = [str(word) for word in argv]
        self.log.write(f"$ {shlex.join(words)}\n".encode())
        self.log.flush()
        try:
            done = subprocess.run(
                words,
                cwd=cwd,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=self.log,
                stderr=subprocess.STDOUT,
                check=False,
            )
        except OSError as error:
            raise LabError(f"{words[0]} can't be run: {error}") from error
        if done.returncode != 0:
            raise LabError(f"`{shlex.join(words)[:120]}` ended with {done.returncode}")


@dataclass(frozen=True)
class Step:
    """One thing to build, and everything that decides what comes out of it."""

    name: str
    inputs: tuple[str | Path, ...]
    """Texts (versions, flags) as they are; files and folders by name and content."""
    build: Callable[[Workbench], None]
    needs: tuple[Step, ...] = ()
    minutes: float = 0.0
    """Minutes it takes on two cores from empty caches; shown to whoever waits for it."""

    @property
    def key(self) -> str:
        """`<name>-<12 hex digits>`: the name of the output folder."""
        digest = hashlib.sha256(self.name.encode())
        for part in self.inputs:
            for line in _content(part) if isinstance(part, Path) else (part.encode(),):
                digest.update(len(line).to_bytes(8, "big") + line)
        for need in self.needs:
            digest.update(need.key.encode())
        return f"{self.name}-{digest.hexdigest()[:12]}"

    def output(self, cache: Cache) -> Path:
        """Return where the output lies, whether it has been built or not."""
        return cache.steps / self.key


def prepare(cache: Cache, steps: Sequence[Step]) -> dict[str, Path]:
    """Build what is missing of `steps` and of all they need; return every output by step name.

    It can be stopped at any point and run again: what was finished is kept.
    """
    ordered = _in_order(steps)
    missing = [step for step in ordered if not step.output(cache).exists()]
    minutes = sum(step.minutes for step in missing)
    if minutes >= 1:
        print(
            f"Building {len(missing)} of {len(ordered)} parts of the lab, about {minutes:.0f} min"
            f" on two cores; logs in {cache.logs}",
            file=sys.stderr,
        )
    for number, step in enumerate(missing, start=1):
        about = f"about {step.minutes:.0f} min cold" if step.minutes >= 1 else ""
        with progress(f"[{number}/{len(missing)}] {step.name}: building", about):
            _build(cache, step)
    return {step.name: step.output(cache) for step in ordered}


def _build(cache: Cache, step: Step) -> None:
    cache.steps.mkdir(parents=True, exist_ok=True)
    cache.logs.mkdir(parents=True, exist_ok=True)
    final = step.output(cache)
    partial = final.with_name(f".{step.key}.{os.getpid()}")
    log_path = cache.logs / f"{step.name}.log"
    with exclusive(cache.steps / f".{step.name}.lock"):
        if final.exists():
            return
        for interrupted in cache.steps.glob(f".{step.key}.*"):
            shutil.rmtree(interrupted, ignore_errors=True)
        partial.mkdir()
        with log_path.open("wb") as log:
            needs = {need.name: need.output(cache) for need in _in_order(step.needs)}
            try:
                step.build(Workbench(partial, needs, cache, log))
            except (LabError, OSError) as error:
                log.flush()
                raise LabError(
                    f"{step.name} could not be built: {error}\n{_tail(log_path)}\n"
                    f"Full log: {log_path}"
                ) from error
        partial.rename(final)
        # One is the current checkout's, one perhaps another's; more would fill the disk.
        outputs = sorted(cache.steps.glob(f"{step.name}-{'?' * 12}"), key=_newest_first)
        for old in outputs[OUTPUTS_KEPT:]:
            shutil.rmtree(old, ignore_errors=True)


def _newest_first(output: Path) -> float:
    return -output.stat().st_mtime


def _in_order(steps: Sequence[Step]) -> list[Step]:
    """Return the steps and all they need, each after its needs and once."""
    ordered: dict[str, Step] = {}

    def add(step: Step) -> None:
        for need in step.needs:
            add(need)
        ordered.setdefault(step.name, step)

    for step in steps:
        add(step)
    return list(ordered.values())


def _content(path: Path) -> Iterator[bytes]:
    files = [path] if path.is_file() else sorted(path.rglob("*"))
    if not files:
        raise LabError(f"{path} is an input of a build step and does not exist")
    for file in files:
        if file.is_file() and "__pycache__" not in file.parts:
            yield str(file.relative_to(path.parent)).encode()
            yield file.read_bytes()


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-LINES_OF_LOG_IN_ERROR:]
    return "\n".join(f"  | {line}" for line in lines)


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold a lock that the kernel frees when this process ends, however it ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"Waiting for another run that holds {path}", file=sys.stderr)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def progress(what: str, about: str = "", stream: TextIO | None = None) -> Iterator[None]:
    """Show on stderr that `what` goes on, if it takes longer than two seconds.

    A terminal gets one live line; anything else a line at the start, one every half minute and
    one at the end, so that a CI log stays readable.
    """
    out = stream or sys.stderr
    live = out.isatty()
    erase = "\r\033[K" if live else ""
    begun = time.monotonic()
    ended = threading.Event()
    shown = threading.Event()

    def clock() -> str:
        seconds = int(time.monotonic() - begun)
        return f"{seconds // 60}:{seconds % 60:02d}"

    def tick() -> None:
        wait = QUIET_SECONDS
        while not ended.wait(wait):
            text = " ".join(filter(None, [what, clock(), about and f"({about})"]))
            out.write(f"{erase}{text}" if live else f"{text}\n")
            out.flush()
            shown.set()
            wait = 1.0 if live else SECONDS_BETWEEN_LINES

    ticker = threading.Thread(target=tick, daemon=True)
    ticker.start()
    outcome = "failed"
    try:
        yield
        outcome = "done"
    except KeyboardInterrupt:
        outcome = "stopped"
        raise
    finally:
        ended.set()
        ticker.join()
        if shown.is_set():
            out.write(f"{erase}{what}: {outcome} in {clock()}\n")
            out.flush()
