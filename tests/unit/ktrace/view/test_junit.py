"""Verdicts as a JUnit report."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from ktrace.expect.verdict import Verdict
from ktrace.view import junit

ANY = st.text(st.characters(), max_size=20) | st.sampled_from(
    ["\x00\x1b[31m", "\ud800", "￾￿", "]]>", "<!--", "&#0;", "a\nb\r\tc", "\u202e"]
)


def test_junit_has_a_case_for_each_and_its_failure() -> None:
    verdicts = [
        Verdict(name="good"),
        Verdict(name="<bad>", failures=("too & slow",), nearest=("that",)),
    ]
    root = ET.fromstring(junit.render("suite", verdicts, 1.5))  # noqa: S314  our own
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("2", "1", "0")
    failure = root.find("testcase[@name='<bad>']/failure")
    assert failure is not None
    assert failure.get("message") == "too & slow"
    assert "nearest: that" in str(failure.text)


def test_a_note_does_not_fail_its_case() -> None:
    root = ET.fromstring(junit.render("suite", [Verdict("a", notes=("but",))], 0))  # noqa: S314
    assert root.get("failures") == "0"
    assert root.findtext("testcase/system-out") == "but"


def test_what_could_not_be_judged_ends_with_the_error() -> None:
    root = ET.fromstring(junit.render_error("suite", ["a", "b"], "Jaeger is silent", 2))  # noqa: S314
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("2", "0", "2")
    errors = [error.get("message") for error in root.iterfind("testcase/error")]
    assert errors == ["Jaeger is silent"] * 2


@given(name=ANY, failure=ANY, nearest=ANY)
def test_it_is_xml_whatever_spans_contain(name: str, failure: str, nearest: str) -> None:
    verdicts = [
        Verdict(name, (failure,), (nearest,)),
        Verdict(name, notes=(failure,)),
    ]
    for report in (
        junit.render(name, verdicts, 0),
        junit.render_error(name, [name], failure, 0),
    ):
        stored = report.encode()
        assert stored.startswith(b'<?xml version="1.0" encoding="utf-8"?>\n')
        assert ET.fromstring(stored).tag == "testsuite"  # noqa: S314
