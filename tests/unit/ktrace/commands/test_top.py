"""``ktrace top`` on a Jaeger that answers with recorded traces."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ktrace.activity.requests import requests_in
from ktrace.activity.rows import rows
from ktrace.activity.window import Window
from ktrace.jaeger import model
from ktrace.view import activity
from tests.fakes import jaeger as fake

_SCHEMA = json.loads(
    (Path(__file__).resolve().parents[4] / "docs" / "schemas" / "top.json").read_text()
)


@pytest.mark.parametrize("complete", [True, False])
def test_the_document_fits_its_schema_and_tells_the_window(complete: bool) -> None:
    now = int(time.time() * 1_000_000)
    begin = now - 600_000_000
    tags: dict[str, Any] = {"span.kind": "server", "http.method": "PUT"}
    tags["http.target"] = "/api/v1/namespaces/a/configmaps/b"
    made = fake.trace(fake.span("apiserver", "KubernetesAPI", now - 60_000_000, **tags))
    found = list(requests_in([model.trace_of(model.read(json.dumps(made).encode()))]))
    window = Window.seen(found, begin, now, complete=complete)
    document = activity.document(rows(found, "object", window.seconds), window, "object", "", "u")
    jsonschema.validate(document, _SCHEMA)
    assert document["window"]["seconds"] == 60
    assert not document["window"]["reachesBack"]
    assert document["window"]["limitHit"] is not complete
    assert [row["key"] for row in document["rows"]] == ["configmaps/a/b"]
