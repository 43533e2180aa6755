"""The Docker provider of an environment, which uses the daemon of docker, k3d and the Commands."""

from __future__ import annotations

import pulumi
import pulumi_docker as docker

from runtime_observability.host import daemon, runner

_NAMESPACE = "docker"
_OF_CONTAINERS = "docker:index/container:Container"


def of(name: str, environment: pulumi.Resource) -> docker.Provider:
    """The provider of what ``environment`` makes.

    Its address is in the state, so a destroy and a refresh use the same daemon from any shell.
    Pulumi's own provider would read DOCKER_HOST at each run, and no docker context. A stack that
    was made with that one keeps its resources: the engine asks the plugin whether the other
    configuration replaces them (pulumi v3.259.0 pkg/resource/deploy/step_generator.go,
    providerChanged), and no key of this plugin does (pulumi-docker 237b789 provider/resources.go
    has no ForcesProviderReplace).
    Raises RunError where ``docker:registryAuth`` is no JSON, without its value.
    """
    address = runner.variables["DOCKER_HOST"]
    _warn_of_another(environment, address)
    config = pulumi.Config(_NAMESPACE)
    try:
        logins = config.get_secret_object("registryAuth")
    except pulumi.ConfigTypeError:
        raise pulumi.RunError(
            "docker:registryAuth is not valid JSON: Pulumi's Docker provider takes a list of "
            "logins. Run `pulumi config rm docker:registryAuth`: images are pulled with the logins "
            "of `docker login`"
        ) from None
    return docker.Provider(
        f"{name}-docker",
        host=address,
        cert_path=daemon.certificates(),
        registry_auth=logins,
        disable_docker_daemon_check=config.get_bool("disableDockerDaemonCheck"),
        opts=pulumi.ResourceOptions(parent=environment),
    )


def _warn_of_another(environment: pulumi.Resource, address: str) -> None:
    """Its daemon is an Output, so it cannot be compared with ``address``."""
    if environment.get_provider(_OF_CONTAINERS):
        pulumi.log.warn(
            "the environment gets a Docker provider from the program and does not use it: docker, "
            f"k3d and Pulumi must use one daemon, here {address}. Name another one in docker:host "
            "of the stack's configuration"
        )
