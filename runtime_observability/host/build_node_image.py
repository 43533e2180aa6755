"""Builds the node image of an ``UpstreamImage`` if it is missing: run with ``python -m``.

Reads the fields of ``UpstreamImage`` as JSON on stdin, reports its progress on stderr and prints
``{"image", "built"}``.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import httpx

from runtime_observability.core.node_image import CURE, PLACE, UpstreamImage
from runtime_observability.host import docker, runner

_DOWNLOAD_SECONDS = 600
_BUILD_SECONDS = 600
_PROGRESS_SECONDS = 5


def log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def build(image: UpstreamImage) -> bool:
    """Builds ``image`` unless the daemon has it; returns whether it was built.

    Raises CommandError when the download or the build fails, the checksum does not match, or the
    binary is not a containerd that runs in the image; OSError, KeyError or tarfile.TarError when
    the local binary or the archive cannot be read.
    """
    if docker.has_image(image.tag):
        return False
    with tempfile.TemporaryDirectory() as scratch:
        context = Path(scratch)
        binary = context / "containerd"
        binary.write_bytes(fetch(image))
        binary.chmod(0o755)
        (context / "Dockerfile").write_text(image.dockerfile)
        log(f"building {image.tag} from {image.base}")
        runner.run(
            ["docker", "build", "--tag", image.tag, scratch], timeout=_BUILD_SECONDS
        ).checked()
    try:
        log(f"{image.tag}: {_version(image)}")
    except runner.CommandError:
        # The next run would use the image without checking it again.
        runner.run(["docker", "image", "rm", image.tag])
        raise
    return True


def _version(image: UpstreamImage) -> str:
    """The output of ``containerd --version``, run in the image: proves that it runs there."""
    argv = ["docker", "run", "--rm", "--entrypoint", f"/{PLACE}", image.tag, "--version"]
    version = runner.run(argv).checked().strip()
    if not version.startswith("containerd "):
        raise runner.CommandError(
            f"{image.source} is not a containerd binary: --version printed {version[:80]!r}. {CURE}"
        )
    return version


def fetch(image: UpstreamImage) -> bytes:
    """The containerd binary, from a URL or a local path, with its checksum verified."""
    if image.source.startswith("https://"):
        return _unpacked(_checked(_downloaded(image.source), image))
    return _checked(Path(image.source).read_bytes(), image)


def _checked(content: bytes, image: UpstreamImage) -> bytes:
    found = hashlib.sha256(content).hexdigest()
    if found != image.sha256:
        raise runner.CommandError(
            f"checksum mismatch for {image.source}: expected sha256 {image.sha256}, got {found}. "
            "Run `pulumi up` again"
        )
    return content


def _downloaded(url: str) -> bytes:
    received = io.BytesIO()
    begin = reported = time.monotonic()
    try:
        with httpx.stream("GET", url, follow_redirects=True, timeout=30) as response:
            response.raise_for_status()
            total = int(response.headers.get("content-length", 0)) / 2**20
            for chunk in response.iter_bytes():
                received.write(chunk)
                now = time.monotonic()
                if now - begin > _DOWNLOAD_SECONDS:
                    raise runner.CommandError(
                        f"the download of {url} took longer than {_DOWNLOAD_SECONDS} s"
                    )
                if now - reported > _PROGRESS_SECONDS:
                    reported = now
                    log(f"containerd: {received.tell() / 2**20:.0f} of {total:.0f} MiB")
    except httpx.HTTPError as error:
        raise runner.CommandError(
            f"{url} cannot be downloaded: {error or type(error).__name__}. Name a static "
            f"containerd of your own in containerdBinary, or {CURE}"
        ) from error
    return received.getvalue()


def _unpacked(archive: bytes) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        member = tar.extractfile("bin/containerd")
        if member is None:
            raise runner.CommandError("bin/containerd in the archive is not a file")
        return member.read()


def main() -> int:
    image = UpstreamImage(**json.load(sys.stdin))
    try:
        built = build(image)
    except (runner.CommandError, OSError, KeyError, tarfile.TarError) as error:
        print(f"error: node image: {error}", file=sys.stderr)
        return 1
    print(json.dumps({"image": image.tag, "built": built}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
