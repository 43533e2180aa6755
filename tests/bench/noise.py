"""The lone spans that a real k3s makes at rest beyond the lab's node, sent as they would come."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from tests.live.stack import Stack
from tests.replay import otlp, recordings
from tests.replay.recordings import LONE_AUTHENTICATIONS, LONE_RANGES

_SECONDS = 5
"""Between two batches, as the API server's exporter sends them."""


@contextmanager
def of_k3s(stack: Stack) -> Iterator[None]:
    """Sends them to the collector of ``stack`` until the block ends; AssertionError if it fails."""
    done, failures = threading.Event(), list[Exception]()

    def send() -> None:
        url = f"http://127.0.0.1:{stack.ports['otlpHttpPort']}/v1/traces"
        try:
            with httpx.Client(trust_env=False, timeout=30) as client:
                for number in itertools.count():
                    traces = _batch(number)
                    for request in otlp.requests(traces):
                        client.post(url, json=request).raise_for_status()
                    if done.wait(_SECONDS):
                        return
        except httpx.HTTPError as error:
            failures.append(error)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        done.set()
        sender.join()
    assert not failures, f"the lone spans of k3s were not sent: {failures[0]}"


def _batch(number: int) -> list[dict[str, object]]:
    """Those of ``_SECONDS`` that end now."""
    begin = int((time.time() - _SECONDS) * 1_000_000)
    names = ["etcdserverpb.KV/Range"] * _share(LONE_RANGES, number)
    names += ["authentication"] * _share(LONE_AUTHENTICATIONS, number)
    step = _SECONDS * 1_000_000 // len(names)
    return [recordings.lone(name, begin + step * index) for index, name in enumerate(names)]


def _share(a_minute: int, number: int) -> int:
    """Of the batch ``number``: whole spans that add up to ``a_minute``."""
    batches = 60 // _SECONDS
    return a_minute * (number + 1) // batches - a_minute * number // batches
