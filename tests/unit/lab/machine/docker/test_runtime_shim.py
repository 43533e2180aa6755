"""The OCI runtime in front of runc: one capability is removed from the file that runc reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab.machine.docker import runtime_shim

PRIVILEGED = {
    "args": ["/bin/k3s"],
    "capabilities": {
        "bounding": ["CAP_SYS_ADMIN", "CAP_SYS_RESOURCE"],
        "effective": ["CAP_SYS_RESOURCE"],
    },
}
REWRITTEN = {
    "args": ["/bin/k3s"],
    "capabilities": {"bounding": ["CAP_SYS_ADMIN"], "effective": []},
}


def rewritten(file: Path, document: dict[str, Any], *arguments: str) -> Any:
    file.write_text(json.dumps(document))
    runtime_shim.rewrite(["--root", "/run/runc", *arguments])
    return json.loads(file.read_text())


@pytest.mark.parametrize("command", ["create", "run"])
def test_a_new_containers_process_does_not_ask_for_it(tmp_path: Path, command: str) -> None:
    file, spec = tmp_path / "config.json", {"process": PRIVILEGED, "root": {"path": "rootfs"}}
    expected = {"process": REWRITTEN, "root": {"path": "rootfs"}}
    assert rewritten(file, spec, command, "--bundle", str(tmp_path), "id") == expected
    assert rewritten(file, spec, command, f"-b={tmp_path}", "id") == expected


def test_a_process_that_joins_a_container_does_not_either(tmp_path: Path) -> None:
    file = tmp_path / "process.json"
    assert rewritten(file, PRIVILEGED, "exec", "--process", str(file), "id") == REWRITTEN


def test_what_has_no_capabilities_and_other_commands_are_left_alone(tmp_path: Path) -> None:
    file, plain = tmp_path / "config.json", {"process": {"args": ["true"]}}
    assert rewritten(file, plain, "create", "--bundle", str(tmp_path), "id") == plain
    privileged = {"process": PRIVILEGED}
    assert rewritten(file, privileged, "delete", "--bundle", str(tmp_path), "id") == privileged
