#!/usr/bin/env bash
# Makes dist/ of a release: its wheel, SHA256SUMS and CHANGES.md, the changelog's section. The tag
# vMAJOR.MINOR.PATCH must name the version in pyproject.toml.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
tag=$1
python=${PYTHON:-.venv/bin/python}

mkdir -p dist
"$python" .github/scripts/changes.py "$tag" >dist/CHANGES.md
"$python" -m pip wheel --disable-pip-version-check --quiet --no-deps --no-build-isolation --wheel-dir dist .
(cd dist && shasum --algorithm 256 -- *.whl >SHA256SUMS)
