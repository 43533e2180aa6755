"""One stack: a Kubernetes cluster whose pod starts are traces in Jaeger."""
# ruff: noqa: E402 - no search for garbage while the modules load: a third of their time

import gc

gc.disable()

from pathlib import Path

import pulumi

from components import TracedEnvironment
from components._engine import end_with_the_engine
from components.stack_config import StackConfig

end_with_the_engine()
config = StackConfig.read(Path(__file__).resolve().parent)
environment = TracedEnvironment("traced", config)

for name, value in environment.outputs.items():
    pulumi.export(name, value)

gc.freeze()  # else the exit looks through all modules for garbage: 0.2 s of a preview
