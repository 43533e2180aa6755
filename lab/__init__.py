"""Everything the project needs, made from package registries where nothing else is reachable."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - it says so before a syntax error can
    sys.exit("This project needs Python 3.11 or newer; name one: make PYTHON=python3.12 ...")
