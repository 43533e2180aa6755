"""Container images: their content, and that they are those of the stack file."""

from __future__ import annotations

import io
import tarfile

from lab.build import images, programs
from lab.machine import machine
from lab.paths import PROJECT


def test_an_image_holds_programs_of_root_and_folders_for_anyone() -> None:
    stream = io.BytesIO()
    images.write_files({"/app/program": b"code", "/folder": None}, stream)
    stream.seek(0)
    with tarfile.open(fileobj=stream) as archive:
        entries = {entry.name: (entry.mode, entry.uid, entry.isdir()) for entry in archive}
    assert entries == {"app/program": (0o755, 0, False), "folder": (0o1777, 0, True)}


def test_the_lab_builds_what_a_stack_has_by_default() -> None:
    tag = f"k3s:v{programs.KUBERNETES}-k3s1"
    assert machine.default_images()[0].endswith(tag)
    settings = (PROJECT / "Pulumi.lab.yaml").read_text()
    settings = settings.replace("{version}", f"{programs.KUBERNETES}-k3s1")
    assert all(f"Image: {image.reference}\n" in settings for image in images.IMAGES)
