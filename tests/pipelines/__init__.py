"""The collector as a process with generated configurations: no stack is needed."""
