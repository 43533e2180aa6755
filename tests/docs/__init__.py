"""The generated parts of docs/ and README.md.

``UPDATE_GOLDEN=1 pytest tests/unit/docs tests/graph/test_diagrams.py`` writes them; without the
variable these tests fail where a part is not as it would be written.
"""
