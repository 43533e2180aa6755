"""Long texts of the kubelet and containerd, as a terminal and a page show them."""

from __future__ import annotations

import pytest

from ktrace.brief import brief, clause, grouped

NODES = "0/2 nodes are available: "
ONE, OTHER = "66315698" * 8, "5b5cba13" * 8
RPC = "rpc error: code = Unknown desc = "
PULL = 'failed to pull and unpack image "ghcr.io/shop/web:2": '


def sandbox(id_: str, why: str = "no IP addresses available") -> str:
    return f'failed to setup network for sandbox "{id_}": plugin type="bridge" failed (add): {why}'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("the pod is being deleted", "the pod is being deleted"),
        (f"{RPC}{sandbox(ONE)}", sandbox("663156986631")),
        (f"no sandbox: Failed to create pod sandbox: {RPC}no CNI", "no sandbox: no CNI"),
        (f"image web@sha256:{ONE} is gone", f"image web@sha256:{ONE} is gone"),
        (f"{RPC}{PULL}failed to resolve image: no space", "ghcr.io/shop/web:2: no space"),
        (
            f'{PULL}failed to resolve reference "ghcr.io/shop/web:2": '
            "ghcr.io/shop/web:2: not found",
            "ghcr.io/shop/web:2: not found",
        ),
        (
            f'{PULL}failed to do request: Head "https://ghcr.io/v2/shop/web/manifests/2": timeout',
            'Head "https://ghcr.io/v2/shop/web/manifests/2": timeout',
        ),
        (
            f'main: ImagePullBackOff: Back-off pulling image "ghcr.io/shop/web:2": ErrImagePull: '
            f'{PULL}failed to do request: Head "https://ghcr.io/v2/shop/web/manifests/2": timeout',
            'main: ImagePullBackOff: Head "https://ghcr.io/v2/shop/web/manifests/2": timeout',
        ),
        (
            'main: ImagePullBackOff: Back-off pulling image "busybox": ErrImagePull: denied',
            "main: ImagePullBackOff: busybox: denied",
        ),
        (
            'waits (ImagePullBackOff): Back-off pulling image "ghcr.io/shop/web:2"',
            "waits (ImagePullBackOff): ghcr.io/shop/web:2",
        ),
        (
            'failed to "StartContainer" for "main" with CreateContainerConfigError: '
            r'"secret \"login\" not found"',
            'main: CreateContainerConfigError: secret "login" not found',
        ),
        (f"unschedulable: {NODES}1 Insufficient cpu.",) * 2,
        (
            f"unschedulable: {NODES}2 Insufficient cpu. no new claims to deallocate, preemption: "
            f"{NODES}2 Preemption is not helpful for scheduling.",
            f"unschedulable: {NODES}2 Insufficient cpu.",
        ),
        (
            f"{NODES}1 Insufficient cpu, 1 node(s) had untolerated taint {{a.b/c: }}. preemption: "
            f"{NODES}1 No preemption victims found for incoming pod, 1 Preemption is not helpful "
            "for scheduling..",
            f"{NODES}1 Insufficient cpu, 1 node(s) had untolerated taint {{a.b/c: }}.",
        ),
        (f"{PULL}webhook refused", "ghcr.io/shop/web:2: webhook refused"),
        (RPC, RPC),
        (PULL, PULL),
    ],
)
def test_a_text_is_its_cause_with_short_ids(text: str, told: str) -> None:
    assert brief(text) == told


def test_a_sentence_that_goes_on_has_no_full_stop() -> None:
    assert clause(f"{NODES}2 Insufficient cpu.") == f"{NODES}2 Insufficient cpu"


def test_what_a_line_names_before_is_not_repeated() -> None:
    assert brief(f"{PULL}denied", "pull ghcr.io/shop/web:2") == "denied"


def test_errors_that_differ_in_ids_and_times_alone_are_one_line() -> None:
    errors = [sandbox(ONE), sandbox(OTHER), sandbox(OTHER, "no bridge"), sandbox(ONE)]
    assert grouped(("sandbox", error) for error in errors) == [
        f"error in sandbox, 3 times, last: {sandbox(ONE[:12])}",
        f"error in sandbox: {sandbox(OTHER[:12], 'no bridge')}",
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("back-off 10s restarting", "back-off 1m20s restarting"),
        ("timed out (2.5s)", "timed out (30s)"),
        (
            "volume 63c3a90e-5e60-412f-b9db-00dd5c996908",
            "volume 73c3a90e-5e60-412f-b9db-00dd5c996908",
        ),
        ("read 10.0.0.1:40000->10.0.0.2:443: reset", "read 10.0.0.1:40002->10.0.0.2:443: reset"),
        ("expired 2026-11-27T21:56:20Z", "expired 2026-11-28T01:02:03.5+01:00"),
    ],
)
def test_a_repetition_has_another_id_or_time(one: str, other: str) -> None:
    assert grouped([("x", one), ("x", other)]) == [f"error in x, 2 times, last: {other}"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("dial 10.0.0.1:443: refused", "dial 10.0.0.2:443: refused"),
        ("dial 10.0.0.1:443: refused", "dial 10.0.0.1:6443: refused"),
        ("exit code 1", "exit code 137"),
        ("image web-10s is gone", "image web-20s is gone"),
        ("secret a not found", "secret b not found"),
    ],
)
def test_another_cause_is_another_line(one: str, other: str) -> None:
    assert grouped([("x", one), ("x", other)]) == [f"error in x: {one}", f"error in x: {other}"]
    assert grouped([("x", one), ("y", one)]) == [f"error in x: {one}", f"error in y: {one}"]


def test_the_same_error_is_counted() -> None:
    assert grouped([("x", "no")] * 2000) == ["error in x, 2,000 times: no"]
