"""Build steps that run once: a step's output is kept under a hash of all its inputs."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from lab.build.estimate import Estimate, in_words
from lab.build.workbench import Interruption, Workbench
from lab.errors import LabError
from lab.locks import exclusive
from lab.paths import Cache
from lab.progress import Display

LINES_OF_LOG_IN_ERROR = 15
DAYS_KEPT = 7
SIDE_BY_SIDE = 2
"""Two Go builds keep two cores busy: each has moments, such as linking, that use one."""


@dataclass(frozen=True)
class Step:
    """One thing to build, and everything that decides its content."""

    name: str
    inputs: tuple[str | Path, ...]
    """Texts (versions, flags) as they are; files and folders by name and content."""
    build: Callable[[Workbench], None]
    needs: tuple[Step, ...] = ()
    minutes: float = 0.1
    """Duration in minutes on two cores with empty caches; the estimate begins with it."""

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

    Steps that do not need each other are built side by side. An interrupted run can be repeated:
    finished steps are kept.
    """
    ordered = _in_order(steps)
    missing = [step for step in ordered if not step.output(cache).exists()]
    if missing:
        _build_all(cache, missing)
    for step in ordered:
        os.utime(step.output(cache))  # `_remove_unused` reads it
    return {step.name: step.output(cache) for step in ordered}


def _build_all(cache: Cache, missing: Sequence[Step]) -> None:
    estimate = Estimate({step.name: step.minutes for step in missing})
    waiting = {step.name: step for step in missing}
    running: dict[Future[None], Step] = {}
    interruption = Interruption()

    def summary() -> str:
        done = f"{estimate.finished} of {len(missing)} parts are ready"
        return f"{done}, {in_words(estimate.minutes_left())}; logs in {cache.logs}"

    def build(step: Step) -> None:
        with display.item(step.name):
            _build(cache, step, interruption)

    with Display(summary) as display, ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        try:
            while waiting or running:
                unfinished = {*waiting, *(step.name for step in running.values())}
                ready = [
                    step
                    for step in waiting.values()
                    if not unfinished & {need.name for need in step.needs}
                ]
                # The longest first: at the end nothing long is left to build alone.
                ready.sort(key=lambda step: -step.minutes)
                for step in ready[: SIDE_BY_SIDE - len(running)]:
                    estimate.begins(step.name)
                    running[pool.submit(build, waiting.pop(step.name))] = step
                finished, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    step = running.pop(future)
                    future.result()
                    estimate.ends(step.name)
        except BaseException:
            interruption.ask()
            raise


def _build(cache: Cache, step: Step, interruption: Interruption) -> None:
    cache.steps.mkdir(parents=True, exist_ok=True)
    cache.logs.mkdir(parents=True, exist_ok=True)
    final = step.output(cache)
    partial = final.with_name(f".{step.key}.{os.getpid()}")
    log_path = cache.logs / f"{step.key}.log"
    lock = cache.steps / f".{step.key}.lock"
    with exclusive(lock, f"the build of {step.name}", interruption.asked):
        if final.exists():
            return
        for interrupted in cache.steps.glob(f".{step.key}.[0-9]*"):
            shutil.rmtree(interrupted, ignore_errors=True)
        partial.mkdir()
        with log_path.open("wb") as log:
            needs = {need.name: need.output(cache) for need in _in_order(step.needs)}
            try:
                step.build(Workbench(partial, needs, cache, log, interruption))
            except InterruptedError:
                raise
            except (LabError, OSError) as error:
                log.flush()
                raise LabError(
                    f"{step.name} could not be made: {error}\n{_tail(log_path)}\n"
                    f"Full log: {log_path}"
                ) from error
        partial.rename(final)
        _remove_unused(cache, step)


def _remove_unused(cache: Cache, step: Step) -> None:
    """Remove older outputs of a step that no checkout has used for days, and no process uses.

    Every use touches an output. A shell that has evaluated `make env` has its tools on PATH.
    """
    now = time.time()
    for old in cache.steps.glob(f"{step.name}-{'?' * 12}"):
        unused = now - old.stat().st_mtime > DAYS_KEPT * 24 * 60 * 60
        if unused and old != step.output(cache) and not _is_in_use(old):
            shutil.rmtree(old, ignore_errors=True)
            (cache.logs / f"{old.name}.log").unlink(missing_ok=True)


def _is_in_use(output: Path) -> bool:
    """Whether a process of this user has the folder in a variable, as PATH in a prepared shell."""
    for variables in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if f"{output}".encode() in variables.read_bytes():
                return True
    return False


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
