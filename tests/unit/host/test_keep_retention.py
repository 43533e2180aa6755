"""What the stack's retention deletes in a search engine, and the line that it logs each time."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime_observability.core import retention, search_engine
from runtime_observability.host import runner
from tests.fakes.executables import Answer, Call, Executables

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="it runs in an image alone: BSD's date has no -d"
)
PREFIX = "traced-dev-0123456789abcdef"
OLD, OLDER = f"{PREFIX}-jaeger-span-2026-02-22", f"{PREFIX}-jaeger-service-2026-02-22"
NOW = 1_772_494_200
"""2026-03-02T23:30:00Z."""
FIRST, SECOND = "https://one.example:9200", "https://two.example:9200"
LISTING = f"/_cat/indices/{PREFIX}-jaeger-*?h=index"
REFUSED = "000 7 Failed to connect to one.example"


class Cluster:
    """Answers curl by its configuration: the outcomes of requests that have one, else 200."""

    def __init__(self, folder: Path) -> None:
        self.indices: list[str] = []
        self.outcomes: dict[str, str] = {}
        """As curl writes them, by ``METHOD URL`` or a part of it."""
        self.asked: list[str] = []
        self.configurations: list[str] = []
        self.folder = folder
        self.executables = Executables(folder / "fakes", ("curl",), self.answer)
        date = f'#!/bin/sh\n[ "$1" = +%s ] && echo {NOW} && exit\nexec /bin/date "$@"\n'
        self.executables.script("date", date)
        (folder / "options").write_text(search_engine.options("ada", "hush", own_ca=True))

    def answer(self, call: Call) -> Answer:
        assert call.argv == ("curl", "--config", "-"), "no secret is an argument"
        self.configurations.append(call.stdin)
        told = dict(re.findall(r'^(request|url) = "(.*)"$', call.stdin, re.MULTILINE))
        asked = f"{told['request']} {told['url']}"
        self.asked.append(asked)
        outcome = next((self.outcomes[part] for part in self.outcomes if part in asked), "200 0 ")
        if not outcome:
            return Answer(stderr="curl: not found\n", code=127)
        listed = "".join(f"{index}\n" for index in self.indices)
        body = listed if asked.startswith("GET") and outcome.startswith("200") else "{}"
        return Answer(f"{body}\nruntime-observability-answer {outcome}\n")

    def run(self, days: int = 7, rounds: int = 1) -> list[str]:
        """What it logs until it is told to end in the last pause of so many."""
        slept = self.folder / "slept"
        last = (
            f'[ "$(wc -l <{slept})" -lt {rounds} ] || {{ kill -TERM $PPID; exec /bin/sleep 60; }}'
        )
        self.executables.script("sleep", f'#!/bin/sh\necho "$1" >>{slept}\n{last}\n')
        begin = time.monotonic()
        ran = subprocess.run(
            ["/bin/sh", "-c", runner.script("keep_retention.sh")],
            env={
                "PATH": self.executables.path,
                "URLS": f"{FIRST} {SECOND}",
                "PREFIX": PREFIX,
                "DAYS": str(days),
                "OPTIONS": str(self.folder / "options"),
            },
            capture_output=True,
            text=True,
            check=True,
        )
        assert time.monotonic() - begin < 30, "a destroy waits for it"
        assert ran.stderr == ""
        return ran.stdout.splitlines()

    @property
    def deleted(self) -> list[str]:
        return [asked.rpartition("/")[2] for asked in self.asked if asked.startswith("DELETE")]

    @property
    def pauses(self) -> list[str]:
        return (self.folder / "slept").read_text().split()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path)
    yield made
    made.executables.stop()


def test_what_is_older_than_the_retention_and_the_stacks_own_goes(cluster: Cluster) -> None:
    stays = [
        f"{PREFIX}-jaeger-span-2026-02-23",
        f"{PREFIX}-jaeger-span-2026-03-02",
        f"{PREFIX}-jaeger-span-2026-02-30",
        f"{PREFIX}-jaeger-span-2026-13-01",
        f"{PREFIX}-jaeger-span-2025-02-29",
        f"{PREFIX}-jaeger-span-archive",
        f"{PREFIX}-jaeger-2020-01-01",
        f"{PREFIX}-jaeger--2020-01-01",
        f"{PREFIX}0-jaeger-span-2020-01-01",
        f"x{PREFIX}-jaeger-span-2020-01-01",
        "jaeger-span-2020-01-01",
        f"{PREFIX}-jaeger-span-2020-01-01-x",
        f"{PREFIX}-jaeger-span-2020-01-01 and-more",
    ]
    goes = [OLD, OLDER, f"{PREFIX}-jaeger-dependencies-2024-02-29"]
    cluster.indices = [*stays, *goes]
    assert cluster.run() == [f"kept: deleted {' '.join(goes)}"]
    assert cluster.deleted == goes
    assert cluster.asked[0] == f"GET {FIRST}{LISTING}"
    options = (cluster.folder / "options").read_text()
    assert all(sent.startswith(options) for sent in cluster.configurations)


def test_it_goes_on_every_hour(cluster: Cluster) -> None:
    cluster.indices = [f"{PREFIX}-jaeger-span-2026-02-23", f"{OLD}   "]
    cluster.outcomes = {"DELETE": "404 0 "}  # another has deleted it
    (said, again) = cluster.run(rounds=2)
    assert said == again == f"kept: deleted {OLD}"
    assert cluster.pauses == ["3600", "3600"]
    assert not retention.fault(said)


def test_nothing_old_is_told_too(cluster: Cluster) -> None:
    """By its last line a container that has failed before tells that it has not now."""
    cluster.indices = [OLD]
    assert cluster.run(days=8) == ["kept: nothing is older than 8 days"]
    assert cluster.deleted == []


def test_another_address_is_asked_where_the_first_does_not_answer(cluster: Cluster) -> None:
    cluster.indices = [OLD]
    cluster.outcomes = {FIRST: REFUSED}
    assert cluster.run() == [f"kept: deleted {OLD}"]
    assert cluster.asked[1:] == [f"GET {SECOND}{LISTING}", f"DELETE {SECOND}/{OLD}"]


EXPIRED = "SSL certificate problem: certificate has expired"


@pytest.mark.parametrize(
    ("outcomes", "told"),
    [
        (
            {FIRST: REFUSED, SECOND: "401 0 "},
            f"{FIRST}: Failed to connect to one.example; {SECOND} answers 401 to GET {LISTING}",
        ),
        ({"GET": "404 0 "}, f"{FIRST} answers 404 to GET {LISTING}; {SECOND} answers 404"),
        ({"GET": ""}, "curl does not run; curl does not run"),
        ({"GET": "200 28 Operation timed out"}, f"{FIRST}: Operation timed out; {SECOND}: Oper"),
        ({"GET": f"000 60 {EXPIRED}"}, f"{FIRST}: {EXPIRED}; {SECOND}: {EXPIRED}"),
        ({"DELETE": "403 0 "}, f"{FIRST} answers 403 to DELETE /{OLD}"),
        ({f"DELETE {FIRST}/{OLDER}": "403 0 "}, f"DELETE /{OLDER}, after it deleted {OLD}"),
    ],
)
def test_a_failure_is_one_line_and_soon_tried_again(
    cluster: Cluster, outcomes: dict[str, str], told: str
) -> None:
    cluster.indices, cluster.outcomes = [OLD, OLDER], outcomes
    (said, again) = cluster.run(rounds=2)
    assert told in said
    assert told.partition(", after")[0] in again
    assert cluster.pauses == ["300", "300"]
    fault = retention.fault(said)
    assert fault.startswith(said.removeprefix("not kept: "))
    assert (": renew it there, or name the one that signed it in" in fault) == (EXPIRED in said)
