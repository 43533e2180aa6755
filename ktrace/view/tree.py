"""The report of ``ktrace run`` as a tree in the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType

from ktrace.brief import brief, clause
from ktrace.following.followed_pod import FollowedPod
from ktrace.following.refusals import REASON
from ktrace.following.report import Report
from ktrace.recording.requests import CONNECT, DRY_RUN, READ, WATCH, WRITE, RecordedRequest
from ktrace.view import ending, removals, verdicts, waterfall
from ktrace.view.lines import Branch
from ktrace.view.terminal import counted, milliseconds

_SHOWN_READS = 3
"""Read requests with a line each: the slowest."""
_STEP_SHARE = 0.05
"""Of a pod's start, for a step to have a line."""
_THAT_PAGE = "that page"
"""The command's own, which is the first line."""


def with_verdicts(report: Report) -> Iterator[RenderableType]:
    """The report, and below it what became of the expectations."""
    yield from render(report)
    if report.judged is not None:
        yield from verdicts.of_command(report.judged)


def render(report: Report) -> Iterator[RenderableType]:
    """The command's page, and the tree of what it caused."""
    if report.page:
        yield report.page
    yield _tree(report)


def _tree(report: Report) -> Branch:
    tree = Branch(f"{' '.join(report.command)}  (exit {report.code})")
    if report.page:
        tree.add(_joined(report))
    _add_requests(tree, report)
    pods = tree.add(f"what followed: {counted(len(report.followed.pods), 'pod')}")
    for pod in report.followed.pods:
        _add_pod(pods, report, pod)
    for refusal in report.followed.refusals:
        controller = refusal.controller
        subject = f"{controller.kind} {refusal.namespace}/{controller.name}"
        times = f", {refusal.times} times" if refusal.times > 1 else ""
        pods.add(f"{subject}  {REASON}{times}: {refusal.message}")
    if report.requests and not report.followed.quiet:
        tree.add("not settled when following ended: --for SECONDS follows longer")
    for note in (*removals.links(report.followed.pods), *report.notes):
        tree.add(f"note: {note}")
    if report.problem:
        tree.add(f"problem: {report.problem}")
    return tree


def _joined(report: Report) -> str:
    """Whether the page has what the API server did, by what was seen in Jaeger."""
    seen, joined = report.requests_seen, report.requests_in_trace or 0
    if not seen:
        return f"{_THAT_PAGE}: the command; whether the API server's spans join it is not known"
    told = f"the API server's spans of {joined} of {counted(seen, 'request')}"
    if joined:
        return f"{_THAT_PAGE}: the command and {told}"
    return (
        f"{_THAT_PAGE}: the command alone, and {told}: the API server begins its own traces, which "
        "the Audit-Id links"
    )


def _add_requests(tree: Branch, report: Report) -> None:
    of_kind: dict[str, list[RecordedRequest]] = {}
    for request in report.requests:
        of_kind.setdefault(request.info.kind, []).append(request)
    for request in (*of_kind.get(WRITE, ()), *of_kind.get(DRY_RUN, ())):
        prefix = "dry run: " if request.info.kind == DRY_RUN else ""
        branch = tree.add(_line(report, request, f"{prefix}{_subject(request)}"))
        for line in (*_webhooks(report, request), *removals.of_request(report.followed, request)):
            branch.add(line)
    for kind, noun in ((WATCH, "stream"), (CONNECT, "session")):
        if requests := of_kind.get(kind):
            longest_ms = max(map(report.duration_ms, requests))
            title = f"{counted(len(requests), noun)}  open for up to {milliseconds(longest_ms)}"
            branch = tree.add(title)
            for request in requests:
                branch.add(_line(report, request, _subject(request)))
    if reads := of_kind.get(READ):
        _add_reads(tree, report, reads)


def _add_reads(tree: Branch, report: Report, reads: list[RecordedRequest]) -> None:
    total_ms = sum(map(report.duration_ms, reads))
    title = f"{counted(len(reads), 'read request')}  {milliseconds(total_ms)}"
    branch = tree.add(title)
    slowest_first = sorted(reads, key=report.duration_ms, reverse=True)
    for request in slowest_first[:_SHOWN_READS]:
        path = request.path.partition("?")[0]
        branch.add(_line(report, request, f"{request.info.verb} {path}"))


def _webhooks(report: Report, request: RecordedRequest) -> Iterator[str]:
    for call, failed_open in report.webhooks(request):
        failed = ", no answer or an error" if call.failed else ""
        told = ", failed open" if failed_open else failed
        yield f"{call.kind} webhook {call.webhook}{told}  {milliseconds(call.duration / 1000)}"


def _subject(request: RecordedRequest) -> str:
    info = request.info
    name = "/".join(part for part in (info.namespace, info.name) if part)
    return f"{info.verb} {info.resource} {name}".rstrip()


def _line(report: Report, request: RecordedRequest, title: str) -> str:
    url = report.request_url(request)
    where = _THAT_PAGE if url and url == report.page else url or "no trace"
    took = milliseconds(report.duration_ms(request))
    return f"{title}  {request.status or 'no answer'}  {took}  {where}"


def _add_pod(tree: Branch, report: Report, pod: FollowedPod) -> None:
    node = f" on {pod.node}" if pod.node else ""
    parts = [f"pod {pod.namespace}/{pod.name}{node}", _outcome(pod)]
    if pod.traces:
        parts += [", ".join(pod.services), report.trace_url(pod.longest) or ""]
    branch = tree.add("  ".join(parts))
    if pod.cause:
        branch.add(brief(pod.cause))
    for line in _end_of(pod):
        branch.add(line)
    for step in pod.start.steps if pod.start else ():
        is_long = step.duration_ms >= (pod.duration_ms or 0.0) * _STEP_SHARE
        if step.depth == 0 and (step.error or is_long):
            error = f"  FAILED: {brief(step.error, step.name)}" if step.error else ""
            branch.add(f"{clause(step.name)}  {milliseconds(step.duration_ms)}{error}")
    looked_at = pod.start.looked_at if pod.start else None
    for waiting in pod.waiting:
        branch.add(f"now: {waterfall.waits_for(waiting, looked_at)}")
    for note in pod.start.notes if pod.start else ():
        branch.add(f"note: {brief(note)}")
    for missing in pod.missing:
        branch.add(f"without {brief(missing)}")


def _outcome(pod: FollowedPod) -> str:
    duration = "" if pod.duration_ms is None else milliseconds(pod.duration_ms)
    match pod.outcome:
        case "waiting":
            return f"{pod.phase or 'gone'}, no trace of its own"
        case "unread":
            return "its start could not be read from Jaeger in time"
        case "changed":
            which = f" ({'; '.join(pod.restarted)})" if pod.restarted else ""
            return f"containers started in a pod that ran already{which}: {duration}"
        case "ending" | "ended":
            return _state_of_end(pod)
        case _:
            told = _started(pod, waterfall.length(pod.start) if pod.start else duration)
    return f"{told}, {_state_of_end(pod)}" if pod.ends else told


def _state_of_end(pod: FollowedPod) -> str:
    found = pod.ending
    if found and (found.goes_on or found.duration_ms is not None):
        took = ending.length(found)
        return f"ended in {took}" if found.ended else ending.state(found).strip()
    if not pod.gone and pod.end_cause:
        return "is terminating"
    told = "is not known" if found else "could not be read from Jaeger in time"
    if pod.termination_ms is not None:
        told += f", the kubelet took {milliseconds(pod.termination_ms)} for its part"
    return f"has ended; how long that took {told}"


def _end_of(pod: FollowedPod) -> Iterator[str]:
    """Why it ended, and what held it; nothing of a pod that ended on its own."""
    if pod.end_cause == "before":
        yield removals.BEFORE
    if pod.ending and (pod.ending.deleted is not False or pod.ending.killed):
        yield from map(brief, ending.held(pod.ending))


def _started(pod: FollowedPod, duration: str) -> str:
    if pod.complete:
        return f"started in {duration}" if duration else "started; how long that took is not known"
    if pod.wanted is not None:
        started = f"{pod.started} of {counted(pod.wanted, 'container')} started"
        return f"{started}, {duration} so far" if pod.start and pod.start.so_far else started
    if pod.start and not pod.start.length_known:
        seen = counted(pod.started, "container start")
        return f"{seen} seen, the beginning is no longer in Jaeger"
    if pod.outcome == "starting":
        took = waterfall.took_without_object(pod.start) if pod.start else f"in {duration}"
        return f"no container start seen {took}"
    took = waterfall.took_without_object(pod.start) if pod.start else f"in {duration}"
    started = f"{counted(pod.started, 'container')} started {took}"
    return f"{started} (whether more were wanted is not known)"
