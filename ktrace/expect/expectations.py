"""Expectations on traces: the file's models, and how one is judged. Pure but for ``load``."""

from __future__ import annotations

import fnmatch
import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ktrace.errors import UsageError
from ktrace.jaeger import Span, Trace

_NEAREST = 3
_RENAMED = (
    ("http.method", "http.request.method"),
    ("http.status_code", "http.response.status_code"),
    ("http.target", "url.path"),
    ("user_agent.original", "http.user_agent"),
)
"""Attributes by their older and newer name (otelhttp 0.61); either stands for both."""

_OF_PODS = ("kubelet", "containerd")


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Select(_Model):
    """Which spans; ``operation`` and attribute values may hold ``*`` and ``?``."""

    component: str
    operation: str = "*"
    pod: str | None = None
    """namespace/name: the span is in a trace that the kubelet made for that pod."""
    attributes: dict[str, str] = {}

    @model_validator(mode="after")
    def _is_of_a_pod(self) -> Select:
        if self.pod and self.component not in _OF_PODS:
            raise ValueError(
                f"pod cannot select spans of {self.component}: only {' and '.join(_OF_PODS)} are "
                "in a pod's traces"
            )
        return self


class Child(_Model):
    """A span anywhere below a selected one."""

    component: str | None = None
    operation: str = "*"


class Count(_Model):
    min: Annotated[int, Field(ge=0)] | None = None
    max: Annotated[int, Field(ge=0)] | None = None


class Expect(_Model):
    """All that is given must hold; durations in milliseconds, of every selected span."""

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
    """``sinceSeconds``: how far back spans count."""

    sinceSeconds: Annotated[float, Field(gt=0)] = 600  # noqa: N815
    expectations: Annotated[list[Expectation], Field(min_length=1)]

    @model_validator(mode="after")
    def _names_differ(self) -> File:
        names = [each.name for each in self.expectations]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two expectations are called {twice[0]!r}")
        return self


class Verdict(_Model):
    """``failures`` is empty when the expectation is met; ``nearest`` helps when it is not."""

    name: str
    failures: tuple[str, ...] = ()
    nearest: tuple[str, ...] = ()
    found: int = 0

    @property
    def ok(self) -> bool:
        return not self.failures


def load(path: Path, values: Mapping[str, str]) -> File:
    """Raises UsageError, with every problem, for a file that cannot be used.

    ``${NAME}`` in the file stands for a value of --set.
    """
    try:
        text = Template(path.read_text()).substitute(values)
        return File.model_validate(yaml.safe_load(text))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    except KeyError as error:
        raise UsageError(f"{path} needs a value: --set {error.args[0]}=VALUE") from None
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is no YAML: {' '.join(str(error).split())}") from None
    except ValidationError as errors:
        problems = [
            f"{'.'.join(map(str, each['loc'])) or 'the file'}: {each['msg']}"
            for each in errors.errors()
        ]
        raise UsageError(f"{path}: {'; '.join(problems)}") from None
    except ValueError as error:
        raise UsageError(f"{path}: {error}; a plain $ is written $$") from None


def questions(select: Select, operations: Sequence[str]) -> list[dict[str, Any]]:
    """What to ask Jaeger for, as it matches only what is exact: the answers together have it all.

    ``operations`` are the component's, of which a pattern means some.
    """
    if select.pod and not (select.component == "kubelet" and select.operation == "syncPod"):
        return [{"service": "kubelet", "operation": "", "tags": {"k8s.pod": select.pod}}]
    exact = {key: text for key, text in select.attributes.items() if not is_pattern(text)}
    if select.pod:
        exact["k8s.pod"] = select.pod
    if select.operation == "*":
        operations = [""]
    elif is_pattern(select.operation):
        operations = [each for each in operations if fnmatch.fnmatchcase(each, select.operation)]
    else:
        operations = [select.operation]
    return [
        {
            "service": select.component,
            "operation": operation,
            "tags": dict(zip(keys, exact.values(), strict=True)),
        }
        for operation in operations
        for keys in itertools.product(*map(_names, exact))
    ]


def judge(expectation: Expectation, traces: Sequence[Trace], *, whole: bool = True) -> Verdict:
    """``traces`` are those that ``questions`` found, ``whole`` if all; a span counts once."""
    select, expect = expectation.select, expectation.expect
    chosen = {
        (span.trace_id, span.span_id): (trace, span)
        for trace in traces
        for span in trace.spans
        if selects(select, trace, span)
    }
    failures = []
    if not whole:
        failures.append(
            f"only the newest {len(traces)} traces were looked at: narrow select or sinceSeconds"
        )
    count = len(chosen)
    most = expect.most
    if count < expect.least or (most is not None and count > most):
        failures.append(f"expected {_count_words(expect)}, found {count}")
        if select.pod and not any(select.pod in _pods(trace) for trace in traces):
            failures.append(f"there is no trace of pod {select.pod}: is its name right?")
    for trace, span in chosen.values():
        if expect.child and not _has_child(trace, span, expect.child):
            below = sorted({f"{s.service} {s.operation}" for s in trace.below(span)})
            failures.append(
                f"{describe(span)} has no child {expect.child.component or 'any component'} "
                f"{expect.child.operation}; below it: {', '.join(below[:6]) or 'nothing'}"
            )
        bound = expect.durationBelowMs
        if bound is not None and span.duration / 1000 >= bound:
            failures.append(f"{describe(span)} is not below {bound:g} ms")
        if expect.noErrors:
            bad = [each for each in (span, *trace.below(span)) if each.failed]
            failures += [f"{describe(each)} failed" for each in bad]
    nearest = _nearest(select, traces) if count < expect.least else ()
    return Verdict(name=expectation.name, failures=tuple(failures), nearest=nearest, found=count)


def selects(select: Select, trace: Trace, span: Span) -> bool:
    return (
        span.service == select.component
        and fnmatch.fnmatchcase(span.operation, select.operation)
        and all(_has(span, key, value) for key, value in select.attributes.items())
        and (select.pod is None or select.pod in _pods(trace))
    )


def describe(span: Span) -> str:
    return f"{span.service} {span.operation} ({span.duration / 1000:.1f} ms, trace {span.trace_id})"


def _pods(trace: Trace) -> set[str]:
    return {str(span.tags["k8s.pod"]) for span in trace.spans if "k8s.pod" in span.tags}


def _names(key: str) -> tuple[str, ...]:
    return next((names for names in _RENAMED if key in names), (key,))


def _has(span: Span, key: str, value: str) -> bool:
    return any(
        fnmatch.fnmatchcase(_text(span.tags[name]), value)
        for name in _names(key)
        if name in span.tags
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def is_pattern(text: str) -> bool:
    return any(sign in text for sign in "*?[")


def _has_child(trace: Trace, span: Span, child: Child) -> bool:
    return any(
        (child.component is None or each.service == child.component)
        and fnmatch.fnmatchcase(each.operation, child.operation)
        for each in trace.below(span)
    )


def _count_words(expect: Expect) -> str:
    if isinstance(expect.count, int):
        return f"{expect.count} spans"
    least = f"at least {expect.count.min}" if expect.count.min is not None else ""
    most = f"at most {expect.count.max}" if expect.count.max is not None else ""
    return " and ".join(filter(None, (least, most))) + " spans"


def _nearest(select: Select, traces: Sequence[Trace]) -> tuple[str, ...]:
    """The spans of that component which match most of what was asked."""

    def misses(span: Span) -> list[str]:
        wrong = [
            f"{key} is {_text(span.tags[key]) if key in span.tags else 'absent'}"
            for key, value in select.attributes.items()
            if not _has(span, key, value)
        ]
        if not fnmatch.fnmatchcase(span.operation, select.operation):
            wrong.append(f"operation is {span.operation}")
        return wrong

    spans = [span for trace in traces for span in trace.spans if span.service == select.component]
    best = sorted(spans, key=lambda span: (len(misses(span)), -span.start))[:_NEAREST]
    return tuple(
        f"{describe(span)}: {', '.join(misses(span)) or 'of another pod'}" for span in best
    )
