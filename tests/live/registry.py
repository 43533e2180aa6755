"""Registries of one image of any name: busybox alone."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.live.docker import Docker
from tests.live.pods import pods
from tests.live.stack import Stack
from tests.live.waiting import until

_PORT = 5000
ADDRESS = f"127.0.0.1:{_PORT}"
_SCRIPT = Path(__file__).with_name("registry.sh")
_PORT_WITH_LOGIN = 17531


@contextmanager
def serving(stack: Stack, *, layer_seconds: int = 0) -> Iterator[None]:
    """One in the cluster, on the loopback of its first server. Its layer takes that long."""
    arguments = ("registry", str(_PORT), str(layer_seconds))
    command = ("sh", "-c", _SCRIPT.read_text(), *arguments)
    with pods(stack, *command, hostNetwork=True, nodeName=stack.server) as single:
        single.wait_for("Running")
        asked = ("exec", f"{single.name}-0", "--", "sh", "-c", f"wget -qO- {ADDRESS} && echo yes")
        until("a registry that listens", lambda: stack.kubectl(*asked, check=False), 30)
        yield


def login_of(user_and_password: str) -> str:
    """As in an Authorization header and in the docker command's config.json."""
    return base64.b64encode(user_and_password.encode()).decode()


@contextmanager
def with_login(docker: Docker, image: str, login: str) -> Iterator[str]:
    """The address of one on the Docker daemon's own loopback, which wants ``login``.

    It runs in ``image``, which must have a shell and busybox.
    """
    name, port = "registry-with-login", _PORT_WITH_LOGIN
    options = ("--detach", "--name", name, "--network", "host", "--entrypoint", "sh")
    arguments = ("registry", str(port), "0", login)
    docker("run", *options, image, "-c", _SCRIPT.read_text(), *arguments)
    listens = ("exec", name, "grep", f":{port:04X} ", "/proc/net/tcp", "/proc/net/tcp6")
    try:
        until("a registry that listens", lambda: docker(*listens, check=False), 30)
        yield f"127.0.0.1:{port}"
    finally:
        docker("rm", "--force", "--volumes", name)
