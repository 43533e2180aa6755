"""How a command of the lab fails."""

from __future__ import annotations


class LabError(Exception):
    """Ends a command with its text: what failed, why, and what to do about it."""
