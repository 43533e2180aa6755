"""`python -m tests.bench.stores` with few spans."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bench import stores
from tests.contract import jaeger_process

SPANS = 20_000
NAMES = ("memory", "badger")


def test_all_spans_are_stored_and_every_search_finds_some(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jaeger_process.needed()
    file = tmp_path / "figures.json"
    chosen = [part for name in NAMES for part in ("--store", name)]
    code = stores.main([*chosen, f"--spans={SPANS}", "--samples=2", f"--json={file}"])
    told = capsys.readouterr()
    assert code == 0, told.err
    figures = json.loads(file.read_text())
    assert list(figures) == list(NAMES)
    for taken in figures.values():
        assert taken["stored"] == taken["spans"] >= SPANS
        assert taken["searches"]
        for search in taken["searches"].values():
            assert search["longest"] >= search["p50"] > 0
            assert (search["samples"], search["p99"]) == (2, None)
    assert figures["badger"]["disk_mib"] > figures["badger"]["wire_mib"]
    assert f"| {figures['memory']['spans']:,}, {figures['memory']['stored']:,} |" in told.out
