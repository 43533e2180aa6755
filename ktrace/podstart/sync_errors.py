"""Why a syncPod of the kubelet failed, as the status of its span tells."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ktrace.brief import brief

CRASH_LOOP = "CrashLoopBackOff"
_PART = re.compile(r'failed to "(\w+)" for "([^"]+)" with (\w+): "((?:[^"\\]|\\.)*)"')
_LONGEST = 160
_REPETITION = ": ErrImagePull: "
"""In the message of a back-off: what follows repeats the error of the pull."""


@dataclass(frozen=True)
class SyncError:
    """``container`` and ``reason`` are empty where the error is about the whole pod."""

    message: str
    reason: str = ""
    container: str = ""

    def __str__(self) -> str:
        return short(f"{self.reason}: {self.message}" if self.reason else self.message)


def short(text: str) -> str:
    """``text``, cut where it would fill several lines although it is brief."""
    if len(text) <= _LONGEST:
        return text
    told = brief(text)
    return told if len(told) <= _LONGEST else f"{told[: _LONGEST - 1]}…"


def parse(description: str) -> list[SyncError]:
    """The errors in a span's status: the kubelet joins those of several containers."""
    parts = [
        SyncError(_shortened(message), reason, name if action == "StartContainer" else "")
        for action, name, reason, message in _PART.findall(description)
    ]
    return parts or [SyncError(description)]


def _shortened(message: str) -> str:
    unquoted = message.replace(r"\"", '"').replace(r"\\", "\\")
    return unquoted.partition(_REPETITION)[0]
