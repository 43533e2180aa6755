"""A workload's newest rollout as one picture: the write, every pod's start, and what ended."""
