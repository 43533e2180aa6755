"""The nodes' image where they run an upstream containerd, which can trace.

k3s starts ``containerd`` by its bare name, and /usr/local/bin comes before its own on the image's
PATH (seen on v1.34.3+k3s1: node Ready as containerd://2.4.2, k3s' own shim in use). A mount over
/bin/containerd would hide the k3s binary itself, to which it is a link.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from runtime_observability.core.naming import NODE_IMAGE

PLACE = "usr/local/bin/containerd"
CURE = "`pulumi config set containerdTracing off` does without containerd's traces"


@dataclass(frozen=True)
class UpstreamImage:
    """``base`` with the containerd binary at ``source``, a URL of a release or a local path."""

    base: str
    version: str
    source: str
    sha256: str
    """Of the archive at a URL, of the binary at a path."""

    @property
    def dockerfile(self) -> str:
        return f"FROM {self.base}\nCOPY containerd /{PLACE}\n"

    @property
    def tag(self) -> str:
        """Names the content, so that stacks share it and a changed input is another image."""
        digest = hashlib.sha256(f"{self.dockerfile}{self.sha256}".encode()).hexdigest()[:12]
        return f"{NODE_IMAGE}:containerd-{self.version}-{digest}"
