"""Verdicts as a JUnit report."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from ktrace.expect.judge import Verdict
from ktrace.view import junit


def test_junit_has_a_case_for_each_and_its_failure() -> None:
    verdicts = [
        Verdict(name="good"),
        Verdict(name="<bad>", failures=("too & slow",), nearest=("that",)),
    ]
    root = ET.fromstring(junit.render("suite", verdicts, 1.5))  # noqa: S314  our own
    assert (root.get("tests"), root.get("failures")) == ("2", "1")
    failure = root.find("testcase[@name='<bad>']/failure")
    assert failure is not None
    assert failure.get("message") == "too & slow"
    assert "nearest: that" in str(failure.text)
