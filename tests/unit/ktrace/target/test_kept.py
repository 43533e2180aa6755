"""Whether Jaeger has the writes of every client."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ktrace.target import kept
from ktrace.target.target import Target

URL = "http://127.0.0.1:16686"
OWN = Target(URL, None, {"jaegerUrl": URL})
OBJECTS = ("configmaps/default/a",)


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Writes the settings of stack dev."""
    (tmp_path / "Pulumi.yaml").write_text("name: runtime-observability\nruntime: python\n")
    monkeypatch.chdir(tmp_path)

    def settings(**keys: Any) -> None:
        config = {f"runtime-observability:{key}": value for key, value in keys.items()}
        (tmp_path / "Pulumi.dev.yaml").write_text(yaml.safe_dump({"config": config}))

    return settings


@pytest.mark.parametrize(
    ("keys", "objects", "dropped"),
    [
        ({}, OBJECTS, ""),
        ({"tracing": "quiet"}, OBJECTS, ""),
        ({"tracing": "starts"}, OBJECTS, "tracing: starts leaves out writes: set it to "),
        ({"tracing": "errors-and-slow", "slowerThan": "1s"}, OBJECTS, "tracing: errors-and-slow"),
        ({"tracing": "quiet"}, ("events/default/e",), "tracing: quiet leaves out the writes of ev"),
        ({"tracing": "quiet"}, ("leases.coordination.k8s.io/a/b",), "tracing: quiet leaves out th"),
        ({"apiserverSamplingPerMillion": 1}, OBJECTS, "apiserverSamplingPerMillion 1 leaves out"),
        ({"collectorSamplingPerMillion": 9}, OBJECTS, "collectorSamplingPerMillion 9 leaves out"),
    ],
)
def test_settings_that_leave_out_writes_are_told(
    stack: Any, keys: dict[str, Any], objects: tuple[str, ...], dropped: str
) -> None:
    stack(**keys)
    told, caveat = kept.writes(OWN, "dev", objects)
    assert told.startswith(dropped)
    assert bool(told) is bool(dropped)
    assert caveat == ""


def test_what_is_not_known_is_told(stack: Any) -> None:
    stack()
    for target, name in ((Target(URL, None), "dev"), (OWN, "other")):
        told, caveat = kept.writes(target, name, OBJECTS)
        assert told == ""
        assert caveat.endswith("is not known")
