"""Publishes one port of a container on the host; dockerd starts it as its `userland-proxy`.

It listens in the host's network namespace and connects in the daemon's, where dockerd starts it: a
socket keeps the namespace in which it was made. So the host needs no route to a container, and no
other way leads to one. Options and answer are those of docker-proxy (moby 20.10 to 28,
cmd/docker-proxy).

It is copied into the daemon's folder and imports nothing of this project.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import signal
import socket
import sys
import threading
from pathlib import Path

CLONE_NEWNET = 0x40000000  # linux/sched.h
ANSWER_FD = 3
CHUNK = 1 << 18
QUIET_SECONDS = 90.0
"""How long a UDP client may be silent before it is forgotten, as in docker-proxy."""


def enter(network: Path) -> None:
    """Make the sockets of this thread in another network namespace from now on."""
    library = ctypes.CDLL(None, use_errno=True)
    with network.open("rb") as namespace:
        if library.setns(namespace.fileno(), CLONE_NEWNET):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(network))


def listen(protocol: str, address: tuple[str, int]) -> socket.socket:
    """Return a socket that is bound to an address, and listens if it is of TCP."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    if protocol == "tcp":
        return socket.create_server(address, family=family, backlog=512)
    bound = socket.socket(family, socket.SOCK_DGRAM)
    bound.bind(address)
    return bound


def copy(source: socket.socket, sink: socket.socket) -> None:
    """Send what the source receives until it ends, and then end the sink."""
    with contextlib.suppress(OSError):
        while data := source.recv(CHUNK):
            sink.sendall(data)
    for end, direction in ((sink, socket.SHUT_WR), (source, socket.SHUT_RD)):
        with contextlib.suppress(OSError):
            end.shutdown(direction)


def connect(client: socket.socket, container: tuple[str, int]) -> None:
    """Connect a client with the container until both have ended."""
    with client, contextlib.suppress(OSError), socket.create_connection(container) as server:
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        upwards = threading.Thread(target=copy, args=(client, server), daemon=True)
        upwards.start()
        copy(server, client)
        upwards.join()


def serve_connections(listener: socket.socket, container: tuple[str, int]) -> None:
    """Connect every client with the container."""
    while True:
        client, _ = listener.accept()
        threading.Thread(target=connect, args=(client, container), daemon=True).start()


def serve_datagrams(listener: socket.socket, container: tuple[str, int]) -> None:
    """Pass datagrams on, with one socket towards the container for each client."""
    servers: dict[object, socket.socket] = {}

    def answer(client: tuple[str, int], server: socket.socket) -> None:
        with contextlib.suppress(TimeoutError):
            while True:
                with contextlib.suppress(ConnectionRefusedError):  # of the previous datagram
                    listener.sendto(server.recv(CHUNK), client)
        del servers[client]

    while True:
        data, client = listener.recvfrom(CHUNK)
        if client not in servers:
            server = servers[client] = socket.socket(type=socket.SOCK_DGRAM)
            server.connect(container)
            server.settimeout(QUIET_SECONDS)
            threading.Thread(target=answer, args=(client, server), daemon=True).start()
        with contextlib.suppress(OSError):
            servers[client].send(data)


SERVE = {"tcp": serve_connections, "udp": serve_datagrams}


def main(arguments: list[str]) -> None:
    """Listen, tell dockerd how that went, and serve until dockerd ends this process."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    for name in ("-proto", "-host-ip", "-container-ip"):
        parser.add_argument(name)
    for name in ("-host-port", "-container-port"):
        parser.add_argument(name, type=int)
    # Newer daemons pass a socket too, but of their own namespace.
    options, _ = parser.parse_known_args(arguments)
    ours, host = Path("/proc/self/ns/net"), Path(__file__).with_name("host-net")
    address = (options.host_ip, options.host_port)
    with os.fdopen(ANSWER_FD, "wb", buffering=0) as answer, ours.open("rb") as back:
        try:
            serve = SERVE[options.proto]
            enter(host)
            listener = listen(options.proto, address)
            enter(Path(f"/proc/self/fd/{back.fileno()}"))
        except KeyError:
            answer.write(f"1\nthe protocol {options.proto} cannot be published".encode())
            sys.exit(1)
        except OSError as error:
            reason = os.strerror(error.errno or 0).lower()
            where = f"{address[0]}:{address[1]}"
            answer.write(f"1\nlisten {options.proto} {where}: bind: {reason}".encode())
            sys.exit(1)
        answer.write(b"0\n")
    serve(listener, (options.container_ip, options.container_port))


if __name__ == "__main__":
    # dockerd ends it so. One that was started in the background of a script ignores the signal, and
    # its processes inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        main(sys.argv[1:])
