"""Whether the body of a request makes it a dry run."""

from __future__ import annotations

import json
from typing import Any

import yaml

from ktrace.recording import protobuf

_ALL = "All"
"""The only value that the API server takes."""


def in_delete(body: bytes | None) -> bool | None:
    """What a deletion's DeleteOptions say; None without a body, when the URL's query counts.

    An API server reads the query of a DELETE only if its body is empty (DeleteResource in
    apiserver's pkg/endpoints/handlers/delete.go).
    """
    return _is_in(body, _delete_options) if body else None


def in_eviction(body: bytes | None) -> bool | None:
    """Whether an Eviction's deleteOptions say so; None if they do not: the query may, too."""
    return (_is_in(body, _options_of_eviction) if body else False) or None


def _is_in(body: bytes, read: Any) -> bool:
    try:
        return _ALL in read(body)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, yaml.YAMLError):
        return False


def _delete_options(body: bytes) -> list[str]:
    if body.startswith(protobuf.PREFIX):
        return _from_protobuf(protobuf.unknown(body)[1])
    return _document(body).get("dryRun") or []


def _options_of_eviction(body: bytes) -> list[str]:
    if body.startswith(protobuf.PREFIX):
        return _from_protobuf(protobuf.fields(protobuf.unknown(body)[1][2][-1]))
    return (_document(body).get("deleteOptions") or {}).get("dryRun") or []


def _from_protobuf(delete_options: protobuf.Fields) -> list[str]:
    return [value.decode() for value in delete_options.get(5, [])]


def _document(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return yaml.safe_load(body)
