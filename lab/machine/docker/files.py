"""Where a private Docker daemon keeps everything."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Daemon:
    """The paths and names of one private daemon, all derived from its folder."""

    folder: Path

    @property
    def socket(self) -> Path:
        """The unix socket of the Docker API."""
        return self.folder / "docker.sock"

    @property
    def longest_socket(self) -> Path:
        """The socket with the longest path, made by dockerd's containerd."""
        return self.exec / "containerd" / "containerd-debug.sock"

    @property
    def host(self) -> str:
        """The value for DOCKER_HOST."""
        return f"unix://{self.socket}"

    @property
    def data(self) -> Path:
        """Images, containers, volumes and networks: kept from one start to the next."""
        return self.folder / "data"

    @property
    def networks(self) -> Path:
        """What dockerd knows of its networks."""
        return self.data / "network" / "files" / "local-kv.db"

    @property
    def exec(self) -> Path:
        """What dockerd and containerd know of running processes: worthless after a stop."""
        return self.folder / "exec"

    @property
    def pid_file(self) -> Path:
        """Holds the process id, on the host, of the first process of the daemon's namespaces."""
        return self.folder / "pid"

    @property
    def config_file(self) -> Path:
        """dockerd's settings; its path on a command line tells this daemon from any other."""
        return self.folder / "daemon.json"

    @property
    def init(self) -> Path:
        """The program of the first process."""
        return self.folder / "init"

    @property
    def runtime_shim(self) -> Path:
        """The OCI runtime of a machine that needs one of ours."""
        return self.folder / "runtime-shim"

    @property
    def port_proxy(self) -> Path:
        """The program that publishes a port on the host."""
        return self.folder / "port-proxy"

    @property
    def offline(self) -> Path:
        """Exists if the daemon cannot reach the network, and says why."""
        return self.folder / "offline"

    @property
    def log(self) -> Path:
        """Output of dockerd and its containerd."""
        return self.folder / "log"

    @property
    def lock(self) -> Path:
        """Held while the daemon is started or stopped."""
        return self.folder / "lock"

    @property
    def cgroup(self) -> str:
        """The cgroup of all containers, named after the folder: two daemons never share one."""
        return f"runtime-observability-{self.hash}"

    @property
    def hash(self) -> str:
        return hashlib.sha256(str(self.folder).encode()).hexdigest()[:8]

    @property
    def settings_before(self) -> Path:
        """The kernel's settings that a Kubernetes node changes, as they were before the start."""
        return self.folder / "kernel-settings-before.json"
