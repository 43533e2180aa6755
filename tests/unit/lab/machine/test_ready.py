"""What is made ready on a machine that downloads plugins, and on one that cannot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from lab.build.steps import Step
from lab.machine import ready, venv
from lab.machine.machine import Machine
from lab.paths import Cache
from lab.providers import install
from lab.providers.install import KUBERNETES, STAND_INS, Plugin


@pytest.mark.parametrize(
    ("stand_ins", "needed", "installed"),
    [
        (True, (), STAND_INS),
        (True, (KUBERNETES,), (*STAND_INS, KUBERNETES)),
        (False, (KUBERNETES,), ()),
    ],
)
def test_a_plugin_is_built_only_where_it_is_needed_and_cannot_be_downloaded(
    cache: Cache,
    monkeypatch: pytest.MonkeyPatch,
    stand_ins: bool,
    needed: tuple[Plugin, ...],
    installed: tuple[Plugin, ...],
) -> None:
    built: list[Step] = []
    linked: list[Plugin] = []

    def build(_: Cache, steps: Sequence[Step]) -> dict[str, Path]:
        built.extend(steps)
        return {}

    def link(_: Cache, wanted: Iterable[Plugin]) -> None:
        linked.extend(wanted)

    monkeypatch.setattr(venv, "make", lambda *_: None)
    monkeypatch.setattr(ready, "prepare", build)
    monkeypatch.setattr(install, "install", link)
    machine = Machine(
        cache,
        lab_pulumi=False,
        lab_k3d=False,
        lab_kubectl=False,
        docker_host="unix:///docker.sock",
        lab_images=False,
        stand_ins=stand_ins,
        reasons=(),
    )
    ready.make_ready(machine, plugins=needed)
    assert built == [plugin.step for plugin in installed]
    assert linked == list(installed)
