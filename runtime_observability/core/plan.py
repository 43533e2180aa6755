"""From the selected stack's settings to all that its components are given.

The last place where the program may refuse: a problem found here stops the run before the first
resource is registered, so nothing is created.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import pulumi
import yaml

from components._commands import PROJECT_FOLDER
from components.node_image import UpstreamImage, upstream_image
from runtime_observability.core import compatibility, documents, links
from runtime_observability.core import settings as stack_settings
from runtime_observability.core.compatibility import ContainerdPlan
from runtime_observability.core.documents import ClusterSpec
from runtime_observability.core.naming import Names
from runtime_observability.core.settings import Settings
from runtime_observability.host import preflight
from runtime_observability.host.preflight import Observation

_MILLION = 1_000_000
_CERTAIN_SHARE = 0.1
"""A cluster at rest makes over 150 traces a minute of each component: a tenth of them is enough."""


@dataclass(frozen=True)
class StackPlan:
    """Plain values: what one stack will be, decided before the first resource."""

    settings: Settings
    names: Names
    files: dict[str, str]
    spec: ClusterSpec
    generation: int
    limits_swap: bool
    node_image: UpstreamImage | None
    """The image that is built for the nodes; None where they run one as it is."""

    @property
    def containerd(self) -> ContainerdPlan:
        return self.settings.containerd_plan

    @property
    def probe_image(self) -> str:
        settings = self.settings
        return settings.probe_image or compatibility.SANDBOX_IMAGE.at(settings.k3s_version)

    @property
    def sampling(self) -> dict[str, float]:
        """The share of its traces that reaches Jaeger, 0 to 1, by traced component."""
        settings = self.settings
        kept = settings.collector_sampling_per_million / _MILLION
        shares = {
            "apiserver": kept * settings.apiserver_sampling_per_million / _MILLION,
            "kubelet": kept * settings.node_sampling_per_million / _MILLION,
        }
        if self.containerd.traced:
            shares["containerd"] = shares["kubelet"]
        if settings.etcd_tracing:
            shares["etcd"] = shares["apiserver"]
        return shares

    @property
    def demanded(self) -> list[str]:
        """The components whose spans of one given pod must be there: those sampled in full."""
        shares = self.sampling.items()
        return [name for name, share in shares if share == 1 and self._is_of_the_pod(name)]

    def _is_of_the_pod(self, component: str) -> bool:
        """Etcd's spans name no pod, nor do containerd's where they are in traces of their own."""
        if component == "containerd":
            return compatibility.RUNTIME_CALLS_JOIN_POD.at(self.settings.k3s_version)
        return component != "etcd"

    @property
    def expected(self) -> list[str]:
        """The components of which some span must be there: the odds are all but certain."""
        shares = self.sampling.items()
        likely = [name for name, share in shares if share >= _CERTAIN_SHARE]
        return [name for name in likely if name not in self.demanded]

    @property
    def outlook(self) -> list[str]:
        """A line for each component: whether it will be traced, and why."""
        version = self.settings.k3s_version
        reasons = {
            "apiserver": f"by its file of {compatibility.TRACING_CONFIGURATION.at(version)}",
            "kubelet": "by the tracing in its file, on every node",
            "containerd": self.containerd.reason,
        }
        if self.containerd.traced and not self._is_of_the_pod("containerd"):
            reasons["containerd"] += (
                "; in traces apart from the pod's, as in 1.28 and 1.29 (kubernetes#121192)"
            )
        if self.settings.servers > 1:
            asked = "true" if self.settings.etcd_tracing else "false"
            reasons["etcd"] = f"etcdTracing is {asked}"
        return [self._foretold(component, reason) for component, reason in reasons.items()]

    def _foretold(self, component: str, reason: str) -> str:
        share = self.sampling.get(component)
        if share is None:
            return f"{component} will not be traced: {reason}"
        if share == 0:
            return f"{component} will not be traced: the sampling keeps none of its traces"
        line = f"{component} will be traced: {reason}"
        if share < 1:
            line += f"; {share:.4%} is kept, so a given pod may have no trace of it"
        return line

    @property
    def beyond_knowledge(self) -> list[str]:
        """A line for each release that is newer than all that is known of its like."""
        settings = self.settings
        newest = {
            "k3s": (settings.k3s_version, compatibility.NEWEST_KNOWN_K3S),
            "Jaeger": (settings.jaeger_version, compatibility.NEWEST_KNOWN_JAEGER),
            "collector": (settings.collector_version, compatibility.NEWEST_KNOWN_COLLECTOR),
        }
        return [
            f"{name} {version} is newer than {known}, the newest that is known here, and is given "
            "what that is given"
            for name, (version, known) in newest.items()
            if version > known
        ]

    @property
    def unheeded(self) -> list[str]:
        """A line for each key that is set and does nothing, or not what it says."""
        settings, lines = self.settings, []
        for key, version, image in (
            ("jaeger", settings.jaeger_version, settings.images.jaeger),
            ("collector", settings.collector_version, settings.images.collector),
            ("k3s", settings.k3s_version, settings.images.nodes),
        ):
            tagged = re.search(r":v?(\d+\.\d+\.\d+)", image)
            if tagged and tagged[1] != version.numbers:
                lines.append(
                    f"{key}Image stays {image}, and is given what {key}Version {version} knows: "
                    "{version} in an image follows its version"
                )
        if settings.containerd_binary and not self.node_image:
            lines.append("containerdBinary is not used: the nodes run their image's own containerd")
        if "rewrite:" in settings.registries.config and self.node_image:
            lines.append(
                "registries.config: the upstream containerd knows no rewrites, which are k3s' own; "
                "`pulumi config set containerdTracing off` keeps them"
            )
        return lines

    @property
    def links(self) -> dict[str, str]:
        url = f"http://127.0.0.1:{self.settings.jaeger_ui_port}"
        return links.all_links(
            url,
            containerd=self.containerd.traced,
            request_span=compatibility.REQUEST_SPAN.at(self.settings.k3s_version),
        )


def plan() -> StackPlan:
    """Reads, looks, decides and says what the user should know; stops the run on a problem."""
    schema = yaml.safe_load((PROJECT_FOLDER / "Pulumi.yaml").read_text())["config"]
    try:
        settings = stack_settings.read(schema)
    except stack_settings.SettingsError as error:
        raise pulumi.RunError(str(error)) from None
    names = Names(pulumi.get_stack(), PROJECT_FOLDER)
    observed = preflight.observe(names, settings.host_ports, settings.port_offset)
    if observed.problems:
        lines = "\n".join(f"  - {problem}" for problem in observed.problems)
        raise pulumi.RunError(f"nothing was touched, because:\n{lines}")
    try:
        decided = decide(settings, names, observed)
    except ValueError as error:
        raise pulumi.RunError(f"nothing was touched, because:\n  - {error}") from None
    _tell(decided, observed)
    return decided


def decide(settings: Settings, names: Names, observed: Observation) -> StackPlan:
    """What ``settings`` mean on a machine as ``observed``; nothing is looked at but the values.

    Raises ValueError for an image that cannot be built.
    """
    image, built = node_image(settings, observed.architecture)
    files = documents.node_files(settings, cgroup_v1=observed.cgroup_v1)
    spec = documents.cluster_spec(settings, names, files, image)
    return StackPlan(
        settings=settings,
        names=names,
        files=files,
        spec=spec,
        generation=observed.generation,
        limits_swap=observed.limits_swap,
        node_image=built,
    )


def node_image(settings: Settings, architecture: str) -> tuple[str, UpstreamImage | None]:
    """The image of the nodes, and what it is built of where no registry has it.

    Raises ValueError where it cannot be built.
    """
    image = settings.images.nodes
    release = settings.containerd_plan.upstream
    if release is None:
        return image, None
    built = upstream_image(image, release, architecture, settings.containerd_binary)
    return built.tag, built


def _tell(decided: StackPlan, observed: Observation) -> None:
    for drift in observed.drift:
        pulumi.log.warn(f"{drift}: up will mend it")
    record = observed.record
    if record and record.digest != decided.spec.digest:
        changed = "; ".join(documents.changes(record.spec, decided.spec.document))
        pulumi.log.warn(
            f"cluster {decided.names.cluster} will be replaced, and its workloads go with it: "
            f"{changed}"
        )
    for warning in (*decided.beyond_knowledge, *decided.unheeded):
        pulumi.log.warn(warning)
    for line in decided.outlook:
        pulumi.log.info(line)
