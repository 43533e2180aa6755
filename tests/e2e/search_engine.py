"""A search engine that is no part of a stack, which the stack's containers reach by its name."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from lab.build import elasticsearch as program
from lab.build import images
from runtime_observability.core import stores
from tests import lacking
from tests.live.stack import Stack
from tests.live.waiting import until

FOREIGN = "traced-other-0123456789abcdef-jaeger-span-2020-01-31"
"""An index that no stack of these tests has made."""
OLD = "2020-01-31"
"""The day of an index that every retention deletes."""
_URLS = {"opensearch": "openSearchUrls", "elasticsearch": "elasticsearchUrls"}
_HEAP_MIB = 256
_START_SECONDS = 180


class Elsewhere:
    def __init__(self, stack: Stack, store: str, run: Sequence[str]) -> None:
        """``run``: the last arguments of its `docker run`, from its own options on."""
        self.store, self.docker, self._curl = store, stack.docker, stack.config["curlImage"]
        self.name = f"traced-{stack.name}-elsewhere-{secrets.token_hex(2)}"
        self.url = f"http://{self.name}:9200"
        self.docker("run", "--detach", "--name", self.name, "--network", stack.cluster, *run)
        until("an answer from it", lambda: self.ask("GET", "/_cluster/health"), _START_SECONDS)

    def settings(self, url: str = "") -> dict[str, Any]:
        """Of a stack that keeps its traces there, at ``url`` if that is another one.

        By default it takes no line of HTTP that names the indices of a year.
        """
        urls = [url or self.url]
        return {"traceStore": self.store, "traceRetention": "7d", _URLS[self.store]: urls}

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


def opensearch(stack: Stack) -> AbstractContextManager[Elsewhere]:
    refuse_a_lab_without_opensearch(stack)
    variables = stores.own_environment(_HEAP_MIB)
    del variables["http.max_initial_line_length"]
    given = (f"--env={name}={value}" for name, value in variables.items())
    return _running(stack, "opensearch", *given, stack.config["openSearchImage"])


def refuse_a_lab_without_opensearch(stack: Stack) -> None:
    """The lab's image is built where there is Maven: without it, this fails in CI alone."""
    built = stack.config.get("openSearchImage", "")
    if built.startswith(images.PREFIX) and not stack.docker.exists(built):
        lacking.refuse(f"there is no {built}: install Maven, and run `make test`")


def elasticsearch(stack: Stack) -> AbstractContextManager[Elsewhere]:
    image = program.IMAGE.reference
    if not stack.docker.exists(image):
        lacking.refuse(f"there is no {image}: `make test-stores` builds it")
    arguments = program.arguments(program.HOME, "/tmp", _HEAP_MIB)  # noqa: S108
    hosts = ("http.host=0.0.0.0", "transport.host=127.0.0.1")
    return _running(stack, "elasticsearch", image, *arguments, *hosts)


ENGINES = (opensearch, elasticsearch)


@contextmanager
def _running(stack: Stack, store: str, *run: str) -> Iterator[Elsewhere]:
    """Until the stack has left it. ``run`` is as in ``Elsewhere``."""
    found = Elsewhere(stack, store, run)
    try:
        yield found
    finally:
        stack.settle()
        stack.docker("rm", "--force", "--volumes", found.name)
