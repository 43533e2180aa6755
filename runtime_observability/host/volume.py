"""Makes a Docker volume that a container's user can write to, without a program in the image.

A new volume belongs to root unless the image has its folder. Docker unpacks an archive with the
owners that it names (moby daemon/archive.go, ``PUT /containers/{id}/archive``), so a container
that is never started takes one.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from runtime_observability.core import naming
from runtime_observability.core.args import VolumeArgs
from runtime_observability.core.naming import Names
from runtime_observability.core.problem import Problem
from runtime_observability.host import container_files, runner

_SECONDS = 60


def ensure(volume: VolumeArgs, image: str) -> bool:
    """Whether ``volume`` was there before; its user can write to its folders afterwards.

    Raises CommandError when a volume of that name has another owner. ``image`` is any image that
    Docker has.
    """
    labels = _labels(volume.name)
    if told := _of_others(volume.name, labels, volume.owner):
        raise runner.CommandError(f"{told}: `docker volume rm {volume.name}` removes it")
    existed = labels is not None
    if not existed:
        create = ["docker", "volume", "create"]
        create += [f"--label={label}={value}" for label, value in volume.labels.items()]
        runner.run([*create, volume.name]).checked()
    with _mounted(volume, image) as container:
        container_files.unpack(container, _folders(volume), seconds=_SECONDS)
    return existed


def refuse_those_of_others(names: Names, volumes: Sequence[str]) -> list[Problem]:
    """Why containers of the stack cannot keep anything in some of ``volumes``, by name.

    Raises CommandError where Docker cannot tell.
    """
    return [
        Problem(
            "stack name",
            told,
            "its containers would write to what is another's",
            f"choose another stack name, or remove what is in it: `docker volume rm {name}`",
        )
        for name in volumes
        if (told := _of_others(name, _labels(name), names.owner))
    ]


def _of_others(name: str, labels: Mapping[str, str] | None, owner: str) -> str:
    """Whose volume that is, by its ``labels``; empty where it is the owner's, or there is none."""
    if labels is None or labels.get(naming.OWNER_LABEL) == owner:
        return ""
    stack, folder = labels.get(naming.STACK_LABEL), labels.get(naming.FOLDER_LABEL)
    whose = f"stack {stack} in {folder}" if stack else "no stack of this project"
    return f"volume {name} belongs to {whose}"


def _labels(name: str) -> dict[str, str] | None:
    """None where there is no such volume. Raises CommandError where Docker cannot tell."""
    if not runner.run(["docker", "volume", "ls", "-q", "--filter", f"name=^{name}$"]).checked():
        return None
    inspect = ["docker", "volume", "inspect", "--format", "{{json .Labels}}", name]
    labels: dict[str, str] = json.loads(runner.run(inspect).checked()) or {}
    return labels


@contextmanager
def _mounted(volume: VolumeArgs, image: str) -> Iterator[str]:
    """The id of a container with ``volume`` that is never started, and is removed again."""
    create = ["docker", "create", f"--volume={volume.name}:{volume.path}"]
    create += [f"--label={label}={value}" for label, value in volume.labels.items()]
    container = runner.run([*create, image], timeout=_SECONDS).checked().strip()
    try:
        yield container
    finally:
        runner.run(["docker", "rm", "--force", "--volumes", container])


def _folders(volume: VolumeArgs) -> bytes:
    """An archive of the volume's folders, each the user's own."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for folder in ("", *volume.folders):
            entry = tarfile.TarInfo(f"{volume.path}/{folder}".strip("/"))
            entry.type, entry.mode = tarfile.DIRTYPE, 0o700
            entry.uid = entry.gid = volume.user
            archive.addfile(entry)
    return buffer.getvalue()
