"""Verdicts as a JUnit report, which CI systems show."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from ktrace.expect.judge import Verdict


def render(suite: str, verdicts: Sequence[Verdict], seconds: float) -> str:
    """An XML document; ``seconds`` is what all of it took."""
    failed = sum(not verdict.ok for verdict in verdicts)
    root = ET.Element(
        "testsuite",
        name=suite,
        tests=str(len(verdicts)),
        failures=str(failed),
        errors="0",
        time=f"{seconds:.3f}",
    )
    for verdict in verdicts:
        case = ET.SubElement(root, "testcase", classname=suite, name=verdict.name)
        if not verdict.ok:
            failure = ET.SubElement(case, "failure", message=verdict.failures[0])
            nearest = [f"nearest: {span}" for span in verdict.nearest]
            failure.text = "\n".join([*verdict.failures, *nearest])
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"
