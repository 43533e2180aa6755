"""What in a text is a secret: logins, and the tokens and keys among k3s' arguments."""

from __future__ import annotations

import re

_BY_NAME = "keep it in a Kubernetes Secret and name that in --etcd-s3-config-secret"
SECRET_FLAGS = {
    "token": "leave it out: k3d makes a token of its own",
    "agent-token": "leave it out: agents join with k3d's token",
    "etcd-s3-access-key": _BY_NAME,
    "etcd-s3-secret-key": _BY_NAME,
    "etcd-s3-session-token": _BY_NAME,
    "vpn-auth": "name a file in the nodes: --vpn-auth-file=PATH",
}
"""k3s' flags whose value is a secret, with the cure."""
SECRET_VARIABLES = {
    "K3S_AGENT_TOKEN": "agent-token",
    "AWS_ACCESS_KEY_ID": "etcd-s3-access-key",
    "AWS_SECRET_ACCESS_KEY": "etcd-s3-secret-key",
    "AWS_SESSION_TOKEN": "etcd-s3-session-token",
    "K3S_VPN_AUTH": "vpn-auth",
}
"""Variables that k3s reads in place of one of these flags (k3s pkg/cli/cmds)."""

LOGIN_IN_URL = re.compile(r"//\S*@")
"""A user, with or without a password, before a URL's host; a password may have any character."""
DATASTORE_LOGIN = re.compile("@|password")
"""In an address of k3s' datastore."""
LOGIN_BEFORE_HOST = re.compile(r"(?:^|[=,])[^\s:/@=,]+:[^\s@]+@(?!sha256:)")
"""The same without a scheme, behind a flag's name: no digest of an image, and no node filter."""
_LOGIN = re.compile(
    rf"{LOGIN_IN_URL.pattern}"
    r"|[^\s:/@]+:\S+@(?!sha256:)"
    rf"|--(t|{'|'.join(SECRET_FLAGS)})\b(?!-)"
    rf"|K3S_TOKEN|{'|'.join(SECRET_VARIABLES)}"
    r"|password|--datastore-endpoint=.*@",
    re.IGNORECASE,
)
"""What may be a secret in a text that breaks any other rule."""


def may_hold_a_secret(text: str) -> bool:
    """Whether ``text`` looks as if it has a login or a token, so that no message repeats it."""
    return bool(_LOGIN.search(text))
