"""Downloads: from a site with TLS on 127.0.0.1, through a proxy, from a mirror."""

from __future__ import annotations

import gzip
import hashlib
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from runtime_observability.host import downloads
from runtime_observability.host.downloads import MIRROR, DownloadError
from tests.fakes.clock import Clock
from tests.fakes.releases import Proxy, Site, socks_proxy

ADDRESS = "https://dl.k8s.io/release/tool"
FILE = "dl.k8s.io/release/tool"
CONTENT = b"the tool" * 100_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Pauses take no time."""
    return Clock().drive(monkeypatch, downloads)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file"


REAL_CLIENT = downloads.client


def answering(
    monkeypatch: pytest.MonkeyPatch, answer: Callable[[httpx.Request], httpx.Response]
) -> None:
    """Every request has this answer."""

    def client(seconds: float = 0) -> httpx.Client:
        return httpx.Client(transport=httpx.MockTransport(answer), timeout=seconds)

    monkeypatch.setattr(downloads, "client", client)


def save(file: Path, sha256: str = SHA256, mebibytes: int = 1) -> None:
    downloads.save(ADDRESS, file, sha256=sha256, mebibytes=mebibytes, report=lambda _: None)


def failure(file: Path, **arguments: object) -> str:
    """Why it cannot be saved; nothing may be left of it."""
    with pytest.raises(DownloadError) as failed:
        save(file, **arguments)  # type: ignore[arg-type]
    assert not file.exists()
    return str(failed.value)


# --- what is downloaded ---------------------------------------------------------------------------


def test_a_file_is_saved_through_the_proxy(proxy: Proxy, file: Path) -> None:
    proxy.to.files[FILE] = CONTENT
    save(file)
    assert file.read_bytes() == CONTENT
    assert proxy.wanted == ["dl.k8s.io:443"]
    assert proxy.to.requests == [("GET", FILE)]


def test_a_redirect_to_another_host_is_followed(proxy: Proxy, file: Path) -> None:
    proxy.to.redirects[FILE] = "https://objects.example/1?signature=secret"
    proxy.to.files["objects.example/1?signature=secret"] = CONTENT
    save(file)
    assert file.read_bytes() == CONTENT


def test_a_host_that_needs_no_proxy_is_reached_without(
    proxy: Proxy, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv(MIRROR, f"https://127.0.0.1:{proxy.to.port}")
    proxy.to.files["127.0.0.1/dl.k8s.io/release/tool"] = CONTENT
    save(file)
    assert proxy.wanted == []


@pytest.mark.parametrize(
    "listed",
    [
        "::1",
        "[::1]",
        "::1/128,fe80::/10",
        "localhost,127.0.0.1,::1",
        "10.0.0.0/8",
        "a b,,*.x",
        "http://",
        "[",
        "é",
    ],
)
def test_whatever_needs_no_proxy_the_rest_goes_through_it(
    proxy: Proxy, file: Path, monkeypatch: pytest.MonkeyPatch, listed: str
) -> None:
    """httpx raises InvalidURL for some of these."""
    monkeypatch.setenv("NO_PROXY", listed)
    proxy.to.files[FILE] = CONTENT
    save(file)
    assert proxy.wanted == ["dl.k8s.io:443"]


@pytest.mark.parametrize(
    ("listed", "address", "direct"),
    [
        ("::1", "https://[::1]/x", True),
        ("[::1]", "https://[::1]:8443/x", True),
        ("::1", "https://[::2]/x", False),
        ("k8s.io", "https://dl.k8s.io/x", True),
        (".k8s.io", "https://dl.k8s.io/x", True),
        ("8s.io", "https://dl.k8s.io/x", False),
        ("dl.k8s.io:443", "https://dl.k8s.io/x", True),
        ("dl.k8s.io:8443", "https://dl.k8s.io/x", False),
        ("*", "https://dl.k8s.io/x", True),
        ("", "https://dl.k8s.io/x", False),
    ],
)
def test_no_proxy_names_hosts_as_other_tools_read_it(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch, listed: str, address: str, direct: bool
) -> None:
    monkeypatch.setenv("NO_PROXY", listed)
    found = downloads._Proxy.on_the_way_to(httpx.URL(address))
    assert found == (
        downloads._Proxy() if direct else downloads._Proxy(proxy.address, "HTTPS_PROXY")
    )


@pytest.mark.parametrize("variable", ["ALL_PROXY", "https_proxy"])
@pytest.mark.parametrize("scheme", ["socks5h", "socks5", "socks"])
def test_a_file_is_saved_through_a_socks_proxy(
    trusted: Site, file: Path, monkeypatch: pytest.MonkeyPatch, variable: str, scheme: str
) -> None:
    pytest.importorskip("socksio")
    trusted.files[FILE] = CONTENT
    with socks_proxy(trusted) as proxy:
        monkeypatch.setenv(variable, f"{scheme}://127.0.0.1:{proxy.port}")
        save(file)
        assert (proxy.wanted, proxy.login) == (["dl.k8s.io"], b""), "the proxy resolves the name"
        monkeypatch.setenv(variable, f"{scheme}://ada:secret@127.0.0.1:{proxy.port}/")
        save(file)
        assert proxy.login == b"ada:secret"
    assert file.read_bytes() == CONTENT


def test_without_the_package_for_socks_that_is_said_in_one_line(
    trusted: Site, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.setenv("ALL_PROXY", "socks5h://ada:secret@127.0.0.1:1080")
    told = failure(file)
    assert told.startswith("the proxy socks5h://127.0.0.1:1080 cannot be used: Using SOCKS")
    assert "secret" not in told
    assert "\n" not in told


@pytest.mark.parametrize(
    "address", ["http://ada:hush#1@127.0.0.1:9", "http://ada:hush/1@127.0.0.1:9"]
)
def test_a_password_with_a_sign_of_urls_is_not_told(
    file: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """httpx takes what is before the sign for a port, and says which."""
    monkeypatch.setenv("HTTPS_PROXY", address)
    told = failure(file)
    assert "hush" not in told
    assert "the proxy 127.0.0.1:9 cannot be used: write %23, %2F, %3F for #" in told
    monkeypatch.setenv("HTTPS_PROXY", "http://127:1/23@127.0.0.1:9")
    assert "127:1" not in failure(file)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(b"HTTP/1.1 400 Bad Request\r\n\r\n", "the proxy refuses"), (b"", "the proxy refuses")],
)
def test_what_is_no_socks_proxy_is_told_in_one_line(
    trusted: Site, file: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes, reason: str
) -> None:
    pytest.importorskip("socksio")

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(100)
            self.request.sendall(answer)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setenv("ALL_PROXY", f"socks5h://127.0.0.1:{server.server_address[1]}")
        told = failure(file)
        server.shutdown()
    assert f"{ADDRESS} cannot be downloaded: {reason}" in told
    assert "of ALL_PROXY)" in told
    assert "\n" not in told


def test_a_proxy_without_a_scheme_is_an_http_proxy(
    proxy: Proxy, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"127.0.0.1:{proxy.port}")
    proxy.to.files[FILE] = CONTENT
    save(file)
    assert proxy.wanted == ["dl.k8s.io:443"]


@pytest.mark.parametrize("end", ["", "/"])
def test_a_mirror_has_every_file_below_its_host(
    trusted: Site, file: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setenv(MIRROR, f"https://localhost:{trusted.port}/releases{end}")
    trusted.files["localhost/releases/dl.k8s.io/release/tool"] = CONTENT
    save(file)
    assert file.read_bytes() == CONTENT


def test_a_text_is_a_small_file(proxy: Proxy) -> None:
    proxy.to.files[FILE] = b"sums"
    assert downloads.text(ADDRESS) == "sums"
    proxy.to.files[FILE] = b"x" * (downloads.CHECKSUMS_BYTES + 1)
    with pytest.raises(DownloadError, match=r"tool is larger than 1 MiB"):
        downloads.text(ADDRESS)


def test_a_compressed_file_is_saved_as_it_is(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checksum of an archive is that of its bytes."""
    headers = {"Content-Encoding": "gzip"}
    packed = gzip.compress(CONTENT)
    answering(
        monkeypatch,
        lambda _: httpx.Response(200, headers=headers, stream=httpx.ByteStream(packed)),
    )
    save(file, sha256=hashlib.sha256(packed).hexdigest())
    assert file.read_bytes() == packed
    with REAL_CLIENT() as client:
        assert client.headers["Accept-Encoding"] == "identity"


# --- what is not ----------------------------------------------------------------------------------


def test_another_content_is_not_kept(proxy: Proxy, file: Path) -> None:
    proxy.to.files[FILE] = b"evil"
    found = hashlib.sha256(b"evil").hexdigest()
    told = failure(file)
    assert told.startswith(
        f"checksum mismatch for {ADDRESS}: expected sha256 {SHA256}, got {found}. Run the same"
    )
    assert f"{MIRROR}=https://MIRROR/PATH" in told
    assert "https://MIRROR/PATH/dl.k8s.io/release/tool" in told
    assert proxy.to.fetched == [FILE], "it is not a fault that passes"


def test_a_body_that_ends_early_is_fetched_once_more(proxy: Proxy, file: Path) -> None:
    proxy.to.files[FILE] = CONTENT
    proxy.to.cut.add(FILE)
    told = failure(file)
    assert "the connection ended before everything had arrived" in told
    assert proxy.to.fetched == [FILE, FILE]


def test_a_server_that_is_overloaded_once_is_asked_again(
    proxy: Proxy, file: Path, clock: Clock
) -> None:
    proxy.to.files[FILE] = CONTENT
    proxy.to.statuses[FILE] = [503]
    begin = clock.now
    save(file)
    assert file.read_bytes() == CONTENT
    assert clock.now == begin + downloads.PAUSE_SECONDS
    proxy.to.statuses[FILE] = [503, 502]
    assert "HTTP 502" in failure(file)


def test_a_file_that_is_not_there_is_named_with_the_status(proxy: Proxy, file: Path) -> None:
    told = failure(file)
    assert told.startswith(f"{ADDRESS} cannot be downloaded: HTTP 404. To download from a mirror,")
    assert proxy.to.fetched == [FILE], "a second request would have the same answer"


def test_a_redirect_that_fails_names_the_host_without_its_secrets(proxy: Proxy, file: Path) -> None:
    proxy.to.redirects[FILE] = "https://objects.example/1?signature=secret"
    told = failure(file)
    assert "objects.example, to which it redirects: HTTP 404" in told
    assert "secret" not in told


def test_a_file_that_is_too_large_is_not_read_to_its_end(proxy: Proxy, file: Path) -> None:
    proxy.to.files[FILE] = b"x" * ((1 << 20) + 1)
    assert "is larger than 1 MiB, so it is not the file that is wanted" in failure(file)


@pytest.mark.parametrize(
    ("declared", "sent"), [({"Content-Length": str(1 << 21)}, b"x"), ({}, b"x" * (1 << 21))]
)
def test_its_size_counts_declared_or_not(
    file: Path, monkeypatch: pytest.MonkeyPatch, declared: dict[str, str], sent: bytes
) -> None:
    answering(
        monkeypatch,
        lambda _: httpx.Response(200, headers=declared, stream=httpx.ByteStream(sent)),
    )
    assert "is larger than 1 MiB" in failure(file)


def test_a_download_that_is_interrupted_leaves_nothing(
    proxy: Proxy, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy.to.files[FILE] = CONTENT

    class Interrupted:
        @staticmethod
        def monotonic() -> float:
            if file.exists() and file.stat().st_size:
                raise KeyboardInterrupt
            return 0.0

    monkeypatch.setattr(downloads, "time", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        save(file)
    assert not file.exists()


# --- why ------------------------------------------------------------------------------------------


def test_an_authority_that_nobody_trusts_is_named_with_the_cure(
    site: Site, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MIRROR, f"https://localhost:{site.port}")
    site.files["localhost/dl.k8s.io/release/tool"] = CONTENT
    told = failure(file)
    assert f"https://localhost:{site.port}/dl.k8s.io/release/tool cannot be downloaded: its" in told
    assert "its certificate is not trusted: unable to get local issuer certificate" in told
    assert "SSL_CERT_FILE" in told
    monkeypatch.setenv("SSL_CERT_FILE", str(site.authority))
    save(file)
    assert file.read_bytes() == CONTENT


def test_a_folder_of_authorities_is_trusted_too(
    site: Site, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    der = ssl.PEM_cert_to_DER_cert(site.authority.read_text())
    (tmp_path / "authorities").mkdir()
    named = tmp_path / "authorities" / f"{_subject_hash(der)}.0"
    named.write_text(site.authority.read_text())
    monkeypatch.setenv("SSL_CERT_DIR", str(named.parent))
    monkeypatch.setenv(MIRROR, f"https://localhost:{site.port}")
    site.files["localhost/dl.k8s.io/release/tool"] = CONTENT
    save(file)


def _subject_hash(der: bytes) -> str:
    """The name under which OpenSSL looks for an authority in a folder (c_rehash)."""
    command = ["openssl", "x509", "-inform", "DER", "-noout", "-subject_hash"]
    return (
        subprocess.run(command, input=der, capture_output=True, check=True).stdout.decode().strip()
    )


def test_certificates_that_cannot_be_read_are_named(
    site: Site, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for content in (None, "no certificate"):
        named = tmp_path / "named.pem"
        if content:
            named.write_text(content)
        monkeypatch.setenv("SSL_CERT_FILE", str(named))
        assert f"SSL_CERT_FILE={named} has no certificates that can be read" in failure(file)


def test_another_hosts_certificate_is_refused(
    proxy: Proxy, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MIRROR, "https://other.example")
    assert "its certificate is not trusted: Hostname mismatch" in failure(file)


def test_a_port_where_nobody_listens_refuses(
    trusted: Site, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MIRROR, "https://127.0.0.1:9")
    assert "cannot be downloaded: the connection was refused." in failure(file)


def test_a_name_that_nobody_knows_is_told(
    trusted: Site, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert "the name cannot be resolved: Name or service not known." in failure(file)


def test_a_silent_server_is_told(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("timed out", request=request)

    answering(monkeypatch, silent)
    assert "cannot be downloaded: no answer in time" in failure(file)


def test_a_proxy_is_named_with_its_variable_and_without_its_password(
    proxy: Proxy, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy.refusal = "407 Proxy Authentication Required"
    told = failure(file)
    assert "the proxy refuses: 407 Proxy Authentication Required" in told
    assert f"(through the proxy http://127.0.0.1:{proxy.port} of HTTPS_PROXY)" in told
    assert "secret" not in told
    monkeypatch.delenv("HTTPS_PROXY")
    monkeypatch.setenv("all_proxy", "http://ada:secret@127.0.0.1:9")
    told = failure(file)
    assert "the connection was refused (through the proxy http://127.0.0.1:9 of all_proxy)" in told
    assert "secret" not in told


def test_a_proxy_that_is_not_on_the_way_is_not_named(
    proxy: Proxy, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv(MIRROR, "https://127.0.0.1:9")
    assert "cannot be downloaded: the connection was refused. To download" in failure(file)


@pytest.mark.parametrize("address", ["socks4://ada:secret@127.0.0.1:9", "gopher://127.0.0.1:9"])
def test_a_proxy_that_cannot_be_used_is_named(
    site: Site, file: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", address)
    told = failure(file)
    assert "127.0.0.1:9 cannot be used" in told
    assert "HTTPS_PROXY" in told
    assert "secret" not in told


@pytest.mark.parametrize(
    "mirror",
    ["http://mirror.example", "mirror.example/path", "https://", "https://mirror.example:x", "["],
)
def test_a_mirror_is_an_https_address(
    site: Site, file: Path, monkeypatch: pytest.MonkeyPatch, mirror: str
) -> None:
    monkeypatch.setenv(MIRROR, mirror)
    assert f"{MIRROR}={mirror}: a mirror is an https address" in failure(file)


# --- a look without a download --------------------------------------------------------------------


def test_a_file_that_is_there_is_not_fetched(proxy: Proxy) -> None:
    proxy.to.files[FILE] = CONTENT
    assert downloads.why_not_there(ADDRESS, 5) == ""
    assert proxy.to.requests == [("HEAD", FILE)]


def test_a_redirect_is_followed_to_its_end(proxy: Proxy) -> None:
    proxy.to.redirects[FILE] = "https://objects.example/1"
    told = downloads.why_not_there(ADDRESS, 5)
    assert told == "objects.example, to which it redirects: HTTP 404"


@pytest.mark.parametrize("status", [403, 405, 501])
def test_a_server_that_answers_only_get_has_the_file(proxy: Proxy, status: int) -> None:
    proxy.to.files[FILE] = CONTENT
    proxy.to.statuses[FILE] = [status]
    assert downloads.why_not_there(ADDRESS, 5) == ""
    proxy.to.statuses[FILE] = [status, status]
    assert downloads.why_not_there(ADDRESS, 5) == f"HTTP {status}"


def test_a_look_has_the_patience_that_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    patience: list[float] = []

    def answer(request: httpx.Request) -> httpx.Response:
        patience.extend(request.extensions["timeout"].values())
        return httpx.Response(404)

    answering(monkeypatch, answer)
    assert downloads.why_not_there(ADDRESS, 15) == "HTTP 404"
    assert set(patience) == {15}


def test_a_mirror_is_named_by_the_variable_of_the_docs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNTIME_OBSERVABILITY_RELEASES", "https://mirror.example/all/")
    assert downloads.location(ADDRESS) == f"https://mirror.example/all/{FILE}"
