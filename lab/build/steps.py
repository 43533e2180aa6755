"""Build steps that run once: a step's output is kept under a hash of all its inputs."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from lab.errors import LabError
from lab.locks import exclusive
from lab.paths import Cache
from lab.progress import progress

LINES_OF_LOG_IN_ERROR = 15
OUTPUTS_KEPT = 2


@dataclass(frozen=True)
class Workbench:
    """What a step's `build` gets: a folder to fill, the outputs that it needs, and a log."""

    out: Path
    """An empty folder; it is renamed to the step's output when `build` returns."""
    needs: Mapping[str, Path]
    """The output folder of every needed step, by the step's name."""
    cache: Cache
    log: IO[bytes]

    def run(
        self, argv: Sequence[str | Path], *, cwd: Path | None = None, **environment: str
    ) -> None:
        """Run a command with its output in the step's log; raise LabError when it fails."""
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
            raise LabError(f"{words[0]} cannot be run: {error}") from error
        if done.returncode != 0:
            raise LabError(f"`{shlex.join(words)[:120]}` exited with {done.returncode}")


@dataclass(frozen=True)
class Step:
    """One thing to build, and everything that decides its content."""

    name: str
    inputs: tuple[str | Path, ...]
    """Texts (versions, flags) as they are; files and folders by name and content."""
    build: Callable[[Workbench], None]
    needs: tuple[Step, ...] = ()
    minutes: float = 0.0
    """Duration in minutes on two cores with empty caches; shown to the user who waits."""

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
        """Return the output's folder, which exists only once the step has been built."""
        return cache.steps / self.key


def prepare(cache: Cache, steps: Sequence[Step]) -> dict[str, Path]:
    """Build what is missing of `steps` and of all that they need; return every output by name.

    An interrupted run can be repeated: finished steps are kept.
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
        with progress(f"[{number}/{len(missing)}] {step.name}: building", step.minutes):
            _build(cache, step)
    return {step.name: step.output(cache) for step in ordered}


def _build(cache: Cache, step: Step) -> None:
    cache.steps.mkdir(parents=True, exist_ok=True)
    cache.logs.mkdir(parents=True, exist_ok=True)
    final = step.output(cache)
    partial = final.with_name(f".{step.key}.{os.getpid()}")
    log_path = cache.logs / f"{step.name}.log"
    with exclusive(cache.steps / f".{step.name}.lock", f"the build of {step.name}"):
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
        # This checkout uses one output, another checkout perhaps another; more would fill the disk.
        outputs = sorted(cache.steps.glob(f"{step.name}-{'?' * 12}"), key=_newest_first)
        for old in outputs[OUTPUTS_KEPT:]:
            shutil.rmtree(old, ignore_errors=True)


def _newest_first(output: Path) -> float:
    return -output.stat().st_mtime


def _in_order(steps: Sequence[Step]) -> list[Step]:
    """Return the steps and all that they need, once, every step after its needs."""
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
        raise LabError(f"{path} is an input of a build step, but it does not exist or is empty")
    for file in files:
        if file.is_file() and "__pycache__" not in file.parts:
            yield str(file.relative_to(path.parent)).encode()
            yield file.read_bytes()


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-LINES_OF_LOG_IN_ERROR:]
    return "\n".join(f"  | {line}" for line in lines)
