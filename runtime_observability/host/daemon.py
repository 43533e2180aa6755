"""Decides which Docker daemon is used, for docker, k3d, the Commands of a stack and ktrace.

It is ``docker:host`` of the stack's configuration, else the one that the docker command uses:
DOCKER_HOST, else docker's current context. Pulumi's Docker provider gets its address, too, because
it would follow no ``docker context use`` by itself (terraform-provider-docker v4.5.0
internal/provider/provider.go). What it would follow alone is refused.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from runtime_observability.core.problem import Problem
from runtime_observability.host import runner

_KEY = "Docker"
_UNIX = "unix://"
_FORMAT = "{{.Endpoints.docker.Host}}"
_TLS = ("DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")
"""How docker and k3d reach a daemon with TLS."""
_OF_THE_PROVIDER = ("DOCKER_CA_MATERIAL", "DOCKER_CERT_MATERIAL", "DOCKER_KEY_MATERIAL")
"""Variables that Pulumi's Docker provider alone reads (pulumi-docker 237b789 provider/provider.go,
setConfiguration), for any address."""
_SAID_TO_DOCKER = ("DOCKER_API_VERSION", "DOCKER_CUSTOM_HEADERS", "DOCKER_TLS", *_TLS)
"""With these of a shell, meant for another daemon or an older one, docker reaches none."""
_DENIED = re.compile("permission denied while trying to connect|connect: permission denied", re.I)
_WANTS_TLS = "Client sent an HTTP request to an HTTPS server"
_FOR_ANY_DAEMON = {"disableDockerDaemonCheck", "registryAuth"}
"""Keys of the provider that choose no daemon."""
_GROUP = (
    "add the user to the group docker with `sudo usermod -aG docker $USER` and log in again, or "
    "name another socket in DOCKER_HOST"
)
_TLS_CURE = "set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH, which docker and k3d read too"
_CURES = {
    "context": "name its address instead: `pulumi config set docker:host $(docker context inspect "
    f"--format '{_FORMAT}' NAME)`",
    "certPath": _TLS_CURE,
    "caMaterial": _TLS_CURE,
    "certMaterial": _TLS_CURE,
    "keyMaterial": _TLS_CURE,
    "sshOpts": "use a daemon on this machine",
}


@dataclass(frozen=True)
class Choice:
    address: str
    """As in DOCKER_HOST, ``resolved``; empty where docker cannot tell which daemon it uses."""
    problems: tuple[Problem, ...] = ()
    """Why this daemon cannot be used by everything, or from this machine."""


def choose(configured: Mapping[str, Any]) -> Choice:
    """The daemon of a stack.

    ``configured`` has the keys ``docker:…`` of the stack's configuration without their namespace.
    """
    problems = refuse_keys(configured)
    try:
        own = str(configured.get("host") or "").strip() or command_line_address()
    except runner.CommandError as error:
        return Choice("", (*problems, unusable(error)))
    context = refuse_a_context(os.environ.get("DOCKER_CONTEXT", ""), own)
    elsewhere = refuse_a_daemon_elsewhere(own)
    return Choice(resolved(own), (*problems, *context, *elsewhere, *refuse_certificates(own)))


def certificates() -> str | None:
    """The folder of certificates for the daemon, if docker uses TLS: Pulumi's provider knows no
    default for it."""
    return folder_of_certificates() if "DOCKER_TLS_VERIFY" in runner.variables else None


def folder_of_certificates() -> str:
    """Where docker looks for those of a daemon with TLS: by default, beside its own settings."""
    named = os.environ.get("DOCKER_CERT_PATH") or os.environ.get("DOCKER_CONFIG")
    return named or str(Path.home() / ".docker")


def use(choice: Choice) -> None:
    """From now on, the commands that this process runs use the chosen daemon."""
    if choice.address:
        runner.variables.update(variables(choice.address))


def variables(address: str) -> dict[str, str]:
    """What docker and k3d need in their environment to use the daemon at ``address``."""
    tls = {name: os.environ[name] for name in _TLS if os.environ.get(name)}
    return {"DOCKER_HOST": address, **(tls if address.startswith("tcp:") else {})}


def resolved(address: str) -> str:
    """The same for every name of one socket: /var/run is a link to /run on most machines."""
    if not address.startswith(_UNIX):
        return address
    return f"{_UNIX}{os.path.realpath(address.removeprefix(_UNIX))}"


def command_line_address() -> str:
    """The daemon that docker and k3d use. Raises CommandError."""
    if named := os.environ.get("DOCKER_HOST", "").strip():  # it overrides every context
        return named
    return runner.run(["docker", "context", "inspect", "--format", _FORMAT]).checked().strip()


def refuse_keys(configured: Mapping[str, Any]) -> list[Problem]:
    """Keys ``docker:…`` that the provider alone would follow, and docker and k3d would not."""
    return [
        Problem(
            f"docker:{key}",
            "is set in the stack's configuration",
            "Pulumi's Docker provider would follow it, but docker and k3d would not",
            f"run `pulumi config rm docker:{key}`"
            + (f", and {_CURES[key]}" if key in _CURES else ""),
        )
        for key in configured
        if key != "host" and key not in _FOR_ANY_DAEMON
    ]


def refuse_a_secret_address(secret_keys: Collection[str]) -> list[Problem]:
    """``secret_keys`` are those of ``docker:…`` that were set with ``--secret``."""
    problem = Problem(
        "docker:host",
        "its secret value cannot be used",
        "every Command has it in Pulumi's state, and errors of docker and k3d tell it",
        "set it without --secret",
    )
    return [problem] if "host" in secret_keys else []


def refuse_a_context(context: str, address: str) -> list[Problem]:
    """``context`` is DOCKER_CONTEXT, and ``address`` what docker and k3d use.

    For the provider it overrides every address, for the docker command DOCKER_HOST overrides it;
    and the provider has no context ``default``.
    """
    if not context:
        return []
    return [
        Problem(
            _KEY,
            f"DOCKER_CONTEXT is {context}",
            "Pulumi's Docker provider does not read it as docker and k3d do",
            f"run `unset DOCKER_CONTEXT; export DOCKER_HOST={address}`",
        )
    ]


def refuse_certificates(address: str) -> list[Problem]:
    """Of a shell that is, or was, set up for another daemon, as by `minikube docker-env`.

    With DOCKER_CERT_PATH the provider speaks TLS to every address (pulumi-docker 237b789
    provider/image.go, configureDockerClientInner), docker and k3d only with DOCKER_TLS_VERIFY.
    """
    tls = address.startswith("tcp:") and os.environ.get("DOCKER_TLS_VERIFY")
    read = _OF_THE_PROVIDER if tls else (*_OF_THE_PROVIDER, "DOCKER_CERT_PATH")
    found = [name for name in read if os.environ.get(name)]
    if not found:
        return []
    others = [name for name in _TLS if not tls and name not in found and os.environ.get(name)]
    or_else = ", or set DOCKER_TLS_VERIFY=1 if it wants TLS" if address.startswith("tcp:") else ""
    return [
        Problem(
            _KEY,
            f"{', '.join(found)} is set",
            f"Pulumi's Docker provider would speak TLS with it to {address}, and docker does not",
            f"run `unset {' '.join([*found, *others])}`{or_else}",
        )
    ]


def refuse_a_daemon_elsewhere(host: str) -> list[Problem]:
    """Ports are published on the daemon's own 127.0.0.1, and nodes mount this folder's files."""
    try:
        address = urlsplit(host)
    except ValueError as error:
        return [
            Problem(
                _KEY,
                f"the daemon's address is {host}",
                str(error),
                "name a local socket in DOCKER_HOST or docker:host",
            )
        ]
    if address.scheme not in ("ssh", "tcp", "http", "https") or (
        address.scheme != "ssh" and address.hostname in ("127.0.0.1", "localhost", "::1")
    ):
        return []
    return [
        Problem(
            _KEY,
            f"the daemon at {host} is on another machine",
            "its ports on 127.0.0.1 cannot be reached from here, and its nodes cannot mount this "
            "folder's files",
            "run this where the daemon is, or name a local socket in DOCKER_HOST",
        )
    ]


def refuse_a_closed_socket(host: str) -> list[Problem]:
    """A docker command that answers may be a script with sudo: nothing else goes through it."""
    socket = host.removeprefix(_UNIX)
    if not host.startswith(_UNIX) or not os.path.exists(socket):  # noqa: PTH110
        return []
    if os.access(socket, os.R_OK | os.W_OK):
        return []
    return [
        Problem(
            _KEY,
            f"this user may not use the socket {socket}, though docker answers",
            "k3d and Pulumi's provider use the socket itself, and not the docker command on PATH",
            _GROUP,
        )
    ]


def unusable(error: runner.CommandError) -> Problem:
    """The problem with a daemon for which a docker command ended with ``error``."""
    if is_denied(error):
        return Problem(
            _KEY,
            "this user may not use the daemon's socket",
            str(error),
            _GROUP,
        )
    if _WANTS_TLS in str(error):
        return Problem(
            _KEY,
            "the daemon wants TLS",
            f"{error} A docker context's own certificates reach neither k3d nor Pulumi",
            _TLS_CURE,
        )
    return Problem(
        _KEY,
        "the daemon does not answer",
        str(error),
        f"start it, or name its socket in DOCKER_HOST{_set_for_another()}",
    )


def _set_for_another() -> str:
    given = " ".join(name for name in _SAID_TO_DOCKER if os.environ.get(name))
    return f"; if it runs, `unset {given}`, which this shell has" if given else ""


def is_denied(error: runner.CommandError) -> bool:
    """Whether a daemon is there, and this user may not write to its socket."""
    return _DENIED.search(str(error)) is not None
