"""What the unit and graph tiers share."""

from __future__ import annotations

import os

from hypothesis import settings

# An Output in an f-string is an error, not a text with advice in it.
os.environ["PULUMI_ERROR_OUTPUT_STRING"] = "1"

# The same examples in every run: a red test stays red until it is mended.
settings.register_profile("project", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("project")
