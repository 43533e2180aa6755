"""The mark of who used a prefix in a cluster last."""

from __future__ import annotations

import json

import pytest

from runtime_observability.core import prefix_mark, search_engine
from runtime_observability.core.search_engine import Answer

PREFIX = "traced-dev-0123456789abcdef"


def test_what_is_written_is_read() -> None:
    document = json.loads(prefix_mark.document(PREFIX, "6f2c1d34"))
    body = json.dumps({"index_templates": [{"name": "x", "index_template": document}]})
    assert prefix_mark.daemon_of(Answer(body, 200, 0, "")) == "6f2c1d34"
    assert prefix_mark.path(PREFIX).startswith(f"/_index_template/{PREFIX}-jaeger-"), (
        "remove_indices.sh deletes templates of these names"
    )


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"index_templates": []}', '{"error": 404}'])
def test_another_answer_has_no_mark(body: str) -> None:
    assert prefix_mark.daemon_of(Answer(body, 404, 0, "")) == ""


def test_it_is_sent_as_json() -> None:
    text = search_engine.requests("", "http://x", ["/a", "/b"], "PUT", '{"a": "b\\c"}')
    assert text.count('data = "{\\"a\\": \\"b\\\\c\\"}"\n') == 2
    assert text.count('header = "Content-Type: application/json"\n') == 2
    assert "header =" not in search_engine.requests("", "http://x", ["/a"])
