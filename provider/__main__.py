"""The component for programs in any of Pulumi's languages: ``pulumi package add PATH/provider``."""

from importlib.metadata import version

from pulumi.provider.experimental import component_provider_host
from runtime_observability.components import TracedEnvironment

component_provider_host(
    name="runtime-observability",
    components=[TracedEnvironment],
    version=version("runtime-observability"),
)
