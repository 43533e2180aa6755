"""The API server behind the forwarder, asked as the user of a kubeconfig's current context."""

from __future__ import annotations

import http.client
from pathlib import Path
from urllib.parse import urlsplit

from ktrace.errors import UnreachableError, UsageError
from ktrace.recording import kubeconfig
from runtime_observability.host import kubeapi

_CONNECT_SECONDS = 15


class Upstream:
    """Raises KubeconfigError or UsageError for what cannot be asked as kubectl would ask it."""

    def __init__(self, file: Path) -> None:
        self._given = kubeapi.configuration(file)
        if self._given.proxy:
            raise UsageError(
                f"{file} has a proxy-url: ktrace run asks API servers directly; remove it where "
                "the server can be reached without"
            )
        where = urlsplit(self._given.host)
        self._host, self._path = where.hostname or "", where.path.rstrip("/")
        self._port = where.port or (443 if where.scheme == "https" else 80)
        self._tls = kubeapi.tls(self._given)
        self._tls_without_user = kubeapi.tls(self._given, with_certificate=False)
        self._refuse_a_silent_plugin(file)
        self._refuse_a_server_that_is_not_there(file)

    def connect(self, *, own_user: bool = False) -> http.client.HTTPConnection:
        """``own_user``: the request names its user, who must not be hidden by a certificate."""
        connection = http.client.HTTPConnection(self._host, self._port, timeout=_CONNECT_SECONDS)
        connection.auto_open = 0  # by itself it would come back without TLS
        connection.connect()
        if context := self._tls_without_user if own_user else self._tls:
            name = self._given.tls_server_name or self._host
            connection.sock = context.wrap_socket(connection.sock, server_hostname=name)
        # A watch may be silent for as long as it likes.
        connection.sock.settimeout(None)
        return connection

    def path(self, path: str) -> str:
        return self._path + path

    @property
    def host(self) -> str:
        return f"{self._host}:{self._port}"

    @property
    def authorization(self) -> str | None:
        """A token, its file's or an exec plugin's, or a name and password; renewed in time."""
        return self._given.get_api_key_with_prefix("BearerToken", alias="authorization")

    def _refuse_a_silent_plugin(self, file: Path) -> None:
        """The command would run as system:anonymous."""
        plugin = kubeconfig.user(file).get("exec")
        if plugin and not (self.authorization or self._given.cert_file):
            raise UsageError(f"{file}: its exec plugin {plugin.get('command')} gave no credentials")

    def _refuse_a_server_that_is_not_there(self, file: Path) -> None:
        """Before the command runs: its own message would name the forwarder."""
        try:
            self.connect().close()
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(f"the cluster of {file} cannot be asked: {error}") from None
