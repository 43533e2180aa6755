"""`make raise PIN=name VERSION=x.y.z [MODULE=vX.Y.Z]`: raise a pin wherever it is written."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from lab import pins, raising
from lab.build import maven
from lab.errors import LabError
from lab.paths import PROJECT, Cache
from lab.raising import Change


def run(cache: Cache, pin: str, version: str, module: str = "", project: Path = PROJECT) -> int:
    """Change the files, let Go or Maven resolve the rest, print what a person reads; return 0.

    Raises LabError before anything is touched if the pin, the version or a file is not as expected.
    If a command fails, every file is as it was.
    """
    change = raising.change(pins.read(project / raising.PINS), pin, version, module)
    texts = _changed_texts(project, change)
    if change.commands and not shutil.which("go"):
        raise LabError(f"`go` is not on PATH, and it resolves the modules of {pin}")
    if change.jars:
        maven.refuse_a_machine_without_maven(pin)
    folder = project / "lab" / "go" / change.folder
    jars = project / "lab" / change.jars
    resolved = [*folder.iterdir()] if change.folder and folder.exists() else []
    before = _contents([*texts, *resolved, *([jars / maven.LOCK] if change.jars else [])])
    try:
        if change.copied_from:
            shutil.copytree(folder.with_name(change.copied_from), folder)
        for path, text in texts.items():
            path.write_text(text, encoding="utf-8")
        for command in change.commands:
            _run(command, folder, f"in lab/go/{change.folder}", _of_go(cache))
            for name in change.unwanted:
                (folder / name).unlink(missing_ok=True)
        added = _lock_jars(jars, change, project) if change.jars else []
    except BaseException:
        _restore(before, folder, change)
        raise
    _report(change, before, folder, project)
    for jar in added:
        print(f"  lab/{change.jars}/{maven.LOCK}: {jar} is new: is {maven.LIBRARY}/ its folder?")
    return 0


def _changed_texts(project: Path, change: Change) -> dict[Path, str]:
    """Return the new text of every file; LabError where a text to replace is not there once."""
    texts: dict[Path, str] = {}
    for replacement in change.replacements:
        for path, origin in _files(project, change, replacement.file):
            text = texts.get(path) or origin.read_text(encoding="utf-8")
            found = text.count(replacement.before)
            if found != 1 and not replacement.everywhere:
                name = origin.relative_to(project)
                wanted = replacement.before.strip()
                raise LabError(f"{name} has {found} times {wanted!r}, and it must have it once")
            if found:
                texts[path] = text.replace(replacement.before, replacement.after)
    return texts


def _files(project: Path, change: Change, pattern: str) -> list[tuple[Path, Path]]:
    """Return the files of a replacement, each with the file that its text is read from."""
    made, origin = f"lab/go/{change.folder}/", f"lab/go/{change.copied_from}/"
    if change.copied_from and pattern.startswith(made):
        return [(project / pattern, project / pattern.replace(made, origin, 1))]
    return [(path, path) for path in sorted(project.glob(pattern))] or [
        (project / pattern, project / pattern)
    ]


def _of_go(cache: Cache) -> dict[str, str]:
    return {
        "GOWORK": "off",
        "GOFLAGS": "-modcacherw",
        "GOMODCACHE": str(cache.go_modules),
        "GOCACHE": str(cache.go_build),
    }


def _run(
    command: tuple[str, ...], folder: Path, where: str, environment: Mapping[str, str]
) -> None:
    print(f"$ {shlex.join(command)}   # {where}", flush=True)
    done = subprocess.run(command, cwd=folder, env={**os.environ, **environment}, check=False)
    if done.returncode != 0:
        raise LabError(
            f"`{shlex.join(command)}` exited with {done.returncode}, so every file is as it was"
        )


def _lock_jars(folder: Path, change: Change, project: Path) -> list[str]:
    """Write the checksums of the jars that Maven fetches now; return the artifacts that are new."""
    found = pins.read(project / raising.PINS).java
    file = folder / maven.LOCK
    with tempfile.TemporaryDirectory(prefix="raise-") as temporary:
        shutil.copy(folder / maven.POM, temporary)
        command = maven.fetching(Path(temporary), found, *change.jars_pins)
        _run(command, Path(temporary), f"in a copy of lab/{change.jars}", {})
        before = maven.locked(file.read_text(encoding="utf-8"))
        text = maven.lock(Path(temporary) / maven.JARS, before)
    file.write_text(text, encoding="utf-8")
    return maven.added(before, maven.locked(text))


def _contents(paths: list[Path]) -> dict[Path, bytes | None]:
    """Return what the files hold; None for one that does not exist."""
    return {path: path.read_bytes() if path.is_file() else None for path in paths}


def _restore(before: Mapping[Path, bytes | None], folder: Path, change: Change) -> None:
    if change.copied_from:
        shutil.rmtree(folder, ignore_errors=True)
    elif change.folder:
        for path in folder.iterdir():
            if path not in before:
                path.unlink()
    for path, content in before.items():
        if content is not None:
            path.write_bytes(content)


def _report(
    change: Change, before: Mapping[Path, bytes | None], folder: Path, project: Path
) -> None:
    module = list(folder.iterdir()) if change.folder else []
    after = _contents([*before, *(path for path in module if path not in before)])
    changed = [path for path, content in after.items() if content != before.get(path)]
    print(f"\n{change.summary}. Changed:")
    for path in sorted(changed):
        print(f"  {path.relative_to(project)}")
    print("\nA person has to look at:")
    for line in change.to_read:
        print(f"  {line}")
