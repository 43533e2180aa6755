"""This server's etcd: the first member of the cluster's, or one that joins it.

As in k3s, every server runs a member, the first one begins the cluster, and the others ask it to
add them. A member is found by its node's name: a container that restarts may have another address.
"""

from __future__ import annotations

import http.client
import json
import ssl
import time
from typing import Any
from urllib.parse import urlsplit

from .certificates import CA, certificate, key, make_serving
from .node import SERVER, Node
from .processes import Components, FatalError, listens, log, merged

CLIENT_PORT, PEER_PORT = 2379, 2380
LOCAL = f"https://127.0.0.1:{CLIENT_PORT}"
_DATA = SERVER / "db" / "etcd"
_JOIN_SECONDS = 60


def start(node: Node, components: Components) -> None:
    """Start the member and wait until it answers.

    The certificate of the user "admin" must be there, and the first server must run if this is not
    it. Raises FatalError if that does not add this member.
    """
    names = ["127.0.0.1", node.name, node.ip]
    make_serving("etcd", "/CN=etcd", names, usage="serverAuth,clientAuth")
    members = {node.name: _peer_url(node.name)}
    state = "new"
    if node.joins and not (_DATA / "member").exists():
        members |= _join(node.joins, members[node.name])
        state = "existing"
    components.start("etcd", merged({
        "name": node.name, "data-dir": str(_DATA),
        "listen-client-urls": f"https://0.0.0.0:{CLIENT_PORT}",
        "advertise-client-urls": f"https://{node.name}:{CLIENT_PORT}",
        "listen-peer-urls": f"https://0.0.0.0:{PEER_PORT}",
        "initial-advertise-peer-urls": members[node.name],
        "initial-cluster": ",".join(f"{name}={url}" for name, url in members.items()),
        "initial-cluster-state": state,
        **_tls(), **_tls("peer-"),
        "logger": "zap", "log-level": "error",
    }, node.options.etcd_arg))  # fmt: skip
    components.wait_until(lambda: listens(CLIENT_PORT))


def _peer_url(name: str) -> str:
    return f"https://{name}:{PEER_PORT}"


def _tls(prefix: str = "") -> dict[str, str]:
    return {
        f"{prefix}cert-file": certificate("etcd"), f"{prefix}key-file": key("etcd"),
        f"{prefix}client-cert-auth": "true", f"{prefix}trusted-ca-file": CA,
    }  # fmt: skip


def _join(server: str, own_url: str) -> dict[str, str]:
    """Have the first server add a member at ``own_url``; return the others' URLs by name."""
    first = urlsplit(server).hostname or server
    known = [member["peerURLs"] for member in _ask(first, "list")["members"]]
    if [own_url] not in known:  # an earlier start may have ended between this and its first write
        _add(first, own_url)
    members = _ask(first, "list")["members"]
    return {member["name"]: member["peerURLs"][0] for member in members if member.get("name")}


def _add(first: str, own_url: str) -> None:
    """Try as k3s does: etcd takes no other member until the last one has been there for 5 s."""
    deadline = time.monotonic() + _JOIN_SECONDS
    while True:
        try:
            _ask(first, "add", {"peerURLs": [own_url]})
        except FatalError as refusal:
            if time.monotonic() > deadline:
                raise
            log("info", f"Waiting to join: {refusal}")
            time.sleep(1)
        else:
            return


def _ask(host: str, verb: str, question: object = None) -> Any:
    """Call etcd's API of members (etcd's Documentation, api_grpc_gateway)."""
    context = ssl.create_default_context(cafile=CA)
    context.load_cert_chain(certificate("admin"), key("admin"))
    connection = http.client.HTTPSConnection(host, CLIENT_PORT, context=context, timeout=30)
    try:
        connection.request("POST", f"/v3/cluster/member/{verb}", json.dumps(question or {}))
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise FatalError(f"etcd of {host} cannot be asked to {verb} members: {error}") from error
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise FatalError(f"etcd of {host} refused to {verb} members: {body.decode().strip()}")
    return json.loads(body)
