"""What ``ktrace run`` tells: as JSON, and as a tree for a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rich.tree import Tree

from ktrace.components import APISERVER
from ktrace.following.follower import Followed, PodWork
from ktrace.jaeger import Trace
from ktrace.recording.requests import Seen
from ktrace.view import terminal
from ktrace.view.terminal import milliseconds


@dataclass(frozen=True)
class Report:
    command: tuple[str, ...]
    code: int
    requests: tuple[Seen, ...]
    followed: Followed
    jaeger_url: str
    problem: str = ""

    def document(self) -> dict[str, Any]:
        """The shape that ``run --json`` promises."""
        return {
            "exitCode": self.code,
            "quiet": self.followed.quiet,
            "problem": self.problem or None,
            "requests": [
                {
                    "auditId": seen.audit_id or None,
                    "verb": seen.request.verb,
                    "resource": seen.request.resource or seen.path.partition("?")[0],
                    "namespace": seen.request.namespace or None,
                    "name": seen.request.name or None,
                    "status": seen.status,
                    "durationMs": round(self._duration_ms(seen), 1),
                    "traceUrl": self._url(self._trace_of(seen)),
                }
                for seen in self.requests
            ],
            "pods": [
                {
                    "namespace": pod.namespace,
                    "name": pod.name,
                    "phase": pod.phase or None,
                    "services": pod.services,
                    "errors": pod.errors,
                    "durationMs": None if pod.duration_ms is None else round(pod.duration_ms, 1),
                    "traceUrl": self._url(pod.longest),
                    "traceUrls": [self._url(trace) for trace in pod.traces],
                }
                for pod in self.followed.pods
            ],
        }

    def tree(self) -> Tree:
        tree = Tree(terminal.text(f"{' '.join(self.command)}  (exit {self.code})"))
        for seen in self.requests:
            request = seen.request
            if request.writes:
                what = "/".join(part for part in (request.namespace, request.name) if part)
                tree.add(self._line(seen, f"{request.verb} {request.resource} {what}"))
        others = [seen for seen in self.requests if not seen.request.writes]
        if others:
            spent = sum(map(self._duration_ms, others))
            reads = tree.add(
                terminal.text(f"{len(others)} requests that only read  {milliseconds(spent)}")
            )
            for seen in sorted(others, key=self._duration_ms, reverse=True)[:3]:
                reads.add(self._line(seen, f"{seen.request.verb} {seen.path.partition('?')[0]}"))
        followed = tree.add(terminal.text(f"what followed: {len(self.followed.pods)} pods"))
        for pod in self.followed.pods:
            self._add(followed, pod)
        if self.problem:
            tree.add(terminal.text(f"problem: {self.problem}"))
        elif not self.followed.quiet:
            tree.add(
                terminal.text("not quiet when the following ended: --for SECONDS follows longer")
            )
        return tree

    def _line(self, seen: Seen, what: str) -> Any:
        return terminal.text(
            f"{what}  {seen.status or 'no answer'}  {milliseconds(self._duration_ms(seen))}  "
            f"{self._url(self._trace_of(seen)) or 'no trace'}"
        )

    def _add(self, tree: Tree, pod: PodWork) -> None:
        named = f"pod {pod.namespace}/{pod.name}"
        if pod.duration_ms is None:
            tree.add(terminal.text(f"{named}  {pod.phase or 'gone'}, no trace of its own"))
            return
        shown = pod.start.duration_ms if pod.start else pod.duration_ms
        branch = tree.add(
            terminal.text(
                f"{named}  {_outcome(pod)} {milliseconds(shown)}  "
                f"{', '.join(pod.services)}  {self._url(pod.longest)}"
            )
        )
        for step in pod.start.steps if pod.start else ():
            if step.depth == 0 and (step.error or step.duration_ms >= shown * 0.05):
                failed = f"  FAILED: {step.error}" if step.error else ""
                branch.add(terminal.text(f"{step.name}  {milliseconds(step.duration_ms)}{failed}"))

    def _trace_of(self, seen: Seen) -> Trace | None:
        return self.followed.traces.get(seen.audit_id)

    def _duration_ms(self, seen: Seen) -> float:
        """The API server's own time where it is known, else what was seen from here.

        A trace can have more than the request: that of a client which traces itself.
        """
        trace = self._trace_of(seen)
        spans = trace.spans if trace else ()
        of_it = [span for span in spans if span.tags.get("audit-id") == seen.audit_id]
        if trace and of_it:
            return trace.outermost(of_it[0], APISERVER).duration / 1000
        return (seen.ended - seen.began) * 1000

    def _url(self, trace: Trace | None) -> str | None:
        return f"{self.jaeger_url}/trace/{trace.id}" if trace else None


def _outcome(pod: PodWork) -> str:
    if pod.start is None:
        return "ended in"
    return "started in" if pod.start.complete else "not started after"
