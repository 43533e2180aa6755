"""Builds everything that the project needs on a machine that reaches package registries alone.

`python3 -m lab` begins on the system's Python, makes .venv and goes on in it.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - without this, old Pythons end with a syntax error
    sys.exit("This project needs Python 3.11 or newer; name one: make PYTHON=python3.12 ...")
