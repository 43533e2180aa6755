"""NodeImage: the image of the nodes, where need be with an upstream containerd that traces.

k3s starts ``containerd`` by its bare name, and /usr/local/bin comes before its own on the image's
PATH (seen on v1.34.3+k3s1: node Ready as containerd://2.4.2, k3s' own shim in use). A mount over
/bin/containerd would hit the k3s binary itself, which that is a link to.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import pulumi
import pulumi_docker as docker

from components import _commands
from runtime_observability.core.compatibility import ContainerdRelease
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


def upstream_image(
    base: str, release: ContainerdRelease, architecture: str, binary: str
) -> UpstreamImage:
    """``binary``: a local containerd to use in place of ``release``; empty for none.

    Raises ValueError where there is no release for ``architecture``, or no file at ``binary``.
    """
    if binary:
        path = Path(binary).expanduser()
        if not path.is_file():
            raise ValueError(f"containerdBinary: {binary} is no file. {CURE}")
        with path.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        return UpstreamImage(base, "local", str(path.resolve()), digest)
    if architecture not in release.sha256:
        known = " and ".join(release.sha256)
        raise ValueError(
            f"there is no containerd for a Docker host of {architecture}, only for {known}: name "
            f"one of your own in containerdBinary, or {CURE}"
        )
    url = release.url(architecture)
    return UpstreamImage(base, release.version, url, release.sha256[architecture])


class NodeImage(pulumi.ComponentResource):
    """Pulls or builds the image where it is missing, and keeps it as every image is kept.

    It comes before the nodes' files and the cluster's guard: while it cannot be had, the old
    cluster stays as it is.
    """

    def __init__(
        self,
        name: str,
        *,
        image: str,
        built: UpstreamImage | None,
        generation: int,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("runtime-observability:index:NodeImage", name, None, opts)
        own = pulumi.ResourceOptions(parent=self)
        if built:
            _commands.python(
                f"{name}-build",
                "runtime_observability.host.build_node_image",
                stdin=json.dumps(asdict(built)),
                environment={"GENERATION": str(generation)},
                opts=own,
            )
        else:
            docker.RemoteImage(f"{name}-image", name=image, keep_locally=True, opts=own)
        self.register_outputs({"image": image})
