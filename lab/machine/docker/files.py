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
        return self.folder / "exec" / "containerd" / "containerd-debug.sock"

    @property
    def host(self) -> str:
        """The value for DOCKER_HOST."""
        return f"unix://{self.socket}"

    @property
    def data(self) -> Path:
        """Images, containers, volumes and networks: kept from one start to the next."""
        return self.folder / "data"

    @property
    def pid_file(self) -> Path:
        """Written by dockerd itself."""
        return self.folder / "pid"

    @property
    def containerd_pid_file(self) -> Path:
        """Written by dockerd for its containerd child (moby 20.10, libcontainerd/supervisor)."""
        return self.folder / "exec" / "containerd" / "containerd.pid"

    @property
    def containerd_config_file(self) -> Path:
        """Written by dockerd too; its path is on that containerd's command line."""
        return self.containerd_pid_file.with_name("containerd.toml")

    @property
    def config_file(self) -> Path:
        """dockerd's settings; its path on a command line tells this daemon from any other."""
        return self.folder / "daemon.json"

    @property
    def host_before(self) -> Path:
        """The host's forwarding settings as they were before the first start."""
        return self.folder / "host-before.json"

    @property
    def log(self) -> Path:
        """Output of dockerd and its containerd."""
        return self.folder / "log"

    @property
    def lock(self) -> Path:
        """Held while the daemon is started or stopped."""
        return self.folder / "lock"

    @property
    def bridge(self) -> str:
        """The default bridge, named after the folder, so that two caches never share one."""
        return "rolab" + hashlib.sha256(str(self.folder).encode()).hexdigest()[:8]
