"""A bundle in which one part of what a command gathered was edited."""

from __future__ import annotations

import json
from pathlib import Path

from tests.fakes.ktrace import Ktrace


def expect_one_line(ktrace: Ktrace, file: Path, command: str, key: str, value: object) -> None:
    """Puts ``value`` in the place of ``key`` in the ``command``'s bundle in ``file``: the command
    refuses it then, and tells nothing of it."""
    bundle = json.loads(file.read_text())
    bundle[command][key] = value
    file.write_text(json.dumps(bundle))
    told = ktrace(command, "--from", str(file))
    assert (told.returncode, told.stdout) == (2, "")
    (line,) = told.stderr.splitlines()
    assert f"the bundle is broken: {command} (" in line
