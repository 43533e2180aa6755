"""An OCI runtime in front of runc, for machines whose root lacks CAP_SYS_RESOURCE.

Docker gives a `--privileged` container every capability that its kernel knows. On a virtual
machine that was itself started without CAP_SYS_RESOURCE, runc then stops with "unable to apply
caps: operation not permitted", and k3d's nodes are privileged. This shim removes that one
capability from runc's input and then becomes runc. It changes nothing else.

runc reads the capabilities from `<bundle>/config.json` for `create` and `run`, and from the file
behind `--process` for `exec` (runc 1.1, man/runc-create.8.md and runc-exec.8.md).

It runs once per container action, so it imports only `json`, `os` and `sys`.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

MISSING = "CAP_SYS_RESOURCE"


def option(arguments: list[str], *names: str) -> str | None:
    """Return the value of an option, written as `--name value` or `--name=value`."""
    for index, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name in names:
            return value if equals else arguments[index + 1]
    return None


def without_missing(process: dict[str, Any]) -> dict[str, Any]:
    """Return an OCI process without the missing capability in its five sets."""
    sets = process.get("capabilities") or {}
    kept = {kind: [cap for cap in caps if cap != MISSING] for kind, caps in sets.items() if caps}
    return {**process, "capabilities": kept} if sets else process


def rewrite(arguments: list[str]) -> None:
    """Rewrite the file that this runc command is going to read, if it reads one."""
    path: str | None = None
    if "create" in arguments or "run" in arguments:
        path = os.path.join(option(arguments, "--bundle", "-b") or ".", "config.json")  # noqa: PTH118
    elif "exec" in arguments:
        path = option(arguments, "--process", "-p")
    if path is None:
        return
    with open(path, encoding="utf-8") as file:  # noqa: PTH123
        document = json.load(file)
    if "process" in document:
        document = {**document, "process": without_missing(document["process"])}
    else:
        document = without_missing(document)
    with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump(document, file)


if __name__ == "__main__":
    rewrite(sys.argv[1:])
    os.execvp("runc", ["runc", *sys.argv[1:]])  # noqa: S606
