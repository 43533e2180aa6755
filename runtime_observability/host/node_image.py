"""Which containerd the nodes' image is built with: the pinned release or a file of this machine."""

from __future__ import annotations

import hashlib
from pathlib import Path

from runtime_observability.core.compatibility import ContainerdRelease
from runtime_observability.core.node_image import CURE, UpstreamImage
from runtime_observability.core.problem import UNTOUCHED, Problem, ProblemsError
from runtime_observability.core.settings.model import Settings


def node_image(settings: Settings, architecture: str) -> UpstreamImage | None:
    """The image that is built for the nodes; None where they run one as it is.

    Raises ProblemsError where it cannot be built.
    """
    release = settings.containerd_plan.upstream
    if release is None:
        return None
    return upstream_image(settings.images.nodes, release, architecture, settings.containerd_binary)


def upstream_image(
    base: str, release: ContainerdRelease, architecture: str, binary: str
) -> UpstreamImage:
    """``binary``: path of a containerd to use instead of ``release``; empty for none.

    Raises ProblemsError where there is no release for ``architecture``, or no file at ``binary``.
    """
    if binary:
        path, digest = _read(binary)
        return UpstreamImage(base, "local", str(path), digest)
    if architecture not in release.sha256:
        problem = Problem(
            "containerdTracing",
            f"there is no containerd for a Docker host of {architecture}",
            f"its releases are only for {' and '.join(release.sha256)}",
            f"name a static build of your own in containerdBinary, or {CURE}",
        )
        raise ProblemsError(UNTOUCHED, [problem])
    url = release.url(architecture)
    return UpstreamImage(base, release.version, url, release.sha256[architecture])


def _read(binary: str) -> tuple[Path, str]:
    """The path of a file of this machine, ``~`` and links resolved, and its sha256."""
    seen, why = f"{binary} is not a file", ""
    try:
        path = Path(binary).expanduser()
        if path.is_file():
            with path.open("rb") as content:
                return path.resolve(), hashlib.file_digest(content, "sha256").hexdigest()
    except RuntimeError:  # of expanduser
        user = binary.partition("/")[0].removeprefix("~")
        why = f"this machine has no user {user}" if user else "this user has no home folder"
    except OSError as error:
        seen, why = f"{binary} cannot be read", error.strerror or str(error)
    raise ProblemsError(UNTOUCHED, [Problem("containerdBinary", seen, why, CURE)])
