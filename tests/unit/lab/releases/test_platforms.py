"""The systems that are supported, and how others are refused."""

from __future__ import annotations

import pytest

from lab.errors import LabError
from lab.releases.platforms import Platform, platform_of, this_platform


@pytest.mark.parametrize(
    ("system", "machine", "name"),
    [
        ("Linux", "x86_64", "linux-amd64"),
        ("Linux", "aarch64", "linux-arm64"),
        ("Darwin", "x86_64", "darwin-amd64"),
        ("Darwin", "arm64", "darwin-arm64"),
    ],
)
def test_a_kernels_names_become_those_of_releases(system: str, machine: str, name: str) -> None:
    assert str(platform_of(system, machine)) == name


def test_this_machine_is_one_of_them() -> None:
    assert isinstance(this_platform(), Platform)


@pytest.mark.parametrize(
    ("system", "machine", "told"),
    [
        ("Windows", "AMD64", r"Windows is not supported: .* On Windows work inside WSL2"),
        ("FreeBSD", "amd64", r"FreeBSD is not supported"),
        ("Linux", "riscv64", r"riscv64 is not supported: .* are for amd64 and arm64"),
        ("Linux", "i686", r"i686 is not supported"),
    ],
)
def test_another_one_is_refused_with_the_cure(system: str, machine: str, told: str) -> None:
    with pytest.raises(LabError, match=told):
        platform_of(system, machine)
