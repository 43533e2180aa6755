"""What a stack deletes of a search engine that it leaves."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from runtime_observability.core import search_engine
from runtime_observability.host import runner
from tests.fakes.executables import Answer, Call, Executables

PREFIX = "traced-dev-0123456789abcdef"
URL = "https://one.example:9200"
INDICES = [f"{PREFIX}-jaeger-{name}-2026-02-22" for name in ("dependencies", "service", "span")]
OWN = [f"/_template/{PREFIX}-jaeger-*", f"/_index_template/{PREFIX}-jaeger-*"]


DOCKER = """#!/bin/sh
case $1 in
  create) echo container ;;
  start) exec curl --config - ;;
esac
"""


def answer(call: Call) -> Answer:
    """Curl's: of a request without a URL it complains in the middle of a line."""
    listed = "".join(f"{index}\n" for index in INDICES)
    body = listed if "/_cat/indices/" in call.stdin else "{}\n"
    whole = all("url = " in request for request in call.stdin.split("next\n"))
    return Answer(f"{'' if whole else 'no URL'}{body}\nruntime-observability-answer 200 0 \n")


def test_every_index_and_template_of_the_stack_is_deleted(tmp_path: Path) -> None:
    executables = Executables(tmp_path / "fakes", ("curl",), answer)
    executables.script("docker", DOCKER)
    values = {"STACK": "dev", "STORE": "opensearch", "URLS": URL, "PREFIX": PREFIX}
    ran = subprocess.run(
        ["/bin/sh", "-c", runner.script("remove_indices.sh")],
        env={
            "PATH": executables.path,
            **values,
            "IMAGE": "",
            "OWNER": "",
            "KEEP": "",
            "NETWORK": "",
        },
        input=f"{search_engine.options('', '', own_ca=False)}--\n",
        capture_output=True,
        text=True,
        check=True,
    )
    executables.stop()
    assert ran.stderr == ""
    asked = re.findall(
        r'^request = "DELETE"\nurl = "(.*)"$',
        "".join(call.stdin for call in executables.calls),
        re.MULTILINE,
    )
    assert asked == [f"{URL}{path}" for path in (*OWN, *(f"/{index}" for index in INDICES))]
