"""The file of expectations: its models, and how it is loaded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    Discriminator,
    Field,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)

from ktrace.errors import UsageError
from ktrace.expect import problems, yaml_text
from ktrace.expect.selectors import (
    Milliseconds,
    Model,
    Pattern,
    PodPattern,
    RequestSelect,
    Text,
    Value,
)
from ktrace.text import clean

_WITH_PODS = ("kubelet", "containerd")
"""Components whose spans are in traces of pods."""
_POD = re.compile(r"[a-z0-9-]+/[a-z0-9.-]+")


Number = Annotated[int, Field(ge=0)]


class Select(Model):
    """Which spans; ``operation`` and values of attributes may be patterns with ``*`` and ``?``.

    An attribute is one of the span or of its process (``k8s.node.name``, ``service.version``).
    """

    component: Text
    operation: Text = "*"
    pod: str | None = None
    """namespace/name: the span is in a trace that the kubelet made for that pod."""
    attributes: dict[str, Value] = Field(default_factory=dict)

    @field_validator("pod")
    @classmethod
    def _pod_has_a_namespace(cls, pod: str | None) -> str | None:
        if pod is not None and not _POD.fullmatch(pod):
            raise ValueError("is not NAMESPACE/NAME of a pod, such as default/web-0")
        return pod

    @model_validator(mode="after")
    def _pod_has_spans_of_the_component(self) -> Select:
        if self.pod and self.component not in _WITH_PODS:
            raise ValueError(
                f"pod cannot select spans of {self.component}: only {' and '.join(_WITH_PODS)} "
                "have spans in a pod's traces; remove pod, or select by attributes"
            )
        return self


class Child(Model):
    """A span anywhere below a selected one; ``operation`` may be a pattern."""

    component: Text | None = None
    operation: Text = "*"


class Count(Model):
    min: Number | None = None
    max: Number | None = None

    @model_validator(mode="after")
    def _has_a_bound(self) -> Count:
        if self.min is None and self.max is None:
            raise ValueError("has no bound: add min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is more than max {self.max}, so no number meets both")
        return self


def _is_range(value: Any) -> str:
    return "range" if isinstance(value, Count | dict) else "number"


class Expect(Model):
    """What must hold; all but the count of everything that is selected.

    Which of it can be expected of what: ``_EXPECTED``.
    """

    count: Annotated[
        Annotated[Number, Tag("number")] | Annotated[Count, Tag("range")], Discriminator(_is_range)
    ] = Count(min=1)
    child: Child | None = None
    durationBelowMs: Annotated[float, Field(gt=0)] | None = None  # noqa: N815
    noErrors: bool = False  # noqa: N815
    status: Pattern | None = None
    """Of an answer: ``201``, ``2*``."""
    failedOpen: bool | None = None  # noqa: N815
    """Whether the API server went on although the webhook gave no answer, or an error."""
    startedWithin: Milliseconds | None = None  # noqa: N815
    readyWithin: Milliseconds | None = None  # noqa: N815
    steps: dict[Text, Milliseconds] = Field(default_factory=dict)
    """Patterns of names of steps, and how long each step may take."""

    @property
    def least(self) -> int:
        return self.count if isinstance(self.count, int) else self.count.min or 0

    @property
    def most(self) -> int | None:
        return self.count if isinstance(self.count, int) else self.count.max

    @property
    def can_be_broken(self) -> bool:
        """Whether something that comes later can break what holds now."""
        bounds = (
            self.child, self.durationBelowMs, self.status, self.failedOpen, self.startedWithin,
            self.readyWithin,
        )  # fmt: skip
        of_each = self.noErrors or self.steps or any(bound is not None for bound in bounds)
        return bool(of_each) or self.most is not None

    @property
    def is_of_absence(self) -> bool:
        """Whether it can hold because spans are absent, and thus before they arrive."""
        return self.most is not None or self.least == 0


_EXPECTED = {
    "select": ("count", "child", "durationBelowMs", "noErrors"),
    "request": ("count", "durationBelowMs", "noErrors", "status"),
    "webhook": ("count", "durationBelowMs", "noErrors", "failedOpen"),
    "pod": ("count", "noErrors", "startedWithin", "readyWithin", "steps"),
    "quietFor": (),
}
"""What can be expected of each subject of an expectation."""
_OF_A_COMMAND = ("pod", "quietFor")
NEEDS_A_COMMAND = (
    "spans alone do not tell which objects and pods are meant: these are what a command has "
    "caused. Judge it with `ktrace run --assert FILE -- COMMAND`"
)


class Expectation(Model):
    """About spans, requests, calls of webhooks, pods, or a time without writes: one of them."""

    name: Text
    select: Select | None = None
    request: RequestSelect | None = None
    webhook: Pattern | None = None
    """Of ``CONFIGURATION/WEBHOOK``, or without a slash of the webhook's own name."""
    pod: PodPattern | None = None
    quietFor: Milliseconds | None = None  # noqa: N815
    """How long nobody writes the objects that the command touched."""
    expect: Expect = Expect()

    @property
    def subject(self) -> str:
        """The key that says what it is about."""
        return next(key for key in _EXPECTED if getattr(self, key) is not None)

    @property
    def spans(self) -> Select:
        """What it selects if its subject is ``select``."""
        if self.select is None:
            raise TypeError(f"expectation {self.name!r} is about no spans")
        return self.select

    @model_validator(mode="after")
    def _is_about_one_thing(self) -> Expectation:
        subjects = [key for key in _EXPECTED if getattr(self, key) is not None]
        if empty := sorted((self.model_fields_set & _EXPECTED.keys()) - set(subjects)):
            raise ValueError(f"{empty[0]} has no value: write one, or remove the key")
        if len(subjects) != 1:
            found = f"has {' and '.join(subjects)}" if subjects else "has nothing to judge"
            raise ValueError(f"{found}: an expectation has one of {', '.join(_EXPECTED)}")
        (subject,) = subjects
        if unfit := sorted(self.expect.model_fields_set - set(_EXPECTED[subject])):
            rule = ", ".join(_EXPECTED[subject]) or "nothing: leave out expect"
            raise ValueError(f"{unfit[0]} cannot be expected of {subject}; that takes {rule}")
        return self


class File(Model):
    """``sinceSeconds``: spans older than that do not count."""

    sinceSeconds: Annotated[float, Field(gt=0)] = 600  # noqa: N815
    expectations: Annotated[list[Expectation], Field(min_length=1)]

    @model_validator(mode="after")
    def _names_differ(self) -> File:
        names = [expectation.name for expectation in self.expectations]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"names must differ, but two expectations are called {repeated[0]!r}")
        return self


_MODELS: dict[str, type[Model]] = {
    "": File,
    "expectations": Expectation,
    "select": Select,
    "request": RequestSelect,
    "expect": Expect,
    "child": Child,
    "count": Count,
}
_KEYS = {holder: tuple(model.model_fields) for holder, model in _MODELS.items()}
"""The keys of each map, by the key that holds it."""


def load(path: Path, values: Mapping[str, str], *, of_command: bool = False) -> File:
    """Reads the file, with ``values`` in place of each ``${NAME}``.

    Raises UsageError, with every problem, for a file that cannot be used. What only ``ktrace run
    --assert`` can judge is refused unless it is judged ``of_command``.
    """
    document: Any = None
    text = ""
    try:
        text = path.read_text(encoding="utf-8")
        document = yaml_text.read(text, values)
        file = File.model_validate(document)
    except OSError as error:
        problem = f"cannot be read: {error.strerror}. Repair that, or name another file"
        raise UsageError(clean(f"{path} {problem}")) from None
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8 text: byte {error.start + 1} is not; save it as UTF-8"
        raise UsageError(clean(f"{path} {problem}")) from None
    except ValidationError as errors:
        lines = yaml_text.Lines(text)
        found = "; ".join(problems.in_words(errors, document, _KEYS, lines.of))
        raise UsageError(clean(f"{path}: {found}")) from None
    except yaml_text.YamlError as error:
        raise UsageError(clean(f"{path}: {error}")) from None
    if not of_command:
        _refuse_what_needs_a_command(path, file, yaml_text.Lines(text))
    return file


def _refuse_what_needs_a_command(path: Path, file: File, lines: yaml_text.Lines) -> None:
    for number, expectation in enumerate(file.expectations):
        if (subject := expectation.subject) in _OF_A_COMMAND:
            line = lines.of(["expectations", number, subject])
            raise UsageError(
                clean(
                    f"{path}: line {line}, expectation {number + 1} {expectation.name!r}, "
                    f"{subject}: {NEEDS_A_COMMAND}"
                )
            )
