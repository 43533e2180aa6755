"""What is done to a Jaeger while its store fails: it is sent spans, and it is searched."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from ktrace.jaeger import Jaeger, JaegerError
from ktrace.jaeger.store import LUCENE
from tests.contract import spans
from tests.contract.jaeger_process import Process
from tests.contract.spans import Sent

SERVICE = "load"
SPANS_PER_TRACE = 5
_TRACES_PER_REQUEST = 10
_SECONDS = 60.0
_TIMEOUT = 30.0


@dataclass(frozen=True)
class Request:
    """Spans that were sent together: by the clock of ``time.monotonic``, when and until when."""

    sent: float
    ended: float
    spans: tuple[Sent, ...]
    acknowledged: bool


@dataclass(frozen=True)
class Answer:
    """A search: when it was sent, when its answer came, and whether that was an error."""

    asked: float
    ended: float
    failed: bool


@dataclass
class Sending:
    """What has been sent so far."""

    requests: list[Request] = field(default_factory=list)

    def acknowledged(self, since: float = 0.0, before: float = float("inf")) -> dict[str, Sent]:
        """By their ids, the spans of requests that were sent in the time and acknowledged."""
        return {
            span.id: span
            for request in self.requests
            if request.acknowledged and since <= request.sent < before
            for span in request.spans
        }


@contextmanager
def repeated(every: float, work: Callable[[int], object]) -> Iterator[None]:
    """Calls ``work`` with 0, 1, 2 and so on every so many seconds, in a thread of its own.

    After a call that took longer, those that were due follow without a pause.
    """
    stopped = threading.Event()

    def run() -> None:
        begin, number = time.monotonic(), 0
        while not stopped.wait(max(0.0, begin + number * every - time.monotonic())):
            work(number)
            number += 1

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


@contextmanager
def sending(jaeger: Process, spans_per_second: int) -> Iterator[Sending]:
    """Sends traces with ids of their own; each goes in one request."""
    done = Sending()
    each = _TRACES_PER_REQUEST * SPANS_PER_TRACE
    with httpx.Client(timeout=_TIMEOUT, trust_env=False) as client:

        def send(number: int) -> None:
            batch = [
                span
                for index in range(_TRACES_PER_REQUEST)
                for span in trace(f"load {number} {index}", time.time_ns())
            ]
            begin = time.monotonic()
            try:
                answer = client.post(f"{jaeger.otlp}/v1/traces", json=spans.otlp(batch))
                taken = answer.is_success and not answer.json().get("partialSuccess")
            except httpx.HTTPError:
                taken = False
            done.requests.append(Request(begin, time.monotonic(), tuple(batch), taken))

        with repeated(each / spans_per_second, send):
            yield done


@contextmanager
def searching(jaeger: Process, every: float) -> Iterator[list[Answer]]:
    """Searches for the newest traces, as ktrace does."""
    answers: list[Answer] = []
    with Jaeger(jaeger.url, timeout=_TIMEOUT, store=LUCENE) as client:

        def search(_: int) -> None:
            begin = time.monotonic()
            try:
                client.find(SERVICE, start=int((time.time() - 600) * 1e6), limit=5)
                failed = False
            except JaegerError:
                failed = True
            answers.append(Answer(begin, time.monotonic(), failed))

        with repeated(every, search):
            yield answers


def trace(name: str, start: int) -> list[Sent]:
    """A trace in which each span has the one before it as its parent; ``start`` in nanoseconds."""
    trace_id, first = spans.ids(name)
    ids = [f"{number:x}{first[1:]}" for number in range(1, SPANS_PER_TRACE + 1)]
    return [
        Sent(SERVICE, f"span {number}", trace_id, span_id, start + number, parent=parent)
        for number, (span_id, parent) in enumerate(zip(ids, ["", *ids], strict=False))
    ]


def by_trace(sent: Mapping[str, Sent]) -> dict[str, set[str]]:
    """The ids of the spans of each trace."""
    found: dict[str, set[str]] = {}
    for span in sent.values():
        found.setdefault(span.trace, set()).add(span.id)
    return found
