"""Expectations on traces: the file's schema, the judgement, and the search for what it needs."""

from pathlib import Path

BUILTIN = Path(__file__).parent / "builtin"
"""The folder of the shipped expectations."""
