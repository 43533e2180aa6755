"""What the command receives: the API server's answer, or a refusal by ktrace itself."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable
from http.client import HTTPResponse
from http.server import BaseHTTPRequestHandler
from io import BufferedReader

from ktrace.recording import tunnel
from ktrace.recording.headers import end_to_end


def relay(answer: HTTPResponse, client: BaseHTTPRequestHandler, body: Iterable[bytes]) -> None:
    """Sends the answer with each part of its ``body`` as it arrives, as a watch needs.

    Raises ConnectionError if the body is shorter than the answer's Content-Length.
    """
    client.send_response_only(answer.status, answer.reason)
    for name, value in end_to_end(answer.headers):
        client.send_header(name, value)
    length = answer.headers.get("Content-Length")
    if length is not None:
        client.send_header("Content-Length", length)
    without_body = client.command == "HEAD" or answer.status in (204, 304)
    is_endless = length is None and not without_body
    chunked = is_endless and client.request_version != "HTTP/1.0"
    if chunked:
        client.send_header("Transfer-Encoding", "chunked")
    elif is_endless:
        client.close_connection = True
        client.send_header("Connection", "close")
    client.end_headers()
    for part in body:
        client.wfile.write(b"%x\r\n%b\r\n" % (len(part), part) if chunked else part)
    if answer.length:
        raise ConnectionError(f"the API server's answer ends {answer.length} bytes early")
    if chunked:
        client.wfile.write(b"0\r\n\r\n")
    answer.read()  # to its end: only then can its connection be used again


def relay_upgrade(
    answer: HTTPResponse,
    server: socket.socket,
    client: BaseHTTPRequestHandler,
    client_input: BufferedReader,
) -> None:
    """exec, attach and port-forward: after the answer, bytes both ways until one side ends."""
    client.send_response_only(answer.status, answer.reason)
    for name, value in answer.getheaders():
        client.send_header(name, value)
    client.end_headers()
    tunnel.run(
        tunnel.End(client.connection, tunnel.buffered(client_input, client.connection)),
        tunnel.End(server, tunnel.buffered(answer.fp, server)),
    )


def refuse(client: BaseHTTPRequestHandler, status: int, message: str) -> None:
    """In the API server's form, a Status, so that clients show the message; ends the connection."""
    document = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": message,
        "code": status,
    }
    text = json.dumps(document).encode()
    client.send_response_only(status)
    client.send_header("Content-Type", "application/json")
    client.send_header("Content-Length", str(len(text)))
    client.send_header("Connection", "close")
    client.end_headers()
    if client.command != "HEAD":
        client.wfile.write(text)
