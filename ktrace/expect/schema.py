"""The file of expectations: its models, and how it is loaded."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)

from ktrace.errors import UsageError
from ktrace.expect import problems, yaml_text
from ktrace.text import clean

_WITH_PODS = ("kubelet", "containerd")
"""Components whose spans are in traces of pods."""
_POD = re.compile(r"[a-z0-9-]+/[a-z0-9.-]+")


def _written(value: Any) -> Any:
    """A number or boolean of a program as the text that a file would have."""
    return json.dumps(value) if isinstance(value, bool | int | float) else value


Text = Annotated[str, Field(min_length=1)]
Value = Annotated[str, BeforeValidator(_written)]
Number = Annotated[int, Field(ge=0)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Select(_Model):
    """Which spans; ``operation`` and values of attributes may be patterns with ``*`` and ``?``.

    An attribute is one of the span or of its process (``k8s.node.name``, ``service.version``).
    """

    component: Text
    operation: Text = "*"
    pod: str | None = None
    """namespace/name: the span is in a trace that the kubelet made for that pod."""
    attributes: dict[str, Value] = {}

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


class Child(_Model):
    """A span anywhere below a selected one; ``operation`` may be a pattern."""

    component: Text | None = None
    operation: Text = "*"


class Count(_Model):
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


class Expect(_Model):
    """What must hold; all but the count of every selected span, durations in milliseconds."""

    count: Annotated[
        Annotated[Number, Tag("number")] | Annotated[Count, Tag("range")], Discriminator(_is_range)
    ] = Count(min=1)
    child: Child | None = None
    durationBelowMs: Annotated[float, Field(gt=0)] | None = None  # noqa: N815
    noErrors: bool = False  # noqa: N815

    @property
    def least(self) -> int:
        return self.count if isinstance(self.count, int) else self.count.min or 0

    @property
    def most(self) -> int | None:
        return self.count if isinstance(self.count, int) else self.count.max

    @property
    def can_be_broken(self) -> bool:
        """Whether a span that arrives later can break what holds now."""
        every_span = self.child is not None or self.durationBelowMs is not None or self.noErrors
        return every_span or self.most is not None

    @property
    def is_of_absence(self) -> bool:
        """Whether it can hold because spans are absent, and thus before they arrive."""
        return self.most is not None or self.least == 0


class Expectation(_Model):
    name: Text
    select: Select
    expect: Expect = Expect()


class File(_Model):
    """``sinceSeconds``: spans older than that do not count."""

    sinceSeconds: Annotated[float, Field(gt=0)] = 600  # noqa: N815
    expectations: Annotated[list[Expectation], Field(min_length=1)]

    @model_validator(mode="after")
    def _names_differ(self) -> File:
        names = [expectation.name for expectation in self.expectations]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"names must differ, but two expectations are called {repeated[0]!r}")
        return self


_MODELS: dict[str, type[_Model]] = {
    "": File,
    "expectations": Expectation,
    "select": Select,
    "expect": Expect,
    "child": Child,
    "count": Count,
}
_KEYS = {holder: tuple(model.model_fields) for holder, model in _MODELS.items()}
"""The keys of each map, by the key that holds it."""


def load(path: Path, values: Mapping[str, str]) -> File:
    """Reads the file, with ``values`` in place of each ``${NAME}``.

    Raises UsageError, with every problem, for a file that cannot be used.
    """
    document: Any = None
    try:
        document = yaml_text.read(path.read_text(encoding="utf-8"), values)
        return File.model_validate(document)
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
        raise UsageError(clean(f"{path} {problem}")) from None
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8 text: byte {error.start + 1} is not; save it as UTF-8"
        raise UsageError(clean(f"{path} {problem}")) from None
    except ValidationError as errors:
        found = "; ".join(problems.in_words(errors, document, _KEYS))
        raise UsageError(clean(f"{path}: {found}")) from None
    except yaml_text.YamlError as error:
        raise UsageError(clean(f"{path}: {error}")) from None
