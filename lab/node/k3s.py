#!/usr/bin/python3
"""`/bin/k3s` of the lab's node image: a stand-in for k3s 1.34 under k3d 5.9, not k3s.

k3s can't be had from a package registry. This starts the real, upstream etcd, kube-apiserver,
kube-controller-manager, kube-scheduler, containerd, kubelet and kube-proxy, one process each,
where k3s has all but containerd in one process.

What it does as k3s does (k3s-io/k3s, the files named are in pkg/):
- A `--kubelet-arg=config=FILE` is copied to `kubelet.conf.d/10-cli-config.conf`, and the kubelet
  runs with `--config-dir` over that folder; k3s' own settings are `00-k3s-defaults.conf` in it
  (daemons/agent/agent.go, from 1.32). Stale files there are never removed.
- Any other `--kube-…-arg=key=value` replaces the default for that key; `key` alone means `true`
  (util/args.go).
- `CONTAINERD_X=…` reaches containerd alone, as `X`, and beats an inherited `X`
  (agent/containerd/containerd.go). All other variables, OTEL_* included, reach every process.
  containerd is found on PATH, logs to a file, and loads `agent/images/*.tar` when it is up.
- Paths, default arguments, PATH, log lines that k3d waits for, `level=fatal` as the last line
  before a non-zero exit, and the kubeconfig at K3S_KUBECONFIG_OUTPUT.

What it does otherwise:
- The cluster's certificate authority is derived from the token, so a node that has the token makes
  its own certificates and no join service is needed. As with k3s' server token, which k3d gives to
  all nodes, whoever has it owns the cluster.
- One server; etcd in place of kine on SQLite; routes between nodes in place of flannel.
- No CoreDNS (pods use the node's resolver), traefik, servicelb, metrics-server, local-storage,
  network policy, and no deploy controller: `--disable` of those is accepted and changes nothing.
- Every argument, K3S_ variable and file that is not listed here is refused: in k3s it would have an
  effect that this can't have.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import hashlib
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

DATA = Path("/var/lib/rancher/k3s")
AGENT = DATA / "agent"
SERVER = DATA / "server"
TLS = DATA / "tls"
KUBELET_CONFIG = AGENT / "etc" / "kubelet.conf.d"
CNI_CONFIG = AGENT / "etc" / "cni" / "net.d"
CONTAINERD_CONFIG = AGENT / "etc" / "containerd"
COREDNS = SERVER / "manifests" / "coredns.yaml"
KUBECONFIG = Path("/etc/rancher/k3s/k3s.yaml")
CONTAINERD_SOCKET = "/run/k3s/containerd/containerd.sock"
ETCD_PORT = 2379
ETCD = f"https://127.0.0.1:{ETCD_PORT}"
POD_CIDR, SERVICE_CIDR, API_SERVICE_IP = "10.42.0.0/16", "10.43.0.0/16", "10.43.0.1"
COMPONENTS = ("coredns", "servicelb", "traefik", "local-storage", "metrics-server")
KNOWN_ENVIRONMENT = {"K3S_TOKEN", "K3S_URL", "K3S_KUBECONFIG_OUTPUT"}
REFUSED_FILES = (
    (CONTAINERD_CONFIG, "*.tmpl"), (CONTAINERD_CONFIG, "*.d"), (KUBECONFIG.parent, "config.yaml*"),
    (KUBECONFIG.parent, "registries.yaml"), (SERVER / "manifests", "*"),
    (AGENT / "pod-manifests", "*"), (AGENT / "images", "*[!r]"),
)  # fmt: skip
CAP_SYS_RESOURCE = 24  # linux/capability.h
STOP_SECONDS = 8  # docker stop kills after 10


class FatalError(Exception):
    """Ends the node with a `level=fatal` line, as k3s does."""


def log(level: str, message: str) -> None:
    """Write one line in the form of k3s' logger; k3d and people look for these."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    print(f'time="{now}" level={level} msg={json.dumps(message)}', file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Child:
    """A running component, and the last thing it said that looks like a reason to end."""

    name: str
    process: subprocess.Popen[bytes]
    complaint: list[str] = field(default_factory=lambda: [""])

    def pass_on_errors(self) -> None:
        """Copy what it says to our own stderr: k3s' components write there too."""
        assert self.process.stderr  # noqa: S101
        for line in self.process.stderr:
            sys.stderr.buffer.write(line)
            sys.stderr.buffer.flush()
            if line.strip() and not line.startswith((b"I", b"W", b" ", b"\t", b"goroutine")):
                text = line.decode(errors="replace").strip()
                self.complaint[0] = re.sub(r"^[EF]\d{4} .*?] ", "", text)


class Components:
    """The child processes; the node lives as long as all of them do."""

    def __init__(self) -> None:
        self.running: list[Child] = []

    def start(
        self,
        name: str,
        defaults: Mapping[str, str],
        extra: Iterable[str] = (),
        environment: Mapping[str, str] | None = None,
        log_file: Path | None = None,
    ) -> None:
        """Start `name` with the defaults that no extra argument replaces, then the extra ones."""
        pairs = [argument.removeprefix("--").partition("=") for argument in extra]
        replaced = {key for key, _, _ in pairs}
        arguments = [f"--{key}={value}" for key, value in defaults.items() if key not in replaced]
        arguments += [f"--{key}={value if equals else 'true'}" for key, equals, value in pairs]
        log("info", f"Running {name} {' '.join(arguments)}")
        with contextlib.ExitStack() as stack:
            output = stack.enter_context(log_file.open("ab")) if log_file else subprocess.PIPE
            process = subprocess.Popen(
                [name, *arguments], env=environment, stdout=output, stderr=output,
                start_new_session=True,
            )  # fmt: skip
        child = Child(name, process)
        self.running.append(child)
        if not log_file:
            threading.Thread(target=child.pass_on_errors, daemon=True).start()

    def wait_until(self, condition: Callable[[], object]) -> None:
        """Wait for a condition while all components live."""
        while not condition():
            for child in self.running:
                if child.process.poll() is not None:
                    time.sleep(0.2)
                    raise FatalError(
                        f"{child.name} exited with {child.process.returncode}: "
                        + (child.complaint[0] or "see its log")
                    )
            time.sleep(0.1)

    def stop(self, grace_seconds: float) -> None:
        """End all; the first started, etcd, last."""
        deadline = time.monotonic() + grace_seconds
        for group in (self.running[1:], self.running[:1]):
            for child in group:
                child.process.terminate()
            for child in group:
                try:
                    child.process.wait(max(0.0, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    child.process.kill()


def run(*arguments: str, check: bool = True) -> bool:
    """Run a tool to its end; its own words are the error."""
    result = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if check and result.returncode:
        raise FatalError(f"{' '.join(arguments)}: {result.stderr.strip()}")
    return result.returncode == 0


def listens(port: int) -> bool:
    """Whether a component of this node takes connections on a port."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


def derived_key(token: str, purpose: str) -> str:
    """A P-256 private key made from the token (PEM, RFC 5915 without the public part)."""
    secret = hashlib.scrypt(token.encode(), salt=purpose.encode(), n=2**14, r=8, p=1, dklen=32)
    scalar = bytes([secret[0] & 0x7F]) + secret[1:]  # always below the order of the curve
    der = bytes.fromhex("30310201010420") + scalar + bytes.fromhex("a00a06082a8648ce3d030107")
    body = base64.encodebytes(der).decode()
    return f"-----BEGIN EC PRIVATE KEY-----\n{body}-----END EC PRIVATE KEY-----\n"


def make_authority(token: str) -> None:
    """Write the CA and the service accounts' key; the same on every node that has the token."""
    TLS.mkdir(parents=True, exist_ok=True)
    (TLS / "openssl.cnf").write_text("[req]\ndistinguished_name = dn\n[dn]\n")
    for name in ("ca", "service-account"):
        with open(TLS / f"{name}.key", "w", opener=private) as file:
            file.write(derived_key(token, f"k3s stand-in {name}"))
    certify("ca", "/CN=k3s-stand-in-ca", "basicConstraints=critical,CA:TRUE",
            "keyUsage=critical,keyCertSign,digitalSignature", "subjectKeyIdentifier=hash",
            issuer=())  # fmt: skip


def private(path: str, flags: int) -> int:
    """An opener for files that only root may read."""
    return os.open(path, flags, 0o600)


def certify(name: str, subject: str, *extensions: str, issuer: Iterable[str] | None = None) -> None:
    """Write NAME.crt, signed by the CA unless another issuer is given, and NAME.key if absent."""
    key = TLS / f"{name}.key"
    if not key.exists():
        run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-out", str(key))  # fmt: skip
    signer = ("-CA", str(TLS / "ca.crt"), "-CAkey", str(TLS / "ca.key"))
    run("openssl", "req", "-x509", "-new", "-config", str(TLS / "openssl.cnf"), "-days", "3650",
        "-key", str(key), "-subj", subject, "-out", str(TLS / f"{name}.crt"),
        *(word for extension in extensions for word in ("-addext", extension)),
        *(signer if issuer is None else issuer))  # fmt: skip


def client(name: str, user: str, group: str, server: str) -> Path:
    """A client certificate and the kubeconfig that uses it."""
    certify(name, f"/O={group}/CN={user}", "extendedKeyUsage=clientAuth")
    data = {kind: base64.b64encode((TLS / file).read_bytes()).decode() for kind, file in (
        ("ca", "ca.crt"), ("certificate", f"{name}.crt"), ("key", f"{name}.key"))}  # fmt: skip
    path = TLS / f"{name}.kubeconfig"
    with open(path, "w", opener=private) as file:
        json.dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "default",
            "clusters": [{"name": "default", "cluster": {
                "server": server, "certificate-authority-data": data["ca"]}}],
            "users": [{"name": "default", "user": {
                "client-certificate-data": data["certificate"], "client-key-data": data["key"]}}],
            "contexts": [{"name": "default", "context": {"cluster": "default", "user": "default"}}],
        }, file, indent=1)  # fmt: skip
    return path


def serving(name: str, subject: str, names: Iterable[str]) -> dict[str, str]:
    """A serving certificate, as the two arguments that every component takes for it."""
    kinds = [f"{'IP' if n.replace('.', '').isdigit() else 'DNS'}:{n}" for n in names]
    certify(name, subject, "subjectAltName=" + ",".join(kinds), "extendedKeyUsage=serverAuth")
    return {"tls-cert-file": f"{TLS}/{name}.crt", "tls-private-key-file": f"{TLS}/{name}.key"}


@dataclass(frozen=True)
class Node:
    """What one node is and was asked to be."""

    options: argparse.Namespace
    server: str
    name: str = field(default_factory=socket.gethostname)

    @property
    def ip(self) -> str:
        """The container's address; it may be another one after a restart."""
        return socket.gethostbyname(self.name)

    def request(
        self, identity: str, path: str, patch: object = None, timeout: float | None = 5
    ) -> Any:
        """Ask the API server as one of this node's identities; returns the open response."""
        context = ssl.create_default_context(cafile=str(TLS / "ca.crt"))
        context.load_cert_chain(TLS / f"{identity}.crt", TLS / f"{identity}.key")
        request = urllib.request.Request(  # noqa: S310
            self.server + path,
            method="PATCH" if patch else "GET",
            data=json.dumps(patch).encode() if patch else None,
            headers={"Content-Type": "application/merge-patch+json"},
        )
        return urllib.request.urlopen(request, context=context, timeout=timeout)  # noqa: S310

    def api_is_ready(self) -> bool:
        """Whether the API server says so."""
        with contextlib.suppress(OSError), self.request("admin", "/readyz"):
            return True
        return False


def start_control_plane(node: Node, components: Components) -> None:
    """etcd and kube-apiserver, and when that is ready kube-controller-manager and scheduler."""
    options = node.options
    client("admin", "system:admin", "system:masters", node.server)
    pair = serving("etcd", "/CN=etcd", ["127.0.0.1"])
    components.start("etcd", {
        "data-dir": str(SERVER / "db" / "etcd"), "listen-client-urls": ETCD,
        "advertise-client-urls": ETCD, "listen-peer-urls": "http://127.0.0.1:2380",
        "cert-file": pair["tls-cert-file"], "key-file": pair["tls-private-key-file"],
        "client-cert-auth": "true", "trusted-ca-file": f"{TLS}/ca.crt",
        "logger": "zap", "log-level": "error",
    })  # fmt: skip
    components.wait_until(lambda: listens(ETCD_PORT))
    names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc",
             "kubernetes.default.svc.cluster.local", "localhost", "127.0.0.1", API_SERVICE_IP,
             node.name, node.ip, *options.tls_san]  # fmt: skip
    certify("auth-proxy", "/CN=system:auth-proxy", "extendedKeyUsage=clientAuth")
    issuer = "https://kubernetes.default.svc.cluster.local"
    key = f"{TLS}/service-account.key"
    components.start("kube-apiserver", {
        **serving("kube-apiserver", "/CN=kube-apiserver", dict.fromkeys(names)),
        "etcd-servers": ETCD, "etcd-cafile": f"{TLS}/ca.crt",
        "etcd-certfile": f"{TLS}/admin.crt", "etcd-keyfile": f"{TLS}/admin.key",
        "allow-privileged": "true", "anonymous-auth": "false",
        "authorization-mode": "Node,RBAC", "enable-admission-plugins": "NodeRestriction",
        "requestheader-client-ca-file": f"{TLS}/ca.crt",
        "requestheader-allowed-names": "system:auth-proxy",
        "requestheader-username-headers": "X-Remote-User",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "proxy-client-cert-file": f"{TLS}/auth-proxy.crt",
        "proxy-client-key-file": f"{TLS}/auth-proxy.key",
        "client-ca-file": f"{TLS}/ca.crt", "kubelet-certificate-authority": f"{TLS}/ca.crt",
        "kubelet-client-certificate": f"{TLS}/admin.crt",
        "kubelet-client-key": f"{TLS}/admin.key",
        "kubelet-preferred-address-types": "InternalIP,ExternalIP,Hostname",
        "service-account-signing-key-file": key, "service-account-key-file": key,
        "service-account-issuer": issuer, "api-audiences": f"{issuer},k3s",
        "service-cluster-ip-range": SERVICE_CIDR, "advertise-address": node.ip,
        "secure-port": "6443", "profiling": "false",
    }, options.kube_apiserver_arg)  # fmt: skip
    manager, scheduler = (
        str(client(name, f"system:{name}", f"system:{name}", node.server))
        for name in ("kube-controller-manager", "kube-scheduler")
    )
    components.wait_until(node.api_is_ready)
    components.start("kube-controller-manager", {
        "kubeconfig": manager, "authorization-kubeconfig": manager,
        "authentication-kubeconfig": manager, "controllers": "*,tokencleaner",
        "service-account-private-key-file": key, "root-ca-file": f"{TLS}/ca.crt",
        "cluster-signing-cert-file": f"{TLS}/ca.crt", "cluster-signing-key-file": f"{TLS}/ca.key",
        "allocate-node-cidrs": "true", "cluster-cidr": POD_CIDR,
        "service-cluster-ip-range": SERVICE_CIDR, "use-service-account-credentials": "true",
        "bind-address": "127.0.0.1", "leader-elect": "false", "profiling": "false",
    }, options.kube_controller_manager_arg)  # fmt: skip
    components.start("kube-scheduler", {
        "kubeconfig": scheduler, "authorization-kubeconfig": scheduler,
        "authentication-kubeconfig": scheduler,
        "bind-address": "127.0.0.1", "leader-elect": "false", "profiling": "false",
    }, options.kube_scheduler_arg)  # fmt: skip


def publish_kubeconfig() -> None:
    """Write the kubeconfig where K3S_KUBECONFIG_OUTPUT wants it, and link it from its place."""
    output = Path(os.environ.get("K3S_KUBECONFIG_OUTPUT", str(KUBECONFIG)))
    for folder in (output.parent, KUBECONFIG.parent):
        folder.mkdir(parents=True, exist_ok=True)
    with open(output, "w", opener=private) as file:
        file.write((TLS / "admin.kubeconfig").read_text())
    if output != KUBECONFIG:
        KUBECONFIG.unlink(missing_ok=True)
        KUBECONFIG.symlink_to(output)


def lacks_sys_resource() -> bool:
    """Whether this node can't lower an oom_score_adj (see the lab's runtime shim)."""
    status = Path("/proc/self/status").read_text()
    return not int(status.partition("CapBnd:")[2].split()[0], 16) >> CAP_SYS_RESOURCE & 1


def containerd_config() -> str:
    """containerd's configuration, version 3."""
    return f"""version = 3
root = "{AGENT}/containerd"
state = "/run/k3s/containerd"
[grpc]
  address = "{CONTAINERD_SOCKET}"
[plugins.'io.containerd.cri.v1.images']
  snapshotter = "overlayfs"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "docker.io/rancher/mirrored-pause:3.6"
[plugins.'io.containerd.cri.v1.runtime']
  enable_unprivileged_ports = true
  enable_unprivileged_icmp = true
  restrict_oom_score_adj = {str(lacks_sys_resource()).lower()}
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ["/usr/lib/cni"]
  conf_dir = "{CNI_CONFIG}"
"""


def start_containerd(components: Components) -> None:
    """containerd with its own environment, then the images that lie ready."""
    for folder in (CONTAINERD_CONFIG, CNI_CONFIG, AGENT / "containerd"):
        folder.mkdir(parents=True, exist_ok=True)
    (CONTAINERD_CONFIG / "config.toml").write_text(containerd_config())
    prefix = "CONTAINERD_"
    shared = {k: v for k, v in os.environ.items() if not k.startswith(prefix)}
    own = {k.removeprefix(prefix): v for k, v in os.environ.items() if k.startswith(prefix)}
    level = own.pop("LOG_LEVEL", "info")
    components.start(
        "containerd",
        {"config": str(CONTAINERD_CONFIG / "config.toml"), "log-level": level},
        environment={**shared, **own},
        log_file=AGENT / "containerd" / "containerd.log",
    )
    ctr = ("ctr", "--address", CONTAINERD_SOCKET, "--namespace", "k8s.io")
    components.wait_until(lambda: run(*ctr, "version", check=False))
    log("info", "containerd is now running")
    for archive in sorted((AGENT / "images").glob("*.tar")):
        run(*ctr, "images", "import", "--local", str(archive))


def start_kubelet(node: Node, components: Components) -> None:
    """The kubelet, from k3s' drop-in, the user's and the arguments."""
    kubeconfig = client("kubelet", f"system:node:{node.name}", "system:nodes", node.server)
    pair = serving("kubelet-serving", f"/O=system:nodes/CN=system:node:{node.name}",
                   [node.name, node.ip, "127.0.0.1"])  # fmt: skip
    KUBELET_CONFIG.mkdir(parents=True, exist_ok=True)
    defaults = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False}, "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{TLS}/ca.crt"}},
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs", "clusterDomain": "cluster.local", "failSwapOn": False,
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "serializeImagePulls": False, "resolvConf": "/etc/resolv.conf",
        "staticPodPath": f"{AGENT}/pod-manifests", "healthzBindAddress": "127.0.0.1",
        "evictionHard": {"imagefs.available": "5%", "nodefs.available": "5%"},
        "evictionMinimumReclaim": {"imagefs.available": "10%", "nodefs.available": "10%"},
        "tlsCertFile": pair["tls-cert-file"], "tlsPrivateKeyFile": pair["tls-private-key-file"],
    }  # fmt: skip
    if lacks_sys_resource():
        defaults["featureGates"] = {"KubeletInUserNamespace": True}
    (AGENT / "pod-manifests").mkdir(exist_ok=True)
    (KUBELET_CONFIG / "00-k3s-defaults.conf").write_text(json.dumps(defaults, indent=1))
    passed_on = []
    for argument in node.options.kubelet_arg:
        key, _, value = argument.removeprefix("--").partition("=")
        if key == "config-dir":
            raise FatalError("kubelet-arg config-dir is not supported by this stand-in for k3s")
        if key != "config":
            passed_on.append(argument)
            continue
        target = KUBELET_CONFIG / "10-cli-config.conf"
        try:
            target.write_bytes(Path(value).read_bytes())
        except OSError as error:
            raise FatalError(f'copy config "{value}" into drop-in dir: {error}') from error
    components.start("kubelet", {
        "config-dir": str(KUBELET_CONFIG), "kubeconfig": str(kubeconfig), "read-only-port": "0",
        "containerd": CONTAINERD_SOCKET, "hostname-override": node.name, "node-ip": node.ip,
        "cert-dir": "/var/lib/kubelet/pki", "node-labels": ",".join(node.options.node_label),
    }, passed_on)  # fmt: skip


def start_kube_proxy(node: Node, components: Components) -> None:
    """kube-proxy with k3s' settings; the conntrack ones are the host's and stay untouched."""
    kubeconfig = client("kube-proxy", "system:kube-proxy", "system:node-proxier", node.server)
    components.start("kube-proxy", {
        "proxy-mode": "iptables", "kubeconfig": str(kubeconfig), "cluster-cidr": POD_CIDR,
        "healthz-bind-address": "127.0.0.1", "hostname-override": node.name,
        "conntrack-max-per-core": "0", "conntrack-tcp-timeout-established": "0s",
        "conntrack-tcp-timeout-close-wait": "0s",
    })  # fmt: skip


def configure_pod_network(cidr: str) -> None:
    """Give containerd the bridge network for this node's pods, in place of flannel."""
    rule = ("POSTROUTING", "-s", POD_CIDR, "!", "-d", POD_CIDR, "-j", "MASQUERADE")
    if not run("iptables", "-w", "-t", "nat", "-C", *rule, check=False):
        run("iptables", "-w", "-t", "nat", "-A", *rule)
    bridge = {
        "type": "bridge", "bridge": "cni0", "isDefaultGateway": True, "hairpinMode": True,
        "ipam": {"type": "host-local", "ranges": [[{"subnet": cidr}]]},
    }  # fmt: skip
    plugins = [bridge, {"type": "portmap", "capabilities": {"portMappings": True}}]
    new = CNI_CONFIG / ".new"
    new.write_text(json.dumps({"cniVersion": "1.0.0", "name": "cbr0", "plugins": plugins}))
    new.rename(CNI_CONFIG / "10-bridge.conflist")


def follow_nodes(node: Node) -> None:
    """Keep routes to the pods of all other nodes, and this node's pod network, by a watch."""
    routes: dict[str, str] = {}
    while True:
        with contextlib.suppress(OSError, ValueError, FatalError):
            for line in node.request("kube-proxy", "/api/v1/nodes?watch=1", timeout=None):
                event = json.loads(line)
                other = event["object"]
                cidr = other.get("spec", {}).get("podCIDR")
                addresses = other.get("status", {}).get("addresses", [])
                ip = next((a["address"] for a in addresses if a["type"] == "InternalIP"), None)
                if not cidr or not ip or routes.get(cidr) == (event["type"] != "DELETED" and ip):
                    continue
                if event["type"] == "DELETED":
                    run("ip", "route", "delete", cidr, check=False)
                    routes.pop(cidr, None)
                    continue
                if other["metadata"]["name"] == node.name:
                    configure_pod_network(cidr)
                    if node.options.role == "server":  # k3s' cloud controller gives it that role
                        role = {
                            "metadata": {
                                "labels": {"node-role.kubernetes.io/control-plane": "true"}
                            }
                        }
                        node.request("admin", f"/api/v1/nodes/{node.name}", role).close()
                else:
                    run("ip", "route", "replace", cidr, "via", ip)
                routes[cidr] = ip
        time.sleep(1)


def options_of(arguments: list[str]) -> argparse.Namespace:
    """The options of `k3s server` or `k3s agent` that this stand-in can honour."""
    parser = argparse.ArgumentParser(prog="k3s", allow_abbrev=False, exit_on_error=False)
    parser.add_argument("role", choices=("server", "agent"))
    for name in ("kubelet-arg", "node-label"):
        parser.add_argument(f"--{name}", action="append", default=[])
    if arguments[:1] == ["server"]:
        components = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
        for name in ("tls-san", "disable", *(f"{component}-arg" for component in components)):
            parser.add_argument(f"--{name}", action="append", default=[])
    try:
        options, unknown = parser.parse_known_args(arguments)
    except argparse.ArgumentError as error:
        raise FatalError(str(error)) from error
    if unknown:
        raise FatalError(f"flag provided but not defined: {unknown[0].replace('--', '-', 1)} "
                    "(this node is a stand-in for k3s and knows few of its flags)")  # fmt: skip
    for name in (n for value in getattr(options, "disable", []) for n in value.split(",")):
        if name not in COMPONENTS:
            raise FatalError(
                f"invalid value {name} for --disable: not one of {', '.join(COMPONENTS)}"
            )
    return options


def refuse_the_unknown() -> None:
    """End on any variable or file that k3s would obey and this can't."""
    for name in sorted(os.environ):
        if name.startswith("K3S_") and name not in KNOWN_ENVIRONMENT:
            raise FatalError(
                f"environment variable {name} is not supported by this stand-in for k3s"
            )
    for folder, pattern in REFUSED_FILES:
        for path in sorted(folder.glob(pattern)):
            if path != COREDNS:
                raise FatalError(f"file {path} is not supported by this stand-in for k3s")


def serve(options: argparse.Namespace) -> NoReturn:
    """Run a server or an agent until it is told to end or a component ends."""
    refuse_the_unknown()
    token = os.environ.get("K3S_TOKEN")
    if not token:
        raise FatalError("K3S_TOKEN is not set: nodes of one cluster know each other by it")
    is_server = options.role == "server"
    server = "https://127.0.0.1:6443" if is_server else os.environ.get("K3S_URL")
    if not server:
        raise FatalError("--server is required: K3S_URL is not set")
    Path("/run/k3s").mkdir(exist_ok=True)
    make_authority(token)
    node = Node(options, server)
    components = Components()
    try:
        if is_server:
            start_control_plane(node, components)
            publish_kubeconfig()
            log("info", "k3s is up and running")
            COREDNS.parent.mkdir(parents=True, exist_ok=True)
            if not COREDNS.exists():
                COREDNS.write_text(COREDNS_MANIFEST)
            log("info", "Cluster dns configmap has been set successfully")
        start_containerd(components)
        start_kubelet(node, components)
        start_kube_proxy(node, components)
        threading.Thread(target=follow_nodes, args=[node], daemon=True).start()
        components.wait_until(lambda: False)
    except FatalError:
        components.stop(grace_seconds=0)
        raise
    finally:
        components.stop(STOP_SECONDS)
    raise AssertionError


COREDNS_MANIFEST = """\
# Written for k3d, which adds its host records here. This stand-in for k3s runs no CoreDNS.
apiVersion: v1
kind: ConfigMap
metadata:
  name: coredns
  namespace: kube-system
data:
  NodeHosts: ""
"""


def end(number: int, frame: FrameType | None) -> NoReturn:
    """Leave by way of every `finally`."""
    raise SystemExit(0)


def main() -> int:
    """The command line of k3s, as far as k3d and its entrypoint use it."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["kubectl"]:
        os.execvp("kubectl", arguments)  # noqa: S606
    if arguments == ["--version"]:
        version = subprocess.check_output(["kubelet", "--version"], text=True).split()[-1]
        print(f"k3s version {version}+k3s1 (the lab's stand-in, not k3s)")
        return 0
    signal.signal(signal.SIGTERM, end)
    try:
        serve(options_of(arguments))
    except FatalError as fatal:
        log("fatal", str(fatal))
        return 1


if __name__ == "__main__":
    sys.exit(main())
