"""The report of ``ktrace run`` as a tree in the terminal."""

from __future__ import annotations

from rich.text import Text
from rich.tree import Tree

from ktrace.following.follower import FollowedPod
from ktrace.following.report import Report
from ktrace.recording.requests import RecordedRequest
from ktrace.view import terminal
from ktrace.view.terminal import counted, milliseconds

_SHOWN_READS = 3
"""Read requests with a line each: the slowest."""
_STEP_SHARE = 0.05
"""Of a pod's start, for a step to have a line."""


def render(report: Report) -> Tree:
    tree = Tree(terminal.text(f"{' '.join(report.command)}  (exit {report.code})"))
    _add_requests(tree, report)
    pods = tree.add(terminal.text(f"what followed: {counted(len(report.followed.pods), 'pod')}"))
    for pod in report.followed.pods:
        _add_pod(pods, report, pod)
    if report.problem:
        tree.add(terminal.text(f"problem: {report.problem}"))
    elif not report.followed.quiet:
        tree.add(terminal.text("still changing when following ended: --for SECONDS follows longer"))
    return tree


def _add_requests(tree: Tree, report: Report) -> None:
    reads = []
    for request in report.requests:
        info = request.info
        if info.writes:
            name = "/".join(part for part in (info.namespace, info.name) if part)
            tree.add(_line(report, request, f"{info.verb} {info.resource} {name}"))
        else:
            reads.append(request)
    if not reads:
        return
    total_ms = sum(map(report.duration_ms, reads))
    title = f"{counted(len(reads), 'read request')}  {milliseconds(total_ms)}"
    branch = tree.add(terminal.text(title))
    slowest_first = sorted(reads, key=report.duration_ms, reverse=True)
    for request in slowest_first[:_SHOWN_READS]:
        path = request.path.partition("?")[0]
        branch.add(_line(report, request, f"{request.info.verb} {path}"))


def _line(report: Report, request: RecordedRequest, title: str) -> Text:
    return terminal.text(
        f"{title}  {request.status or 'no answer'}  {milliseconds(report.duration_ms(request))}  "
        f"{report.request_url(request) or 'no trace'}"
    )


def _add_pod(tree: Tree, report: Report, pod: FollowedPod) -> None:
    title = f"pod {pod.namespace}/{pod.name}"
    if pod.duration_ms is None:
        tree.add(terminal.text(f"{title}  {pod.phase or 'gone'}, no trace of its own"))
        return
    duration_ms = pod.start.duration_ms if pod.start else pod.duration_ms
    branch = tree.add(
        terminal.text(
            f"{title}  {_outcome(pod)} {milliseconds(duration_ms)}  "
            f"{', '.join(pod.services)}  {report.trace_url(pod.longest)}"
        )
    )
    for step in pod.start.steps if pod.start else ():
        is_long = step.duration_ms >= duration_ms * _STEP_SHARE
        if step.depth == 0 and (step.error or is_long):
            error = f"  FAILED: {step.error}" if step.error else ""
            branch.add(terminal.text(f"{step.name}  {milliseconds(step.duration_ms)}{error}"))


def _outcome(pod: FollowedPod) -> str:
    if pod.start is None:
        return "ended in"
    return "not started after" if pod.start.incomplete else "started in"
