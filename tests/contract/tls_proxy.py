"""TLS and a login in front of an HTTP server, as clusters of companies and providers have them."""

from __future__ import annotations

import base64
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import trustme

from tests.contract.login_server import Server

USER, PASSWORD = "traces", 'p$ss"w\\örd'


@dataclass
class Proxy:
    """``passed`` and ``refused`` count the requests with the right login and the others."""

    server: Server
    certificates: str
    """PEM of the authority that signed its certificate."""

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.server.server_address[1]}"

    @property
    def passed(self) -> int:
        return self.server.passed

    @property
    def refused(self) -> int:
        return self.server.refused


def login(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


@contextmanager
def in_front_of(
    url: str, host: str = "127.0.0.1", until: datetime | None = None
) -> Iterator[Proxy]:
    """A proxy on 127.0.0.1, which passes on what has the login of USER; ended at the end.

    Its certificate is for ``host``, and valid ``until`` then.
    """
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    begun = until and until - timedelta(days=1)
    authority.issue_cert(host, not_before=begun, not_after=until).configure_cert(context)
    upstream = url.removeprefix("http://")
    server = Server(("127.0.0.1", 0), context, upstream, login(USER, PASSWORD))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield Proxy(server, authority.cert_pem.bytes().decode())
    finally:
        server.shutdown()
        server.server_close()
