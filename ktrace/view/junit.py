"""Verdicts as a JUnit report, which CI systems show."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from ktrace.expect.verdict import Verdict
from ktrace.text import clean

_DECLARATION = '<?xml version="1.0" encoding="utf-8"?>\n'


def render(suite: str, verdicts: Sequence[Verdict], seconds: float) -> str:
    """An XML document, to be stored as UTF-8; ``seconds`` is what all of it took."""
    return render_suites([(suite, verdicts)], seconds)


def render_suites(suites: Sequence[tuple[str, Sequence[Verdict]]], seconds: float) -> str:
    """The same of several files of expectations."""
    return _document([_judged(name, verdicts, seconds) for name, verdicts in suites])


def render_error(suite: str, names: Sequence[str], error: str, seconds: float) -> str:
    """The same when nothing could be judged: each expectation ends with ``error``."""
    return render_errors([(suite, names)], error, seconds)


def render_errors(suites: Sequence[tuple[str, Sequence[str]]], error: str, seconds: float) -> str:
    """The same of several files of expectations."""
    return _document([_failed(name, names, error, seconds) for name, names in suites])


def _judged(suite: str, verdicts: Sequence[Verdict], seconds: float) -> ET.Element:
    root = _suite(suite, len(verdicts), seconds)
    root.set("failures", str(sum(not verdict.ok for verdict in verdicts)))
    for verdict in verdicts:
        case = _case(root, verdict.name)
        if not verdict.ok:
            nearest = [f"nearest: {span}" for span in verdict.nearest]
            _problem(case, "failure", [*verdict.failures, *nearest])
        if verdict.notes:
            ET.SubElement(case, "system-out").text = _lines(verdict.notes)
    return root


def _failed(suite: str, names: Sequence[str], error: str, seconds: float) -> ET.Element:
    root = _suite(suite, len(names), seconds)
    root.set("errors", str(len(names)))
    for name in names:
        _problem(_case(root, name), "error", [error])
    return root


def _suite(name: str, tests: int, seconds: float) -> ET.Element:
    return ET.Element(
        "testsuite",
        name=clean(name),
        tests=str(tests),
        failures="0",
        errors="0",
        time=f"{seconds:.3f}",
    )


def _case(suite: ET.Element, name: str) -> ET.Element:
    return ET.SubElement(suite, "testcase", classname=suite.get("name", ""), name=clean(name))


def _problem(case: ET.Element, tag: str, lines: Sequence[str]) -> None:
    ET.SubElement(case, tag, message=clean(lines[0])).text = _lines(lines)


def _lines(lines: Sequence[str]) -> str:
    return "\n".join(map(clean, lines))


def _document(suites: Sequence[ET.Element]) -> str:
    root = suites[0]
    if len(suites) > 1:
        root = ET.Element("testsuites")
        root.extend(suites)
    # clean() has left no character that XML does not allow.
    ET.indent(root)
    return f"{_DECLARATION}{ET.tostring(root, encoding='unicode')}\n"
