"""The drawings in docs/images are those of the program as it is."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

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


@pytest.mark.parametrize("name", DRAWINGS)
def test_no_text_leaves_its_box(default: Run, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    boxes: list[Box] = []
    draw = Box.draw

    def drawn(box: Box) -> list[str]:
        boxes.append(box)
        return draw(box)

    monkeypatch.setattr(Box, "draw", drawn)
    DRAWINGS[name](default)
    assert boxes
    assert [box.name for box in boxes if not box.fits()] == []


def _texts(drawing: str) -> list[str]:
    root = ET.fromstring(drawing)  # noqa: S314 - our own text
    return [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text")]
