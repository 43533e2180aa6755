"""What to do where its store does not answer Jaeger, by the reason that Jaeger tells. Pure."""

from __future__ import annotations

import re
from typing import Any

_KEYS = "of a stack they are traceStoreUser and traceStorePassword: set today's, then `pulumi up`"
_CURES = (
    (
        re.compile(r"\bError 401\b|401 Unauthorized|password are incorrect", re.I),
        f"Its store refuses Jaeger's user and password; {_KEYS}",
    ),
    (
        re.compile(r"\bx509: |\btls: "),
        "Jaeger does not trust its store's certificate: renew it there, or, for a stack, name the "
        "one that signed it in traceStoreCaFile, then `pulumi up`",
    ),
    (
        re.compile(r"no Elasticsearch node available|gocql: no hosts available"),
        "Jaeger's store does not run, cannot be reached, or refuses Jaeger: see whether it runs, "
        "and whether its login and its certificate have changed, which of a stack are "
        "traceStorePassword and traceStoreCaFile",
    ),
)
"""olivere/elastic v7.0.32 errors.go and client.go, crypto/x509 verify.go, gocql v1.7.0 session.go.
The third follows the first two once Jaeger has tried every address."""


def reason(errors: Any) -> str:
    """The messages of the list ``errors`` in an answer of Jaeger's."""
    if isinstance(errors, list) and all(isinstance(error, dict) for error in errors):
        return "; ".join(str(error.get("msg", error)) for error in errors)
    return str(errors)


def cure(reason: str) -> str:
    """A sentence without a full stop; empty where ``reason`` is of something else."""
    return next((cure for pattern, cure in _CURES if pattern.search(reason)), "")
