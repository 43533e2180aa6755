"""Which object an answer names, in JSON and in protobuf."""

from __future__ import annotations

import json

import pytest

from ktrace.recording import object_reference
from ktrace.recording.object_reference import NO_OBJECT, ObjectReference

POD = ObjectReference("a-x1", "u1")
DELETED = ObjectReference("a", "u2")


def field(number: int, value: bytes) -> bytes:
    """A string or message in protobuf's wire format; ``value`` may be long."""
    size = len(value)
    length = bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7])
    return bytes([number << 3 | 2]) + length + value


def in_protobuf(kind: bytes, message: bytes) -> bytes:
    return b"k8s\0" + field(1, field(1, b"v1") + field(2, kind)) + field(2, message)


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (
            json.dumps({"kind": "Pod", "metadata": {"name": "a-x1", "uid": "u1"}}).encode(),
            POD,
        ),
        (json.dumps({"kind": "Status", "details": {"name": "a", "uid": "u2"}}).encode(), DELETED),
        (
            in_protobuf(
                b"Pod",
                # name, namespace, uid, generation (a number), and a spec
                field(1, field(1, b"a-x1") + field(3, b"n") + field(5, b"u1") + b"\x38\xac\x02")
                + field(2, b"s" * 300),
            ),
            POD,
        ),
        (
            in_protobuf(
                b"Status", field(2, b"Success") + field(5, field(1, b"a") + field(6, b"u2"))
            ),
            DELETED,
        ),
        (
            # a field before it whose length has other low bits than all
            in_protobuf(
                b"Pod", field(1, field(4, b"l" * 200) + field(1, b"a-x1") + field(5, b"u1"))
            ),
            POD,
        ),
        (in_protobuf(b"Pod", b"")[:-3], NO_OBJECT),
        (in_protobuf(b"Status", field(2, b"Failure")), NO_OBJECT),
        (b'{"kind": "Status"}', NO_OBJECT),
        (b"[]", NO_OBJECT),
        (b"ok", NO_OBJECT),
        (b"", NO_OBJECT),
    ],
)
def test_an_answer_names_its_object(body: bytes, wanted: ObjectReference) -> None:
    assert object_reference.read(body) == wanted


LIST = {"kind": "PodList", "items": [{"metadata": {"name": "a", "uid": "u1"}}, {"metadata": {}}]}


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (json.dumps(LIST).encode(), (ObjectReference("a", "u1"), NO_OBJECT)),
        (
            in_protobuf(
                b"PodList",
                field(1, b"")
                + field(2, field(1, field(1, b"a") + field(5, b"u1")))
                + field(2, field(1, field(1, b"b") + field(5, b"u2"))),
            ),
            (ObjectReference("a", "u1"), ObjectReference("b", "u2")),
        ),
        (json.dumps({"kind": "Status", "status": "Success"}).encode(), ()),
        (in_protobuf(b"Status", field(2, b"Success")), ()),
        (b"[]", ()),
        (b"ok", ()),
        (b"k8s\0", ()),
    ],
)
def test_a_deleted_collection_names_its_objects(
    body: bytes, wanted: tuple[ObjectReference, ...]
) -> None:
    assert object_reference.read_items(body) == wanted


@pytest.mark.parametrize("body", [b"[" * 100_000, b"k8s\0" + b"\xff" * 100_000])
def test_an_answer_that_no_reader_survives_names_nothing(body: bytes) -> None:
    assert object_reference.read(body) == NO_OBJECT
    assert object_reference.read_items(body) == ()
