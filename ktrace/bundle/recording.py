"""What goes through the clients of one command is kept, and written when it has answered."""

from __future__ import annotations

import contextlib
import io
import json
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ktrace import clock, distribution, streams
from ktrace.api import versions
from ktrace.bundle import command_line, file, memory, otlp, replay, session
from ktrace.bundle.objects import Reducer
from ktrace.bundle.spans import Kept, Query, is_complete, joined
from ktrace.document import of_error
from ktrace.errors import FINDING, KtraceError
from ktrace.failures import code_of, line_of
from ktrace.text import clean
from runtime_observability.host import api_server
from runtime_observability.host.api_server import ApiError

if TYPE_CHECKING:
    from ktrace.api import Api
    from ktrace.jaeger import Jaeger
    from ktrace.target.target import Target
    from runtime_observability.host.http import httpx
    from runtime_observability.host.memory_loss import Memory

_BROKEN = (LookupError, TypeError, ValueError, AttributeError, RecursionError)
_TRACES = "/api/traces"


@contextmanager
def to(path: Path, context: typer.Context, *, repeatable: bool) -> Iterator[Recording]:
    """Records the command that the block runs, and writes ``path`` if it has answered.

    It has answered, too, if stdout could not be written. Not ``repeatable`` is a command of which
    the recording keeps what was gathered.
    """
    file.refuse_unwritable(path)
    recording = Recording()
    if repeatable:
        clock.time.use(recording.clock)
    session.use(recording)
    failure: BaseException | None = None
    code = 0
    try:
        yield recording
    except typer.Exit as ended:
        failure, code = ended, ended.exit_code
    except KtraceError as error:
        failure, code = error, code_of(error)
    except (OSError, SystemExit) as error:  # rich exits where stdout's reader has left
        if isinstance(error, OSError) and not streams.is_of_stdout(error):
            raise
        failure = error
    finally:
        clock.time.use(None)
        session.use(session.Live())
    if not repeatable:  # whatever it read, it is of the end
        recording.clock = clock.Still()
    try:
        if code in (0, FINDING) or recording.facts_of_command:
            _save(path, context, recording, failure, code)
    except KtraceError as error:
        if not failure:
            raise
        streams.tell(line_of(error))  # it must not hide how the command ended
    if failure:
        raise failure


def _save(
    path: Path,
    context: typer.Context,
    recording: Recording,
    failure: BaseException | None,
    code: int,
) -> None:
    found = recording.document(context)
    found["exitCode"] = code
    if isinstance(failure, KtraceError):
        found["answer"] = of_error(line_of(failure), code)
    else:
        found["answer"], answered = _answered_again(context, path, found)
        if isinstance(failure, OSError | SystemExit):
            found["exitCode"] = answered  # stdout failed before the command could end
    file.write(path, found)
    streams.tell(saved(path, found["resourceSpans"]))


def saved(path: Path, resource_spans: Iterable[Mapping[str, Any]]) -> str:
    """What the user is told of a bundle that was written to ``path``."""
    kib = path.stat().st_size / 1024
    return f"saved {clean(str(path))}: {otlp.count(resource_spans):,} spans, {kib:,.0f} KiB"


def _answered_again(
    context: typer.Context, path: Path, document: Mapping[str, Any]
) -> tuple[dict[str, Any] | None, int]:
    """The answer by the bundle alone, and its exit code.

    Nothing is in it that is not in the bundle.
    """
    dropped, code = io.StringIO(), 0
    with (
        replay.answering(file.parsed(document, str(path)), str(path)) as replayed,
        contextlib.redirect_stdout(dropped),
        contextlib.redirect_stderr(dropped),
    ):
        problem: KtraceError | None = None
        try:
            answer: Any = context.command.callback
            context.invoke(answer, **session.to_answer_again(context))
        except typer.Exit as ended:
            code = ended.exit_code
        except KtraceError as error:
            problem = error
    if problem:
        streams.tell(f"{clean(str(path))} does not answer by itself: {line_of(problem)}")
        return None, code_of(problem)
    answered: dict[str, Any] | None = replayed.answer
    return answered, code


class Recording(session.Live):
    def __init__(self) -> None:
        self.clock = clock.Still()
        self.facts_of_command: dict[str, Any] | None = None
        self._spans = Kept()
        self._searches: list[tuple[Mapping[str, str], int | None]] = []
        """The parameters of each, and the limit if its answer was cut at it."""
        self._reduce = Reducer(secrets.token_bytes(32))
        self._api: dict[str, dict[str, Any]] = {}
        self._no_cluster: str | None = None
        self._versions: tuple[str, list[str]] = ("", [])
        """Of Kubernetes, and of the nodes' runtimes."""
        self._target: Target | None = None
        self._jaeger: Jaeger | None = None
        self._memory: Memory | None = None

    def jaeger(self, connect: Callable[[Mapping[str, Any]], Jaeger]) -> Jaeger:
        self._jaeger = connect({"event_hooks": {"response": [self._keep]}})
        return self._jaeger

    def target(self, choose: Callable[[], Target], *given: object) -> Target:
        self._target = choose()
        return self._target

    @contextmanager
    def _recorded(
        self, connect: Callable[[], AbstractContextManager[Api | str]]
    ) -> Iterator[Api | str]:
        with connect() as api:
            if isinstance(api, str):
                self._no_cluster = api
                yield api
                return
            self._versions = versions(api)
            yield _RecordingApi(api, self._keep_object)

    def api(
        self, connect: Callable[[], AbstractContextManager[Api | str]]
    ) -> AbstractContextManager[Api | str]:
        return self._recorded(connect)

    def memory(self, read: Callable[[], Memory | None]) -> Memory | None:
        self._memory = read()
        return self._memory

    def gathered(self, facts: Callable[[session.Keep], dict[str, Any]]) -> None:
        self.facts_of_command = facts(self._reduce.kept)

    def kept(self, paths: Iterable[str]) -> dict[str, Any]:
        return {path: self._api[path] for path in paths if path in self._api}

    def _keep(self, response: httpx.Response) -> None:
        """An answer of Jaeger's; one that is broken is the client's to tell."""
        path = response.request.url.path
        response.read()
        if response.is_error or _TRACES not in path:
            return
        try:
            traces = json.loads(response.content).get("data") or []
            self._spans.add(traces)
        except _BROKEN:
            return
        if path.endswith(_TRACES):
            parameters = dict(response.request.url.params)
            rows = self._jaeger.store.rows if self._jaeger else None
            limit = int(parameters["limit"])
            self._searches.append((parameters, None if is_complete(limit, traces, rows) else limit))

    def _keep_object(self, path: str, found: dict[str, Any] | Exception) -> None:
        if isinstance(found, ApiError):
            self._api[path] = {"status": found.status, "message": clean(str(found))}
        elif isinstance(found, Exception):
            self._api[path] = {"status": 0, "message": clean(api_server.reason(found))}
        elif (kept := self._reduce.kept(found, path)) is not None:
            self._api[path] = {"status": 200, "document": kept}

    def document(self, context: typer.Context) -> dict[str, Any]:
        """The bundle, without the answer."""
        target, jaeger, asked = self._target, self._jaeger, str(context.command.name)
        patterns = bool(jaeger and jaeger.store.patterns)
        searches = joined(
            replace(Query.of(search, patterns), cut_at=cut_at) for search, cut_at in self._searches
        )
        return {
            **file.HEAD,
            "asked": {
                "command": asked,
                "words": command_line.words(context),
                "arguments": command_line.arguments(context),
                "firstLookAt": self.clock.first,
                "lastLookAt": self.clock.last,
            },
            "versions": {
                "ktrace": distribution.version(),
                "kubernetes": self._versions[0] or None,
                "runtimes": self._versions[1],
            },
            "settings": {
                "jaegerUrl": jaeger.url if jaeger else None,
                "stack": str(jaeger.stack) if jaeger and jaeger.stack else None,
                "shared": bool(jaeger and jaeger.shared),
                "store": jaeger.store.name if jaeger else None,
                "lookBackDays": jaeger.store.look_back if jaeger else None,
                "operationsHours": jaeger.store.listed if jaeger else None,
                "keptHours": jaeger.store.kept if jaeger else None,
                "tracesRuntime": bool(target and target.traces_runtime),
                "tracing": (target and target.outputs.get("tracing")) or None,
                "memory": memory.document(self._memory),
            },
            "exitCode": 0,
            "answer": None,
            "searches": [search.document() for search in searches],
            "noCluster": self._no_cluster,
            "api": self._api,
            **{name: self.facts_of_command if name == asked else None for name in file.GATHERED},
            "resourceSpans": self._spans.resource_spans(),
        }


class _RecordingApi:
    def __init__(self, api: Api, keep: Callable[[str, dict[str, Any] | Exception], None]) -> None:
        self._api, self._keep = api, keep

    def get(self, path: str) -> dict[str, Any]:
        try:
            found = self._api.get(path)
        except api_server.FAILURES as error:
            self._keep(path, error)
            raise
        self._keep(path, found)
        return found
