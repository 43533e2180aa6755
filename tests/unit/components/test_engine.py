"""The program ends with its engine: in the SDK alone, a killed one left it waiting for ever."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from subprocess import PIPE
from typing import Any

import grpc
import pytest
from pulumi.runtime.proto import resource_pb2, resource_pb2_grpc

from tests.configuration import PROJECT

WAITING = """
import sys
from pulumi.runtime.settings import Settings, configure
from components import _engine
configure(Settings("project", "stack", monitor=sys.argv[1]))
_engine.SECONDS, _engine.GONE_SECONDS = 0.1, float(sys.argv[2])
_engine.end_with_the_engine()
print("waits", flush=True)
sys.stdin.readline()
"""


class Monitor(resource_pb2_grpc.ResourceMonitorServicer):
    """Counts how often it is asked."""

    asked = 0

    def SupportsFeature(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's
        self.asked += 1
        return resource_pb2.SupportsFeatureResponse(hasSupport=True)


@contextmanager
def program(gone_seconds: float) -> Iterator[tuple[subprocess.Popen[str], grpc.Server]]:
    """A program that waits for a line, and the engine that it has asked several times."""
    engine, monitor = grpc.server(ThreadPoolExecutor(2)), Monitor()
    resource_pb2_grpc.add_ResourceMonitorServicer_to_server(monitor, engine)
    address = f"127.0.0.1:{engine.add_insecure_port('127.0.0.1:0')}"
    engine.start()
    argv = [sys.executable, "-c", WAITING, address, str(gone_seconds)]
    with subprocess.Popen(argv, cwd=PROJECT, stdin=PIPE, stdout=PIPE, text=True) as child:
        try:
            assert child.stdout
            assert child.stdout.readline() == "waits\n"
            with pytest.raises(subprocess.TimeoutExpired):
                child.wait(1)
            assert monitor.asked > 1
            yield child, engine
        finally:
            child.kill()
            engine.stop(None)


def test_the_program_ends_when_its_engine_has_gone() -> None:
    with program(gone_seconds=0.5) as (child, engine):
        engine.stop(None).wait()
        assert child.wait(20) == 1


def test_a_program_that_its_engine_lets_end_ends_well() -> None:
    """The engine closes first, when the SDK has told that nothing more comes."""
    with program(gone_seconds=30) as (child, engine):
        engine.stop(None).wait()
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(1)
        child.communicate("\n")
        assert child.returncode == 0
