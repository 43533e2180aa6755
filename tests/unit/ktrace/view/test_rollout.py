"""A rollout on terminals of any width, and as a page."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser

import pytest
from rich.console import Console

from ktrace.rollout.build import held_by
from ktrace.rollout.model import Held, Rollout, State
from ktrace.view import rollout as view
from ktrace.view import rollout_json, rollout_page, waterfall
from tests.fakes import rollouts
from tests.fakes.jaeger import URL
from tests.fakes.rollouts import NAMESPACE


@pytest.fixture(scope="module")
def hundred() -> Rollout:
    return rollouts.rollout_of(100)


@pytest.fixture(scope="module")
def three() -> Rollout:
    return rollouts.rollout_of(3)


def printed(rollout: Rollout, columns: int, most: int | None = view.MOST) -> list[str]:
    console = Console(width=columns, force_terminal=True, no_color=True, highlight=False)
    with console.capture() as captured:
        for part in view.parts(rollout, columns, most):
            console.print(part, markup=False)
    return [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in captured.get().splitlines()]


def test_a_step_is_told_no_more_exactly_than_it_is_known(three: Rollout) -> None:
    """Of starts that Jaeger no longer has: "not traced 7.00 s" of what took about seven."""
    (pod, *_) = three.pods
    assert pod.start
    gap = replace(pod.start.steps[0], name="not traced", unexplained=True, critical=True)
    rough = replace(
        pod.start, steps=(replace(gap, duration_ms=7_000, share=1.0),), to_the_second=True,
        duration_ms=7_000, ready=replace(pod.start.ready, steps=()),
    )  # fmt: skip
    held = held_by(rough)
    assert held
    assert view.slowest(replace(pod, held=held)) == "not traced ≈7 s"
    assert "slowest: not traced, 7 s (100% of the total)" in waterfall.summary(rough)
    exact = held_by(replace(rough, to_the_second=False))
    assert exact
    assert view.slowest(replace(pod, held=exact)) == "not traced 7.00 s"


@pytest.mark.parametrize("columns", [60, 80, 100, 130, 200])
def test_every_line_fits(hundred: Rollout, columns: int) -> None:
    lines = printed(hundred, columns)
    assert max(map(len, lines)) <= columns
    assert any("web-6d4cf56db6" in line for line in lines), "names are whole"


def test_a_terminal_gets_the_slowest_and_how_many_are_left_out(hundred: Rollout) -> None:
    lines = printed(hundred, 130)
    assert sum(line.startswith("web-6d4cf56db6") for line in lines) == view.MOST
    (more,) = [line for line in lines if re.match("… [0-9]+ more pods", line)]
    slowest_left = max(pod.took_ms or 0 for pod in hundred.pods[view.MOST :])
    told = f"… 80 more pods, none slower than {slowest_left / 1000:.2f} s: see --html or --json"
    assert more.rstrip() == told
    assert "… 80 more old pods: see --html or --json" in [line.rstrip() for line in lines]
    assert sum(line.startswith("web-") for line in printed(hundred, 130, None)) == 200


def test_what_a_pod_waits_for_is_brief_on_a_terminal_and_a_page_and_whole_in_json(
    three: Rollout,
) -> None:
    reason = "unschedulable: 0/9 nodes are available: 9 Insufficient cpu"
    whole = f"{reason}. preemption: 0/9 nodes are available: 9 Preemption is not helpful."
    held = Held(whole, 90_000, goes_on=True)
    pods = tuple(
        replace(pod, state=State.STARTING, ready=None, held=held, why=whole) for pod in three.pods
    )
    rollout = replace(three, pods=pods)
    text = [view.title(rollout), view.slowest(pods[0]), *printed(rollout, 200)]
    assert f"({reason})" in text[0]
    assert text[1] == f"{reason}, for 1 min 30 s"
    for told in ("\n".join(text), rollout_page.render([rollout], URL)):
        assert reason in told
        assert "preemption" not in told
    (document,) = rollout_json.document([rollout], URL)["rollouts"]
    assert document["pods"][0]["slowest"]["step"] == whole


@pytest.mark.parametrize("columns", [60, 80, 100, 120, 200])
def test_names_are_whole_and_what_has_no_room_beside_them_is_left_out(
    three: Rollout, columns: int
) -> None:
    node = "k3d-traced-dev-agent-0"
    pods = tuple(replace(pod, node=node) for pod in three.pods)
    others = tuple(replace(other, node=node) for other in three.others)
    text = "\n".join(printed(replace(three, pods=pods, others=others), columns))
    names = [*(pod.name for pod in pods), *(other.name for other in others)]
    assert all(name in text for name in names)
    assert text.count(node) in ((6,) if columns >= 120 else (0, 3, 6))
    assert text.count(node) == text.count(node[:12]), "no node's name is cut or folded"


def test_bars_have_one_axis(three: Rollout) -> None:
    lines = printed(three, 130)
    bars = [line for line in lines if "█" in line]
    assert len(bars) == 3
    assert len({line.index("█") for line in bars}) <= 2


class _Page(HTMLParser):
    """The elements of a page, with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def all(self, tag: str) -> Iterator[dict[str, str | None]]:
        return (attributes for name, attributes in self.elements if name == tag)


def test_a_page_has_a_row_for_each_pod_and_loads_nothing(hundred: Rollout) -> None:
    text = rollout_page.render([hundred], URL)
    page = _Page(text)
    assert len(list(page.all("details"))) == 200
    assert len(list(page.all("summary"))) == 200
    assert len(list(page.all("li"))) >= 200
    assert not re.findall(r'(?:src|href)="(?!http://127\.0\.0\.1:16686/trace/|data:,")', text)
    assert not re.search(r"url\(|@import|<img|<link(?! rel=\"icon\")", text)
    assert "default-src 'none'" in text
    assert len(text) < 1_500_000


def test_a_page_is_in_order_for_a_screen_reader(hundred: Rollout) -> None:
    for rollouts_shown in ([hundred], [hundred, hundred]):
        page = _Page(rollout_page.render(rollouts_shown, URL))
        levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(later <= before + 1 for before, later in itertools.pairwise(levels))
        ids = [attributes["id"] for _, attributes in page.elements if attributes.get("id")]
        assert len(ids) == len(set(ids))
        named = [attributes.get("aria-labelledby") for attributes in page.all("ol")]
        assert set(named) <= set(ids)
        assert len(named) == 2 * len(rollouts_shown)
        lanes = [a for a in page.all("span") if "lane" in (a.get("class") or "").split()]
        assert all(lane.get("aria-hidden") == "true" for lane in lanes)


def test_bars_stay_within_their_lane(hundred: Rollout) -> None:
    text = rollout_page.render([hundred], URL)
    bars = re.findall(r"left:([0-9.-]+)%;width:([0-9.-]+)%", text)
    assert len(bars) > 500
    for left, width in bars:
        assert 0 <= float(left) <= 100
        assert float(width) >= 0
        assert float(left) + float(width) <= 100.05


def test_a_page_without_pods_explains_no_colour_and_counts_no_node(three: Rollout) -> None:
    text = rollout_page.render([replace(three, pods=(), others=(), chain=())], URL)
    assert 'class="legend"' not in text
    assert "<dt>nodes</dt>" not in text


def test_a_start_known_to_the_second_never_took_no_time(three: Rollout) -> None:
    at = three.pods[0].created
    assert at
    same = replace(three.pods[0], exact=False, ready=at)
    later = replace(same, ready=at + timedelta(seconds=2))
    assert [view.took(same), view.took(later)] == ["<1 s", "≈2 s"]


def test_few_pods_need_no_filter(three: Rollout) -> None:
    assert "<input" not in rollout_page.render([three], URL)


def test_the_page_of_a_selection_has_an_axis_for_each_pod() -> None:
    rollout = rollouts.rollout_of(3, namespace=NAMESPACE, selector="app=web")
    text = rollout_page.render([rollout], URL)
    assert "each on an axis of its own" in text
    bars = re.findall(r'class="bar whole" style="left:([0-9.]+)%', text)
    assert set(bars) == {"0.00"}
