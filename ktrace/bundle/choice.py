"""Whether a command reads the cluster, saves what it reads, or answers from a bundle."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ktrace.bundle import session
from ktrace.errors import UsageError
from ktrace.text import clean

if TYPE_CHECKING:
    import typer


def of(context: typer.Context, *, repeatable: bool) -> AbstractContextManager[session.Live]:
    """The session of the command of ``context``, as its --save and --from want it.

    The block runs the command; ``repeatable`` as in ``recording.to``. UsageError for a file that is
    no bundle or cannot be written.
    """
    parameters = context.params
    if parameters.get(session.SAVE) and parameters.get(session.FROM):
        raise UsageError("--save and --from: a bundle is not saved again; copy the file")
    if saved := parameters.get(session.FROM):
        return _replaying(context, Path(saved))
    if file := parameters.get(session.SAVE):
        return _recording(context, Path(file), repeatable=repeatable)
    return _live()


@contextmanager
def _live() -> Iterator[session.Live]:
    yield session.Live()


@contextmanager
def _replaying(context: typer.Context, file: Path) -> Iterator[session.Live]:
    from ktrace.bundle import replay  # noqa: PLC0415  other commands do not wait for it

    with replay.of(file) as replayed:
        replayed.fill_in(context)
        try:
            yield replayed
        except replay.NotInBundleError:
            raise
        except UsageError as error:
            own = replayed.bundle.asked.command
            if own == context.command.name:
                raise
            raise UsageError(
                f"{error}; the bundle is of another command: `ktrace {own} --from "
                f"{clean(str(file))}` answers from it"
            ) from None


@contextmanager
def _recording(context: typer.Context, file: Path, *, repeatable: bool) -> Iterator[session.Live]:
    from ktrace.bundle import recording  # noqa: PLC0415

    with recording.to(file, context, repeatable=repeatable) as recorded:
        yield recorded
