"""Container images made from the outputs of build steps, for a machine without a registry.

An image is imported as one file system, which needs no builder and no base image. Its label holds
the hash of its inputs, so that it is imported only into a daemon that lacks it.
"""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from lab.build import opensearch, packages, programs
from lab.build.steps import Step
from lab.errors import LabError
from lab.node import image as node
from lab.progress import progress

PREFIX = "runtime-observability-lab"
KEY_LABEL = f"{PREFIX}.key"
UNPRIVILEGED = "10001"  # the user of the official images of Jaeger and the collector


@dataclass(frozen=True)
class Image:
    """An image, and how it is made from the outputs of its steps."""

    reference: str
    needs: tuple[Step, ...]
    instructions: tuple[str, ...]
    """Dockerfile instructions, of the kinds that `docker import --change` accepts."""
    write: Callable[[Mapping[str, Path], IO[bytes]], None]
    """Writes the root file system as a tar, from the outputs of `needs` by step name."""

    @property
    def key(self) -> str:
        """A hash of everything that decides the image's content."""
        inputs: tuple[str | Path, ...] = (Path(__file__), *self.instructions)
        return Step(self.reference, inputs, lambda bench: None, self.needs).key.rpartition("-")[2]


def missing(images: Iterable[Image], docker_host: str) -> list[Image]:
    """Return the images that the daemon lacks or holds with another key."""
    environment = {**os.environ, "DOCKER_HOST": docker_host}
    return [image for image in images if _key_in_daemon(image, environment) != image.key]


def load(images: Iterable[Image], outputs: Mapping[str, Path], docker_host: str) -> None:
    """Import images into a daemon; `outputs` holds the outputs of their steps, by name."""
    for image in images:
        with progress(f"image {image.reference}: importing"):
            _import(image, outputs, {**os.environ, "DOCKER_HOST": docker_host})


def _key_in_daemon(image: Image, environment: Mapping[str, str]) -> str:
    return _inspect(f'{{{{index .Config.Labels "{KEY_LABEL}"}}}}', image, environment)


def _inspect(template: str, image: Image, environment: Mapping[str, str]) -> str:
    command = ["docker", "image", "inspect", "--format", template, image.reference]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False
    ).stdout.strip()


def _import(image: Image, outputs: Mapping[str, Path], environment: Mapping[str, str]) -> None:
    changes = (*image.instructions, f"LABEL {KEY_LABEL}={image.key}")
    command = ["docker", "import", *(f"--change={line}" for line in changes), "-", image.reference]
    replaced = _inspect("{{.Id}}", image, environment)
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, env=environment, stdin=pipe, stdout=subprocess.DEVNULL, stderr=pipe
    ) as process:
        # Both are pipes, which the type checker cannot know.
        assert process.stdin is not None  # noqa: S101
        assert process.stderr is not None  # noqa: S101
        try:
            image.write(outputs, process.stdin)
            process.stdin.close()
            refusal = ""
        except BrokenPipeError:
            refusal = "docker stopped reading. "
        complaint = process.stderr.read().decode()
    if process.returncode != 0:
        raise LabError(f"docker import {image.reference} failed: {refusal}{complaint.strip()}")
    if replaced:
        # Docker refuses this while a container uses the old image, which is then kept.
        remove = ["docker", "image", "rm", replaced]
        subprocess.run(remove, env=environment, capture_output=True, check=False)


def write_files(files: Mapping[str, bytes | None], stream: IO[bytes]) -> None:
    """Write a tar of root's files, all executable, and of folders where the value is None."""
    with tarfile.open(fileobj=stream, mode="w|") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name.lstrip("/"))
            if content is None:
                entry.type, entry.mode = tarfile.DIRTYPE, 0o1777
            else:
                entry.size, entry.mode = len(content), 0o755
            archive.addfile(entry, io.BytesIO(content or b""))


def _write_tools(built: Mapping[str, Path], stream: IO[bytes]) -> None:
    with tarfile.open(built["node-base"] / "base.tar") as base:
        program = base.extractfile("./usr/bin/busybox")
        shell = program.read() if program else b""
    write_files(dict.fromkeys(("/bin/sh", "/bin/sleep", "/bin/rm"), shell), stream)


JAEGER = Image(
    f"{PREFIX}/jaeger:{programs.JAEGER}",
    (programs.jaeger,),
    (
        # As in jaeger v2.13.0 cmd/jaeger/Dockerfile.
        'ENTRYPOINT ["/cmd/jaeger/jaeger-linux"]',
        "ENV JAEGER_LISTEN_HOST=0.0.0.0",
        "EXPOSE 4317 4318 13133 16686",
        'VOLUME ["/tmp"]',
        f"USER {UNPRIVILEGED}",
    ),
    lambda built, stream: write_files(
        {
            "/cmd/jaeger/jaeger-linux": (built["jaeger"] / "jaeger").read_bytes(),
            "/tmp": None,  # noqa: S108 - a folder of the image, which its volume is mounted on
        },
        stream,
    ),
)

COLLECTOR = Image(
    f"{PREFIX}/opentelemetry-collector:{programs.COLLECTOR}",
    (programs.collector,),
    (
        # As in opentelemetry-collector-releases v0.155.0 distributions/otelcol/Dockerfile.
        'ENTRYPOINT ["/otelcol"]',
        'CMD ["--config", "/etc/otelcol/config.yaml"]',
        "EXPOSE 4317 4318 55679",
        f"USER {UNPRIVILEGED}",
    ),
    lambda built, stream: write_files(
        {"/otelcol": (built["collector"] / "collector").read_bytes()}, stream
    ),
)

# k3d runs `noop` in it and executes small commands (k3d v5.9.0 pkg/client/tools.go, host.go).
# `k3d image import --mode tools-node` does not work with it: that needs the real program.
K3D_TOOLS = Image(
    f"{PREFIX}/k3d-tools:{programs.K3D}",
    (node.node_base,),
    (
        'ENTRYPOINT ["/bin/sh", "-c", "trap exit TERM; sleep 2147483647 & wait"]',
        "WORKDIR /app",
    ),
    _write_tools,
)


_HOME = "/usr/share/opensearch"
_OPENSEARCH_USER = 1000  # as in the official image
_ENTRYPOINT = "opensearch-docker-entrypoint.sh"


def _write_opensearch(built: Mapping[str, Path], stream: IO[bytes]) -> None:
    """Write Java's packages and OpenSearch; its user owns the folders that it writes.

    The configuration is one: OpenSearch makes its keystore there.
    """
    home, of_image = _HOME.lstrip("/"), built["opensearch"] / opensearch.IMAGE
    replaced = {f"{home}/config/opensearch.yml", f"{home}/{opensearch.IMAGE}"}

    def readable(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = _OPENSEARCH_USER if entry.name.endswith("/config") else 0
        entry.uname = entry.gname = ""
        entry.mode = 0o755 if entry.isdir() or entry.name.endswith(".sh") else 0o644
        return entry

    def kept(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        return None if entry.name in replaced else readable(entry)

    with tarfile.open(fileobj=stream, mode="w|") as tree:
        packages.add(built["java"], tree)
        tree.add(built["opensearch"], home, filter=kept)
        tree.add(of_image / _ENTRYPOINT, f"{home}/{_ENTRYPOINT}", filter=readable)
        for name in ("opensearch.yml", "jvm.options"):
            tree.add(of_image / name, f"{home}/config/{name}", filter=readable)
        for folder in ("data", "logs"):
            entry = tarfile.TarInfo(f"{home}/{folder}")
            entry.type, entry.mode = tarfile.DIRTYPE, 0o750
            entry.uid = entry.gid = _OPENSEARCH_USER
            tree.addfile(entry)


OPENSEARCH = Image(
    f"{PREFIX}/opensearch:{opensearch.OPENSEARCH}",
    (opensearch.java, opensearch.opensearch),
    (
        # As in opensearch-build 4372bf71 docker/release/dockerfiles/opensearch.al2023.dockerfile.
        f'ENTRYPOINT ["./{_ENTRYPOINT}"]',
        'CMD ["opensearch"]',
        f"WORKDIR {_HOME}",
        f"ENV JAVA_HOME={opensearch.JAVA_HOME}",
        "EXPOSE 9200 9300",
        f"USER {_OPENSEARCH_USER}",
    ),
    _write_opensearch,
)
"""For stacks whose traces go to an OpenSearch of their own."""


_TOOLS = ("sh", "cat", "date", "sed", "sleep")
"""Those of the official image, of BusyBox as there, that the stack's retention runs on."""


def _write_curl(built: Mapping[str, Path], stream: IO[bytes]) -> None:
    with tarfile.open(fileobj=stream, mode="w|") as tree:
        packages.add(built["curl"], tree)
        for name in _TOOLS:
            entry = tarfile.TarInfo(f"usr/bin/{name}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            tree.addfile(entry)


CURL = Image(
    f"{PREFIX}/curl:debian",
    (packages.tree("curl", "curl", "ca-certificates", "busybox"),),
    (
        # As in curl-container 96c8e58a create_base_image.sh, whose entrypoint adds the program.
        'ENTRYPOINT ["/usr/bin/curl"]',
        "USER 100",
    ),
    _write_curl,
)
"""For stacks whose traces go to a store with a REST API."""
OF_OPENSEARCH = (OPENSEARCH, CURL)
"""For stacks whose traces go there."""


def _node(name: str, *needed: Step) -> Image:
    return Image(
        f"{PREFIX}/{name}",
        (node.node_base, node.node_files, *needed),
        node.INSTRUCTIONS,
        lambda built, stream: node.write(
            built["node-base"],
            built["node-files"],
            [built[step.name] for step in needed],
            stream,
        ),
    )


NODES = {
    version: _node(f"k3s:v{version}-k3s1", kubernetes, programs.etcd, programs.containerd)
    for version, kubernetes in programs.kubernetes.items()
}
"""Nodes by their Kubernetes version; unlike that of k3s, their containerd exports traces."""

STOCK_NODE = _node(
    f"k3s-stock:v{programs.KUBERNETES}-k3s1",
    programs.kubernetes[programs.KUBERNETES],
    programs.etcd,
    programs.silent_containerd,
)
"""A node whose containerd has no tracing plugin, like that of k3s since 1.27.2."""

IMAGES = (JAEGER, COLLECTOR, K3D_TOOLS, NODES[programs.KUBERNETES])
"""The images of the lab's default stack; some tests use more nodes."""
