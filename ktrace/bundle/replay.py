"""Answers from a bundle: without a cluster, a Jaeger, Pulumi, or the network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import typer

from ktrace import clock, distribution
from ktrace.bundle import file, memory, session
from ktrace.bundle.file import Bundle
from ktrace.bundle.spans import Query
from ktrace.components import CONTAINERD
from ktrace.document import moment
from ktrace.errors import UsageError
from ktrace.jaeger import origin, store
from ktrace.jaeger.store import Store
from ktrace.target.target import Target
from runtime_observability.host.api_server import ApiError
from runtime_observability.host.http import httpx

if TYPE_CHECKING:
    from ktrace.api import Api
    from ktrace.jaeger import Jaeger
    from runtime_observability.host.memory_loss import Memory

_NO_API = "the pod object and its Events: not in the bundle"
_TRACES = "/api/traces"


@contextmanager
def of(path: Path) -> Iterator[Replay]:
    """The block's command is answered from the bundle ``path``; UsageError if that is none."""
    with answering(file.read(path), str(path)) as replay:
        yield replay


@contextmanager
def answering(bundle: Bundle, name: str, *, all_it_has: bool = False) -> Iterator[Replay]:
    """As ``of``, for a bundle that is called ``name``.

    With ``all_it_has`` a search that was never made finds what other searches have found.
    """
    replay = Replay(bundle, name, all_it_has=all_it_has)
    before = session.current()
    session.use(replay)
    clock.time.use(replay.clock)
    try:
        yield replay
    finally:
        session.use(before)
        clock.time.use(None)


class NotInBundleError(UsageError):
    """Something else is asked than the bundle answers."""

    def __init__(self, bundle: Bundle, name: str) -> None:
        at = moment(datetime.fromtimestamp(bundle.asked.last_look, tz=UTC))
        told = f"{name} does not tell that: it has what {bundle.asked} read at {at}"
        if bundle.saved_by != (own := distribution.version()):
            told += f", and ktrace {own} may ask for more: {bundle.saved_by} has saved it"
        super().__init__(told)


class Replay(session.Live):
    waits = False

    def __init__(self, bundle: Bundle, name: str, *, all_it_has: bool = False) -> None:
        self.bundle, self.name = bundle, name
        self.clock = clock.Past(bundle.asked.first_look, bundle.asked.last_look)
        self.answer: Any = None
        self._transport = _Transport(bundle, name, all_it_has=all_it_has)
        unasked = (
            httpx.TransportError("not in the bundle")
            if all_it_has
            else NotInBundleError(bundle, name)
        )
        self._api = Answers(bundle.api, unasked)

    def fill_in(self, context: typer.Context) -> None:
        """What the command line leaves open is asked as it was when the bundle was saved."""
        if context.command.name != self.bundle.asked.command:
            return
        for parameter in context.command.params:
            name = str(parameter.name)
            value = self.bundle.asked.arguments.get(name)
            source = context.get_parameter_source(name)
            if value is None or not (source and source.name == "DEFAULT"):
                continue
            try:
                context.params[name] = parameter.process_value(context, value)
            except (typer.BadParameter, TypeError, ValueError) as error:
                raise UsageError(
                    f"{self.name} is a broken bundle: asked.arguments.{name} ({error}). Save it "
                    "again"
                ) from None

    def target(self, choose: Callable[[], Target], *given: object) -> Target:
        if any(option is not None for option in given):
            raise UsageError(
                "--from answers from the file alone: leave out --stack, --jaeger and --kubeconfig"
            )
        settings = self.bundle.settings
        url, stack = settings["jaegerUrl"], settings["stack"]
        own = {} if settings["shared"] else {"jaegerUrl": url}
        components = [CONTAINERD] if settings["tracesRuntime"] else []
        tracing = settings.get("tracing")  # bundles of earlier releases do not have it
        return _BundleTarget(
            url,
            Path(self.name),
            {**own, "tracedComponents": components, "tracing": tracing},
            named=_origin(stack) if stack else None,
            kept_in=_store(settings),
        )

    def jaeger(self, connect: Callable[[Mapping[str, Any]], Jaeger]) -> Jaeger:
        return connect({"transport": self._transport})

    def api(
        self, connect: Callable[[], AbstractContextManager[Api | str]]
    ) -> AbstractContextManager[Api | str]:
        if self.bundle.no_cluster:
            return nullcontext(self.bundle.no_cluster)
        return nullcontext(self._api if self.bundle.api else _NO_API)

    def memory(self, read: Callable[[], Memory | None]) -> Memory | None:
        return memory.read(self.bundle.settings["memory"])

    def facts(self, command: str) -> Mapping[str, Any]:
        found = self.bundle.gathered.get(command)
        if found is None:
            raise NotInBundleError(self.bundle, self.name)
        return found

    def answered(self, document: Any) -> None:
        self.answer = document


@dataclass(frozen=True)
class _BundleTarget(Target):
    kept_in: Store = store.UNKNOWN

    @property
    def store(self) -> Store:
        return self.kept_in

    @property
    def cluster(self) -> Path:
        return self.kubeconfig or Path()


class Answers:
    """Answers by path as the API server did, and raises ``unasked`` for what it was not asked."""

    def __init__(self, answers: Mapping[str, Mapping[str, Any]], unasked: Exception) -> None:
        self._answers, self._unasked = answers, unasked

    def get(self, path: str) -> dict[str, Any]:
        """Raises what ``api_server.FAILURES`` lists, and ``unasked``."""
        answer = self._answers.get(path)
        if answer is None:
            raise self._unasked
        if answer["status"] == 200:
            return dict(answer["document"])
        if not answer["status"]:
            raise httpx.TransportError(answer["message"])
        raise ApiError(httpx.Response(answer["status"], text=answer["message"]))


class _Transport(httpx.BaseTransport):
    """Answers as Jaeger's query API would that has the bundle's spans."""

    def __init__(self, bundle: Bundle, name: str, *, all_it_has: bool) -> None:
        self._bundle, self._name, self._all_it_has = bundle, name, all_it_has
        self._patterns = _store(bundle.settings).patterns

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        place = request.url.path
        spans = self._bundle.spans
        _, _, what = place.rpartition("/api/")
        parts = what.split("/")
        if parts == ["traces"]:
            parameters = dict(request.url.params)
            query = Query.of(parameters, self._patterns)
            limit = int(parameters["limit"])
            covered = any(search.covers(query, limit) for search in self._bundle.searches)
            if not (covered or self._all_it_has):
                raise NotInBundleError(self._bundle, self._name)
            return _data(spans.search(query, limit))
        if parts[0] == "traces":
            found = spans.by_id(unquote(parts[1]))
            return _data(found) if found else _unknown()
        if parts == ["services"]:
            return httpx.Response(200, json={"data": spans.services})
        return httpx.Response(200, json={"data": spans.operations(unquote(parts[1]))})


def _data(traces: str) -> httpx.Response:
    return httpx.Response(200, text=f'{{"data":{traces}}}')


def _unknown() -> httpx.Response:
    """Jaeger's answer about a trace that it does not have."""
    return httpx.Response(404, json={"data": None, "errors": [{"msg": "trace not found"}]})


def _origin(stack: str) -> origin.Origin:
    name, _, owner = stack.partition("@")
    return origin.Origin(name, owner)


def _store(settings: Mapping[str, Any]) -> Store:
    found = store.of(settings["store"])
    days, hours, kept = (settings.get(name) for name in file.OF_STORE)
    return replace(
        found,
        look_back=found.look_back if days is None else int(days),
        listed=None if hours is None else int(hours),
        kept=None if kept is None else int(kept),
        is_known=True,
    )
