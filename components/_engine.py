"""Ends the program when its engine has gone, as after a kill.

Pulumi's SDK waits for ever then: before it fails the outputs of a resource it logs to the engine,
which raises (pulumi v3.272.0 sdk/python/lib/pulumi/runtime/resource.py, do_register). The language
host waits for the program.

An engine that lets the program end closes first (runtime/stack.py there, _wait_for_shutdown): the
program needs a moment then, and its result counts.
"""

from __future__ import annotations

import os
import threading
import time

import grpc
from pulumi.runtime.proto import resource_pb2, resource_pb2_grpc
from pulumi.runtime.settings import get_monitor

SECONDS = 5.0
"""Between two looks at the engine."""
GONE_SECONDS = 15.0
"""For how long an engine is not found before the program, which is still there, ends."""


def end_with_the_engine() -> None:
    """Looks at the engine from a thread of its own; does nothing with the SDK's mocks."""
    monitor = get_monitor()
    if isinstance(monitor, resource_pb2_grpc.ResourceMonitorStub):
        threading.Thread(target=_watch, args=(monitor,), daemon=True).start()


def _watch(monitor: resource_pb2_grpc.ResourceMonitorStub) -> None:
    seen = time.monotonic()
    while time.monotonic() - seen < GONE_SECONDS:
        time.sleep(SECONDS)
        if _is_there(monitor):
            seen = time.monotonic()
    os._exit(1)


def _is_there(monitor: resource_pb2_grpc.ResourceMonitorStub) -> bool:
    try:
        monitor.SupportsFeature(resource_pb2.SupportsFeatureRequest(id="secrets"))
    except grpc.RpcError as error:
        return error.code() is not grpc.StatusCode.UNAVAILABLE
    return True
