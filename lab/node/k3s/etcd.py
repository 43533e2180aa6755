"""This server's etcd: the first member of the cluster's, or one that joins it.

As in k3s, every server runs a member, the first one begins the cluster, and the others ask it to
add them: as learners, which count for no majority until they have all data. Members know each other
by their addresses, and a server of several that has another address than it joined with goes no
further (k3s pkg/etcd/etcd.go, Test).
"""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from .certificates import CA, certificate, key, make_serving
from .node import SERVER, Node
from .processes import Components, FatalError, listens, log, merged

CLIENT_PORT, PEER_PORT = 2379, 2380
LOCAL = f"https://127.0.0.1:{CLIENT_PORT}"
_DATA = SERVER / "db" / "etcd"
_JOIN_SECONDS = 60
_T = TypeVar("_T")


def start(node: Node, components: Components) -> None:
    """Start the member and wait until it answers.

    The certificate of the user "admin" must be there, and the first server must run if this is not
    it. Raises FatalError if that does not add this member.
    """
    names = ["127.0.0.1", node.name, node.ip]
    make_serving("etcd", "/CN=etcd", names, usage="serverAuth,clientAuth")
    members = {node.name: _peer_url(node.ip)}
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
    if node.joins and _try(_is_learner):  # without a majority of its voters, etcd lists no members
        _try(lambda: _promote(_host(node.joins), members[node.name]))
    if node.is_one_of_several:
        _wait_for_membership(node)


def _wait_for_membership(node: Node) -> None:
    """Return once etcd lists this server with the address that it has; k3s asks forever, too."""
    while reason := _is_no_member(node):
        log("info", f"Failed to test etcd connection: {reason}")
        time.sleep(1)


def _is_no_member(node: Node) -> str:
    """Return why; empty if it is one."""
    try:
        members = _urls("127.0.0.1")
    except FatalError as refusal:
        return str(refusal)
    if members.get(node.name) == _peer_url(node.ip):
        return ""
    found = " ".join(f"{name}={url}" for name, url in members.items())
    return (
        f"this server is a not a member of the etcd cluster. Found [{found}], expect: "
        f"{node.name}={node.ip}"
    )


def _peer_url(address: str) -> str:
    return f"https://{address}:{PEER_PORT}"


def _tls(prefix: str = "") -> dict[str, str]:
    return {
        f"{prefix}cert-file": certificate("etcd"), f"{prefix}key-file": key("etcd"),
        f"{prefix}client-cert-auth": "true", f"{prefix}trusted-ca-file": CA,
    }  # fmt: skip


def _join(server: str, own_url: str) -> dict[str, str]:
    """Have the first server add a member at ``own_url``; return the others' URLs by name."""
    first = _host(server)
    if own_url not in _members(first):  # an earlier start may have ended before its first write
        _try(lambda: _ask(first, "add", {"peerURLs": [own_url], "isLearner": True}))
    return _urls(first)


def _is_learner() -> bool:
    """Whether this member waits for its promotion: etcd lets a learner list no members."""
    try:
        _ask("127.0.0.1", "list")
    except FatalError as refusal:
        if "learner" not in str(refusal):
            raise
        return True
    return False


def _promote(first: str, own_url: str) -> None:
    """Raises FatalError while this member lacks data."""
    _ask(first, "promote", {"ID": _members(first)[own_url]["ID"]})


def _try(ask: Callable[[], _T]) -> _T:
    """Ask until etcd agrees: it takes one learner at a time, and a voter that has all data."""
    deadline = time.monotonic() + _JOIN_SECONDS
    while True:
        try:
            return ask()
        except FatalError as refusal:
            if time.monotonic() > deadline:
                raise
            log("info", f"Waiting to join: {refusal}")
            time.sleep(0.5)


def _host(server: str) -> str:
    return urlsplit(server).hostname or server


def _members(host: str) -> dict[str, Any]:
    """Return etcd's members by their URLs."""
    return {member["peerURLs"][0]: member for member in _ask(host, "list")["members"]}


def _urls(host: str) -> dict[str, str]:
    """Return the members' URLs by name; one that has never run has no name."""
    return {member["name"]: url for url, member in _members(host).items() if member.get("name")}


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
