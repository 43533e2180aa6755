"""A browser for the test of ktrace's page, on a machine that has none."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path

from lab.build.steps import Step, prepare
from lab.build.workbench import Workbench
from lab.machine import apt
from lab.paths import LAB, Cache

NAMES = ("chromium", "google-chrome")
PACKAGES = ("chromium", "fonts-dejavu-core")
"""Debian's: 234 MB in 240 packages, 820 MB unpacked, where none of them is installed."""
# It finds the tree from its own path, because the step's folder is renamed when it is complete.
SCRIPT = """\
#!/bin/sh
tree="$(dirname "$(readlink -f "$0")")/../tree"
export LD_LIBRARY_PATH="{folders}"
export FONTCONFIG_FILE="$tree/../fonts.conf"
exec "$tree/usr/lib/chromium/chromium" "$@"
"""
FONTS = """\
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <include ignore_missing="yes">/etc/fonts/fonts.conf</include>
  <dir prefix="relative">tree/usr/share/fonts</dir>
</fontconfig>
"""


def provide(cache: Cache) -> None:
    """Put a browser on the PATH of this process if none is there.

    Raises LabError if the packages cannot be unpacked.
    """
    if any(map(shutil.which, NAMES)):
        return
    release = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    inputs = (LAB / "machine" / "apt.py", Path(__file__), release)
    step = Step("browser", inputs, _build, minutes=1)
    folder = prepare(cache, [step])[step.name]
    os.environ["PATH"] = f"{os.environ.get('PATH', os.defpath)}:{folder / 'bin'}"


def _build(bench: Workbench) -> None:
    downloads, tree = bench.out / "apt", bench.out / "tree"
    apt.unpack(apt.fetch(bench, PACKAGES, downloads), tree)
    shutil.rmtree(downloads)
    program = bench.out / "bin" / "chromium"
    program.parent.mkdir()
    folders = apt.libraries(tree).replace(str(tree), "$tree")
    program.write_text(SCRIPT.format(folders=folders), encoding="utf-8")
    (bench.out / "fonts.conf").write_text(FONTS, encoding="utf-8")
    program.chmod(0o755)
