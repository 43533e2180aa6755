"""Cause and cure of errors that Pulumi reports without either."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

# What Pulumi's docker plugin says once per resource, and what docker and k3d say.
_PLUGIN_FINDS_NO_DAEMON = "failed to connect to any docker daemon"
_NO_DAEMON = re.compile(f"{_PLUGIN_FINDS_NO_DAEMON}|Cannot connect to the Docker daemon")
_DENIED = re.compile(
    "permission denied while trying to connect to the docker"
    "|docker: permission denied"
    "|Cannot connect to the Docker daemon.*permission denied",
    re.IGNORECASE,
)
_NO_TLS = re.compile(
    "(error during connect|Docker daemon).*(x509: |tls: |HTTP response to HTTPS client|SSLError)"
    "|sent an HTTP request to an HTTPS server"
)
_SAID_BY_THE_PROGRAM = re.compile(
    "Docker: (the daemon does not answer|this user may not use the daemon's socket)"
)
"""The problems of runtime_observability.host.daemon, which have a cure of their own."""


def explain(output: str, stack: str) -> str | None:
    """Return the cause and the cure of an error in Pulumi's output; None for any other error."""
    if "incorrect passphrase" in output:
        return (
            f"Pulumi.{stack}.yaml was made with another passphrase than the one in"
            " PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE. The committed stack files"
            " use the empty passphrase, because no secret is ever in the state: run `export"
            " PULUMI_CONFIG_PASSPHRASE=` and unset PULUMI_CONFIG_PASSPHRASE_FILE. To use a"
            " passphrase of your own, make a stack of your own: make up STACK=NAME"
        )
    return _lock(output, stack) or _docker(output)


def _lock(output: str, stack: str) -> str | None:
    if "unexpected end of JSON input" in output and "failed to load checkpoint" not in output:
        return (
            "The disk was full when Pulumi wrote a lock, and an empty file is left of it. Free some"
            f" space, then {_unlock(stack)}"
        )
    lock = re.search(r"created by \S+@(\S+) \(pid (\d+)\)", output)
    if lock is None or lock[1] != socket.gethostname():
        return None
    if Path("/proc", lock[2]).exists():
        return f"Process {lock[2]} is working on stack {stack}: wait until it has ended."
    return (
        f"The run that locked stack {stack} (pid {lock[2]}) was killed before it could unlock"
        f" it: {_unlock(stack)}"
    )


def _unlock(stack: str) -> str:
    return (
        f"unlock it with `pulumi cancel --yes --stack {stack}` in a shell that has evaluated"
        ' `eval "$(make -s env)"`, and run the same command again.'
    )


def _docker(output: str) -> str | None:
    if _SAID_BY_THE_PROGRAM.search(output) and _PLUGIN_FINDS_NO_DAEMON not in output:
        return None
    named = os.environ.get("DOCKER_HOST")
    address = named or "unix:///var/run/docker.sock"
    if _NO_TLS.search(output):
        return (
            f"The Docker daemon at {address} and its client disagree about TLS. For a daemon with"
            " TLS (usually port 2376) set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH to the folder"
            " with ca.pem, cert.pem and key.pem; for one without (usually port 2375) unset both."
        )
    unreachable = _NO_DAEMON.search(output) is not None
    if _DENIED.search(output) or (unreachable and _is_denied(address)):
        return (
            f"This user may not use the Docker daemon at {address}. Add the user to the group"
            " docker with `sudo usermod -aG docker $USER` and log in again, or set DOCKER_HOST to"
            " a daemon that you can use."
        )
    if not unreachable:
        return None
    if named:
        return (
            f"No Docker daemon answers at {named}, the address in DOCKER_HOST. Start that daemon,"
            " or set DOCKER_HOST to the address of the daemon in which the stack is. `make up`"
            " without DOCKER_HOST finds a daemon or starts one."
        )
    return (
        f"No Docker daemon answers at {address}, which Pulumi's docker plugin uses while"
        " DOCKER_HOST is not set; it does not follow `docker context use`. Start Docker, or name"
        " the daemon of the current context: export DOCKER_HOST=$(docker context inspect --format"
        " '{{.Endpoints.docker.Host}}')"
    )


def _is_denied(address: str) -> bool:
    """Whether the address is a socket that exists and that this user may not write to."""
    path = Path(address.removeprefix("unix://"))
    return address.startswith("unix://") and path.exists() and not os.access(path, os.W_OK)
