"""As many environments as the configuration names, in one program."""

import pulumi
from runtime_observability.components import TracedEnvironment, TracedEnvironmentArgs

for name, args in pulumi.Config().require_object("environments").items():
    environment = TracedEnvironment(name, TracedEnvironmentArgs(**args))
    pulumi.export(name, environment.kubeconfig)
