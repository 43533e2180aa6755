"""What is made on a machine before Pulumi runs there, and what `make env` says of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from lab.build import images, programs
from lab.build.images import Image
from lab.build.steps import Step
from lab.errors import LabError
from lab.machine import ready, venv
from lab.machine.docker import daemon, start
from lab.machine.machine import Machine
from lab.machine.ready import Needs
from lab.paths import Cache
from lab.providers import install
from lab.providers.install import KUBERNETES, STAND_INS, Plugin


def machine(cache: Cache, *, lab_images: bool = False, stand_ins: bool = False) -> Machine:
    return Machine(
        cache,
        tools={"pulumi": programs.pulumi},
        docker_host=None if lab_images else "unix:///docker.sock",
        lab_images=lab_images,
        stand_ins=stand_ins,
        reasons=(),
    )


class Made:
    """What was made ready, in place of making it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.requirements: list[Path] = []
        self.steps: list[Step] = []
        self.plugins: list[Plugin] = []
        self.loaded: list[Image] = []
        self.daemon_runs = False
        self.venv_is_current = True
        self.images_are_missing = True
        monkeypatch.setattr(venv, "make", lambda _, *files: self.requirements.extend(files))
        monkeypatch.setattr(venv, "is_current", lambda *_: self.venv_is_current)
        monkeypatch.setattr(daemon, "answers", lambda _: self.daemon_runs)
        monkeypatch.setattr(start, "prepare", lambda _: {})
        monkeypatch.setattr(start, "ensure", self._start)
        monkeypatch.setattr(images, "missing", self._missing)
        monkeypatch.setattr(images, "load", lambda wanted, *_: self.loaded.extend(wanted))
        monkeypatch.setattr(ready, "prepare", self._prepare)
        monkeypatch.setattr(install, "install", lambda _, wanted: self.plugins.extend(wanted))

    def _start(self, _: object) -> None:
        assert not self.daemon_runs
        self.daemon_runs = True

    def _missing(self, wanted: Sequence[Image], _: str) -> Sequence[Image]:
        assert self.daemon_runs or not wanted, "only a daemon knows its images"
        return wanted if self.images_are_missing else ()

    def _prepare(self, _: Cache, steps: Sequence[Step]) -> dict[str, Path]:
        self.steps.extend(steps)
        return {}


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Made:
    return Made(monkeypatch)


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
    made: Made,
    stand_ins: bool,
    needed: tuple[Plugin, ...],
    installed: tuple[Plugin, ...],
) -> None:
    ready.make_ready(Needs(machine(cache, stand_ins=stand_ins), plugins=needed))
    assert made.plugins == list(installed)
    built = [plugin.step for plugin in installed if plugin.step]
    assert made.steps == [programs.pulumi, *built]
    assert made.requirements == [venv.PROGRAM, *([venv.STAND_INS] if stand_ins else [])]


def test_images_are_built_for_the_daemon_that_lacks_them(cache: Cache, made: Made) -> None:
    node = images.NODES[programs.NEWEST_KUBERNETES]
    ready.make_ready(Needs(machine(cache, lab_images=True), more_images=(node,)))
    assert made.daemon_runs, "it was started"
    assert made.loaded == [*images.IMAGES, node]
    assert set(node.needs) < set(made.steps)


def test_the_users_daemon_is_not_started(cache: Cache, made: Made) -> None:
    ready.make_ready(Needs(machine(cache)))
    assert not made.daemon_runs
    assert made.loaded == []


def test_what_is_missing_is_named_with_its_cure_and_nothing_is_made(
    cache: Cache, made: Made
) -> None:
    made.venv_is_current = False
    with pytest.raises(LabError) as refused:
        ready.variables(Needs(machine(cache, lab_images=True, stand_ins=True)))
    text = str(refused.value)
    assert text.startswith(f"not ready yet: {venv.VENV} lacks packages, the private Docker daemon")
    for part in ("pulumi is not ready", "the plugin docker is not installed", "`make setup`"):
        assert part in text
    assert [made.daemon_runs, *made.requirements, *made.steps, *made.plugins] == [False]
    assert not cache.root.exists()


def test_an_image_that_the_daemon_lacks_is_missing(cache: Cache, made: Made) -> None:
    made.daemon_runs = True
    with pytest.raises(LabError, match=f"image {images.JAEGER.reference} is not loaded"):
        ready.variables(Needs(machine(cache, lab_images=True)))


def test_the_variables_of_a_ready_machine_are_those_that_make_ready_returns(
    cache: Cache, made: Made
) -> None:
    made.daemon_runs, made.images_are_missing = True, False
    programs.pulumi.output(cache).mkdir(parents=True)
    needs = Needs(machine(cache, lab_images=True))
    assert ready.variables(needs) == ready.make_ready(needs)
