"""The report of ``ktrace run`` as a tree in the terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text
from rich.tree import Tree

from ktrace.brief import brief, clause
from ktrace.following.followed_pod import FollowedPod
from ktrace.following.refusals import REASON
from ktrace.following.report import Report
from ktrace.recording.requests import CONNECT, DRY_RUN, READ, WATCH, WRITE, RecordedRequest
from ktrace.view import terminal, verdicts, waterfall
from ktrace.view.terminal import counted, milliseconds

_SHOWN_READS = 3
"""Read requests with a line each: the slowest."""
_STEP_SHARE = 0.05
"""Of a pod's start, for a step to have a line."""
_THAT_PAGE = "that page"
"""The command's own, which is the first line."""


def with_verdicts(report: Report) -> RenderableType:
    """The report, and below it what became of the expectations."""
    if report.judged is None:
        return render(report)
    return Group(render(report), *verdicts.of_command(report.judged))


def render(report: Report) -> Tree:
    title = f"{' '.join(report.command)}  (exit {report.code})"
    tree = Tree(terminal.text(f"{report.page}\n{title}" if report.page else title))
    if report.page:
        tree.add(terminal.text(_joined(report)))
    _add_requests(tree, report)
    pods = tree.add(terminal.text(f"what followed: {counted(len(report.followed.pods), 'pod')}"))
    for pod in report.followed.pods:
        _add_pod(pods, report, pod)
    for refusal in report.followed.refusals:
        controller = refusal.controller
        subject = f"{controller.kind} {refusal.namespace}/{controller.name}"
        times = f", {refusal.times} times" if refusal.times > 1 else ""
        pods.add(terminal.text(f"{subject}  {REASON}{times}: {refusal.message}"))
    if not report.followed.quiet:
        tree.add(terminal.text("still changing when following ended: --for SECONDS follows longer"))
    for note in report.notes:
        tree.add(terminal.text(f"note: {note}"))
    if report.problem:
        tree.add(terminal.text(f"problem: {report.problem}"))
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


def _add_requests(tree: Tree, report: Report) -> None:
    of_kind: dict[str, list[RecordedRequest]] = {}
    for request in report.requests:
        of_kind.setdefault(request.info.kind, []).append(request)
    for request in (*of_kind.get(WRITE, ()), *of_kind.get(DRY_RUN, ())):
        prefix = "dry run: " if request.info.kind == DRY_RUN else ""
        tree.add(_line(report, request, f"{prefix}{_subject(request)}"))
    for kind, noun in ((WATCH, "stream"), (CONNECT, "session")):
        if requests := of_kind.get(kind):
            longest_ms = max(map(report.duration_ms, requests))
            title = f"{counted(len(requests), noun)}  open for up to {milliseconds(longest_ms)}"
            branch = tree.add(terminal.text(title))
            for request in requests:
                branch.add(_line(report, request, _subject(request)))
    if reads := of_kind.get(READ):
        _add_reads(tree, report, reads)


def _add_reads(tree: Tree, report: Report, reads: list[RecordedRequest]) -> None:
    total_ms = sum(map(report.duration_ms, reads))
    title = f"{counted(len(reads), 'read request')}  {milliseconds(total_ms)}"
    branch = tree.add(terminal.text(title))
    slowest_first = sorted(reads, key=report.duration_ms, reverse=True)
    for request in slowest_first[:_SHOWN_READS]:
        path = request.path.partition("?")[0]
        branch.add(_line(report, request, f"{request.info.verb} {path}"))


def _subject(request: RecordedRequest) -> str:
    info = request.info
    name = "/".join(part for part in (info.namespace, info.name) if part)
    return f"{info.verb} {info.resource} {name}".rstrip()


def _line(report: Report, request: RecordedRequest, title: str) -> Text:
    url = report.request_url(request)
    where = _THAT_PAGE if url and url == report.page else url or "no trace"
    return terminal.text(
        f"{title}  {request.status or 'no answer'}  {milliseconds(report.duration_ms(request))}  "
        f"{where}"
    )


def _add_pod(tree: Tree, report: Report, pod: FollowedPod) -> None:
    node = f" on {pod.node}" if pod.node else ""
    parts = [f"pod {pod.namespace}/{pod.name}{node}", _outcome(pod)]
    if pod.traces:
        parts += [", ".join(pod.services), report.trace_url(pod.longest) or ""]
    branch = tree.add(terminal.text("  ".join(parts)))
    if pod.cause:
        branch.add(terminal.text(brief(pod.cause)))
    for step in pod.start.steps if pod.start else ():
        is_long = step.duration_ms >= (pod.duration_ms or 0.0) * _STEP_SHARE
        if step.depth == 0 and (step.error or is_long):
            error = f"  FAILED: {brief(step.error, step.name)}" if step.error else ""
            branch.add(
                terminal.text(f"{clause(step.name)}  {milliseconds(step.duration_ms)}{error}")
            )
    looked_at = pod.start.looked_at if pod.start else None
    for waiting in pod.waiting:
        branch.add(terminal.text(f"now: {waterfall.waits_for(waiting, looked_at)}"))
    for note in pod.start.notes if pod.start else ():
        branch.add(terminal.text(f"note: {brief(note)}"))


def _outcome(pod: FollowedPod) -> str:
    duration = "" if pod.duration_ms is None else milliseconds(pod.duration_ms)
    match pod.outcome:
        case "waiting":
            return f"{pod.phase or 'gone'}, no trace of its own"
        case "unread":
            return "its start could not be read from Jaeger in time"
        case "changed":
            return f"containers started in a pod that ran already: {duration}"
        case "ended":
            return f"ended in {duration}"
        case _:
            told = _started(pod, waterfall.length(pod.start) if pod.start else duration)
    if pod.termination_ms is None:
        return told
    return f"{told}, ended in {milliseconds(pod.termination_ms)}"


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
