"""What a kubelet changes in the kernel is restored, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.machine.docker import kernel_settings
from lab.machine.docker.files import Daemon


@pytest.fixture
def sysctls(tmp_path: Path) -> Path:
    folder = tmp_path / "sys"
    for name, value in (("kernel/panic", "0"), ("vm/overcommit_memory", "0")):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text(f"{value}\n")
    return folder


@pytest.fixture
def private(tmp_path: Path) -> Daemon:
    (tmp_path / "docker").mkdir()
    return Daemon(tmp_path / "docker")


def test_a_kubelets_value_is_replaced_by_the_one_before_the_first_start(
    private: Daemon, sysctls: Path
) -> None:
    kernel_settings.record(private, sysctls)
    (sysctls / "kernel/panic").write_text("10\n")
    kernel_settings.record(private, sysctls)  # a start after the daemon was killed
    kernel_settings.restore(private, sysctls)
    assert (sysctls / "kernel/panic").read_text() == "0"
    assert not private.settings_before.exists()
    kernel_settings.restore(private, sysctls)  # nothing is recorded


def test_a_value_that_the_user_has_set_meanwhile_stays(private: Daemon, sysctls: Path) -> None:
    kernel_settings.record(private, sysctls)
    (sysctls / "kernel/panic").write_text("30\n")
    kernel_settings.restore(private, sysctls)
    assert (sysctls / "kernel/panic").read_text() == "30\n"
