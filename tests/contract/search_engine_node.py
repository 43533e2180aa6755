"""A node of OpenSearch or Elasticsearch that runs: both have the same API."""

from __future__ import annotations

import time
from dataclasses import dataclass

import httpx

from tests.contract.java_server import Server

_START_SECONDS = 180


@dataclass(frozen=True, kw_only=True)
class Node(Server):
    """One that runs: the URL of its API."""

    name: str
    url: str

    def wait(self, query: str = "") -> None:
        """Until it answers, with the ``query`` of its cluster's health."""
        deadline = time.monotonic() + _START_SECONDS
        while self.process.poll() is None and time.monotonic() < deadline:
            try:
                answer = httpx.get(f"{self.url}/_cluster/health{query}", trust_env=False)
                if answer.is_success:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.5)
        raise AssertionError(f"{self.home} has not started:\n{self.log.read_text()[-3000:]}")
