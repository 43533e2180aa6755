"""`make up`, `make down` and `make env`: Pulumi's own commands, with what goes before and after."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from lab import images
from lab.machine import Machine
from lab.paths import PROJECT
from lab.steps import LabError
from runtime_observability.core import naming
from runtime_observability.core.naming import OWNER_LABEL, Names
from runtime_observability.host import docker, runner
from runtime_observability.host.ports import is_free

OFFSET_STEP = 100


def up(machine: Machine, wanted: str | None) -> int:
    """Bring a stack up and print where to look; return the exit code."""
    stack = wanted or machine.default_stack
    _settle_stack_file(stack, machine.default_stack)
    print(f"stack: {stack}, {'as asked' if wanted else 'which fits the images'}", flush=True)
    code = _pulumi(["stack", "select", "--create", stack], stack)
    # Its outputs come below, in words of our own.
    code = code or _pulumi(["up", "--yes", "--skip-preview", "--suppress-outputs"], stack)
    if code == 0:
        _print_links(stack)
    return code


def nodes_of(stack: str) -> list[images.Image]:
    """Return the lab's node of the k3s release that a stack's file asks for, if it asks for one."""
    file = PROJECT / f"Pulumi.{stack}.yaml"
    settings = file.read_text(encoding="utf-8") if file.exists() else ""
    wanted = re.search(r":k3sVersion: *['\"]?v?(\d+\.\d+\.\d+)", settings)
    if wanted is None or f"{images.PREFIX}/k3s:v{{version}}" not in settings:
        return []
    if wanted[1] not in images.NODES:
        raise LabError(
            f"{file.name} asks for k3s {wanted[1]}, which the lab does not build: it builds "
            f"{', '.join(images.NODES)}"
        )
    return [images.NODES[wanted[1]]]


def down(machine: Machine, wanted: str | None) -> int:
    """Destroy a stack and prove that nothing of it is left; return the exit code."""
    stack = wanted or selected() or machine.default_stack
    if stack in _known_stacks():
        code = _pulumi(["destroy", "--yes", "--skip-preview"], stack)
        if code:
            return code
    else:
        print(f"Pulumi knows no stack {stack}: there is nothing to destroy")
    left = _left_behind(Names(stack, PROJECT))
    if left:
        raise LabError(
            f"of stack {stack} there is left: {', '.join(left)}. What carries its labels without "
            "being in its state goes with the next `make up` and `make down`"
        )
    print(f"Nothing is left of stack {stack}: no container, network, volume or file.")
    return 0


def shell_exports(exports: Mapping[str, str], wanted: str | None) -> str:
    """Return the exports as lines for a shell's eval, with KUBECONFIG when the stack is up."""
    stack = wanted or selected()
    variables = dict(exports)
    if stack and (kubeconfig := Names(stack, PROJECT).kubeconfig).is_file():
        variables["KUBECONFIG"] = str(kubeconfig)
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())


def selected() -> str | None:
    """Return the stack that `pulumi stack select` chose, if any."""
    return _ask("stack", "--show-name", "--non-interactive").strip() or None


def first_free_offset(defaults: list[int], taken: set[int]) -> int:
    """Return the first portOffset that no stack file names and whose ports nobody listens on."""
    for offset in range(OFFSET_STEP, 40001, OFFSET_STEP):
        if offset not in taken and all(is_free(port + offset) for port in defaults):
            return offset
    raise LabError("no portOffset up to 40000 has all its ports free; remove a stack")


def _settle_stack_file(stack: str, template: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,100}", stack):
        raise LabError(f"STACK={stack}: a stack's name is 1 to 100 letters, digits, '-', '_', '.'")
    file = PROJECT / f"Pulumi.{stack}.yaml"
    if file.exists():
        return
    ports = re.findall(
        r"^  \w+Port:\n +type: integer\n +default: (\d+)$",
        (PROJECT / "Pulumi.yaml").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    taken = {0}
    for other in PROJECT.glob("Pulumi.*.yaml"):
        taken |= set(map(int, re.findall(r"portOffset: *['\"]?(\d+)", other.read_text())))
    offset = first_free_offset([int(port) for port in ports], taken)
    file.write_text(stack_file(template, offset), encoding="utf-8")
    print(f"wrote {file.name}: the settings of {template}, with portOffset {offset}")


def stack_file(template: str, offset: int) -> str:
    """Return a committed stack's settings for a developer: own ports, and a salt yet to come."""
    lines = (PROJECT / f"Pulumi.{template}.yaml").read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not line.startswith(("#", "encryptionsalt:"))]
    if "config:" not in kept:
        kept.append("config:")
    kept.insert(kept.index("config:") + 1, f"  {naming.PROJECT}:portOffset: {offset}")
    return "\n".join([f"# Settings of Pulumi.{template}.yaml on ports of its own.", *kept, ""])


def _pulumi(arguments: list[str], stack: str) -> int:
    """Run Pulumi before the user's eyes; explain what its own words leave open."""
    command = ["pulumi", *arguments]
    if arguments[0] != "stack":
        command += ["--stack", stack]
    said = b""
    with (
        subprocess.Popen(
            command, cwd=PROJECT, stderr=subprocess.PIPE, start_new_session=True
        ) as process,
        _handing_signals_to(process) as handed_on,
    ):
        assert process.stderr is not None  # noqa: S101 - it is a pipe
        while chunk := os.read(process.stderr.fileno(), 4096):
            said += chunk
            sys.stderr.buffer.write(chunk)
            sys.stderr.flush()
    advice = explain(said.decode(errors="replace"), stack)
    if process.returncode and advice:
        print(f"\n{advice}", file=sys.stderr)
    if process.returncode and handed_on:
        raise KeyboardInterrupt
    return process.returncode


@contextmanager
def _handing_signals_to(process: subprocess.Popen[bytes]) -> Iterator[list[int]]:
    """Let Pulumi alone have a Ctrl-C, which a terminal would send to its program and plugins too.

    It then ends them in order; a second one ends it at once. Yields the signals so far.
    """
    handed_on: list[int] = []

    def hand_on(number: int, frame: FrameType | None) -> None:
        handed_on.append(number)
        process.send_signal(signal.SIGINT)

    ends = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, hand_on) for number in ends}
    try:
        yield handed_on
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def explain(said: str, stack: str) -> str | None:
    """Return the cause and cure of an error that Pulumi names without either."""
    if "incorrect passphrase" in said:
        return (
            f"Pulumi.{stack}.yaml was made with another passphrase than PULUMI_CONFIG_PASSPHRASE"
            " or PULUMI_CONFIG_PASSPHRASE_FILE now gives. The committed stack files go with the"
            " empty one, as no secret is ever in the state: `export PULUMI_CONFIG_PASSPHRASE=`"
            " and unset PULUMI_CONFIG_PASSPHRASE_FILE. To keep a passphrase of your own, make a"
            " stack of your own: make up STACK=NAME"
        )
    lock = re.search(r"created by \S+@(\S+) \(pid (\d+)\)", said)
    if lock and lock[1] == socket.gethostname():
        if Path("/proc", lock[2]).exists():
            return f"Process {lock[2]} is at work on stack {stack}: wait until it has ended."
        return (
            f"The run that locked stack {stack} (pid {lock[2]}) is gone: it was killed before it"
            f" could unlock it. Unlock it with `pulumi cancel --yes --stack {stack}` in a shell"
            ' that has evaluated `eval "$(make -s env)"`, then run the same command again.'
        )
    return None


def _ask(*arguments: str) -> str:
    """Return what Pulumi answers on stdout; nothing when it fails."""
    command = ["pulumi", *arguments]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


def _known_stacks() -> set[str]:
    listed = _ask("stack", "ls", "--json", "--non-interactive")
    return {entry["name"].rpartition("/")[2] for entry in json.loads(listed or "[]")}


def _print_links(stack: str) -> None:
    outputs = json.loads(_ask("stack", "output", "--json", "--stack", stack) or "{}")
    links = outputs.pop("links", {})
    print(f"\nStack {stack} is up.")
    for name, value in {**outputs, **links}.items():
        print(f"  {name:<26} {value if isinstance(value, str) else json.dumps(value)}")
    print('Its tools and settings for this shell: eval "$(make -s env)"')


def _left_behind(names: Names) -> list[str]:
    found = [*docker.containers(), *docker.networks()]
    label = f"label={OWNER_LABEL}={names.owner}"
    volumes = runner.run(["docker", "volume", "ls", "--quiet", "--filter", label]).checked()
    folders = [f"folder {names.directory}"] if names.directory.exists() else []
    return [*(each.name for each in found if each.owner == names.owner), *volumes.split(), *folders]
