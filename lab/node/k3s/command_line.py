"""Arguments, K3S_ variables and files of k3s: which are accepted here, and which refused."""

from __future__ import annotations

import argparse
import os
from typing import NoReturn

from .node import AGENT, CONTAINERD_CONFIG, COREDNS, KUBECONFIG, Options
from .processes import FatalError

DISABLEABLE = ("coredns", "servicelb", "traefik", "local-storage", "metrics-server")
SERVER_ONLY = ("disable", "tls-san", "kube-apiserver-arg", "etcd-arg")
ENVIRONMENT = {"K3S_TOKEN", "K3S_URL", "K3S_KUBECONFIG_OUTPUT"}
REFUSED_FILES = (
    (CONTAINERD_CONFIG, "*.tmpl"), (CONTAINERD_CONFIG, "*.toml.d"),
    (KUBECONFIG.parent, "config.yaml*"), (COREDNS.parent, "*"), (AGENT / "images", "*[!r]"),
)  # fmt: skip
WHY = "this node is a stand-in for k3s and supports few of its settings"


class Parser(argparse.ArgumentParser):
    """Reports wrong usage as k3s does, on one line."""

    def error(self, message: str) -> NoReturn:
        """Raise the message that argparse would print before it exits."""
        raise FatalError(f"{message} ({WHY})")


def parse(arguments: list[str]) -> Options:
    """Return the options; raise FatalError for the first unknown one."""
    parser = Parser(prog="k3s", allow_abbrev=False, add_help=False)
    parser.add_argument("role", choices=("server", "agent"))
    for name in ("kubelet-arg", *(SERVER_ONLY if arguments[:1] == ["server"] else ())):
        parser.add_argument(f"--{name}", action="append", default=[])
    if arguments[:1] == ["server"]:
        parser.add_argument("--cluster-init", action="store_true")
    known, unknown = parser.parse_known_args(arguments)
    if unknown:
        flag = unknown[0].partition("=")[0].replace("--", "-", 1)
        raise FatalError(f"flag provided but not defined: {flag} ({WHY})")
    options = vars(known)
    role, cluster_init = options.pop("role"), options.pop("cluster_init", False)
    lists = {name: tuple(value) for name, value in options.items()}
    for name in ",".join(lists.pop("disable", ())).split(","):
        if name not in ("", *DISABLEABLE):
            raise FatalError(f"--disable={name}: not one of {', '.join(DISABLEABLE)}")
    return Options(role, **lists, cluster_init=cluster_init)


def refuse_the_unknown() -> None:
    """Raise FatalError for any variable or file that affects k3s and is not supported here."""
    for name in sorted(os.environ):
        if name.startswith("K3S_") and name not in ENVIRONMENT:
            raise FatalError(f"environment variable {name} is not supported: {WHY}")
    for folder, pattern in REFUSED_FILES:
        for path in sorted(folder.glob(pattern)):
            if path != COREDNS:
                raise FatalError(f"file {path} is not supported: {WHY}")
