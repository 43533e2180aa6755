"""What a container's log tells of its end."""

from __future__ import annotations

import json

import pytest

from runtime_observability.core.container_log import errors_of_exporters, last_fault, telling

COLUMNS = "2026-11-28T13:36:51.944Z\t{level}\textensions/extensions.go:61\t{message}\t{fields}\n"
RESOURCE = {"resource": {"service.name": "jaeger"}}


def columns(level: str, message: str, **fields: object) -> str:
    return COLUMNS.format(level=level, message=message, fields=json.dumps(RESOURCE | fields))


def test_a_fault_is_told_without_its_columns() -> None:
    log = columns("info", "Starting HTTP server") + columns(
        "error", "failed to write", error="no space left on device", port=1
    )
    assert telling(log) == "failed to write: no space left on device"


def test_lines_of_json_are_read() -> None:
    entry = {"level": "fatal", "ts": 1.5, "msg": "Failed to init storage", "error": "no disk"}
    info = {"level": "info", "msg": "Starting"}
    assert (
        telling(f"{json.dumps(info)}\n{json.dumps(entry)}\n") == "Failed to init storage: no disk"
    )


def test_what_the_collector_ends_with_is_told_once() -> None:
    """As a collector of 0.159.0 ends, twice, as Docker restarts it."""
    fault = "failed to get config: decoding failed due to the following:\n\n'x' unknown"
    life = (
        f"Error: {fault}\n2026/11/28 13:35:43 collector server run finished with error: {fault}\n"
    )
    assert telling(life * 2) == fault.replace("\n\n", "\n")


def test_a_stack_is_left_out() -> None:
    log = (
        "2026/11/28 13:35:43 application version: git-version=v2.13.0\n"
        "panic: unexpected fault address 0x7f\n"
        "goroutine 1 [running]:\n"
        "main.main()\n"
        "\t/src/main.go:12 +0x1\n"
        "go.opentelemetry.io/collector/service.(*Service).Start\n"
    )
    assert telling(log) == "panic: unexpected fault address 0x7f"


def test_without_a_fault_the_last_lines_are_told() -> None:
    log = "".join(columns("info", f"step {number}") for number in range(9))
    assert telling(log).splitlines() == [f"step {number}" for number in range(4, 9)]


@pytest.mark.parametrize("log", ["", "\n"])
def test_an_empty_log(log: str) -> None:
    assert telling(log) == "it says nothing"


def test_what_is_no_entry_is_told_as_it_is() -> None:
    for line in ("sh: not found", '{"level": "error"', '["level"]', '{"a": 1}', "[" * 9):
        assert telling(line) == line


def test_a_long_line_is_cut() -> None:
    assert telling("x y" * 900).endswith(" …")
    assert len(telling("x y" * 900)) < 700


def test_a_stack_of_go_has_one_fault() -> None:
    """As Jaeger with Badger ends where the disk is full."""
    log = (
        "badger 2026/11/28 16:43:30 INFO: All 0 tables opened in 0s\n"
        "unexpected fault address 0x7f4aa0bd5000\n"
        "fatal error: fault\n"
        "[signal SIGBUS: bus error code=0x2 addr=0x7f4aa0bd5000 pc=0x496ee6]\n"
        "\n"
        "goroutine 1 gp=0x27 m=0 [running]:\n"
        "runtime.throw({0x4?, 0x0?})\n"
        "\truntime/panic.go:1229 +0x48 fp=0x27\n"
        "created by github.com/dgraph-io/badger/v4.Open in goroutine 1\n"
        "\tgithub.com/dgraph-io/badger/v4/db.go:311 +0xb9\n"
        "PC=0x497e81 m=0 sigcode=0 addr=0x15\n"
        "rax    0x0\n"
    )
    fault = "[signal SIGBUS: bus error code=0x2 addr=0x7f4aa0bd5000 pc=0x496ee6]"
    assert last_fault(log) == fault
    assert telling(log).splitlines() == [
        "unexpected fault address 0x7f4aa0bd5000",
        "fatal error: fault",
        fault,
    ]


def test_a_log_without_a_fault_has_no_last_one() -> None:
    badger = "badger 2026/11/28 16:43:30 INFO: Set nextTxnTs to 0\n"
    java = "[2026-11-28T16:43:30,123][INFO ][o.o.n.Node               ] [node] started\n"
    assert last_fault(columns("info", "Starting") + badger + java) == ""
    fault = "[2026-11-28T16:43:30,123][ERROR][o.o.b.Boot               ] [node] no \x1bspace\n"
    assert last_fault(java + fault) == "[node] no  space"


def test_the_last_error_of_each_exporter_is_told_without_what_is_around_it() -> None:
    """As a collector of 0.159.0 logs them."""

    def failed(name: str, error: str) -> str:
        of = {"otelcol.component.id": name, "otelcol.component.kind": "exporter"}
        return columns("info", "Exporting failed. Will retry", **of, error=error)

    refused = "Permanent error: rpc error: code = Unknown desc = error exporting items, request to "
    full = "sending queue is full"
    handshake = 'desc = "transport: authentication handshake failed: tls: first record"'
    log = (
        failed("otlp_http/team", "an older one")
        + failed("otlp_http/team", f"not retryable error: {refused}http://x responded with 413")
        + failed(
            "otlp_grpc/b/c", f"rpc error: code = Unavailable desc = connection error: {handshake}"
        )
        + columns("error", "of no exporter", error="x")
        + failed("nop", "of no name")
        + failed("otlp_http/team", full)
        + failed("otlp_http/full", full)
    )
    assert errors_of_exporters(log) == {
        "team": "request to http://x responded with 413",
        "full": full,
        "b/c": '"transport: authentication handshake failed: tls: first record"',
    }
