"""The project's virtual environment, .venv: locked packages, installed by uv.

Standard library only: this runs on the system's Python, before there is a .venv.
"""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from lab.build.workbench import Workbench
from lab.errors import LabError
from lab.locks import exclusive
from lab.machine import apt
from lab.paths import LAB, PROJECT, Cache
from runtime_observability.host.files import own

VENV = PROJECT / ".venv"
SCRIPTS = VENV / "bin"
PYTHON = SCRIPTS / "python"
MADE_BY_LAB = VENV / "made-by-lab"
"""Holds the hash of what installs the packages; `make clean` removes only a .venv that has it."""
FULL_BYTES = 1 << 20
"""With less free space than this, a failed installation failed for lack of it."""
WHEELS = Path("/usr/share/python-wheels")
"""Where Debian's python3-pip-whl has pip."""
BOOTSTRAP = LAB / "bootstrap.txt"
_ELSEWHERE = (
    "PIP_TARGET",
    "PIP_PREFIX",
    "PIP_ROOT",
    "PIP_PYTHON",
    "PIP_DRY_RUN",
    "UV_REQUIRE_HASHES",
)
"""With these of a user's shell pip installs elsewhere than into .venv, or nothing. With the last
one, which is an option of the locked files here, uv does not install the project's own folder."""
PACKAGES = ("components", "runtime_observability", "ktrace", "lab")
"""The project's own packages that a stack's processes import."""
PROGRAM, STAND_INS, TESTS = (
    PROJECT / "requirements.txt",
    LAB / "requirements.txt",
    PROJECT / "requirements-dev.txt",
)
"""What the program needs, what the stand-in plugins need besides, and all that the tests need."""


def is_current(*files: Path) -> bool:
    """Whether .venv has everything that these requirements files name."""
    return PYTHON.exists() and all(
        _read(_stamp(file)) == _digest(file, PROJECT / "pyproject.toml") for file in files
    )


def make(cache: Cache, *files: Path) -> Path:
    """Install requirements files, and the project by reference, into .venv; return its Python.

    Raises LabError with the end of the log if that fails. Another clone is never waited for.
    """
    clone = cache.environment(PROJECT)
    with exclusive(clone / "venv.lock", str(VENV)):
        if is_current(*files):
            return PYTHON
        log = clone / "venv.log"
        lacking = [file for file in files if not is_current(file)]
        names = ", ".join(str(file.relative_to(PROJECT)) for file in lacking)
        print(f".venv: installing {names}", file=sys.stderr)
        with log.open("wb") as out:
            installer = _Installer(cache, out)
            try:
                installer.make_venv()
                for file in lacking:
                    installer.install(file)
                    _stamp(file).write_text(_digest(file, PROJECT / "pyproject.toml"))
            except subprocess.CalledProcessError as error:
                for folder in (PROJECT, cache.root):
                    if shutil.disk_usage(folder).free < FULL_BYTES:
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), folder) from error
                cure = (
                    "Packages come from the index that pip is configured for (PIP_INDEX_URL,"
                    " PIP_CERT, HTTPS_PROXY or pip.conf name another)"
                )
                if any(path.lstat().st_uid != os.geteuid() for path in VENV.rglob("*")):
                    cure = (
                        f"Run {own(VENV)}, because files in it are another user's, as after a run"
                        " with sudo"
                    )
                tail = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-8:]
                raise LabError("\n".join([
                    f".venv could not be made: {Path(error.cmd[0]).name} exited with"
                    f" {error.returncode}; log {log}:", *tail, cure,
                ])) from error  # fmt: skip
    return PYTHON


@dataclass(frozen=True)
class _Installer:
    """Runs venv, pip and uv with their caches in the lab's own, and their output in a log."""

    cache: Cache
    log: IO[bytes]

    def make_venv(self) -> None:
        """Make .venv with uv in it, unless it has the one that is wanted.

        One of the user's own gets uv and stays the user's own.
        """
        ours = MADE_BY_LAB.exists() or not (VENV.exists() and any(VENV.iterdir()))
        if ours and PYTHON.exists() and _read(MADE_BY_LAB) == _digest(BOOTSTRAP):
            return
        if not ours and not PYTHON.exists():
            raise LabError(f"{VENV} has no bin/python, and the lab did not make it; remove it")
        if ours and not (PYTHON.exists() and (SCRIPTS / "pip").exists()):
            shutil.rmtree(VENV, ignore_errors=True)
            VENV.mkdir(exist_ok=True)
            MADE_BY_LAB.touch()  # first: one that is interrupted is known to be ours
            self._venv()
        self._run([*self._pip(), "install", "--require-hashes", "--requirement", BOOTSTRAP])
        if ours:
            MADE_BY_LAB.write_text(_digest(BOOTSTRAP))

    def install(self, file: Path) -> None:
        """Install what a requirements file names and, once, the project by reference.

        Modules are compiled here, as pip does: `pulumi up` starts a dozen interpreters, which
        compile them each time where PYTHONDONTWRITEBYTECODE is set (2 s of a preview's 6 s).
        """
        uv: list[str | Path] = [
            SCRIPTS / "uv", "pip", "install", "--python", PYTHON, "--compile-bytecode",
        ]  # fmt: skip
        self._run([*uv, "--require-hashes", "--requirement", file])
        if file == BOOTSTRAP or file.parent == LAB:
            return
        self._run([*uv, "--no-deps", "--no-build-isolation", "--editable", PROJECT])
        self._run([PYTHON, "-m", "compileall", "-q", *(PROJECT / name for name in PACKAGES)])

    def _venv(self) -> None:
        pip = [] if importlib.util.find_spec("ensurepip") else ["--without-pip"]
        self._run([sys.executable, "-m", "venv", *pip, VENV])

    def _pip(self) -> list[str | Path]:
        """Return pip in .venv; on a Debian without python3-venv, that of Debian's package."""
        if (SCRIPTS / "pip").exists():
            return [PYTHON, "-m", "pip"]
        # Python runs a package inside of an archive by its path.
        return [PYTHON, next(self._wheels().glob("pip-*.whl")) / "pip"]

    def _wheels(self) -> Path:
        """Return the folder that python3-pip-whl fills, on this machine or in the cache."""
        if any(WHEELS.glob("pip-*.whl")):
            return WHEELS
        folder = self.cache.environment(PROJECT) / "pip"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        bench = Workbench(folder, {}, self.cache, self.log)
        apt.unpack(apt.fetch(bench, ["python3-pip-whl"], folder / "apt"), folder / "tree")
        return folder / "tree" / WHEELS.relative_to("/")

    def _run(self, command: Sequence[str | Path]) -> None:
        environment = {
            "PIP_CACHE_DIR": str(self.cache.root / "pip"),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "UV_CACHE_DIR": str(self.cache.root / "uv"),
            "UV_NATIVE_TLS": "1",
            **dict(_as_uv_wants_it()),
        }
        subprocess.run(
            command,
            env={**environment, **_of_the_user(), "PIP_USER": "0"},
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            check=True,
        )


def _of_the_user() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}


def _as_uv_wants_it() -> Iterator[tuple[str, str]]:
    """Translate pip's configuration of the package index, which uv does not read."""
    if not (SCRIPTS / "pip").exists():
        return
    listed = subprocess.run(
        [PYTHON, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    ).stdout
    names = {
        "index-url": "UV_DEFAULT_INDEX",
        "extra-index-url": "UV_INDEX",
        "cert": "SSL_CERT_FILE",
    }
    for line in listed.splitlines():
        key, _, value = line.partition("=")
        if variable := names.get(key.rpartition(".")[2]):
            yield variable, value.strip("'\"")


def _stamp(file: Path) -> Path:
    name = "-".join(file.relative_to(PROJECT).with_suffix("").parts)
    return VENV / f"{name}.sha256"


def _digest(*sources: Path) -> str:
    # The folder counts too: the project is installed by reference to it.
    contents = b"".join(source.read_bytes() for source in sources) + str(PROJECT).encode()
    return hashlib.sha256(contents).hexdigest()


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.is_file() else ""
