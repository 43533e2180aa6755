"""Builds the node image of an ``UpstreamImage`` if it is missing: run with ``python -m``.

Reads the fields of ``UpstreamImage`` as JSON on stdin, reports its progress on stderr and prints
``{"image", "built"}``.
"""

from __future__ import annotations

import hashlib
import io
import json
import shlex
import sys
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from runtime_observability.core.node_image import CURE, PLACE, UpstreamImage
from runtime_observability.host import docker, downloads, runner
from runtime_observability.host.progress import log

_PULL_SECONDS = 600
_BUILD_SECONDS = 600
_MOST_MEBIBYTES = 500


def build(image: UpstreamImage) -> bool:
    """Builds ``image`` unless the daemon has it; returns whether it was built.

    Raises CommandError when the download or the build fails, the checksum does not match, or the
    binary is not a containerd that runs in the image; OSError, KeyError or tarfile.TarError when
    the local binary or the archive cannot be read.
    """
    if docker.has_image(image.tag):
        return False
    context = _context(image.dockerfile, fetch(image))
    _pull(image.base)
    log(f"building {image.tag} from {image.base}")
    _follow(
        ["docker", "build", "--tag", image.tag, "-"],
        stdin=context,
        timeout=_BUILD_SECONDS,
        environment=_of_the_daemons_builder(runner.surroundings()),
    )
    if not docker.has_image(image.tag):
        raise runner.CommandError(
            f"docker has built {image.tag} with a builder that keeps its images for itself. Run "
            "`docker buildx uninstall` and `docker buildx use default`, then `pulumi up` again"
        )
    try:
        log(f"{image.tag}: {_version(image)}")
    except runner.CommandError:
        # The next run would use the image without checking it again.
        runner.run(["docker", "image", "rm", image.tag])
        raise
    return True


def _context(dockerfile: str, binary: bytes) -> bytes:
    """A build's context as a tar archive: a docker in a snap cannot read a folder of /tmp."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, mode, content in (
            ("Dockerfile", 0o644, dockerfile.encode()),
            ("containerd", 0o755, binary),
        ):
            member = tarfile.TarInfo(name)
            member.mode, member.size = mode, len(content)
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def _pull(base: str) -> None:
    """Pulls ``base`` where the daemon does not have it, in a time of its own and in sight."""
    if docker.has_image(base):
        return
    log(f"pulling {base}")
    _follow(
        ["docker", "pull", base],
        stdin=b"",
        timeout=_PULL_SECONDS,
        environment=runner.surroundings_of_a_pull(),
    )


def _follow(
    argv: Sequence[str], *, stdin: bytes, timeout: float, environment: Mapping[str, str]
) -> None:
    """Shows the progress of ``argv``; raises CommandError with the last line when it fails."""
    result = runner.follow(
        argv,
        lambda line: log(f"{argv[1]}: {line}"),
        stdin=stdin,
        timeout=timeout,
        environment=environment,
    )
    if result.code:
        (*_, last) = result.stdout.strip().splitlines() or ["no output"]
        raise runner.CommandError(f"`{shlex.join(argv)}` exited with {result.code}: {last}")


def _of_the_daemons_builder(environment: Mapping[str, str]) -> dict[str, str]:
    """Without the user's choice of a builder, which may leave the image outside the daemon.

    BuildKit writes its progress as lines then.
    """
    kept = {name: value for name, value in environment.items() if name != "BUILDX_BUILDER"}
    return {**kept, "BUILDKIT_PROGRESS": "plain"}


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
        return _downloaded(image)
    content = Path(image.source).read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != image.sha256:
        raise runner.CommandError(
            f"checksum mismatch for {image.source}: expected sha256 {image.sha256}, got {found}. "
            "Run `pulumi up` again"
        )
    return content


def _downloaded(image: UpstreamImage) -> bytes:
    with tempfile.TemporaryDirectory() as scratch:
        archive = Path(scratch) / "containerd.tar.gz"
        try:
            downloads.save(
                image.source,
                archive,
                sha256=image.sha256,
                mebibytes=_MOST_MEBIBYTES,
                report=lambda line: log(f"containerd: {line}"),
            )
        except downloads.DownloadError as error:
            raise runner.CommandError(
                f"{error}. Or name a static containerd of your own in containerdBinary, or {CURE}"
            ) from error
        return _unpacked(archive)


def _unpacked(archive: Path) -> bytes:
    with tarfile.open(archive, mode="r:gz") as tar:
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
