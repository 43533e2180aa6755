"""Debian packages, downloaded by the machine's apt and unpacked into the cache.

Nothing is installed: no maintainer script runs, no service starts, and apt keeps its lists, locks
and downloads in the cache. The machine's sources, keys, proxies and preferences apply. No root is
needed.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lab.build.workbench import Workbench
from lab.errors import LabError
from lab.locks import exclusive

INSTALLED = Path("/var/lib/dpkg/status")
"""What dpkg has installed on this machine."""
NOTHING = Path("/dev/null")
"""What dpkg has installed in an empty tree."""
NEVER_FROM_THE_CACHE = ("libc6", "libc-bin")
"""The machine's programs crash with another C library than the machine's dynamic loader."""
# The hooks of `apt-get update` write to /var; without the error mode it succeeds when nothing can
# be fetched, and a later command names another reason.
CONFIGURATION = """\
#clear APT::Update;
#clear APT::Architectures;
APT::Update::Error-Mode "any";
APT::Architectures {{ "{architecture}"; }};
APT::Install-Recommends "false";
APT::Sandbox::User "";
APT::Get::Assume-Yes "true";
APT::Get::Download-Only "true";
APT::Get::AllowUnauthenticated "false";
Acquire::AllowInsecureRepositories "false";
Acquire::AllowWeakRepositories "false";
Acquire::AllowDowngradeToInsecureRepositories "false";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Dir::State "{folder}/state";
Dir::State::lists "{lists}";
Dir::State::status "{folder}/state/status";
Dir::Cache "{folder}/cache";
Dir::Cache::archives "{folder}/archives";
Dir::Log "{folder}/log";
"""


def fetch(
    bench: Workbench,
    packages: Sequence[str],
    folder: Path,
    *,
    optional: Iterable[str] = (),
    installed: Path = INSTALLED,
) -> list[Path]:
    """Download packages with everything that they need beyond what is `installed`.

    `packages` may hold patterns of apt, such as `?essential`; of `optional`, those that no source
    has are left out. `folder` is for apt's own files and can be removed with the packages. Returns
    the packages' files. Raises LabError when a source or a package cannot be fetched.
    """
    for tool in ("apt-get", "dpkg-deb"):
        if not shutil.which(tool):
            raise LabError(
                f"the packages {', '.join(packages)} are needed from Debian or Ubuntu, and this "
                f"machine has no {tool}"
            )
    for name in ("state", "cache", "archives/partial", "log"):
        (folder / name).mkdir(parents=True)
    shutil.copyfile(installed, folder / "state/status")
    lists = bench.cache.root / "apt" / "lists"
    (lists / "partial").mkdir(parents=True, exist_ok=True)
    configuration = folder / "apt.conf"
    architecture = subprocess.check_output(["dpkg", "--print-architecture"], text=True).strip()
    configuration.write_text(
        CONFIGURATION.format(architecture=architecture, folder=folder, lists=lists),
        encoding="utf-8",
    )
    with exclusive(lists.with_name(".lock"), "apt's package lists"):
        bench.run(["apt-get", "-c", configuration, "update"])
        found = [name for name in optional if _is_known(name, configuration)]
        bench.run(["apt-get", "-c", configuration, "install", *packages, *found])
    return sorted((folder / "archives").glob("*.deb"))


def unpack(packages: Iterable[Path], tree: Path) -> None:
    """Unpack the files of packages into one folder."""
    tree.mkdir()

    def extract(package: Path) -> None:
        subprocess.run(["dpkg-deb", "--extract", package, tree], check=True, capture_output=True)

    wanted = [
        package
        for package in packages
        if package.name.partition("_")[0] not in NEVER_FROM_THE_CACHE
    ]
    in_parallel(extract, wanted)


def in_parallel(work: Callable[[Path], object], packages: Iterable[Path]) -> None:
    """Do something with every package, on all processors; dpkg-deb itself uses one."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            list(pool.map(work, packages))
        except subprocess.CalledProcessError as error:
            command = shlex.join(map(str, error.cmd))
            complaint = error.stderr.decode(errors="replace").strip()
            raise LabError(f"`{command}` failed: {complaint}") from error


def path(tree: Path) -> str:
    """Return the folders of a tree's programs, as PATH lists them."""
    folders = ("usr/sbin", "usr/bin", "sbin", "bin")
    return os.pathsep.join(str(tree / folder) for folder in folders if (tree / folder).is_dir())


def libraries(tree: Path) -> str:
    """Return the folders of a tree's libraries, as LD_LIBRARY_PATH lists them; "" if none.

    Some packages have libraries in a folder of their own, which their programs name absolutely.
    """
    folders = [
        found for name in ("lib", "usr/lib") for found in sorted((tree / name).glob("*-linux-*"))
    ]
    own = sorted({library.parent for folder in folders for library in folder.glob("*/lib*.so*")})
    return os.pathsep.join(map(str, [*folders, *own]))


def _is_known(package: str, configuration: Path) -> bool:
    command = ["apt-cache", "-c", str(configuration), "show", "--quiet=2", package]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
