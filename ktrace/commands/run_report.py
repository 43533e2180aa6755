"""Runs a command, follows what it caused, and reports both."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ktrace.bundle import session
from ktrace.jaeger import JaegerError, MixedStacksError
from ktrace.text import clean
from ktrace.view import terminal

if TYPE_CHECKING:
    from ktrace.commands.run_assert import Assertions
    from ktrace.following.follower import Follower
    from ktrace.following.owners import PodOwners
    from ktrace.following.report import Report
    from ktrace.jaeger import Jaeger
    from ktrace.target import target

_NOT_ARRIVED = (
    "the collector accepted the command's own spans, but Jaeger does not have them (yet, or a "
    "sampler dropped them)"
)


def report(
    command: Sequence[str],
    seconds: float,
    chosen: target.Target,
    assertions: Assertions,
    stack: str | None,
    *,
    otlp: str | None,
) -> Report:
    """Of a command that is run now, or of one that a bundle tells of: it is not run again.

    ``stack`` and ``otlp`` are the values of these options.
    """
    from ktrace.bundle import ran
    from ktrace.target import losses

    if (facts := session.current().facts("run")) is not None:
        with chosen.connect() as jaeger:
            found = ran.report(facts, jaeger, runtime_traced=chosen.traces_runtime)
            return replace(found, judged=assertions.judge_again(jaeger, facts["judged"], found))
    begin = time.time()
    found = _run(command, seconds, chosen, assertions, stack, otlp=otlp)
    found = _with_losses(found, losses.of_what_began(chosen, stack, begin))
    session.current().gathered(
        lambda keep: ran.facts(found, keep, assertions.document(found.judged))
    )
    return found


def _run(
    command: Sequence[str],
    seconds: float,
    chosen: target.Target,
    assertions: Assertions,
    stack: str | None,
    *,
    otlp: str | None,
) -> Report:
    """Runs the command, follows what it caused for ``seconds`` at most, and reports both.

    What is expected of that is judged then.
    """
    from ktrace.following.follower import Follower
    from ktrace.following.owners import PodOwners
    from ktrace.following.report import Report
    from ktrace.recording import command_spans, trace_context, user_command
    from ktrace.recording.forwarder import recording
    from ktrace.target import absence, collector

    taker = collector.choose(chosen, otlp, os.environ)
    with chosen.connect() as jaeger:
        jaeger.services()  # fails before the command runs if Jaeger cannot be reached
        owners = PodOwners(chosen.cluster)
        owners.refresh()
        unsent, trace = "", None
        if isinstance(taker, str):
            unsent = taker
        else:
            trace = trace_context.begin(os.environ)
        begin = time.time()
        with (
            recording(chosen.cluster, trace) as (environment, recorder),
            owners.refreshing(lambda: {sent.info.namespace for sent in recorder.requests}),
        ):
            outcome = user_command.run(command, environment)
            end = time.time()
        # Only now is nothing forwarded any more that is not among them.
        requests = tuple(recorder.requests)
        told = tuple(map(clean, command))
        traced = chosen.traces_runtime
        if trace and not isinstance(taker, str):
            ended = command_spans.EndedCommand(command[0], outcome.code, begin, end)
            spans = command_spans.of_command(trace, ended, requests)
            unsent = command_spans.send(taker, spans)
            unsent = unsent and f"the collector did not accept the command's own spans: {unsent}"
        follower = Follower(jaeger, owners, requests, begin, runtime_traced=traced)
        problems = [recorder.problem]
        if requests:
            problems += [_follow(follower, 0 if outcome.terminated else seconds)]
            problems += [owners.problem, follower.problem]
            if not follower.followed.traces:
                problems.append(absence.of_stack(jaeger))
        else:
            problems += [
                f"no request of `{' '.join(told)}` was recorded: it sent none, or none to "
                "the cluster of KUBECONFIG, which --kubeconfig, --server and --context override"
            ]
        judged = None
        if assertions:
            from ktrace.expect.after_command import Ended

            finished = Ended(requests, follower, begin, lambda: owners.problem or follower.problem)
            judged = assertions.judge(
                jaeger, finished, chosen, stack, terminated=outcome.terminated
            )
        trace_id, lost = "", ""
        if trace:
            ids = {found.id for found in follower.followed.traces.values()}
            trace_id, lost = _own_page(jaeger, trace.trace_id, ids, sent=not unsent)
        pods = follower.followed.pods
        left_out = "" if all(pod.traces for pod in pods) else chosen.left_out
        retries = (pod.note_of_retry for pod in pods)
        return Report(
            told,
            outcome.code,
            requests,
            follower.followed,
            jaeger.url,
            "; ".join(filter(None, problems)),
            tuple(
                filter(None, (*_notes(owners), *follower.limits, *retries, unsent, lost, left_out))
            ),
            trace_id,
            judged,
        )


def _with_losses(report: Report, lost: str) -> Report:
    if not lost:
        return report
    if report.whole:
        return replace(report, notes=(*report.notes, lost))
    return replace(report, problem="; ".join(filter(None, (report.problem, lost))))


def _own_page(
    jaeger: Jaeger, trace_id: str, seen: Collection[str], *, sent: bool
) -> tuple[str, str]:
    """``trace_id`` if Jaeger has it, else an empty text; and why it is missing, if it was sent."""
    if trace_id in seen:
        return trace_id, ""
    try:
        arrived = jaeger.trace(trace_id) is not None
    except JaegerError as error:
        return "", f"whether Jaeger has the command's own trace is not known: {error}"
    return trace_id if arrived else "", "" if arrived or not sent else _NOT_ARRIVED


def _notes(owners: PodOwners) -> tuple[str, ...]:
    if owners.namespaces is None:
        return ()
    where = ", ".join(owners.namespaces) or "no namespace"
    return (f"pods were listed in {where} only: this user may not list those of all namespaces",)


def _follow(follower: Follower, seconds: float) -> str:
    """Returns why the report is incomplete, or an empty text."""
    try:
        with terminal.waiting(f"following what the command caused, up to {seconds:g} s"):
            follower.follow(seconds)
    except (JaegerError, MixedStacksError) as error:
        return str(error)
    except KeyboardInterrupt:  # the second one: the report has what was read by now
        follower.interrupted = True
    return ""
