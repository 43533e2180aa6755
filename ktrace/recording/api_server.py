"""The API server behind the forwarder, reached as the user of a kubeconfig's current context."""

from __future__ import annotations

import http.client
from pathlib import Path
from urllib.parse import urlsplit

from ktrace.errors import UnreachableError, UsageError
from ktrace.recording import kubeconfig
from ktrace.text import clean
from runtime_observability.host import kubeapi

_CONNECT_SECONDS = 15


class ApiServer:
    """Checked once: a connection to it can be opened, with the credentials that kubectl would use.

    Raises KubeconfigError or UsageError for a kubeconfig that cannot be used, UnreachableError for
    a server that does not answer.
    """

    def __init__(self, file: Path) -> None:
        self._configuration = kubeapi.configuration(file)
        if self._configuration.proxy:
            raise UsageError(
                f"{file} sets proxy-url, but ktrace run connects to API servers directly: remove "
                "it if the API server can be reached without the proxy"
            )
        url = urlsplit(self._configuration.host)
        self._host, self._path = url.hostname or "", url.path.rstrip("/")
        self._port = url.port or (443 if url.scheme == "https" else 80)
        self._tls = kubeapi.tls(self._configuration)
        self._tls_without_user = kubeapi.tls(self._configuration, with_certificate=False)
        self._check_exec_plugin(file)
        self._check_connection(file)

    def connect(self, *, own_user: bool = False) -> http.client.HTTPConnection:
        """``own_user``: the request names its user, whom the client certificate would override."""
        connection = http.client.HTTPConnection(self._host, self._port, timeout=_CONNECT_SECONDS)
        connection.auto_open = 0  # a connection that http.client reopens would be without TLS
        connection.connect()
        if context := self._tls_without_user if own_user else self._tls:
            name = self._configuration.tls_server_name or self._host
            connection.sock = context.wrap_socket(connection.sock, server_hostname=name)
        connection.sock.settimeout(None)  # a watch may be silent for any time
        return connection

    def path(self, path: str) -> str:
        """``path`` below the path of the kubeconfig's server URL."""
        return self._path + path

    @property
    def host(self) -> str:
        """``NAME:PORT``."""
        return f"{self._host}:{self._port}"

    @property
    def authorization(self) -> str | None:
        """The header's value for a token (also of a file or an exec plugin) or a password.

        Tokens that expire are renewed.
        """
        return self._configuration.get_api_key_with_prefix("BearerToken", alias="authorization")

    def _check_exec_plugin(self, file: Path) -> None:
        plugin = kubeconfig.user(file).get("exec")
        if plugin and not (self.authorization or self._configuration.cert_file):
            raise UsageError(
                f"{file}: exec plugin {plugin.get('command')} returned no credentials, and the "
                "command would run as system:anonymous; repair the plugin, or log in again"
            )

    def _check_connection(self, file: Path) -> None:
        """Before the command runs: its own error message would name the forwarder."""
        try:
            self.connect().close()
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(
                f"the API server {self.host} of {file} cannot be reached: {clean(str(error))}; is "
                "the cluster running?"
            ) from None
