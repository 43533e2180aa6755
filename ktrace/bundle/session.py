"""Where the clients, the target and the clock of a command come from: the cluster, or a bundle.

One command is one session. Without --save and --from it is ``Live``, which changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import typer

    from ktrace.api import Api
    from ktrace.jaeger import Jaeger
    from ktrace.target.target import Target
    from runtime_observability.host.memory_loss import Memory

SAVE, FROM = "save_to", "answer_from"
"""The parameters of --save and --from, by which a command takes part."""
_TARGET = ("stack", "jaeger_url", "kubeconfig", "otlp")
_FILES = ("html", "junit_file", "report_to")
"""What is written besides the answer."""
EXPECTED, VALUES = "expected", "expected_values"
"""The parameters of expectations on a command: a bundle has what these say with what was found."""


Keep = Callable[[Mapping[str, Any]], dict[str, Any] | None]
"""What a bundle keeps of an API server's answer; None of what is never kept."""


class Live:
    """Reads the cluster and its Jaeger, and keeps nothing."""

    waits = True
    """Whether an answer may have to be waited for."""

    def jaeger(self, connect: Callable[[Mapping[str, Any]], Jaeger]) -> Jaeger:
        """The client that ``connect`` makes with settings of its HTTP client."""
        return connect({})

    def target(self, choose: Callable[[], Target], *given: object) -> Target:
        """The target that ``choose`` finds; ``given`` are the options which name one."""
        return choose()

    def api(
        self, connect: Callable[[], AbstractContextManager[Api | str]]
    ) -> AbstractContextManager[Api | str]:
        """The API server that ``connect`` connects to, or why there is none."""
        return connect()

    def memory(self, read: Callable[[], Memory | None]) -> Memory | None:
        """What is known of a Jaeger that keeps traces in its memory."""
        return read()

    def answered(self, document: Any) -> None:
        """Notes the document of the answer."""

    def gathered(self, facts: Callable[[Keep], dict[str, Any]]) -> None:
        """Notes what a command gathered that cannot be read again with the clients."""

    def kept(self, paths: Iterable[str]) -> dict[str, Any]:
        """What a bundle has by now of the API server's answers at ``paths``."""
        return {}

    def facts(self, command: str) -> Mapping[str, Any] | None:
        """What a bundle has of such a ``command``; None where it is to be gathered now.

        UsageError if the bundle has none.
        """
        return None


_current = Live()


def current() -> Live:
    return _current


def use(session: Live) -> None:
    global _current  # noqa: PLW0603  one command runs in a process
    _current = session


def asked(context: typer.Context) -> dict[str, Any]:
    """The arguments and options of a command that say what is asked, as JSON has them."""
    return {
        name: str(value) if isinstance(value, Path) else value
        for name, value in context.params.items()
        if name not in (SAVE, FROM, EXPECTED, VALUES, "as_json", *_TARGET, *_FILES)
        and value is not None
    }


def to_answer_again(context: typer.Context) -> dict[str, Any]:
    """The parameters of ``context`` for its answer as a document, which writes no file."""
    left_out = (SAVE, FROM, EXPECTED, VALUES, *_TARGET, *_FILES)
    none = {name: None for name in left_out if name in context.params}
    return {**context.params, **none, "as_json": True}
