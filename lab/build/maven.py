"""Java programs whose jars are in Maven's central repository, which `mvn` knows by itself.

Each has a folder in lab/ with a pom.xml, which names what it consists of by the pins of [java], and
a jars.sha256. Every jar is compared with that, and nothing else is taken. A settings file of the
user's, with a mirror or a proxy, applies.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from lab.build.workbench import Workbench
from lab.errors import LabError
from lab.pins import PINS

LOCK = "jars.sha256"
POM = "pom.xml"
JARS, _REPOSITORY = "jars", "repository"
_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin"
LIBRARY = "lib"
_VERSION = re.compile(r"-\d.*\.jar$")


def command(pins: Mapping[str, str], *names: str) -> tuple[str, ...]:
    """Return what copies the jars of a pom.xml, which uses `names` of the `pins` of [java]."""
    return (
        "mvn",
        "--batch-mode",
        "--no-transfer-progress",
        *(f"-D{name}={pins[name]}" for name in names),
        "-DincludeScope=runtime",
        f"{_PLUGIN}:{pins['maven-dependency-plugin']}:copy-dependencies",
    )


def fetching(place: Path, pins: Mapping[str, str], *names: str) -> tuple[str, ...]:
    """Return `command` for the folder `jars` in `place`.

    It has a repository of its own there: what the user's holds was not downloaded for this.
    """
    here = (f"-Dmaven.repo.local={place / _REPOSITORY}", f"-DoutputDirectory={place / JARS}")
    return (*command(pins, *names), *here)


def locked(text: str) -> dict[str, str]:
    """The SHA-256 of each jar by its path, from a file as `sha256sum` writes it."""
    pairs = (line.split(maxsplit=1) for line in text.splitlines() if line)
    return {path: digest for digest, path in pairs}


def lock(jars: Path, before: Mapping[str, str]) -> str:
    """Return the text of a new lock: an artifact stays in the folder in which `before` has it.

    One that `before` does not have is put into lib/.
    """
    folders = {_artifact(Path(path).name): Path(path).parent for path in before}
    digests = {
        str(folders.get(_artifact(jar.name), Path(LIBRARY)) / jar.name): _digest(jar)
        for jar in jars.glob("*.jar")
    }
    return "".join(f"{digests[path]}  {path}\n" for path in sorted(digests))


def added(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Return the artifacts that only `after` has, sorted."""
    known = {_artifact(Path(path).name) for path in before}
    return sorted({_artifact(Path(path).name) for path in after} - known)


def install(jars: Path, lock: Mapping[str, str], home: Path) -> None:
    """Put the jars where `lock` has them; LabError unless they are exactly those of `lock`."""
    wanted = {Path(path).name: path for path in lock}
    found = {jar.name: jar for jar in jars.glob("*.jar")}
    if found.keys() != wanted.keys():
        names = ", ".join(sorted(found.keys() ^ wanted.keys()))
        raise LabError(f"Maven's jars are not those of {LOCK}, which differs in {names}")
    for name, jar in found.items():
        digest = _digest(jar)
        if digest != lock[wanted[name]]:
            raise LabError(
                f"{name}: checksum mismatch: expected {lock[wanted[name]]}, got {digest}"
            )
        place = home / wanted[name]
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(jar, place)


def refuse_a_machine_without_maven(program: str) -> None:
    """Raise LabError where nothing can fetch the jars of `program`."""
    if not shutil.which("mvn"):
        raise LabError(
            f"{program} is fetched by Maven, and this machine has no mvn: install the package maven"
        )


def fetch(bench: Workbench, folder: Path, *names: str) -> None:
    """Put the jars of the program in `folder` into the output; LabError if they are others."""
    project, jars = bench.out / "project", bench.out / JARS
    project.mkdir()
    shutil.copy(folder / POM, project)
    bench.run([*fetching(bench.out, PINS.java, *names)], cwd=project)
    install(jars, locked((folder / LOCK).read_text(encoding="utf-8")), bench.out)
    for made in (project, jars, bench.out / _REPOSITORY):
        shutil.rmtree(made)


def _artifact(jar: str) -> str:
    """A jar's name without its version: two platforms of one release are one artifact."""
    return _VERSION.sub("", jar)


def _digest(jar: Path) -> str:
    return hashlib.sha256(jar.read_bytes()).hexdigest()
