"""A connection to the API server, kept from one request to the next."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from email.message import Message
from http.client import HTTPConnection, HTTPResponse

from ktrace.recording.api_server import ApiServer
from ktrace.recording.headers import end_to_end
from ktrace.recording.sockets import is_readable

_WRITING = ("POST", "PUT", "PATCH", "DELETE")


class ApiConnection:
    """Opened by the first request; reopened for another user and after the server has ended it.

    One thread uses it; any thread may shut it.
    """

    def __init__(self, api_server: ApiServer) -> None:
        self._api_server = api_server
        self._connection: HTTPConnection | None = None
        self._socket: socket.socket | None = None
        self._own_user = False
        self._answer: HTTPResponse | None = None
        self._is_shut = False
        self._lock = threading.Lock()

    def exchange(
        self, method: str, path: str, headers: Message, body: bytes | None
    ) -> HTTPResponse:
        """Sends a request; the answer's body is for the caller to read, before the next request.

        Raises OSError or HTTPException if the API server gives no answer.
        """
        connection = self._open(own_user="Authorization" in headers)
        connection.putrequest(
            method, self._api_server.path(path), skip_host=True, skip_accept_encoding=True
        )
        connection.putheader("Host", self._api_server.host)
        for name, value in end_to_end(headers):
            connection.putheader(name, value)
        if "Authorization" not in headers and (authorization := self._api_server.authorization):
            connection.putheader("Authorization", authorization)
        if "Upgrade" in headers:
            connection.putheader("Connection", "Upgrade")
        if body is not None or method in _WRITING:
            connection.putheader("Content-Length", str(len(body or b"")))
        connection.endheaders(body)
        self._answer = connection.getresponse()
        return self._answer

    def upgraded_socket(self) -> socket.socket:
        """The connection's, for bytes both ways after an answer that switched protocols."""
        if self._socket is None:
            raise ConnectionError("no connection to the API server is open")
        return self._socket

    def shut(self) -> None:
        """Ends what is being sent or received, and opens no connection any more."""
        with self._lock:
            self._is_shut = True
            if self._socket:
                with suppress(OSError):
                    # Not that of an SSL socket, after which a reader would read encrypted bytes.
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        with self._lock:
            self._socket = None
        if self._connection:
            self._connection.close()
            self._connection = None

    def _open(self, *, own_user: bool) -> HTTPConnection:
        if not self._is_reusable(own_user=own_user):
            self.close()
        if self._connection is None:
            self._connection = self._api_server.connect(own_user=own_user)
            self._own_user = own_user
            with self._lock:
                self._socket = self._connection.sock
        if self._is_shut:
            raise ConnectionError("the command has ended")
        return self._connection

    def _is_reusable(self, *, own_user: bool) -> bool:
        """Readable before a request means that the server has ended it."""
        return (
            self._connection is not None
            and self._connection.sock is not None
            and self._own_user == own_user
            and self._answer is not None
            and self._answer.isclosed()
            and not is_readable(self._connection.sock)
        )
