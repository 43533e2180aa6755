"""Traces in an OpenSearch or Elasticsearch behind TLS and a login."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from lab.build import images
from runtime_observability.core import prefix_mark
from runtime_observability.core.naming import Names
from tests import lacking
from tests.contract import login_server, tls_proxy
from tests.e2e import search_engine
from tests.e2e.ktrace import shown, whole
from tests.e2e.search_engine import FOREIGN, OLD, Elsewhere
from tests.live.pods import pods
from tests.live.stack import Stack
from tests.live.waiting import until

pytestmark = pytest.mark.every_store
USER, PASSWORD, NEXT_PASSWORD = "traces", 'p$ss"w\\örd', "~n€xt: #{%s}'`${HOME}"
_PORT = 9443


class Login:
    """TLS and a login before ``store``, in a container of the node image, which has Python."""

    def __init__(self, stack: Stack, store: Elsewhere, folder: Path) -> None:
        self.name = f"traced-{stack.name}-login-{secrets.token_hex(2)}"
        self.url = f"https://{self.name}:{_PORT}"
        authority, other = trustme.CA(), trustme.CA()
        self.authority = authority.create_child_ca()
        """Issues its certificates; ``certificates`` has the one above it."""
        trusted = (other.cert_pem, authority.cert_pem)
        self.certificates = "".join(pem.bytes().decode() for pem in trusted)
        self._stack, self._store, self._folder = stack, store, folder
        shutil.copy(login_server.__file__, folder / "server.py")
        self.start(PASSWORD)

    def start(self, password: str, certificate: trustme.LeafCert | None = None) -> None:
        """Again with another password or certificate, if it runs."""
        stack, folder = self._stack, self._folder
        certificate = certificate or self.authority.issue_cert(self.name)
        certificate.private_key_pem.write_to_path(folder / "key.pem")
        chain = b"".join(pem.bytes() for pem in certificate.cert_chain_pems)
        (folder / "tls.pem").write_bytes(chain)
        image = stack.docker.inspect(stack.server)["Config"]["Image"]
        arguments = ["/tls.pem", "/key.pem", f"{self._store.name}:9200"]
        arguments += [tls_proxy.login(USER, password), str(_PORT)]
        stack.docker("rm", "--force", "--volumes", self.name, check=False)
        stack.docker(
            "create", "--name", self.name, "--network", stack.cluster,
            "--entrypoint", "python3", image, "/server.py", *arguments,
        )  # fmt: skip
        for file in folder.iterdir():
            stack.docker("cp", str(file), f"{self.name}:/{file.name}")
        stack.docker("start", self.name)

    def configure(self, password: str = PASSWORD, certificates: str | None = None) -> None:
        """The stack, to keep its traces there."""
        trusted = self.certificates if certificates is None else certificates
        login = {"traceStoreUser": USER, "traceStoreCaFile": trusted}
        self._stack.configure(**self._store.settings(self.url), **login)
        self._stack.pulumi("config", "set", "--secret", "traceStorePassword", password)


@pytest.fixture(params=search_engine.ENGINES)
def elsewhere(request: pytest.FixtureRequest, stack: Stack) -> Iterator[Elsewhere]:
    with request.param(stack) as found:
        yield found


@pytest.fixture
def guarded(stack: Stack, elsewhere: Elsewhere, tmp_path: Path) -> Iterator[Login]:
    if not stack.docker.inspect(stack.server)["Config"]["Image"].startswith(images.PREFIX):
        lacking.refuse("only the lab's node image has Python")
    folder = tmp_path / "login"
    folder.mkdir()
    found = Login(stack, elsewhere, folder)
    try:
        yield found
    finally:
        stack.settle()
        stack.docker("rm", "--force", "--volumes", found.name)


def test_another_login_or_certificate_is_refused_before_the_old_jaeger_goes(
    stack: Stack, elsewhere: Elsewhere, guarded: Login
) -> None:
    stays = elsewhere.indices()
    jaeger = stack.docker.inspect(stack.jaeger)["Id"]

    def refuses(reason: str) -> None:
        refused = stack.refused_up().said
        assert f"error: traceStore {elsewhere.store}: {reason}" in refused, refused
        assert PASSWORD not in refused
        assert stack.docker.inspect(stack.jaeger)["Id"] == jaeger, "the old one goes on"
        assert elsewhere.indices() == stays

    guarded.configure("another")
    refuses(f"it refuses traceStoreUser {USER} and traceStorePassword (401)")
    for unknown in ("", trustme.CA().cert_pem.bytes().decode()):
        guarded.configure(certificates=unknown)
        refuses(f"{guarded.url}: its certificate is not trusted: ")
    guarded.configure()
    yesterday = datetime.now(UTC) - timedelta(days=1)
    begun = yesterday - timedelta(days=1)
    expired = guarded.authority.issue_cert(guarded.name, not_before=begun, not_after=yesterday)
    guarded.start(PASSWORD, expired)
    refuses(f"{guarded.url}: its certificate has expired: renew it there, ")
    guarded.start(PASSWORD, guarded.authority.issue_cert("search.example"))
    refuses(f"{guarded.url}: its certificate is for another host: ")


def test_a_cluster_behind_tls_and_a_login_is_used_and_left(
    stack: Stack, elsewhere: Elsewhere, guarded: Login
) -> None:
    prefix = Names(stack.name, stack.folder).index_prefix
    assert "acknowledged" in elsewhere.ask("PUT", f"/{FOREIGN}")
    stays = elsewhere.indices()
    guarded.configure()
    mark = prefix_mark.document(prefix, "elsewhere")
    assert "acknowledged" in elsewhere.ask("PUT", prefix_mark.path(prefix), mark)
    assert prefix_mark.warning(prefix, "elsewhere") in stack.up().said
    assert prefix_mark.path(prefix).rpartition("/")[2] in elsewhere.templates()
    stack.expect_no_changes()
    with pods(stack, "sleep", "600") as single:
        shown(stack, f"{single.name}-0", whole)
    own = elsewhere.indices() - stays
    assert any(index.startswith(f"{prefix}-jaeger-span-") for index in own)
    assert all(index.startswith(f"{prefix}-jaeger-") for index in own)

    guarded.start(NEXT_PASSWORD)
    until("a refusal", lambda: "401" in stack.plan().diagnostics, 60)
    guarded.configure(NEXT_PASSWORD)
    assert NEXT_PASSWORD not in stack.up().said
    with pods(stack, "sleep", "600") as single:
        shown(stack, f"{single.name}-0", whole)
    expired = f"{prefix}-jaeger-span-{OLD}"
    assert "acknowledged" in elsewhere.ask("PUT", f"/{expired}")
    stack.docker("restart", stack.retention)
    until("the old index to go", lambda: expired not in elsewhere.indices(), 60)
    inspected = json.dumps(stack.docker.inspect(stack.retention), ensure_ascii=False)
    assert json.dumps(NEXT_PASSWORD, ensure_ascii=False)[1:-1] not in inspected
    stack.destroy()
    assert elsewhere.indices() == stays
    assert not [name for name in elsewhere.templates() if name.startswith(prefix)]
