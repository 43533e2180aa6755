"""A Ctrl-C that comes while an object is cleaned up."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.configuration import PROJECT

CLEANED_UP = """
import os, signal, sys, time, weakref
from ktrace import interrupts
interrupts.prepare()

class Pool:
    pass

def close():
    {closing}
    print("closed", flush=True)

pool = Pool()
weakref.finalize(pool, close)
del pool
time.sleep(30)
"""


@pytest.mark.parametrize(
    ("closing", "told"),
    [("os.kill(os.getpid(), signal.SIGINT)", "KeyboardInterrupt"), ("1 / 0", "ZeroDivisionError")],
)
def test_it_ends_the_program_all_the_same(closing: str, told: str) -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", CLEANED_UP.format(closing=closing)],
        cwd=PROJECT,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert program.stderr
        if told == "KeyboardInterrupt":
            assert program.wait(10) != 0
            last = program.stderr.read().splitlines()[-1]
        else:
            last = next(line for line in program.stderr if line.startswith(told)).rstrip()
        assert last.startswith(told)
    finally:
        program.kill()
        program.wait()
