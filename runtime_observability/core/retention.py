"""What the container that deletes old indices logs (host/scripts/keep_retention.sh). Pure."""

from __future__ import annotations

_NOT_KEPT = "not kept: "
_CURES = {
    " answers 401 ": ": set today's traceStoreUser and traceStorePassword, then `pulumi up`",
    "SSL certificate problem": ": renew it there, or name the one that signed it in "
    "traceStoreCaFile, then `pulumi up`",
    " answers 403 ": ": grant indices:monitor/* and indices:admin/delete on the stack's indices",
}


def fault(line: str) -> str:
    """Why old indices may be left, by its last ``line``, with the cure of a refusal; empty if that
    tells of none."""
    if not line.startswith(_NOT_KEPT):
        return ""
    cure = next((cure for answer, cure in _CURES.items() if answer in line), "")
    return line.removeprefix(_NOT_KEPT) + cure
