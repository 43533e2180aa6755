"""The first process in the namespaces of a private Docker daemon: dockerd runs below it.

It is process 1 of a PID namespace: when it ends, in any way, the kernel kills every other process
there, and the namespaces vanish with all that the daemon has made in them: devices, firewall rules,
network settings, mounts. It ends when dockerd ends.

The daemon sees the host's files, but its writes to /etc, /opt and /run stay in its mount namespace:
dockerd and containerd have paths there that no setting changes (moby 20.10: /etc/docker/key.json,
containerd 1.6: /opt/containerd and /run/containerd/s).

It is copied into the daemon's folder and imports nothing of this project.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1  # linux/sockios.h, linux/if.h
LARGEST_PACKET = 65520  # slirp4netns(1): the highest and fastest
SECURITY = Path("/sys/kernel/security")
RESOLVER = Path("/etc/resolv.conf")
OPTIONAL_SOFTWARE = Path("/opt")
PRIVATE = Path("/run/private")


def mount(*arguments: str | Path) -> None:
    """Mount in this namespace, without a note of it in /run/mount."""
    subprocess.run(["mount", "--no-mtab", *arguments], check=True)


def hide_host(folder: Path, parent: str) -> None:
    """Keep the host's network namespace at hand, and all writes to the host's files away."""
    host_net = folder / "host-net"
    host_net.touch()
    mount("--bind", f"/proc/{parent}/ns/net", host_net)
    mount("-t", "proc", "proc", "/proc")
    mount("-t", "tmpfs", "-o", "mode=0755", "private", "/run")
    upper, work = PRIVATE / "etc", PRIVATE / "work"
    for empty in (upper, work):
        empty.mkdir(parents=True)
    layers = f"lowerdir=/etc,upperdir={upper},workdir={work}"
    mount("-t", "overlay", "-o", layers, "private", "/etc")
    if OPTIONAL_SOFTWARE.is_dir():
        keep_new_entries(OPTIONAL_SOFTWARE)
    if SECURITY.is_dir():
        # Else dockerd loads an AppArmor profile into the host's kernel.
        mount("-t", "tmpfs", "private", SECURITY)


def keep_new_entries(folder: Path) -> None:
    """Keep what is made in a folder from the host; what is in it already stays the host's.

    A checkout or a cache may be there, which an overlay would separate from the host.
    """
    cover = PRIVATE / folder.name
    cover.mkdir()
    for entry in folder.iterdir():
        place = cover / entry.name
        if entry.is_symlink():
            place.symlink_to(entry.readlink())
            continue
        place.mkdir() if entry.is_dir() else place.touch()
        mount("--rbind", entry, place)
    mount("--rbind", cover, folder)


def start_loopback() -> None:
    """Bring `lo` up, which a new network namespace has down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh14x", b"lo", 0)
        name, flags = struct.unpack("16sh14x", fcntl.ioctl(any_socket, SIOCGIFFLAGS, request))
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", name, flags | IFF_UP))


def resolver_options() -> list[str]:
    """Return the lines of the host's resolver configuration that name no server."""
    try:
        lines = RESOLVER.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return [line for line in lines if line.split()[:1] in (["search"], ["options"])]


def connect(folder: Path, network: str, options: list[str]) -> str:
    """Let connections out of the namespace; return why that is impossible, or nothing."""
    if not shutil.which("slirp4netns"):
        return "there is no slirp4netns"
    if not Path("/dev/net/tun").exists():
        return "there is no /dev/net/tun"
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [
            "nsenter", f"--net={folder / 'host-net'}",
            "slirp4netns", "--configure", "--disable-host-loopback", f"--mtu={LARGEST_PACKET}",
            f"--cidr={network}", f"--ready-fd={writer}", "--netns-type=path",
            "/proc/1/ns/net", "tap0",
        ],
        pass_fds=[writer],
    )  # fmt: skip
    os.close(writer)
    with os.fdopen(reader, "rb") as ready:
        if not ready.read(1):
            return f"slirp4netns exited with {process.wait()}"
    # slirp4netns(1): the third address of the network is its DNS server.
    server = f"nameserver {network.rpartition('.')[0]}.3"
    RESOLVER.unlink(missing_ok=True)
    RESOLVER.write_text("\n".join([server, *options, ""]), encoding="utf-8")
    return ""


def use_working_iptables() -> None:
    """Use the legacy iptables in place of the unpacked one if the kernel lacks nftables."""
    path, look = os.environ["PATH"], ["iptables", "-t", "nat", "-S"]
    if "/iptables-nft" in path and subprocess.run(look, check=False).returncode:
        os.environ["PATH"] = path.replace("/iptables-nft", "/iptables-legacy")


def main(config: str, parent: str, network: str) -> int:
    """Run dockerd with a configuration until it ends; return its exit code."""
    folder = Path(config).parent
    # /proc is the host's up to here: this is the number of this process there.
    (folder / "pid").write_text(str(Path("/proc/self").readlink()))
    options = resolver_options()
    hide_host(folder, parent)
    start_loopback()
    use_working_iptables()
    offline = folder / "offline"
    offline.unlink(missing_ok=True)
    if reason := connect(folder, network, options):
        offline.write_text(reason)
    dockerd = subprocess.Popen(["dockerd", "--config-file", config])
    signal.signal(signal.SIGTERM, lambda *_: os.kill(dockerd.pid, signal.SIGTERM))
    while True:
        ended, status = os.wait()  # also the orphans of containerd
        if ended == dockerd.pid:
            return os.waitstatus_to_exitcode(status) & 0xFF


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
