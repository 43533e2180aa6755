"""The volumes that Docker makes for nodes, by what their image declares: without the stack's label,
and so with nothing that tells whose they are once their node is gone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence

from runtime_observability.core.naming import Names
from runtime_observability.host import runner
from runtime_observability.host.docker import Owned
from runtime_observability.host.files import write_private

_MADE_BY_DOCKER = re.compile(r"[0-9a-f]{64}")
"""The name that Docker gives a volume without one (moby volume/service/service.go)."""

_LOOK = '{"name": {{json .Name}}, "own": {{json .Config.Volumes}}, "mounts": {{json .Mounts}}}'


def lacking(found: Iterable[Owned]) -> list[str]:
    """The nodes among ``found`` without a volume that their image declares: Docker was killed while
    it created them, and starts them nevertheless. What k3s keeps there is in the container's own
    layers then, on which containerd can mount none.

    Raises CommandError.
    """
    nodes = [each.name for each in found if each.is_node]
    if not nodes:
        return []
    shown = runner.run(["docker", "inspect", "--format", _LOOK, *nodes]).checked()
    looked = map(json.loads, shown.splitlines())
    return [
        each["name"].lstrip("/")
        for each in looked
        if not {mount["Destination"] for mount in each["mounts"]}.issuperset(each["own"] or ())
    ]


def note(names: Names, nodes: Sequence[str]) -> None:
    """Writes down those of ``nodes``, beside those of before that are still there, for the last
    delete of the stack: a node that is removed with `docker rm` leaves its own. No `up` deletes
    them, as what the cluster had is in them.

    Raises CommandError or OSError.
    """
    shown = runner.run(["docker", "inspect", "--format", "{{json .Mounts}}", *nodes]).checked()
    mounts = [mount for line in shown.splitlines() for mount in json.loads(line)]
    volumes = {mount["Name"] for mount in mounts if mount["Type"] == "volume"}
    found = set(filter(_MADE_BY_DOCKER.fullmatch, volumes))
    file = names.node_volumes
    before = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    noted = set(before.split())
    if found <= noted:
        return
    there = set(runner.run(["docker", "volume", "ls", "-q"]).checked().split())
    write_private(file, "".join(f"{name}\n" for name in sorted(noted & there | found)))
