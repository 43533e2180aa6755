"""Two environments in one program: each is whole, and one goes without the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import wheel
from tests.live.program import Program, lab_args


@pytest.fixture
def pair(tmp_path: Path, environ: dict[str, str]) -> Iterator[Program]:
    built = wheel.build(tmp_path / "build")
    source = Path(__file__).parent / "programs" / "pair"
    program = Program(source, tmp_path / "pair", environ, built)
    yield program
    program.finish()


def test_one_goes_and_the_other_stays(pair: Program, environ: dict[str, str]) -> None:
    environments: dict[str, dict[str, Any]] = {
        name: {**lab_args(environ), "stack": f"{pair.name}-{name}", "trace_probe": False}
        for name in ("one", "two")
    }
    pair.configure({"environments": environments})
    state = pair.folder / ".stacks"
    assert pair.up() == {name: f"{state}/{pair.name}-{name}/kubeconfig" for name in environments}
    one, two = (_containers(pair, name) for name in environments)
    assert len(one) == len(two) == 3
    assert not one.items() & two.items()

    pair.configure({"environments": {"two": environments["two"]}})
    pair.up()
    assert pair.docker.of_stack(f"{pair.name}-one") == set()
    assert _containers(pair, "two") == two
    assert [folder.name for folder in state.iterdir()] == [f"{pair.name}-two"]


def _containers(pair: Program, name: str) -> dict[str, str]:
    return pair.docker.containers(f"label=runtime-observability.stack={pair.name}-{name}")
