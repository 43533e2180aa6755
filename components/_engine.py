"""Ends the program when its engine has gone, as after a kill.

Pulumi's SDK waits for ever then: before it fails the outputs of a resource it logs to the engine,
which raises (pulumi v3.272.0 sdk/python/lib/pulumi/runtime/resource.py, do_register). The language
host waits for the program.
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


def end_with_the_engine() -> None:
    """Looks at the engine from a thread of its own; does nothing with the SDK's mocks."""
    monitor = get_monitor()
    if isinstance(monitor, resource_pb2_grpc.ResourceMonitorStub):
        threading.Thread(target=_watch, args=(monitor,), daemon=True).start()


def _watch(monitor: resource_pb2_grpc.ResourceMonitorStub) -> None:
    while True:
        time.sleep(SECONDS)
        try:
            monitor.SupportsFeature(resource_pb2.SupportsFeatureRequest(id="secrets"))
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNAVAILABLE:
                os._exit(1)
