"""From the selected stack's settings to all that its components are given.

The last place where the program may refuse: a problem found here stops the run before the first
resource is registered, so nothing is created.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import yaml

from components import compatibility, documents, links, preflight
from components import settings as stack_settings
from components.commands import PROJECT_FOLDER
from components.compatibility import ContainerdPlan
from components.documents import ClusterSpec
from components.naming import Names
from components.node_image import UpstreamImage, upstream_image
from components.preflight import Observation
from components.settings import Settings

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
    def jaeger_image(self) -> str:
        settings = self.settings
        return settings.jaeger_image or compatibility.jaeger_image(settings.jaeger_version)

    @property
    def collector_image(self) -> str:
        settings = self.settings
        return settings.collector_image or compatibility.collector_image(settings.collector_version)

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
        return shares | ({"containerd": shares["kubelet"]} if self.containerd.traced else {})

    @property
    def demanded(self) -> list[str]:
        """The components whose spans of one given pod must be there: those sampled in full."""
        shares = self.sampling.items()
        return [name for name, share in shares if share == 1 and self._is_of_the_pod(name)]

    def _is_of_the_pod(self, component: str) -> bool:
        """In 1.28 and 1.29 containerd's spans are in traces that name no pod."""
        joined = compatibility.RUNTIME_CALLS_JOIN_POD.at(self.settings.k3s_version)
        return joined or component != "containerd"

    @property
    def expected(self) -> list[str]:
        """The components of which some span must be there: the odds are all but certain."""
        shares = self.sampling.items()
        likely = [name for name, share in shares if share >= _CERTAIN_SHARE]
        return [name for name in likely if name not in self.demanded]

    @property
    def links(self) -> dict[str, str]:
        url = f"http://127.0.0.1:{self.settings.jaeger_ui_port}"
        return links.all_links(url, containerd=self.containerd.traced)


def plan() -> StackPlan:
    """Reads, looks, decides and says what the user should know; stops the run on a problem."""
    schema = yaml.safe_load((PROJECT_FOLDER / "Pulumi.yaml").read_text())["config"]
    try:
        settings = stack_settings.read(schema)
    except stack_settings.SettingsError as error:
        raise pulumi.RunError(str(error)) from None
    names = Names(pulumi.get_stack(), PROJECT_FOLDER)
    observed = preflight.observe(names, settings.host_ports)
    if observed.problems:
        lines = "\n".join(f"  - {problem}" for problem in observed.problems)
        raise pulumi.RunError(f"nothing was touched, because:\n{lines}")
    files = documents.node_files(settings, cgroup_v1=observed.cgroup_v1)
    image = settings.k3s_image or compatibility.k3s_image(settings.k3s_version)
    node_image = _node_image(settings, image, observed.architecture)
    spec = documents.cluster_spec(settings, names, files, node_image.tag if node_image else image)
    decided = StackPlan(
        settings=settings,
        names=names,
        files=files,
        spec=spec,
        generation=observed.generation,
        limits_swap=observed.limits_swap,
        node_image=node_image,
    )
    _tell(decided, observed)
    return decided


def _node_image(settings: Settings, base: str, architecture: str) -> UpstreamImage | None:
    release = settings.containerd_plan.upstream
    if release is None:
        return None
    try:
        return upstream_image(base, release, architecture, settings.containerd_binary)
    except ValueError as error:
        raise pulumi.RunError(f"nothing was touched, because:\n  - {error}") from None


def _tell(decided: StackPlan, observed: Observation) -> None:
    for drift in observed.drift:
        pulumi.log.warn(f"{drift}: up will mend it")
    record = observed.record
    if record and record.digest != decided.spec.digest:
        changed = ", ".join(documents.differences(record.spec, decided.spec.document))
        pulumi.log.warn(
            f"cluster {decided.names.cluster} will be replaced, and its workloads go with it: "
            f"{changed} changed"
        )
    containerd = decided.containerd
    pulumi.log.info(
        f"containerd will {'' if containerd.traced else 'not '}be traced: {containerd.reason}"
    )
    newest = compatibility.NEWEST_KNOWN_K3S
    if decided.settings.k3s_version > newest:
        pulumi.log.warn(
            f"k3s {decided.settings.k3s_version} is newer than {newest}, the newest that is known "
            "here: its files are generated as for that"
        )
    for component, share in decided.sampling.items():
        if share < 1:
            pulumi.log.info(f"{component} is sampled at {share:.4%}: a given pod may have no trace")
