"""Which starts may be compared: those of pods that are alike. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ktrace.benchmark.samples import Measurement, Sample

_RANDOM = "[bcdfghjklmnpqrstvwxz2456789]"
"""What names that the API server or a controller makes end in (k8s.io/apimachinery util/rand)."""
_MADE = re.compile(
    rf"(?P<of>.+?)(-({_RANDOM}{{6,10}}|[0-9]{{8,10}})-{_RANDOM}{{5}}|-{_RANDOM}{{5}}|-[0-9]+|-[0-9a-f]{{6,}})"
)
"""Of a Deployment, of any other controller, of a StatefulSet, and of ``ktrace bench``."""
_START = "start container "


@dataclass(frozen=True)
class Kind:
    """What pods are, as far as spans tell."""

    owner: str
    """The pod's name without what was made up for it, behind its namespace."""
    containers: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.owner} ({', '.join(self.containers)})"


def kind_of(sample: Sample) -> Kind:
    namespace, _, name = sample.pod.rpartition("/")
    made = _MADE.fullmatch(name)
    owner = f"{namespace or 'default'}/{made['of'] if made else name}"
    names = [step.removeprefix(_START) for step in sample.steps if step.startswith(_START)]
    return Kind(owner, tuple(sorted(name for name in names if ": " not in name)))


def counted(measured: Measurement) -> Counter[Kind]:
    return Counter(map(kind_of, _all(measured)))


def common(one: Measurement, other: Measurement, wanted: str = "") -> list[Kind]:
    """The kinds that both have, the one with the most starts first; ``wanted`` is an owner."""
    mine, theirs = counted(one), counted(other)
    both = [kind for kind in mine if kind in theirs and wanted in ("", kind.owner)]
    return sorted(both, key=lambda kind: (-min(mine[kind], theirs[kind]), str(kind)))


def only(measured: Measurement, kind: Kind) -> Measurement:
    """The starts of ``kind``, of which the first is told apart; all those of ``ktrace bench``."""
    if measured.image:
        return measured
    first, *warm = (sample for sample in measured.warm if kind_of(sample) == kind)
    return Measurement(
        kubernetes=measured.kubernetes,
        runtimes=measured.runtimes,
        image=str(kind),
        parallel=measured.parallel,
        started_at=measured.started_at,
        first=first,
        warm=warm,
        failures={},
    )


def owners(kinds: Iterable[Kind]) -> Sequence[str]:
    return sorted({kind.owner for kind in kinds})


def _all(measured: Measurement) -> list[Sample]:
    return [*([measured.first] if measured.first else []), *measured.warm]
