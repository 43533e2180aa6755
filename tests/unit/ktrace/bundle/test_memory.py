"""What is known to be missing in a Jaeger goes through a bundle."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ktrace.bundle import memory
from runtime_observability.core.crashes import Crashes
from runtime_observability.host.memory_loss import Memory, MemoryLoss

AT = datetime(2026, 11, 28, 6, tzinfo=UTC)
FULL = Crashes("Jaeger", "it", 2, AT, AT, None, 2, said="[signal SIGBUS: bus error]")


@pytest.mark.parametrize(
    "found",
    [
        Memory(AT),
        Memory(AT, MemoryLoss(AT, replaced=True), AT),
        Memory(AT, MemoryLoss(AT, down=True)),
        Memory(AT, MemoryLoss(AT, replace(FULL, in_memory=True, serves=AT))),
        Memory(crashes=(FULL, replace(FULL, of="OpenSearch", exit_code=None, out_of_memory=True))),
    ],
)
def test_it_is_read_as_it_was(found: Memory) -> None:
    assert memory.read(memory.document(found)) == found


def test_what_a_container_logged_stays_out_unless_it_is_a_known_cause() -> None:
    found = Memory(crashes=(replace(FULL, said="cannot log in as elastic:secret"),))
    read = memory.read(memory.document(found))
    assert read
    assert [crashes.said for crashes in read.crashes] == [""]


def test_that_of_an_older_release_is_read() -> None:
    loss = {"at": AT.isoformat(), "restarts": 1, "outOfMemory": True, "replaced": False}
    older = {"since": AT.isoformat(), "cluster": None, "loss": loss}
    assert memory.read(older) == Memory(AT, MemoryLoss(AT))
