"""The files that the nodes mount, which Pulumi writes before it makes or changes the cluster."""

from __future__ import annotations

import hashlib

from runtime_observability.core.cluster_spec import ClusterSpec
from runtime_observability.core.naming import Names
from runtime_observability.host import runner


class FilesError(runner.CommandError):
    """The nodes' files are not the wanted ones: nothing is known to be wrong with the cluster."""


def check(names: Names, spec: ClusterSpec) -> None:
    """Raises FilesError for a file that is missing or another one than the wanted."""
    for file, digest in spec.files.items():
        path = names.node_directory / file
        if not path.is_file():
            raise FilesError(f"{path} is missing: run `pulumi up` again")
        if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            raise FilesError(
                f"{path} is not of this configuration: run `pulumi up` without --target and "
                "--exclude, which leave out parts of the environment"
            )
