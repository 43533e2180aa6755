"""Why a request was refused, in JSON and in protobuf."""

from __future__ import annotations

import json

import pytest

from ktrace.recording import refused
from ktrace.recording.refused import UNTOLD, Cause, Refused
from tests.unit.ktrace.recording.test_object_reference import field, in_protobuf

WANTED = Refused("no", (Cause("DisruptionBudget", "needs 3"),))
STATUS = {
    "kind": "Status",
    "message": "no",
    "details": {"causes": [{"reason": "DisruptionBudget", "message": "needs 3"}]},
}


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (json.dumps(STATUS).encode(), WANTED),
        (
            in_protobuf(
                b"Status",
                field(2, b"Failure")
                + field(3, b"no")
                + field(5, field(4, field(1, b"DisruptionBudget") + field(2, b"needs 3"))),
            ),
            WANTED,
        ),
        (in_protobuf(b"Status", field(3, b"no")), Refused("no")),
        (b'{"kind": "Status", "message": "a\\u001b[1mb"}', Refused(r"a\x1b[1mb")),
        (b'{"kind": "Status"}', UNTOLD),
        (b'{"kind": "Status", "details": {"causes": [7]}}', UNTOLD),
        (in_protobuf(b"Pod", field(3, b"no")), UNTOLD),
        (in_protobuf(b"Status", b"")[:-3], UNTOLD),
        (b'{"kind": "Pod"}', UNTOLD),
        (b"[]", UNTOLD),
        (b"Too many requests", UNTOLD),
        (b"", UNTOLD),
    ],
)
def test_a_refusal_says_why(body: bytes, wanted: Refused) -> None:
    assert refused.read(body) == wanted
