"""The drawings in docs/images are those of the program as it is."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import pairwise

import pytest

from tests import golden
from tests.configuration import PROJECT
from tests.docs import diagrams
from tests.docs.svg import Box
from tests.graph.program import Run

IMAGES = PROJECT / "docs" / "images"
DRAWINGS = {"graph": diagrams.graph, "flow": diagrams.flow}


@pytest.mark.parametrize("name", DRAWINGS)
def test_the_drawing_is_of_the_program(default: Run, name: str) -> None:
    golden.check(IMAGES / f"{name}.svg", DRAWINGS[name](default))


def test_the_order_of_registration_does_not_matter(default: Run) -> None:
    reverse = replace(default, resources=default.resources[::-1])
    assert diagrams.graph(reverse) == diagrams.graph(default)


def test_the_graph_has_every_component_and_resource(default: Run) -> None:
    texts = _texts(diagrams.graph(default))
    parts = diagrams.components(default)
    assert {part.type.rpartition(":")[2] for part in parts} <= set(texts)
    assert len(texts) == len(parts) + len(default.custom)


def test_an_arrow_stands_for_a_dependency_that_no_other_way_has(default: Run) -> None:
    assert diagrams.edges(default) == {
        "stack": set(),
        "network": {"stack"},
        "node-image": set(),
        "rehearsal": {"node-image", "stack"},
        "files": {"rehearsal"},
        "jaeger": {"network", "rehearsal"},
        "collector": {"network", "rehearsal"},
        "cluster-guard": {"files", "network"},
        "backends-guard": {"collector", "jaeger"},
        "cluster": {"cluster-guard", "collector", "jaeger"},  # their images
        "probe": {"cluster"},
    }


def test_everything_sends_to_the_collector_and_that_to_jaeger(default: Run) -> None:
    to = diagrams.addresses(default)
    assert {to[name] for name in ("apiserver", "kubelet", "containerd", "pods")} == {
        "otel-collector:4317"
    }
    assert to["collector"] == "jaeger:4318"
    local = ("programs over gRPC", "programs over HTTP", "readers", "clients")
    assert all(to[name].startswith("127.0.0.1:") for name in local)


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_drawing_loads_nothing_and_says_what_it_shows(default: Run, name: str) -> None:
    drawn = DRAWINGS[name](default)
    root = ET.fromstring(drawn)  # noqa: S314 - our own text
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert not {"script", "image", "use", "foreignObject"} & tags
    assert re.findall(r"url\(([^)]+)\)", drawn) == ["#head"] * drawn.count("marker-end")
    assert root.findtext("{*}title")
    assert "prefers-color-scheme: dark" in drawn


@pytest.fixture(params=DRAWINGS)
def drawn(
    request: pytest.FixtureRequest, default: Run, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, list[Box]]:
    """A drawing, and its boxes."""
    boxes: list[Box] = []
    draw = Box.draw

    def noted(box: Box) -> list[str]:
        boxes.append(box)
        return draw(box)

    monkeypatch.setattr(Box, "draw", noted)
    return DRAWINGS[request.param](default), boxes


def test_no_text_leaves_its_box(drawn: tuple[str, list[Box]]) -> None:
    _, boxes = drawn
    assert boxes
    assert [box.name for box in boxes if not box.fits()] == []


def test_no_box_lies_on_another_and_no_arrow_crosses_one(drawn: tuple[str, list[Box]]) -> None:
    text, boxes = drawn
    solid = [box for box in boxes if box.kind != "group"]
    corners = [(x, y) for box in solid for x in (box.x, box.right) for y in (box.y, box.bottom)]
    ways = [
        list(pairwise(tuple(map(float, point.split())) for point in way.split(" L")))
        for way in re.findall(r'marker-end[^>]* d="M([^"]+)"', text)
    ]
    assert ways
    steps = [number / 200 for number in range(201)]
    points = [
        (x1 + (x2 - x1) * step, y1 + (y2 - y1) * step)
        for way in ways
        for (x1, y1), (x2, y2) in way
        for step in steps
    ]
    for box in solid:
        inside = [
            (x, y)
            for x, y in (*corners, *points)
            if box.x + 1 < x < box.right - 1 and box.y + 1 < y < box.bottom - 1
        ]
        assert inside == [], box.name
        same = [other.name for other in solid if (other.x, other.y) == (box.x, box.y)]
        assert same == [box.name]


def _texts(drawing: str) -> list[str]:
    root = ET.fromstring(drawing)  # noqa: S314 - our own text
    return [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text")]
