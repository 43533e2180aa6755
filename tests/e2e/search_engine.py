"""A search engine that is no part of a stack, which the stack's containers reach by its name."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tests.live.stack import Stack
from tests.live.waiting import until

FOREIGN = "traced-other-0123456789abcdef-jaeger-span-2020-01-31"
"""An index that no stack of these tests has made."""
_START_SECONDS = 180


class Elsewhere:
    def __init__(self, stack: Stack, run: Sequence[str]) -> None:
        """``run``: the last arguments of its `docker run`, from its own options on."""
        self.docker, self._curl = stack.docker, stack.config["curlImage"]
        self.name = f"traced-{stack.name}-elsewhere-{secrets.token_hex(2)}"
        self.url = f"http://{self.name}:9200"
        self.docker("run", "--detach", "--name", self.name, "--network", stack.cluster, *run)
        until("an answer from it", lambda: self.ask("GET", "/_cluster/health"), _START_SECONDS)

    def ask(self, method: str, path: str, body: str = "") -> str:
        """Empty without an answer."""
        curl = ["run", "--rm", "--network", f"container:{self.name}", self._curl, "--silent"]
        curl += ["--request", method, f"http://127.0.0.1:9200{path}"]
        curl += ["--header", "Content-Type: application/json", "--data", body] if body else []
        return self.docker(*curl, check=False)

    def indices(self) -> set[str]:
        listed: list[dict[str, Any]] = json.loads(self.ask("GET", "/_cat/indices?format=json"))
        return {str(index["index"]) for index in listed}

    def templates(self) -> set[str]:
        composed = json.loads(self.ask("GET", "/_index_template"))["index_templates"]
        return {*json.loads(self.ask("GET", "/_template")), *(each["name"] for each in composed)}


@contextmanager
def running(stack: Stack, *run: str) -> Iterator[Elsewhere]:
    """Until the stack has left it. ``run`` is as in ``Elsewhere``."""
    found = Elsewhere(stack, run)
    try:
        yield found
    finally:
        stack.settle()
        stack.docker("rm", "--force", "--volumes", found.name)
