"""The verdicts on what a command caused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from ktrace.components import APISERVER
from ktrace.expect import judge_pods, judge_quiet, judge_requests, judge_webhooks, verdict
from ktrace.expect.caused import Caused
from ktrace.expect.judge import judge as judge_spans
from ktrace.expect.judge_quiet import Watched
from ktrace.expect.schema import Expectation
from ktrace.expect.verdict import Verdict, not_known, qualified
from ktrace.view.terminal import counted

_CHANGING = (
    "what the command caused had not settled when following ended: --for SECONDS follows longer"
)
_NOUNS = {"select": "span", "request": "request", "webhook": "call", "pod": "pod"}


@dataclass(frozen=True)
class Evidence:
    """How far what is known of a command is all that there is."""

    until: datetime
    """When it was read, by the API server's clock."""
    behind: tuple[str, ...] = ()
    """Components whose spans may still be on their way."""
    unawaited: str = ""
    """Why nobody waited for spans that decide."""
    gone: str = ""
    """Why spans of the command may be gone from Jaeger."""
    pods_unknown: str = ""
    """Why pods of the command may not be known."""
    followed: bool = True
    """Whether nothing was changing any more when following ended."""
    watched: Watched | None = None
    unwatched: str = ""
    """Why no writes were watched."""
    writes_dropped: str = ""
    """Why Jaeger has not every write."""
    writes_caveat: str = ""
    """Why Jaeger may not have every write."""


def judge(expectation: Expectation, caused: Caused, evidence: Evidence) -> Verdict:
    """On ``caused``, as far as ``evidence`` allows; nothing else has a part in it."""
    match expectation.subject:
        case "request":
            made = judge_requests.judge(expectation, caused.requests)
        case "webhook":
            made = judge_webhooks.judge(expectation, caused.calls)
        case "pod":
            made = judge_pods.judge(expectation, caused.pods, evidence.until)
        case "quietFor":
            return _quiet(expectation, evidence)
        case _:
            made = judge_spans(expectation, caused.traces)
    return qualified(expectation, made, list(_lacks(expectation, caused, evidence)))


def unjudged(expectation: Expectation, why: str) -> Verdict:
    """That ``expectation`` was not judged at all."""
    noun = _NOUNS.get(expectation.subject, "write")
    return not_known(verdict.of(expectation, (), 0, noun), why)


def _lacks(expectation: Expectation, caused: Caused, evidence: Evidence) -> Iterator[str]:
    """What may be missing of all that ``expectation`` is about."""
    subject = expectation.subject
    yield from _behind(evidence)
    yield from filter(None, (evidence.unawaited,))
    if evidence.gone:
        yield f"spans of the command {evidence.gone}"
    if caused.requests_without_spans and _is_of_requests(expectation):
        requests = counted(caused.requests_without_spans, "request")
        yield f"Jaeger has no spans of {requests} of the command: `ktrace verify` may tell why"
    if subject == "webhook" and (pods := caused.pods_without_creation):
        yield f"Jaeger has no spans of the request that created pod {pods[0]}"
    if subject in ("pod", "webhook", "select") and evidence.pods_unknown:
        yield evidence.pods_unknown
    if not evidence.followed and subject != "request":
        yield _CHANGING


def _behind(evidence: Evidence) -> Iterator[str]:
    if evidence.behind:
        components = " and ".join(evidence.behind)
        yield (
            f"no span of {components} has arrived that began after what the command caused, so "
            "others may still be on their way. Run `ktrace verify`"
        )


def _is_of_requests(expectation: Expectation) -> bool:
    select, child = expectation.select, expectation.expect.child
    if select is None:
        return expectation.subject in ("request", "webhook")
    return select.component == APISERVER or (
        child is not None and child.component in (None, APISERVER)
    )


def _quiet(expectation: Expectation, evidence: Evidence) -> Verdict:
    """Writes that were seen are sure; that there were none needs every one of them."""
    if evidence.watched is None:
        return unjudged(expectation, evidence.unwatched)
    made = judge_quiet.judge(expectation, evidence.watched)
    if not made.ok:
        return made
    dropped = filter(None, (evidence.unawaited, evidence.writes_dropped))
    lacks: Sequence[str] = [*_behind(evidence), *dropped]
    if evidence.gone:
        lacks = [*lacks, f"spans {evidence.gone}"]
    if lacks:
        return not_known(made, *lacks)
    caveat = filter(None, (evidence.writes_caveat,))
    return replace(made, notes=(*made.notes, *caveat))
