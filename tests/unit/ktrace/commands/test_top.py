"""``ktrace top`` on a Jaeger whose traces a test makes."""

from __future__ import annotations

import fcntl
import io
import itertools
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console

from ktrace.activity.rows import Row
from ktrace.activity.window import Window
from ktrace.target import losses
from ktrace.view import activity
from runtime_observability.host.memory_loss import Memory, MemoryLoss
from tests.configuration import PROJECT
from tests.fakes import jaeger as fake
from tests.fakes.http import FakeServer
from tests.fakes.ktrace import Ktrace
from tests.schemas import validate

_SECOND = 1_000_000
_HOOK: dict[str, Any] = {"configuration": "policies", "webhook": "check.example.com"}
_numbers = itertools.count()
Trace = dict[str, Any]


def trace(
    method: str,
    target: str,
    *,
    agent: str = "kubectl/v1 (linux)",
    status: int = 200,
    seconds_ago: float = 60,
    key: str = "",
    duration: int = 4_000,
    hook: dict[str, Any] | None = None,
    **tags_too: Any,
) -> Trace:
    """A request in a trace of its own, in which etcd takes a quarter of the time."""
    name = f"t{next(_numbers)}"
    tags: dict[str, Any] = {"span.kind": "server", "http.request.method": method}
    tags |= {"url.path": target.partition("?")[0], "http.target": target}
    tags |= {"http.response.status_code": str(status), "user_agent.original": agent}
    tags |= tags_too
    start = int((time.time() - seconds_ago) * _SECOND)
    request = fake.span("apiserver", "request", start, **tags)
    spans = [request, fake.span("apiserver", "etcdserverpb.KV/Txn", start, parent="request")]
    if key:
        spans.append(fake.span("apiserver", "Create etcd3", start, parent="request", key=key))
    if hook is not None:
        operation = "Call validating webhook"
        spans.append(fake.span("apiserver", operation, start, parent="request", **_HOOK))
        spans.append(fake.span("apiserver", "HTTP POST", start, parent=operation, **hook))
        spans[-2]["duration"] = duration // 2
    request["duration"], spans[1]["duration"] = duration, duration // 4
    for span in spans:
        span["traceID"] = name
        for reference in span["references"]:
            reference["traceID"] = name
    return fake.trace(*spans, trace_id=name)


def serve(server: FakeServer, *traces: Trace) -> str:
    """The URL of a Jaeger with ``traces``."""
    server.answer = fake.served(lambda request: fake.data(*traces))
    return server.url


_WEB = "/apis/apps/v1/namespaces/shop/deployments"


def writes() -> list[Trace]:
    """Of deployments.apps/shop/web; the second is the slowest."""
    return [
        trace("POST", _WEB, key="/deployments/shop/web", status=201),
        trace("PATCH", f"{_WEB}/web", duration=8_000),
        trace("PATCH", f"{_WEB}/web", status=409),
        trace("PUT", f"{_WEB}/web/status", agent="kube-controller-manager/v1 (linux) x"),
    ]


def others() -> list[Trace]:
    return [
        trace("GET", f"{_WEB}/web"),
        trace("PATCH", f"{_WEB}/web?dryRun=All"),
        trace("PATCH", f"{_WEB}/web-2"),
        trace("PATCH", "/apis/apps/v1/namespaces/default/deployments/web"),
        trace("POST", _WEB, status=403),
        trace("GET", "/api/v1/pods"),
        trace("GET", "/api/v1/pods?watch=true"),
    ]


def rows(document: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """Count and errors by key and kind."""
    validate("top", document)
    return {
        f"{row['key']} {row['kind']}": (row["count"], row["errors"]) for row in document["rows"]
    }


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        (
            "client",
            {
                "kubectl/v1 request": (8, 2), "kube-controller-manager/v1 request": (1, 0),
                "kubectl/v1 list": (1, 0), "kubectl/v1 watch": (1, 0),
            },
        ),
        (
            "resource",
            {
                "deployments.apps request": (8, 2), "deployments.apps/status request": (1, 0),
                "pods list": (1, 0), "pods watch": (1, 0),
            },
        ),
        (
            "object",
            {
                "deployments.apps/shop/web request": (6, 1), "not known request": (1, 1),
                "deployments.apps/shop/web-2 request": (1, 0),
                "deployments.apps/default/web request": (1, 0),
                "not known list": (1, 0), "not known watch": (1, 0),
            },
        ),
    ],
)  # fmt: skip
def test_requests_are_counted(
    ktrace: Ktrace, server: FakeServer, by: str, expected: dict[str, tuple[int, int]]
) -> None:
    url = serve(server, *writes(), *others())
    done = ktrace("top", "--by", by, "--jaeger", url, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert rows(done.document) == expected


@pytest.mark.parametrize("name", ["deploy/web", "deployment/web", "deployments.apps/shop/web"])
def test_an_object_has_its_writers(ktrace: Ktrace, server: FakeServer, name: str) -> None:
    made = writes()
    url = serve(server, *others(), *made)
    done = ktrace("top", "--by", "object", name, "-n", "shop", "--jaeger", url, "--json")
    assert rows(done.document) == {
        "kubectl/v1 request": (3, 1),
        "kube-controller-manager/v1 request": (1, 0),
    }
    row = done.document["rows"][0]
    assert (row["p50Ms"], row["p99Ms"], row["etcdShare"]) == (4, None, 0.25)
    assert row["slowestTraceUrl"] == f"{url}/trace/{made[1]['traceID']}"


def test_the_table_has_a_line_for_each_row(ktrace: Ktrace, server: FakeServer) -> None:
    url = serve(server, *writes())
    done = ktrace("top", "--by", "object", "deploy/web", "-n", "shop", "--jaeger", url)
    assert "s; Jaeger has no older request of the period that was asked for" in done.lines[0]
    assert done.lines[1].split()[:3] == ["writer", "kind", "count"]
    assert done.lines[2].split()[:3] == ["kubectl/v1", "request", "3"]
    assert len(done.lines) == 4


def test_the_calls_of_webhooks_are_counted(ktrace: Ktrace, server: FakeServer) -> None:
    url = serve(
        server,
        trace("PATCH", f"{_WEB}/web", hook={}),
        trace("PATCH", f"{_WEB}/web", hook={}, status=403, duration=20_000),
        trace("PATCH", f"{_WEB}/web", hook={"error": "true"}, agent="kube-apiserver/v1"),
        trace("PATCH", f"{_WEB}/web"),
    )
    done = ktrace("top", "--by", "webhook", "--jaeger", url, "--json")
    assert rows(done.document) == {"policies/check.example.com validating": (3, 1)}
    (row,) = done.document["rows"]
    assert (row["failedRequests"], row["totalMs"], row["p50Ms"]) == (1, 14, 2)
    assert (row["etcdShare"], row["webhookShare"], row["internal"]) == (None, None, False)
    told = ktrace("top", "--by", "webhook", "--jaeger", url).lines
    assert told[1].split()[:3] == ["webhook", "kind", "count"]
    cells = told[2].split()
    assert cells[:3] == ["policies/check.example.com", "validating", "3"]
    assert cells[4:9] == ["2.0", "-", "1", "1", "0.01"]


def test_a_kubelet_has_the_node_of_the_lease_on_its_connection(
    ktrace: Ktrace, server: FakeServer
) -> None:
    def sent(port: str, method: str, target: str, agent: str = "kubelet/v1 (linux)") -> Trace:
        peer: dict[str, Any] = {"network.peer.address": "127.0.0.1", "network.peer.port": port}
        return trace(method, target, agent=agent, **peer)

    leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
    pod = "/api/v1/namespaces/shop/pods/web"
    url = serve(
        server,
        sent("1", "PUT", f"{leases}/one"),
        sent("1", "PATCH", f"{pod}/status"),
        sent("2", "PUT", f"{leases}/two"),
        sent("3", "GET", pod),
        sent("3", "GET", f"{leases}/one"),
        sent("4", "PUT", f"{leases}/one"),
        sent("4", "PUT", f"{leases}/two"),
        sent("1", "GET", pod, agent="kubectl/v1"),
        trace("GET", pod, agent="kubelet/v1"),
    )
    done = ktrace("top", "--by", "node", "--jaeger", url, "--json")
    expected = {"one request": (2, 0), "two request": (1, 0), "not known request": (5, 0)}
    assert rows(done.document) == expected


def test_a_period_without_requests_says_so(ktrace: Ktrace, server: FakeServer) -> None:
    old = trace("GET", "/api/v1/namespaces/a/pods/b", seconds_ago=90)
    done = ktrace("top", "--since", "1m", "--jaeger", serve(server, old))
    assert done.returncode == 0
    assert done.lines == ["the last 1 min 0 s", "no request"]


def test_an_object_of_a_resource_that_no_request_names_is_told(
    ktrace: Ktrace, server: FakeServer
) -> None:
    url = serve(server, trace("PATCH", "/apis/example.com/v1/namespaces/shop/widgets/web/status"))
    asked = ("top", "--by", "object", "--jaeger", url, "--json")
    unknown = ktrace(*asked, "default/web").document
    assert unknown["rows"] == []
    assert unknown["notes"] == [
        "no request is about a resource default: requests name it as `kubectl api-resources` does"
    ]
    known = ktrace(*asked, "widget/other").document
    assert (known["rows"], known["notes"]) == ([], [])
    told = ktrace("top", "--by", "object", "--jaeger", url, "widget/other")
    assert told.lines[1:] == ["no request wrote it"]


def test_the_window_is_the_one_that_was_seen(ktrace: Ktrace, server: FakeServer) -> None:
    url = serve(server, trace("GET", "/healthz", seconds_ago=60))
    window = ktrace("top", "--jaeger", url, "--json").document["window"]
    assert not window["reachesBack"]
    assert 59 <= window["seconds"] < 65
    assert ktrace("top", "--since", "2h", "--jaeger", url).returncode == 0
    window = ktrace("top", "--since", "65s", "--jaeger", url, "--json").document["window"]
    assert (window["seconds"], window["reachesBack"]) == (65, True)
    assert not window["limitHit"]


def test_a_long_watch_does_not_reach_back_to_its_beginning(
    ktrace: Ktrace, server: FakeServer
) -> None:
    """It is sent when it ends: seen as "the last 381 s" of a Jaeger that had the last minute."""
    watch = trace("GET", "/api/v1/pods?watch=true", seconds_ago=300, duration=290 * _SECOND)
    url = serve(server, watch, trace("GET", "/healthz", seconds_ago=20))
    window = ktrace("top", "--jaeger", url, "--json").document["window"]
    assert 19 <= window["seconds"] < 25
    assert not window["reachesBack"]


@pytest.mark.parametrize(("minutes", "lost"), [(1, True), (30, False)])
def test_what_a_restart_of_jaeger_lost_of_the_window_is_told(
    ktrace: Ktrace, server: FakeServer, monkeypatch: pytest.MonkeyPatch, minutes: int, *, lost: bool
) -> None:
    loss = MemoryLoss(datetime.now(UTC) - timedelta(minutes=minutes))
    monkeypatch.setattr(losses, "memory_of", lambda *_: Memory(loss.at, loss))
    url = serve(server, trace("GET", "/healthz", seconds_ago=30))
    document = ktrace("top", "--jaeger", url, "--json").document
    validate("top", document)
    told = f"spans may be lost: {loss}"
    assert document["notes"] == [told] * lost
    assert ktrace("top", "--jaeger", url).lines[0].endswith(f"; {told}") is lost


def test_a_window_that_goes_back_for_ever_begins_with_the_unix_epoch(
    ktrace: Ktrace, server: FakeServer
) -> None:
    """No store has a time before it: Badger's have no sign."""
    url = serve(server, trace("GET", "/healthz", seconds_ago=30))
    done = ktrace("top", "--since", "999999d", "--jaeger", url, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    searches = [request.path for request in server.requests if "start=" in request.path]
    assert searches
    assert not any("start=-" in search for search in searches)


def test_more_traces_than_are_read_are_told() -> None:
    window = Window.seen([], 0, 60 * _SECOND, complete=False)
    assert activity.document([], window, "client", "", "u")["window"]["limitHit"]
    assert activity.period(window).endswith("these are about the newest")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--since", "soon"], "--since 'soon' is not a time: write 30s, 10m or 2h"),
        (["--since", "0s"], "--since '0s' is not a time: write 30s, 10m or 2h"),
        (["deploy/web"], "'deploy/web' needs --by object"),
        (["--watch"], "--watch refreshes in place: it needs a terminal, and no --json"),
        (["web", "--by", "object"], "'web' is not an object: write deploy/NAME"),
    ],
)
def test_wrong_usage_is_one_line(
    ktrace: Ktrace, server: FakeServer, arguments: list[str], said: str
) -> None:
    done = ktrace("top", *arguments, "--jaeger", server.url)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert said in line


def test_watch_with_json_is_refused(ktrace: Ktrace, server: FakeServer) -> None:
    done = ktrace("top", "--watch", "--json", "--jaeger", server.url)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert server.requests == []


def test_a_jaeger_that_cannot_be_reached_is_told(ktrace: Ktrace) -> None:
    done = ktrace("top", "--jaeger", "http://127.0.0.1:9")
    assert (done.returncode, len(done.stderr.splitlines())) == (3, 1)


@contextmanager
def watching(
    url: str, *arguments: str, lines: int = 40
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """``ktrace top --watch`` on a terminal, and the terminal's other end."""
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", lines, 120, 0, 0))
    # readline puts its own into the environment of what a test process starts.
    sizes = ("LINES", "COLUMNS")
    environment = {key: value for key, value in os.environ.items() if key not in sizes}
    command = [sys.executable, "-m", "ktrace", "top", "--watch", *arguments, "--jaeger", url]
    with subprocess.Popen(
        ["env", "--default-signal=INT", *command],
        env={**environment, "TERM": "xterm-256color"},
        stdin=terminal,
        stdout=terminal,
        stderr=subprocess.PIPE,
        cwd=PROJECT,
    ) as process:
        os.close(terminal)
        try:
            yield process, controller
        finally:
            process.kill()
            os.close(controller)


def test_a_narrow_terminal_has_whole_pages_below_the_table(server: FakeServer) -> None:
    """A link that is folded in a column can be neither read nor opened."""
    names = [f"/api/v1/namespaces/a/pods/p{number}" for number in range(12)]
    url = serve(server, *(trace("GET", name) for name in names))
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
    sizes = ("LINES", "COLUMNS")
    environment = {key: value for key, value in os.environ.items() if key not in sizes}
    command = [sys.executable, "-m", "ktrace", "top", "--by", "object", "--jaeger", url]
    done = subprocess.run(
        command,
        env={**environment, "TERM": "xterm", "NO_COLOR": "1"},
        stdout=terminal,
        stderr=subprocess.PIPE,
        cwd=PROJECT,
        check=False,
    )
    os.close(terminal)
    shown = ""
    while done.returncode == 0:
        try:
            shown += os.read(controller, 65_536).decode()
        except OSError:
            break
    os.close(controller)
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in shown.splitlines()]
    assert all(name in lines[1] for name in ("object", "count", "p99 ms", "webhooks"))
    pages = [line for line in lines if "/trace/" in line]
    assert len(pages) == 10
    assert all(re.fullmatch(rf"slowest of pods/a/p[0-9]+: {url}/trace/\S+", one) for one in pages)
    assert lines[-1] == "2 more rows: --json has the pages of all"


ROWS = [
    Row(
        "kube-controller-manager/v1.36.3", "read", True, 120, 0.2, 1.5, 9.5, 300, 3, 3, 0.5, 0, "a"
    ),
    Row(
        "kubectl/v1.36.3",
        "watch or long",
        False,
        2,
        0.01,
        10_500.1,
        None,
        21_000.2,
        0,
        0,
        0,
        0,
        "b",
    ),
]


@pytest.mark.parametrize("fold", [True, False])
@pytest.mark.parametrize(
    ("width", "left_out"),
    [
        (100, ""),
        (80, "no room for per s, webhooks: a wider terminal or --json has them"),
        (60, "no room for per s, webhooks, etcd, p50 ms: a wider terminal or --json has them"),
    ],
)
def test_a_narrow_terminal_has_fewer_columns_and_says_which(
    width: int, left_out: str, fold: bool
) -> None:
    console = Console(width=width, file=io.StringIO())
    window = Window.seen([], 0, 60 * _SECOND, complete=True)
    for part in activity.parts(
        ROWS, window, "client", "http://j", links=False, width=width, fold=fold
    ):
        console.print(part)
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert " ".join(line.strip() for line in lines).endswith(left_out)
    for numbers in (("120", "9.5", "3"), ("2", "-", "0")):
        assert any(set(numbers) <= set(line.split()) for line in lines)
    first, *others = [line.strip().partition("  ")[0] for line in lines[2:]]
    if fold:
        assert first + others[0] == ROWS[0].key
        assert first[-1] in "-/", "not in the middle of a word"
    else:
        assert first.removesuffix("…") in ROWS[0].key
        assert first.endswith("…")
        assert others[0] == ROWS[1].key


def test_watch_refreshes_in_place_until_ctrl_c(server: FakeServer) -> None:
    with watching(serve(server, *writes())) as (process, controller):
        shown = until_shown(controller, "kubectl/v1")
        serve(server, *writes(), *(trace("GET", "/healthz", agent="probe/2") for _ in range(9)))
        shown += until_shown(controller, "probe/2")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0
        assert process.stderr
        assert process.stderr.read() == b""
    assert "\x1b[1A" in shown, "the cursor goes up: what was there is replaced"
    assert "Ctrl-C ends it" in shown


def test_watch_shows_what_fits(server: FakeServer) -> None:
    names = [f"/api/v1/namespaces/a/pods/p{number}" for number in range(30)]
    served = serve(server, *(trace("GET", name) for name in names))
    with watching(served, "--by", "object", lines=15) as (process, controller):
        shown = until_shown(controller, "20 more rows")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0
    assert shown.count("pods/a/p") == 10


def until_shown(terminal: int, text: str) -> str:
    """What a process wrote up to ``text`` and the line behind it."""
    shown = ""
    while text not in shown or "Ctrl-C" not in shown.rpartition(text)[2]:
        shown += os.read(terminal, 65_536).decode()
    return shown
