"""The file of expectations: its models, and how it is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ktrace.errors import UsageError

_WITH_PODS = ("kubelet", "containerd")
"""Components whose spans are in traces of pods."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Select(_Model):
    """Which spans; ``operation`` and values of attributes may be patterns with ``*`` and ``?``."""

    component: str
    operation: str = "*"
    pod: str | None = None
    """namespace/name: the span is in a trace that the kubelet made for that pod."""
    attributes: dict[str, str] = {}

    @model_validator(mode="after")
    def _pod_has_spans_of_the_component(self) -> Select:
        if self.pod and self.component not in _WITH_PODS:
            raise ValueError(
                f"pod cannot select spans of {self.component}: only {' and '.join(_WITH_PODS)} "
                "have spans in a pod's traces"
            )
        return self


class Child(_Model):
    """A span anywhere below a selected one; ``operation`` may be a pattern."""

    component: str | None = None
    operation: str = "*"


class Count(_Model):
    min: Annotated[int, Field(ge=0)] | None = None
    max: Annotated[int, Field(ge=0)] | None = None


class Expect(_Model):
    """What must hold; all but the count of every selected span, durations in milliseconds."""

    count: int | Count = Count(min=1)
    child: Child | None = None
    durationBelowMs: Annotated[float, Field(gt=0)] | None = None  # noqa: N815
    noErrors: bool = False  # noqa: N815

    @property
    def least(self) -> int:
        return self.count if isinstance(self.count, int) else self.count.min or 0

    @property
    def most(self) -> int | None:
        return self.count if isinstance(self.count, int) else self.count.max


class Expectation(_Model):
    name: str
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


def load(path: Path, values: Mapping[str, str]) -> File:
    """Reads the file, with ``values`` in place of each ``${NAME}``.

    Raises UsageError, with every problem, for a file that cannot be used.
    """
    try:
        text = Template(path.read_text()).substitute(values)
        return File.model_validate(yaml.safe_load(text))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    except KeyError as error:
        name = error.args[0]
        raise UsageError(f"{path}: ${{{name}}} has no value: add --set {name}=VALUE") from None
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    except ValidationError as errors:
        problems = [
            f"{'.'.join(map(str, problem['loc'])) or 'the file'}: {problem['msg']}"
            for problem in errors.errors()
        ]
        raise UsageError(f"{path}: {'; '.join(problems)}") from None
    except ValueError as error:
        raise UsageError(f"{path}: {error}; write $$ for a plain $") from None
