"""Where the clients, the target and the clock of a command come from: the cluster, or a bundle.

One command is one session. Without --save and --from it is ``Live``, which changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ktrace.errors import UsageError

if TYPE_CHECKING:
    import typer

    from ktrace.jaeger import Jaeger
    from ktrace.podstart.cluster import Api
    from ktrace.target.target import Target
    from runtime_observability.host.memory_loss import Memory

SAVE, FROM = "save_to", "answer_from"
"""The parameters of --save and --from, by which a command takes part."""
_TARGET = ("stack", "jaeger_url", "kubeconfig")
_FILES = ("html", "junit_file", "report_to")
"""What is written besides the answer."""


Keep = Callable[[Mapping[str, Any]], dict[str, Any] | None]
"""What a bundle keeps of an API server's answer; None of what is never kept."""


class Live:
    """Reads the cluster and its Jaeger, and keeps nothing."""

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

    def ran(self, facts: Callable[[Keep], dict[str, Any]]) -> None:
        """Notes what was gathered of a command that cannot be run again."""

    @property
    def facts(self) -> Mapping[str, Any] | None:
        """What a bundle has of such a command; None where one is to be run.

        UsageError if the bundle has none.
        """
        return None


_current = Live()


def current() -> Live:
    return _current


def use(session: Live) -> None:
    global _current  # noqa: PLW0603  one command runs in a process
    _current = session


def of(context: typer.Context, *, repeatable: bool) -> AbstractContextManager[Live]:
    """The session of the command of ``context``, as its --save and --from want it.

    The block runs the command; ``repeatable`` as in ``recording.to``. UsageError for a file that is
    no bundle or cannot be written.
    """
    parameters = context.params
    if parameters.get(SAVE) and parameters.get(FROM):
        raise UsageError("--save and --from: a bundle is not saved again; copy the file")
    if saved := parameters.get(FROM):
        return _replaying(context, Path(saved))
    if file := parameters.get(SAVE):
        return _recording(context, Path(file), repeatable=repeatable)
    return _live()


@contextmanager
def _live() -> Iterator[Live]:
    yield Live()


@contextmanager
def _replaying(context: typer.Context, file: Path) -> Iterator[Live]:
    from ktrace.bundle import replay  # noqa: PLC0415  other commands do not wait for it

    with replay.of(file) as session:
        session.fill_in(context)
        yield session


@contextmanager
def _recording(context: typer.Context, file: Path, *, repeatable: bool) -> Iterator[Live]:
    from ktrace.bundle import recording  # noqa: PLC0415

    with recording.to(file, context, repeatable=repeatable) as session:
        yield session


def asked(context: typer.Context) -> dict[str, Any]:
    """The arguments and options of a command that say what is asked, as JSON has them."""
    return {
        name: str(value) if isinstance(value, Path) else value
        for name, value in context.params.items()
        if name not in (SAVE, FROM, "as_json", *_TARGET, *_FILES) and value is not None
    }


def to_answer_again(context: typer.Context) -> dict[str, Any]:
    """The parameters of ``context`` for its answer as a document, which writes no file."""
    none = {name: None for name in (SAVE, FROM, *_TARGET, *_FILES) if name in context.params}
    return {**context.params, **none, "as_json": True}
