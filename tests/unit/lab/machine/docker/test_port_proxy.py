"""The program that publishes a container's port; here without namespaces."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.machine.docker import port_proxy

HERE = "127.0.0.1"
# A daemon that was started in the background of a script ignores SIGINT.
AS_DOCKERD = """\
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
os.dup2({writer}, 3)
os.closerange(4, {writer} + 1)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def free_port() -> int:
    with socket.create_server((HERE, 0)) as server:
        return int(server.getsockname()[1])


def everything(connection: socket.socket) -> bytes:
    """What a connection receives until the other side ends."""
    return b"".join(iter(lambda: connection.recv(1 << 16), b""))


@pytest.fixture
def container() -> Iterator[tuple[str, int]]:
    """A server that answers, once its client has ended its request, with the request reversed."""
    with socket.create_server((HERE, 0)) as server:

        def serve() -> None:
            while True:
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                with client:
                    client.sendall(everything(client)[::-1])

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()
        server.shutdown(socket.SHUT_RDWR)


def served(serve: object, listener: socket.socket, container: tuple[str, int]) -> tuple[str, int]:
    threading.Thread(target=serve, args=(listener, container), daemon=True).start()  # type: ignore[arg-type]
    address: tuple[str, int] = listener.getsockname()
    return address


def test_a_request_and_its_answer_pass_whole_when_each_side_ends_alone(
    container: tuple[str, int],
) -> None:
    listener = port_proxy.listen("tcp", (HERE, 0))
    address = served(port_proxy.serve_connections, listener, container)
    request = os.urandom(3 << 20)
    with socket.create_connection(address, timeout=10) as client:
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        answer = everything(client)
    assert answer == request[::-1]


def test_a_container_that_refuses_ends_the_connection() -> None:
    listener = port_proxy.listen("tcp", (HERE, 0))
    address = served(port_proxy.serve_connections, listener, (HERE, free_port()))
    with socket.create_connection(address, timeout=10) as client:
        assert client.recv(1) == b""


def test_datagrams_find_their_clients() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as container:
        container.bind((HERE, 0))
        listener = port_proxy.listen("udp", (HERE, 0))
        address = served(port_proxy.serve_datagrams, listener, container.getsockname())
        with (
            socket.socket(type=socket.SOCK_DGRAM) as one,
            socket.socket(type=socket.SOCK_DGRAM) as two,
        ):
            for client, name in ((one, b"one"), (two, b"two"), (one, b"one again")):
                client.settimeout(10)
                client.sendto(name, address)
                data, proxy = container.recvfrom(100)
                container.sendto(b"to " + data, proxy)
                assert client.recv(100) == b"to " + name


@pytest.mark.skipif(
    not sys.platform.startswith("linux") or os.geteuid() != 0, reason="setns needs Linux and root"
)
class TestTheProgram:
    """Started as dockerd starts it, in this network namespace."""

    @pytest.fixture
    def program(self, tmp_path: Path) -> Path:
        (tmp_path / "host-net").symlink_to("/proc/self/ns/net")
        return Path(shutil.copy(port_proxy.__file__, tmp_path / "port-proxy"))

    def start(self, program: Path, *arguments: object) -> tuple[subprocess.Popen[bytes], bytes]:
        """Return the process and what it wrote to descriptor 3."""
        reader, writer = os.pipe()
        command = [sys.executable, "-c", AS_DOCKERD.format(writer=writer)]
        command += [str(program), *map(str, arguments)]
        process = subprocess.Popen(command, pass_fds=[writer])
        os.close(writer)
        with os.fdopen(reader, "rb") as answer:
            return process, answer.read()

    @staticmethod
    def options(protocol: str, port: int, container: tuple[str, int]) -> list[object]:
        ends = ["-host-ip", HERE, "-host-port", port]
        ends += ["-container-ip", container[0], "-container-port", container[1]]
        return ["-proto", protocol, *ends]

    @pytest.mark.parametrize("newer", [[], ["-use-listen-fd=true"]])
    def test_it_answers_listens_and_ends_by_sigint(
        self, program: Path, container: tuple[str, int], newer: list[str]
    ) -> None:
        port = free_port()
        process, answer = self.start(program, *self.options("tcp", port, container), *newer)
        assert answer == b"0\n"
        with socket.create_connection((HERE, port), timeout=10) as client:
            client.sendall(b"abc")
            client.shutdown(socket.SHUT_WR)
            assert client.recv(10) == b"cba"
        process.send_signal(2)
        assert process.wait(10) == 0

    def test_a_port_in_use_is_reported(self, program: Path, container: tuple[str, int]) -> None:
        with socket.create_server((HERE, 0)) as server:
            port = server.getsockname()[1]
            process, answer = self.start(program, *self.options("tcp", port, container))
        expected = f"1\nlisten tcp {HERE}:{port}: bind: address already in use"
        assert (process.wait(10), answer.decode()) == (1, expected)

    def test_another_protocol_is_refused(self, program: Path, container: tuple[str, int]) -> None:
        process, answer = self.start(program, *self.options("sctp", 1, container))
        assert (process.wait(10), answer) == (1, b"1\nthe protocol sctp cannot be published")
