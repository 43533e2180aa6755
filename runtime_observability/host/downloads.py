"""Downloads of pinned files over HTTPS: through proxies and a mirror, with the system's trust."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import ssl
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import truststore

from runtime_observability.host.http import httpx

MIRROR = "RUNTIME_OBSERVABILITY_RELEASES"
"""The variable with the address below which a mirror has every file as HOST/PATH."""
CERTIFICATES = {"SSL_CERT_FILE": "cafile", "SSL_CERT_DIR": "capath"}
"""OpenSSL's variables for more authorities, by the parameter of ``load_verify_locations``."""

TOTAL_SECONDS = 600
"""How long a whole download may take."""
WAIT_SECONDS = 30
"""How long a connection, or the next part of a response, may take."""
REPORT_SECONDS = 5
PAUSE_SECONDS = 1
"""Before the second and last attempt."""
CHECKSUMS_BYTES = 1 << 20
_MIB = 1 << 20

T = TypeVar("T")

Report = Callable[[str], None]
"""Takes a line about the progress: ``12 of 93 MiB``."""


class DownloadError(Exception):
    """A file cannot be downloaded: the text names its address, the reason and the cure."""


def location(address: str) -> str:
    """Where the file at ``address`` is fetched from: there, or from the mirror.

    Raises DownloadError if the mirror is not an https address.
    """
    mirror = os.environ.get(MIRROR, "")
    if not mirror:
        return address
    if not _is_https(mirror):
        raise DownloadError(
            f"{MIRROR}={_shown(mirror)}: a mirror is an https address, for instance "
            f"{MIRROR}=https://mirror.example/releases"
        )
    return f"{mirror.rstrip('/')}/{address.removeprefix('https://')}"


def _is_https(address: str) -> bool:
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL:
        return False
    return url.scheme == "https" and bool(url.host)


def client(seconds: float = WAIT_SECONDS) -> httpx.Client:
    """A client that waits ``seconds`` for each step, with the user's proxies.

    It trusts what the system trusts, and the authorities in SSL_CERT_FILE and SSL_CERT_DIR. Raises
    DownloadError if these cannot be used, and its requests do if a proxy's address cannot.
    """
    return httpx.Client(
        transport=_Ways(_trust()),
        timeout=seconds,
        follow_redirects=True,
        # Compressed on the way, an archive would have another checksum.
        headers={"Accept-Encoding": "identity"},
    )


@dataclass(frozen=True)
class _Proxy:
    """A proxy as the user has set it, and the variable that names it; both empty for none."""

    address: str = ""
    variable: str = ""

    @classmethod
    def on_the_way_to(cls, url: httpx.URL) -> _Proxy:
        """urllib reads the variables: httpx refuses an address of IPv6 in NO_PROXY (httpx#3221)."""
        proxies = urllib.request.getproxies()
        scheme = next((name for name in (url.scheme, "all") if proxies.get(name)), None)
        host = f"[{url.host}]" if ":" in url.host else url.host
        port = url.port or (80 if url.scheme == "http" else 443)
        if scheme is None or any(
            urllib.request.proxy_bypass(f"{written}:{port}") for written in {host, url.host}
        ):
            return cls()
        names = (f"{scheme}_proxy", f"{scheme}_proxy".upper())
        variable = next((name for name in names if os.environ.get(name)), "the system's settings")
        address = proxies[scheme]
        return cls(address if "://" in address else f"http://{address}", variable)

    def transport(self, trust: ssl.SSLContext) -> httpx.HTTPTransport:
        """Raises DownloadError for an address that is no proxy's."""
        if not self.address:
            return httpx.HTTPTransport(verify=trust)
        # The proxy resolves names in all of these: httpcore sends it the host as it is.
        address = re.sub(r"^socks(5h)?://", "socks5://", self.address)
        try:
            return httpx.HTTPTransport(verify=trust, proxy=address)
        except (ValueError, ImportError, httpx.InvalidURL) as error:
            # Of a password with such a sign the error has the part before it.
            has_login = isinstance(error, httpx.InvalidURL) and "@" in self.address
            why = "write %23, %2F, %3F for #, / and ? in its login" if has_login else error
            raise DownloadError(
                f"the proxy {_shown(self.address)} cannot be used: {why}. "
                f"Name an HTTP or SOCKS5 proxy in {self.variable}, as http://HOST:PORT or "
                "socks5h://HOST:PORT"
            ) from error


class _Ways(httpx.BaseTransport):
    """Sends each request through the proxy that is set for its host, or directly."""

    def __init__(self, trust: ssl.SSLContext) -> None:
        self._trust = trust
        self._transports: dict[_Proxy, httpx.HTTPTransport] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        proxy = _Proxy.on_the_way_to(request.url)
        if proxy not in self._transports:
            self._transports[proxy] = proxy.transport(self._trust)
        try:
            return self._transports[proxy].handle_request(request)
        except httpx.HTTPError:
            raise
        except Exception as error:
            if not proxy.address:
                raise
            # httpcore passes on what socksio raises for an answer that is not SOCKS.
            raise httpx.ProxyError(f"its answer is not that of a proxy: {error}") from error

    def close(self) -> None:
        for transport in self._transports.values():
            transport.close()


def text(address: str) -> str:
    """The content of a small text file, a megabyte at most. Raises DownloadError."""
    return _twice(address, _content).decode("utf-8", errors="replace")


def save(address: str, file: Path, *, sha256: str, mebibytes: int, report: Report) -> None:
    """Writes the file at ``address`` to ``file`` and verifies its checksum.

    ``mebibytes`` is the size beyond which it is refused. Raises DownloadError, and leaves no file.
    """
    try:
        found = _twice(address, lambda place: _written(place, file, mebibytes, report))
        if found != sha256:
            raise DownloadError(
                f"checksum mismatch for {_shown(location(address))}: expected sha256 {sha256}, got "
                f"{found}. Run the same command again; if that does not help, a proxy or the "
                f"mirror has changed the file. {_cure(address)}"
            )
    except BaseException:
        file.unlink(missing_ok=True)
        raise


def why_not_there(address: str, seconds: float) -> str:
    """Why the file at ``address`` cannot be downloaded; empty if it can. Downloads nothing.

    Waits ``seconds`` for each step. Raises DownloadError if the settings cannot be used.
    """
    place = location(address)
    with client(seconds) as connection:
        try:
            response = connection.head(place)
            if response.status_code in (403, 405, 501):  # some servers answer only GET
                with connection.stream("GET", place) as response:
                    response.raise_for_status()
            response.raise_for_status()
        except httpx.HTTPError as error:
            return _reason(error, place)
    return ""


def _twice(address: str, attempt: Callable[[str], T]) -> T:
    """What ``attempt`` returns, once repeated where the reason may pass by itself."""
    place = location(address)
    try:
        try:
            return attempt(place)
        except httpx.HTTPError as error:
            if isinstance(error, httpx.HTTPStatusError) and error.response.status_code < 500:
                raise
            time.sleep(PAUSE_SECONDS)
            return attempt(place)
    except httpx.HTTPError as error:
        raise DownloadError(
            f"{_shown(place)} cannot be downloaded: {_reason(error, place)}. {_cure(address)}"
        ) from error


def _content(place: str) -> bytes:
    received = b""
    for part in _parts(place, CHECKSUMS_BYTES, lambda _: None):
        received += part
    return received


def _written(place: str, file: Path, mebibytes: int, report: Report) -> str:
    """Writes the file and returns its sha256."""
    digest = hashlib.sha256()
    with file.open("wb") as content:
        for part in _parts(place, mebibytes * _MIB, report):
            digest.update(part)
            content.write(part)
    return digest.hexdigest()


def _parts(place: str, limit: int, report: Report) -> Iterator[bytes]:
    """The content as it arrives, at most ``limit`` bytes of it."""
    received = 0
    begin = reported = time.monotonic()
    with client() as connection, connection.stream("GET", place) as response:
        response.raise_for_status()
        total = int(response.headers.get("content-length", 0))
        for part in response.iter_raw():
            received += len(part)
            now = time.monotonic()
            if received > limit or total > limit:
                raise DownloadError(
                    f"{_shown(place)} is larger than {limit // _MIB} MiB, so it is not the file "
                    "that is wanted"
                )
            if now - begin > TOTAL_SECONDS:
                raise DownloadError(
                    f"the download of {_shown(place)} took longer than {TOTAL_SECONDS} s"
                )
            if now - reported > REPORT_SECONDS:
                reported = now
                size = f" of {total / _MIB:.0f}" if total else ""
                report(f"{received / _MIB:.0f}{size} MiB")
            yield part


def _trust() -> ssl.SSLContext:
    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for variable, parameter in CERTIFICATES.items():
        if named := os.environ.get(variable):
            try:
                context.load_verify_locations(**{parameter: named})
            except OSError as error:  # ssl.SSLError is one
                raise DownloadError(
                    f"{variable}={named} has no certificates that can be read: {error}. Name a "
                    f"file or folder in PEM format, or unset {variable}"
                ) from error
    return context


def _reason(error: httpx.HTTPError, place: str) -> str:
    """Why ``place`` did not answer as wanted, in words."""
    if isinstance(error, httpx.HTTPStatusError):
        return f"{_elsewhere(error, place)}HTTP {error.response.status_code}"
    proxy = _Proxy.on_the_way_to(httpx.URL(place))
    through = (
        f" (through the proxy {_shown(proxy.address)} of {proxy.variable})" if proxy.address else ""
    )
    return f"{_elsewhere(error, place)}{_cause(error, place)}{through}"


def _cause(error: httpx.HTTPError, place: str) -> str:
    for cause in _causes(error):
        match cause:
            case ssl.SSLCertVerificationError():
                return (
                    f"its certificate is not trusted: {cause.verify_message}; name the file of "
                    "your company's CA in SSL_CERT_FILE, or add it to the system's"
                )
            case ssl.SSLError():
                return f"TLS fails: {cause.reason or cause}"
            case socket.gaierror():
                return f"the name cannot be resolved: {cause.strerror}"
            case ConnectionRefusedError():
                return "the connection was refused"
    match error:
        case httpx.TimeoutException():
            return "no answer in time"
        case httpx.ProxyError():
            return f"the proxy refuses: {error}"
        case httpx.RemoteProtocolError():
            return f"the connection ended before everything had arrived: {error}"
    return str(error) or type(error).__name__


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _elsewhere(error: httpx.HTTPError, place: str) -> str:
    """The host that failed, where a redirect led to another one."""
    try:
        host = error.request.url.host
    except RuntimeError:  # the error came before the request
        return ""
    return "" if host == urlsplit(place).hostname else f"{host}, to which it redirects: "


def _cure(address: str) -> str:
    """How to fetch the file from another place."""
    below = address.removeprefix("https://")
    return (
        f"To download from a mirror, set {MIRROR}=https://MIRROR/PATH, which must have this file "
        f"as https://MIRROR/PATH/{below}"
    )


def _shown(address: str) -> str:
    """An address without its login and query, which may be secrets."""
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL:
        url = httpx.URL()
    if not url.host or "@" in url.path:  # of a login with a slash
        return address.rpartition("@")[2]
    return str(url.copy_with(userinfo=b"", query=None, fragment=None))
