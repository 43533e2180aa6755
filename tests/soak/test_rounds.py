"""Rounds of `up` and `destroy` of one stack leave nothing, and the machine is as it was before.

A first round, which nothing is compared with, makes what is made once: caches, compiled modules,
the history's first entries.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.live.fixtures import stack_in
from tests.live.stack import Stack
from tests.live.starts import RETRY_SECONDS, boot_of
from tests.live.waiting import until
from tests.soak.footprint import Footprint, checkpoint_bytes

pytestmark = pytest.mark.timeout(900)

_ROUNDS = 20
_GROWTH = 1.1
"""The state has times and ids, whose length varies a little."""


class Rounds:
    """The stack of all rounds, and what the machine was like before the first of them."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack = stack
        self._private = [folder / "home", folder / "tmp"]
        for path in self._private:
            path.mkdir()
        home, temporary = map(str, self._private)
        stack.environment |= {"HOME": home, "TMPDIR": temporary}
        self.done = 0
        self.standing: dict[str, int] = {}
        self.turn()
        self.before, self.bytes_before = self.footprint(), checkpoint_bytes(stack)

    def footprint(self) -> Footprint:
        return Footprint.of(self.stack, *self._private)

    def turn(self) -> None:
        """One `up` and one `destroy`. AssertionError if anything of the stack is left.

        The nodes boot beside the collector: their first spans are in Jaeger.
        """
        self.stack.up()
        for service in ("apiserver", "kubelet"):
            boot = partial(boot_of, self.stack, service)
            until(f"the spans of {service}'s boot", boot, RETRY_SECONDS)
        volumes = self._volumes()
        assert volumes
        self.standing = self.footprint().counts
        self.stack.destroy()
        assert self.stack.left_overs() == set()
        assert self.stack.state == {}
        assert self.stack.orphans() == {}
        assert volumes & set(self.stack.docker.volumes()) == set()
        assert list((self.stack.folder / ".pulumi" / "locks").rglob("*.json")) == []

    def _volumes(self) -> set[str]:
        """Names of all volumes that the stack's containers use, also of those without a label."""
        names = self.stack.ids()
        mounts = [
            json.loads(self.stack.docker("inspect", "--format", "{{json .Mounts}}", name))
            for name in names
        ]
        return {mount["Name"] for found in mounts for mount in found if mount["Type"] == "volume"}


@pytest.fixture(scope="module")
def rounds(tmp_path_factory: Any, environ: dict[str, str]) -> Iterator[Rounds]:
    folder = tmp_path_factory.mktemp("rounds")
    with stack_in(folder, environ, traceProbe=False) as stack:
        yield Rounds(stack, folder)


@pytest.mark.cases("number", range(1, _ROUNDS + 1), 2)
def test_a_round_of_up_and_destroy_leaves_nothing(rounds: Rounds, number: int) -> None:
    rounds.turn()
    rounds.done += 1


def test_after_all_rounds_the_machine_has_not_grown(rounds: Rounds) -> None:
    assert rounds.done
    after = rounds.footprint()
    print(rounds.done, "rounds:", rounds.before.counts, rounds.standing, after.counts)
    assert after.docker - rounds.before.docker == set()
    assert after.files - rounds.before.files == set()
    counted = {name for name, count in after.counts.items() if rounds.standing[name] > count}
    assert counted == set(after.counts), "a number that a stack does not raise proves nothing"
    grown = {name: after.counts[name] - count for name, count in rounds.before.counts.items()}
    # One that each round leaves would be at least so many.
    assert {name: by for name, by in grown.items() if by >= rounds.done} == {}
    for name, size in checkpoint_bytes(rounds.stack).items():
        assert size <= rounds.bytes_before[name] * _GROWTH, name
