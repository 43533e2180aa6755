"""Every name, label and path that a stack owns, derived in one place."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from runtime_observability.core.problem import Problem

PROJECT = "runtime-observability"
OWNER_LABEL = f"{PROJECT}.owner"
STACK_LABEL = f"{PROJECT}.stack"
FOLDER_LABEL = f"{PROJECT}.folder"
SPEC_LABEL = f"{PROJECT}.spec"
NETWORK_LABEL = f"{PROJECT}.network"

NODE_IMAGE = f"{PROJECT}/k3s"
"""The images that are built for nodes with an upstream containerd; stacks share them."""

COLLECTOR_ALIAS = "otel-collector"
"""The collector's name on the stack's network: aliases are per network, names per daemon."""

JAEGER_ALIAS = "jaeger"

NODE_FOLDER = "/etc/runtime-observability"
"""Where every node sees the stack's node-side files, read-only."""

CLUSTER_NAME_LIMIT = 32
"""k3d refuses longer cluster names (k3d v5.9.0 pkg/client/clusterName.go)."""

_PREFIX = "traced-"


@dataclass(frozen=True)
class Names:
    """What one stack in one project folder is called, everywhere."""

    stack: str
    folder: Path
    """The project folder, absolute."""
    own_state_folder: Path | None = None
    """Holds the stacks' own folders; None: ``.stacks`` in the project folder."""

    @property
    def owner(self) -> str:
        """Who owns an object: the stack *and* the folder, as two clones may share a stack's name.

        A digest, because k3d expands ``$`` in label values and Docker filters match them whole.
        """
        return hashlib.sha256(f"{self.stack}\0{self.folder}".encode()).hexdigest()[:16]

    @property
    def base(self) -> str:
        """``traced-<stack>``: an RFC 1123 label short enough for k3d, distinct for each stack."""
        return _PREFIX + _label(self.stack, CLUSTER_NAME_LIMIT - len(_PREFIX))

    @property
    def network(self) -> str:
        return self.base

    @property
    def cluster(self) -> str:
        return self.base

    @property
    def jaeger(self) -> str:
        return f"{self.base}-jaeger"

    @property
    def collector(self) -> str:
        return f"{self.base}-collector"

    def node(self, role: str, index: int) -> str:
        """Container name of a ``server`` or ``agent`` (k3d v5.9.0 pkg/client/node.go)."""
        return f"k3d-{self.cluster}-{role}-{index}"

    @property
    def state_folder(self) -> Path:
        return self.own_state_folder or self.folder / ".stacks"

    @property
    def directory(self) -> Path:
        """The stack's own folder: generated files, kubeconfig and what ensure remembers."""
        return self.state_folder / self.base.removeprefix(_PREFIX)

    @property
    def node_directory(self) -> Path:
        return self.directory / "node"

    @property
    def kubeconfig(self) -> Path:
        return self.directory / "kubeconfig"

    @property
    def labels(self) -> dict[str, str]:
        """Docker labels of everything the stack makes: the owner, and who that is in words."""
        return {
            OWNER_LABEL: self.owner,
            STACK_LABEL: self.stack,
            FOLDER_LABEL: str(self.folder),
        }


def _label(text: str, limit: int) -> str:
    """``text`` if it is a DNS label within ``limit``, else the nearest one, with a digest.

    Two hyphens set the digest off: no label that stands for itself has them.
    """
    label = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    if label == text and len(label) <= limit:
        return label
    digest = hashlib.sha256(text.encode()).hexdigest()[:6]
    return f"{label[: limit - len(digest) - 2].strip('-') or 'stack'}--{digest}"


def refuse_a_folder_the_nodes_cannot_mount(folder: Path) -> list[Problem]:
    """Why ``folder`` cannot hold the project or its state; empty when it can.

    ``:`` and ``,`` end a path in Docker's volume syntax; k3d expands ``$`` in its configuration
    without any escape (k3d v5.9.0 cmd/util/config/config.go).
    """
    bad = sorted(set(str(folder)) & set(":,$@"))
    if not bad:
        return []
    return [
        Problem(
            "project folder",
            f"{folder} has {' and '.join(map(repr, bad))} in its path",
            "Docker volumes and k3d's configuration cannot contain them",
            "move the project to another folder",
        )
    ]
