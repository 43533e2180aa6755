"""No proxy learns the forwarder's URL."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ktrace.recording.environment import without_proxy
from ktrace.recording.forwarder import recording
from tests.fakes.http import FakeServer, Reply, write_kubeconfig


@pytest.mark.parametrize(
    ("before", "upper", "lower"),
    [
        ({}, "127.0.0.1", "127.0.0.1"),
        ({"NO_PROXY": ""}, "127.0.0.1", "127.0.0.1"),
        ({"NO_PROXY": "corp,10.0.0.0/8"}, "corp,10.0.0.0/8,127.0.0.1", "corp,10.0.0.0/8,127.0.0.1"),
        ({"no_proxy": "corp"}, "corp,127.0.0.1", "corp,127.0.0.1"),
        ({"NO_PROXY": "a", "no_proxy": "b"}, "a,127.0.0.1", "b,127.0.0.1"),
        ({"NO_PROXY": "*"}, "*", "*"),
        ({"no_proxy": "a, 127.0.0.1 ,b"}, "a, 127.0.0.1 ,b", "a, 127.0.0.1 ,b"),
        ({"no_proxy": "x127.0.0.1"}, "x127.0.0.1,127.0.0.1", "x127.0.0.1,127.0.0.1"),
    ],
)
def test_both_names_have_the_forwarder_and_what_they_had(
    before: dict[str, str], upper: str, lower: str
) -> None:
    assert without_proxy(before) == {"NO_PROXY": upper, "no_proxy": lower}


def test_a_command_behind_a_proxy_reaches_the_forwarder_itself(
    server: FakeServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    proxy_of_the_user: None,
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    server.answer = lambda _: Reply(200, "through")
    write_kubeconfig(tmp_path / "config", server.url)
    program = (
        "import os, re, urllib.request as u; "
        "url = re.search('server: (.*)', open(os.environ['KUBECONFIG']).read())[1]; "
        "print(u.urlopen(url + '/version').read().decode())"
    )
    with recording(tmp_path / "config") as (environment, _):
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={"http_proxy": "http://127.0.0.1:9", **environment},
            capture_output=True,
            text=True,
            check=False,
        )
    assert (done.stdout, done.stderr) == ("through\n", "")
