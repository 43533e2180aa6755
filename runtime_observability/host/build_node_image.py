"""Builds the image of an ``UpstreamImage`` where it is missing: a program for ``python -m``.

Reads its fields on stdin, tells its progress on stderr and prints ``{"image", "built"}``.
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
_LINE_SECONDS = 5


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def build(image: UpstreamImage) -> bool:
    """Whether the image had to be built. Raises CommandError when it cannot be."""
    if docker.has_image(image.tag):
        return False
    with tempfile.TemporaryDirectory() as scratch:
        context = Path(scratch)
        binary = context / "containerd"
        binary.write_bytes(fetch(image))
        binary.chmod(0o755)
        (context / "Dockerfile").write_text(image.dockerfile)
        say(f"building {image.tag} from {image.base}")
        runner.run(
            ["docker", "build", "--tag", image.tag, scratch], timeout=_BUILD_SECONDS
        ).checked()
    try:
        say(f"{image.tag}: {_version(image)}")
    except runner.CommandError:
        # Else the next run would find it and take it for good.
        runner.run(["docker", "image", "rm", image.tag])
        raise
    return True


def _version(image: UpstreamImage) -> str:
    """What the binary says of itself, in the very image: so it is containerd and runs there."""
    argv = ["docker", "run", "--rm", "--entrypoint", f"/{PLACE}", image.tag, "--version"]
    said = runner.run(argv).checked().strip()
    if not said.startswith("containerd "):
        raise runner.CommandError(
            f"{image.source} is no containerd: asked for its version it says {said[:80]!r}. {CURE}"
        )
    return said


def fetch(image: UpstreamImage) -> bytes:
    """The containerd binary, its origin checked."""
    if image.source.startswith("https://"):
        return _unpacked(_checked(_downloaded(image.source), image))
    return _checked(Path(image.source).read_bytes(), image)


def _checked(content: bytes, image: UpstreamImage) -> bytes:
    found = hashlib.sha256(content).hexdigest()
    if found != image.sha256:
        raise runner.CommandError(
            f"{image.source} has the sha256 {found}, not {image.sha256}: it is not used"
        )
    return content


def _downloaded(url: str) -> bytes:
    received = io.BytesIO()
    begin = said = time.monotonic()
    try:
        with httpx.stream("GET", url, follow_redirects=True, timeout=30) as answer:
            answer.raise_for_status()
            total = int(answer.headers.get("content-length", 0)) / 2**20
            for chunk in answer.iter_bytes():
                received.write(chunk)
                now = time.monotonic()
                if now - begin > _DOWNLOAD_SECONDS:
                    raise runner.CommandError(f"{url} took over {_DOWNLOAD_SECONDS} s")
                if now - said > _LINE_SECONDS:
                    said = now
                    say(f"containerd: {received.tell() / 2**20:.0f} of {total:.0f} MiB")
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
            raise runner.CommandError("the archive holds no bin/containerd")
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
