"""Container images made of what the lab has built, for a machine that reaches no registry.

An image is imported as one file system, which needs no builder and no base image. It carries the
hash of its inputs as a label, so that a daemon that has it already is left alone.
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

from lab import builds
from lab.paths import Cache
from lab.steps import LabError, Step, Workbench, prepare, progress

PREFIX = "runtime-observability-lab"
KEY_LABEL = f"{PREFIX}.key"
UNPRIVILEGED = "10001"  # the user of the official images of Jaeger and the collector


@dataclass(frozen=True)
class Image:
    """An image that can be made wherever its steps' outputs are."""

    reference: str
    needs: tuple[Step, ...]
    instructions: tuple[str, ...]
    """Dockerfile instructions, those that `docker import --change` takes."""
    write: Callable[[Mapping[str, Path], IO[bytes]], None]
    """Writes the root file system as a tar, from the outputs of `needs` by step name."""

    @property
    def key(self) -> str:
        """What decides the image's content, as a hash."""
        inputs: tuple[str | Path, ...] = (Path(__file__), *self.instructions)
        return Step(self.reference, inputs, lambda bench: None, self.needs).key.rpartition("-")[2]


def load(images: Iterable[Image], cache: Cache, docker_host: str | None) -> list[str]:
    """Import the images that the daemon has not, or has of other inputs; return their names."""
    environment = {**os.environ, **({"DOCKER_HOST": docker_host} if docker_host else {})}
    missing = [image for image in images if _key_in_daemon(image, environment) != image.key]
    outputs = prepare(cache, [step for image in missing for step in image.needs])
    for image in missing:
        with progress(f"image {image.reference}: importing"):
            _import(image, outputs, environment)
    return [image.reference for image in missing]


def _key_in_daemon(image: Image, environment: Mapping[str, str]) -> str:
    template = f'{{{{index .Config.Labels "{KEY_LABEL}"}}}}'
    command = ["docker", "image", "inspect", "--format", template, image.reference]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False
    ).stdout.strip()


def _import(image: Image, outputs: Mapping[str, Path], environment: Mapping[str, str]) -> None:
    changes = (*image.instructions, f"LABEL {KEY_LABEL}={image.key}")
    command = ["docker", "import", *(f"--change={line}" for line in changes), "-", image.reference]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, env=environment, stdin=pipe, stdout=subprocess.DEVNULL, stderr=pipe
    ) as process:
        # Both are pipes, which only the type checker can't know.
        assert process.stdin is not None  # noqa: S101
        assert process.stderr is not None  # noqa: S101
        try:
            image.write(outputs, process.stdin)
            process.stdin.close()
            refusal = ""
        except BrokenPipeError:
            refusal = "docker stopped reading. "
        said = process.stderr.read().decode()
    if process.returncode != 0:
        raise LabError(f"docker import {image.reference} failed: {refusal}{said.strip()}")


def write_files(files: Mapping[str, Path | None], stream: IO[bytes]) -> None:
    """Write a tar of files (all executable, of root) and, where the value is None, folders."""
    with tarfile.open(fileobj=stream, mode="w|") as archive:
        for name, source in files.items():
            entry = tarfile.TarInfo(name.lstrip("/"))
            if source is None:
                entry.type, entry.mode = tarfile.DIRTYPE, 0o1777
                archive.addfile(entry)
                continue
            content = source.read_bytes()
            entry.size, entry.mode = len(content), 0o755
            archive.addfile(entry, io.BytesIO(content))


def _extract_busybox(bench: Workbench) -> None:
    bench.run(["apt-get", "download", "busybox-static"], cwd=bench.out)
    (package,) = bench.out.glob("*.deb")
    bench.run(["dpkg-deb", "--extract", package, bench.out])
    package.unlink()


busybox = Step("busybox", ("busybox-static", "bin/busybox"), _extract_busybox)

JAEGER = Image(
    f"{PREFIX}/jaeger:{builds.JAEGER}",
    (builds.jaeger,),
    (
        # As in jaeger v2.13.0 cmd/jaeger/Dockerfile.
        'ENTRYPOINT ["/cmd/jaeger/jaeger-linux"]',
        "ENV JAEGER_LISTEN_HOST=0.0.0.0",
        "EXPOSE 4317 4318 13133 16686",
        'VOLUME ["/tmp"]',
        f"USER {UNPRIVILEGED}",
    ),
    lambda built, stream: write_files(
        {"/cmd/jaeger/jaeger-linux": built["jaeger"] / "jaeger", "/tmp": None},  # noqa: S108
        stream,
    ),
)

COLLECTOR = Image(
    f"{PREFIX}/opentelemetry-collector:{builds.COLLECTOR}",
    (builds.collector,),
    (
        # As in opentelemetry-collector-releases v0.155.0 distributions/otelcol/Dockerfile.
        'ENTRYPOINT ["/otelcol"]',
        'CMD ["--config", "/etc/otelcol/config.yaml"]',
        "EXPOSE 4317 4318 55679",
        f"USER {UNPRIVILEGED}",
    ),
    lambda built, stream: write_files({"/otelcol": built["collector"] / "collector"}, stream),
)

# k3d runs `noop` in it and executes small commands (k3d v5.9.0 pkg/client/tools.go, host.go). It
# can't do `k3d image import --mode tools-node`, which needs the real program.
K3D_TOOLS = Image(
    f"{PREFIX}/k3d-tools:{builds.K3D}",
    (busybox,),
    (
        'ENTRYPOINT ["/bin/sh", "-c", "trap exit TERM; sleep 2147483647 & wait"]',
        "WORKDIR /app",
    ),
    lambda built, stream: write_files(
        dict.fromkeys(("/bin/sh", "/bin/sleep", "/bin/rm"), built["busybox"] / "bin/busybox"),
        stream,
    ),
)

IMAGES = (JAEGER, COLLECTOR, K3D_TOOLS)
