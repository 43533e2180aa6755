"""Every name, label and path of a stack, derived in one place."""

from __future__ import annotations

import hashlib
import json
import os
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from runtime_observability.core.problem import Problem

PROJECT = "runtime-observability"
CLUSTER_NOTE, BACKENDS_NOTE = "cluster.kept", "backends.kept"
"""Files in the stack's own folder, while what they are of is not to be deleted: the cluster, and
Jaeger with the collector."""
JAEGER_NOTE = "jaeger.id"
"""File in the stack's own folder: the id of the Jaeger that has served, and so was in a state."""
OWNER_LABEL = f"{PROJECT}.owner"
STACK_LABEL = f"{PROJECT}.stack"
FOLDER_LABEL = f"{PROJECT}.folder"
SPEC_LABEL = f"{PROJECT}.spec"
NETWORK_LABEL = f"{PROJECT}.network"
STORE_LABEL = f"{PROJECT}.store"
"""The trace store of a Jaeger; one without it keeps traces in memory."""
STORE_SERVERS_LABEL = f"{PROJECT}.store-servers"
"""Where that store is, if it is no part of the stack: its servers, with a comma between them."""
MADE_LABEL = f"{PROJECT}.made"
"""When the run began that made a container or network: another one has another time."""
MADE_LATER = "known to the up alone"
"""Stands for that time in a preview, which has none of its own: an up of its plan has another."""

NODE_IMAGE = f"{PROJECT}/k3s"
"""Repository of the node images built with an upstream containerd; all stacks share them."""

COLLECTOR_ALIAS = "otel-collector"
"""The collector's name on the stack's network.

An alias is unique per network, a container name per daemon, so every stack can use this one.
"""

JAEGER_ALIAS = "jaeger"
OPENSEARCH_ALIAS = "opensearch"

NODE_FOLDER = "/etc/runtime-observability"
"""Where the stack's files for the nodes are mounted in every node, read-only."""

CLUSTER_NAME_LIMIT = 32
"""Maximum length of a cluster name (k3d v5.9.0 pkg/client/clusterName.go)."""

MOST_AGENTS = 10
"""How many agents a cluster may have; their names have one digit of it, from 0."""

_PREFIX = "traced-"
_NO_ORGANIZATION = "organization"

_LONGEST_FOLDER = 4095 - 128
"""Bytes of a path on Linux (PATH_MAX with its closing byte), less those of the files below it."""


@dataclass(frozen=True)
class ClusterNames:
    """Names of the containers of a stack, by its cluster's alone."""

    cluster: str

    @property
    def jaeger(self) -> str:
        return f"{self.cluster}-jaeger"

    @property
    def open_search(self) -> str:
        """The stack's own OpenSearch."""
        return f"{self.cluster}-opensearch"

    @property
    def retention(self) -> str:
        """What deletes old indices in the search engine in which Jaeger keeps traces."""
        return f"{self.cluster}-retention"

    @property
    def collector(self) -> str:
        return f"{self.cluster}-collector"

    def node(self, role: str, index: int) -> str:
        """Container name of a ``server`` or ``agent`` (k3d v5.9.0 pkg/client/node.go)."""
        return f"k3d-{self.cluster}-{role}-{index}"

    @property
    def tools(self) -> str:
        """k3d's container for images, while it works (k3d v5.9.0 pkg/client/tools.go)."""
        return f"k3d-{self.cluster}-tools"


@dataclass(frozen=True)
class Names:
    """All names of one stack in one project folder."""

    stack: str
    folder: Path
    """The project folder, absolute."""
    own_state_folder: Path | None = None
    """Holds the stacks' own folders; None: ``.stacks`` in the project folder."""
    pulumi_stack: str = ""
    """ORGANIZATION/PROJECT/STACK of the Pulumi stack; empty where only the folder is known."""

    @property
    def owner(self) -> str:
        """Identifies the stack *and* the folder, because two clones can use the same stack name.

        It is a digest, because k3d expands ``$`` in label values and Docker's filters match only
        complete values. Stacks of two organizations or projects in one folder would have one
        owner: ``claim`` tells them apart, and the second is refused.
        """
        text = f"{self.stack}\0{self.folder}"
        return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:16]

    @property
    def full_stack(self) -> str:
        """ORGANIZATION/PROJECT/STACK, which names the stack outside of its folder and its machine.

        An environment with a name of its own, one of several in a program, has it behind. Where
        only the folder is known, the organization is what Pulumi calls it without its cloud.
        """
        full = self.pulumi_stack or f"{_NO_ORGANIZATION}/{PROJECT}/{self.stack}"
        return full if full.rpartition("/")[2] == self.stack else f"{full}/{self.stack}"

    @property
    def base(self) -> str:
        """``traced-<stack>``: an RFC 1123 label, short enough for k3d and unique to the stack."""
        return _PREFIX + _label(self.stack, CLUSTER_NAME_LIMIT - len(_PREFIX))

    @property
    def network(self) -> str:
        return self.base

    @property
    def cluster(self) -> str:
        return self.base

    @property
    def rehearsal(self) -> str:
        """The cluster in which a replacement is rehearsed; no stack's own cluster has its name."""
        return f"rehearsal-{self.owner}"

    @property
    def of_cluster(self) -> ClusterNames:
        return ClusterNames(self.base)

    @property
    def jaeger(self) -> str:
        return self.of_cluster.jaeger

    @property
    def traces(self) -> str:
        """The volume in which Jaeger keeps traces, where it does not keep them in memory."""
        return f"{self.base}-traces"

    @property
    def index_prefix(self) -> str:
        """Of the stack's indices in OpenSearch or Elasticsearch, in lower case as those must be.

        The pattern of Jaeger's templates begins with ``*``, so that one stack's would be another's
        too if its prefix ended with it: the owner, at the end, has always 16 characters.
        """
        return f"{self.base}-{self.owner}"

    @property
    def keyspace(self) -> str:
        """The stack's own in Cassandra: at most 48 letters, digits and ``_``."""
        return f"traced_{self.owner}"

    @property
    def open_search(self) -> str:
        """The stack's own OpenSearch."""
        return self.of_cluster.open_search

    @property
    def open_search_traces(self) -> str:
        """Its volume. Another store's has another name: one may stay when the other is used."""
        return f"{self.traces}-opensearch"

    @property
    def retention(self) -> str:
        return self.of_cluster.retention

    @property
    def collector(self) -> str:
        return self.of_cluster.collector

    @property
    def queues(self) -> str:
        """The volume in which the collector keeps the queues that are on disk."""
        return f"{self.base}-queues"

    def node(self, role: str, index: int) -> str:
        """Container name of a ``server`` or ``agent`` (k3d v5.9.0 pkg/client/node.go)."""
        return self.of_cluster.node(role, index)

    @property
    def tools(self) -> str:
        return self.of_cluster.tools

    @property
    def state_folder(self) -> Path:
        return self.own_state_folder or self.folder / ".stacks"

    @property
    def directory(self) -> Path:
        """The stack's own folder: generated files, the kubeconfig and the record of the cluster."""
        return self.state_folder / self.base.removeprefix(_PREFIX)

    @property
    def claim_file(self) -> Path:
        """Holds the ``claim`` of the stack that has the folder."""
        return self.directory / "stack.json"

    @property
    def claim(self) -> str:
        """Says whose the stack's own folder is: the Pulumi stack's and the project folder's."""
        document = {"folder": str(self.folder), "pulumiStack": self.pulumi_stack}
        return json.dumps(document, sort_keys=True)

    @property
    def record(self) -> Path:
        """What ensure last made of the cluster."""
        return self.directory / "cluster.json"

    @property
    def kept(self) -> Path:
        """Has the digest of the cluster that no `pulumi up` may delete. The rehearsal of another
        one, and a destroy, let that cluster go."""
        return self.directory / CLUSTER_NOTE

    @property
    def node_volumes(self) -> Path:
        """Names the volumes that Docker has made for nodes, a line each."""
        return self.directory / "node.volumes"

    @property
    def node_directory(self) -> Path:
        return self.directory / "node"

    @property
    def rehearsal_directory(self) -> Path:
        return self.directory / "rehearsal"

    @property
    def kubeconfig(self) -> Path:
        return self.directory / "kubeconfig"

    @property
    def kept_kubeconfig(self) -> Path:
        """Where a destroy leaves a kubeconfig into which others have written, for the next up."""
        return self.state_folder / f"{self.directory.name}.kubeconfig"

    @property
    def labels(self) -> dict[str, str]:
        """Docker labels of everything the stack creates: the owner's digest, stack and folder."""
        return {
            OWNER_LABEL: self.owner,
            STACK_LABEL: self.stack,
            FOLDER_LABEL: str(self.folder),
        }


def _label(text: str, limit: int) -> str:
    """``text`` if it is a DNS label of at most ``limit`` characters, else a similar one.

    A similar label ends with two hyphens and a digest of ``text``. An unchanged ``text`` never
    contains two hyphens in a row, so it never equals a similar label.
    """
    label = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    if label == text and len(label) <= limit:
        return label
    digest = hashlib.sha256(text.encode()).hexdigest()[:6]
    return f"{label[: limit - len(digest) - 2].strip('-') or 'stack'}--{digest}"


def refuse_a_folder_the_nodes_cannot_mount(folder: Path, of: str = "project") -> list[Problem]:
    """Why ``folder`` cannot hold what it is ``of``, project or state; empty when it can.

    ``:`` ends a path in Docker's volume syntax (moby v28.5.2 volume/mounts/linux_parser.go); k3d
    expands ``$`` in its configuration and has no escape for it (k3d v5.9.0
    cmd/util/config/config.go). ``@`` and ``,`` end a path in k3d's options alone, not in its
    configuration.
    """
    path = str(folder)
    bad = sorted(set(path) & set(":$"))
    if bad:
        seen = f"{path} has {' and '.join(map(repr, bad))} in its path"
        why = "Docker volumes and k3d's configuration cannot contain them"
    elif any(unicodedata.category(character) in ("Cc", "Cs") for character in path):
        seen = f"{path!a} has a control character or a byte that is not UTF-8 in its path"
        why = "Pulumi's state and Docker's lists cannot contain them"
    elif len(os.fsencode(folder)) > _LONGEST_FOLDER:
        seen = f"its path has {len(os.fsencode(folder))} bytes"
        why = f"the maximum is {_LONGEST_FOLDER}, so that Linux finds the files in it"
    else:
        return []
    return [Problem(f"{of} folder", seen, why, f"move the {of} to another folder")]
