"""The record of a stack's cluster as ensure left it, in ``.stacks/<stack>/cluster.json``."""

from __future__ import annotations

import json
from dataclasses import asdict
from ipaddress import IPv4Address

from runtime_observability.core.cluster_spec import ClusterSpec
from runtime_observability.core.naming import Names
from runtime_observability.core.observation import Record
from runtime_observability.core.transition import content, identity
from runtime_observability.host.files import write_private


def load(names: Names) -> Record | None:
    """The record, or None when there is none or the file is not a valid record.

    One of another release or that somebody edited counts as lost, and ensure makes another.
    """
    try:
        document = json.loads(names.record.read_text(encoding="utf-8"))
        record = Record(**(document | {"nodes": tuple(document["nodes"])}))
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return record if isinstance(document["nodes"], list) and _is_valid(record) else None


def _is_valid(record: Record) -> bool:
    """Whether each value has the type that its readers rely on: JSON has others too."""
    try:
        spec = ClusterSpec.read(record.spec)
        identity(spec), content(spec)
    except (AttributeError, KeyError, TypeError, ValueError):
        return False
    return (
        type(record.generation) is int
        and isinstance(record.complete, bool)
        and isinstance(record.digest, str)
        and all(isinstance(node, str) for node in record.nodes)
        and isinstance(spec.config["image"], str)
        and isinstance(spec.files, dict)
        and all(isinstance(digest, str) for digest in spec.files.values())
        and isinstance(spec.settings, dict)
        and isinstance(record.never_complete, bool)
        and isinstance(record.content, dict)
        and isinstance(record.draining, str)
        and isinstance(record.adding, list)
        and all(isinstance(node, str) for node in record.adding)
        and isinstance(record.daemon, str)
        and isinstance(record.docker_host, str)
        and isinstance(record.addresses, dict)
        and all(map(_is_address, record.addresses.values()))
    )


def _is_address(text: object) -> bool:
    try:
        return isinstance(text, str) and bool(IPv4Address(text))
    except ValueError:
        return False


def save(names: Names, record: Record) -> None:
    write_private(names.record, json.dumps(asdict(record), indent=2))
