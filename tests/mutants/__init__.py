"""``python -m tests.mutants``: would the tests of unit and graph notice a change of the code?"""
