"""Replays traces through a real collector with a generated configuration.

``python -m tests.replay`` prints what each preset keeps of a minute of noise.
"""
