"""What is shown of an address, and which are of this machine."""

from __future__ import annotations

import pytest

from ktrace.addresses import is_of_this_machine, without_login


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://127.0.0.1:16686", "http://127.0.0.1:16686"),
        ("https://me:hunter2@host:1/path", "https://host:1/path"),
        ("https://me:p@ss@host", "https://host"),
        ("https://token@host/a@b?c=d@e", "https://host/a@b?c=d@e"),
        ("https://host?mail=me@there", "https://host?mail=me@there"),
        ("http://a:b@one, https://c@two failed", "http://one, https://two failed"),
        ("mail me@there", "mail me@there"),
    ],
)
def test_a_login_is_left_out_of_every_url(text: str, shown: str) -> None:
    assert without_login(text) == shown
    assert without_login(shown) == shown


@pytest.mark.parametrize(
    ("url", "own"),
    [
        ("http://localhost:1", True),
        ("http://127.9.9.9", True),
        ("http://me:pw@[::1]:1/x", True),
        ("http://10.0.0.1", False),
        ("http://localhost.example.org", False),
        ("http://[broken", False),
        ("", False),
    ],
)
def test_no_proxy_can_reach_this_machine(url: str, own: bool) -> None:
    assert is_of_this_machine(url) is own
