"""What the program writes is in UTF-8, whatever the locale of the user's shell is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from lab.paths import PROJECT

_NO_UTF8 = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
"""As with de_DE.ISO-8859-1, but there on every machine: Python takes it for ASCII."""
_WRITES = """
import sys
from pathlib import Path
from runtime_observability.host.files import write_private
write_private(Path(sys.argv[1]), "\\u0141\\xf3d\\u017a")
"""


def test_a_file_is_written_in_utf_8(tmp_path: Path) -> None:
    """Of what is read a rule of ruff sees to that: PLW1514."""
    file = tmp_path / "collector.yaml"
    done = subprocess.run(
        [sys.executable, "-c", _WRITES, str(file)],
        cwd=PROJECT,
        env={**os.environ, **_NO_UTF8},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert file.read_text(encoding="utf-8") == "Łódź"
