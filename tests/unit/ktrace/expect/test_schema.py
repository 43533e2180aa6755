"""What a file of expectations may say."""

from __future__ import annotations

from pathlib import Path

import pytest

from ktrace.errors import UsageError
from ktrace.expect.schema import load


def test_a_pod_is_refused_where_no_span_says_of_which_pod_it_is(tmp_path: Path) -> None:
    file = tmp_path / "pod.yaml"
    file.write_text("expectations: [{name: a, select: {component: apiserver, pod: default/a}}]")
    with pytest.raises(UsageError, match="apiserver: only kubelet and containerd"):
        load(file, {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("expectations: []", "at least 1 item"),
        ("expectations: [{name: a}]", "expectations.0.select: Field required"),
        ("expectations: [{name: a, select: {component: k, oops: 1}}]", "oops: Extra inputs"),
        ("{", "is not valid YAML"),
        ("expectations: ${WHICH}", r"\$\{WHICH\} has no value: add --set WHICH=VALUE"),
        ("just text", "valid dictionary"),
    ],
)
def test_a_broken_file_is_told(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "broken.yaml"
    file.write_text(text)
    with pytest.raises(UsageError, match=message) as error:
        load(file, {})
    assert error.value.code == 2
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        load(tmp_path / "absent.yaml", {})
