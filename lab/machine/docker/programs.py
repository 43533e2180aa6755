"""The programs of a private daemon: the machine's own, and for those that it lacks, unpacked ones.

In the output of the step, `tree` has the packages' files, and `iptables-nft` and `iptables-legacy`
have the links that Debian's alternatives would make; `cli` has the docker command, for PATH.
"""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path

from lab.build.steps import Step, prepare
from lab.build.workbench import Workbench
from lab.machine import apt
from lab.machine.docker import processes
from lab.paths import LAB, Cache

NEEDED = {
    "dockerd": "docker.io", "containerd": "containerd", "runc": "runc", "iptables": "iptables",
}  # fmt: skip
OPTIONAL = {
    "docker": "docker-cli",  # in older releases a part of docker.io
    "slirp4netns": "slirp4netns",
}
IPTABLES = ("nft", "legacy")


def environment(cache: Cache) -> dict[str, str]:
    """Unpack what this machine lacks; return the environment variables with which dockerd works.

    Puts the docker command on the PATH of this process if it was missing there. Raises LabError
    when a package cannot be unpacked.
    """
    variables = {**os.environ, "PATH": processes.PATH}
    step = _step()
    if step is None:
        return variables
    output = prepare(cache, [step])[step.name]
    tree = output / "tree"
    if not shutil.which("docker"):
        os.environ["PATH"] = f"{os.environ.get('PATH', os.defpath)}:{output / 'cli'}"
    variables["PATH"] = f"{processes.PATH}:{output / 'iptables-nft'}:{apt.path(tree)}"
    if libraries := apt.libraries(tree):
        inherited = os.environ.get("LD_LIBRARY_PATH")
        variables["LD_LIBRARY_PATH"] = f"{libraries}:{inherited}" if inherited else libraries
    for extensions in tree.glob("usr/lib/*/xtables"):
        variables["XTABLES_LIBDIR"] = str(extensions)
    return variables


def _step() -> Step | None:
    """Return the step that unpacks what this machine lacks."""
    needed, optional = (
        tuple(package for tool, package in packages.items() if not _found(tool))
        for packages in (NEEDED, OPTIONAL)
    )
    if not needed and not optional:
        return None

    def build(bench: Workbench) -> None:
        downloads, tree = bench.out / "apt", bench.out / "tree"
        apt.unpack(apt.fetch(bench, needed, downloads, optional=optional), tree)
        shutil.rmtree(downloads)
        _link(bench.out, tree)

    release = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    inputs: tuple[str | Path, ...] = (
        LAB / "machine" / "apt.py",
        Path(__file__),
        release,
        *needed,
        "and",
        *optional,
    )
    return Step("docker-programs", inputs, build, minutes=0.25)


def _found(tool: str) -> bool:
    return shutil.which(tool, path=processes.PATH) is not None


def _link(output: Path, tree: Path) -> None:
    """Make the folders of links, with relative targets: the step's folder is renamed."""
    for kind in IPTABLES:
        folder = output / f"iptables-{kind}"
        folder.mkdir()
        for program in tree.glob(f"usr/sbin/ip*tables-{kind}*"):
            name = program.name.replace(f"-{kind}", "")
            (folder / name).symlink_to(f"../tree/usr/sbin/xtables-{kind}-multi")
    (output / "cli").mkdir()
    if (tree / "usr/bin/docker").exists():
        (output / "cli" / "docker").symlink_to("../tree/usr/bin/docker")
