"""What a stack deletes of a search engine that it leaves."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime_observability.core import search_engine
from runtime_observability.host import runner
from tests.fakes.executables import Answer, Call, Executables

PREFIX = "traced-dev-0123456789abcdef"
URL = "https://one.example:9200"
INDICES = [f"{PREFIX}-jaeger-{name}-2026-02-22" for name in ("dependencies", "service", "span")]
OWN = [f"/_template/{PREFIX}-jaeger-*", f"/_index_template/{PREFIX}-jaeger-*"]


DOCKER = """#!/bin/sh
case $1 in
  create)
    [ -z "${DOCKER_DEFAULT_PLATFORM:-}" ] || exit 1
    case "$*" in *" --noproxy "*) echo container ;; esac
    ;;
  start) [ -n "$4" ] && exec curl --config - ;;
esac
"""


def answer(call: Call) -> Answer:
    """Curl's: of a request without a URL it complains in the middle of a line."""
    listed = "".join(f"{index}\n" for index in INDICES)
    body = listed if "/_cat/indices/" in call.stdin else "{}\n"
    whole = all("url = " in request for request in call.stdin.split("next\n"))
    return Answer(f"{'' if whole else 'no URL'}{body}\nruntime-observability-answer 200 0 \n")


def removal(folder: Path, respond: Callable[[Call], Answer]) -> tuple[str, str]:
    """What it says, and what curl read; ``respond`` is curl."""
    executables = Executables(folder / "fakes", ("curl",), respond)
    executables.script("docker", DOCKER)
    values = {"STACK": "dev", "STORE": "opensearch", "URLS": URL, "PREFIX": PREFIX}
    empty = dict.fromkeys(("IMAGE", "OWNER", "KEEP", "NETWORK"), "")
    ran = subprocess.run(
        ["/bin/sh", "-c", runner.script("remove_indices.sh")],
        env={
            "PATH": executables.path,
            "DOCKER_DEFAULT_PLATFORM": "linux/arm64",
            **values,
            **empty,
        },
        input=f"{search_engine.options('', '', own_ca=False)}--\n",
        capture_output=True,
        text=True,
        check=True,
    )
    executables.stop()
    return ran.stderr, "".join(call.stdin for call in executables.calls)


def test_every_index_and_template_of_the_stack_is_deleted(tmp_path: Path) -> None:
    said, read = removal(tmp_path, answer)
    assert said == ""
    asked = re.findall(r'^request = "DELETE"\nurl = "(.*)"$', read, re.MULTILINE)
    assert asked == [f"{URL}{path}" for path in (*OWN, *(f"/{index}" for index in INDICES))]


AGAIN = "`pulumi up` and `pulumi destroy` remove them"


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        ("000 7 Failed to connect to a: refused", f"({URL}: Failed to connect to a: refused): "),
        ("401 0 ", f"({URL} answers 401): with today's traceStoreUser and traceStorePassword "),
        ("503 0 ", f"({URL} answers 503): "),
    ],
)
def test_what_stays_is_told_with_the_reason_and_the_cure(
    outcome: str, told: str, tmp_path: Path
) -> None:
    said, _ = removal(tmp_path, lambda _: Answer(f"no\nruntime-observability-answer {outcome}\n"))
    once = "" if "today's" in told else " once it answers"
    assert said.endswith(f" were NOT deleted {told}{AGAIN}{once}\n")
