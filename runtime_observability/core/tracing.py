"""Which components of a stack are traced, how much of each reaches Jaeger, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runtime_observability.core import compatibility

if TYPE_CHECKING:  # its library takes longer to load than everything else here
    from runtime_observability.core.settings.model import Settings

_MILLION = 1_000_000
_CERTAIN_SHARE = 0.1
"""A cluster at rest makes over 150 traces a minute of each component: a tenth of them is enough."""


@dataclass(frozen=True)
class Tracing:
    """What ``settings`` mean for the traces of each component, by its service name in Jaeger."""

    settings: Settings

    @property
    def shares(self) -> dict[str, float]:
        """The share of its traces that reaches Jaeger, 0 to 1, by traced component."""
        settings = self.settings
        kept = settings.collector_sampling_per_million / _MILLION
        shares = {
            "apiserver": kept * settings.apiserver_sampling_per_million / _MILLION,
            "kubelet": kept * settings.node_sampling_per_million / _MILLION,
        }
        if settings.containerd_plan.traced:
            shares["containerd"] = shares["kubelet"]
        if settings.etcd_tracing:
            shares["etcd"] = shares["apiserver"]
        return shares

    @property
    def readable(self) -> dict[str, float]:
        """The share of its traces that can be found for certain, 0 to 1, by traced component.

        The Jaeger of ``queryUrl`` has what one of the exporters sends; which one is not known.
        """
        settings = self.settings
        if settings.has_jaeger or not settings.query_url:
            return self.shares
        ways = [exporter for exporter in settings.exporters if "traces" in exporter.signals]
        return {
            name: share
            * min(
                way.sampling_per_million / _MILLION if name in (way.only or (name,)) else 0
                for way in ways
            )
            for name, share in self.shares.items()
        }

    @property
    def destinations(self) -> tuple[str, ...]:
        """The exporters that must take spans while a pod starts, as their silence is all but
        impossible."""
        certain = {name for name, share in self.shares.items() if share >= _CERTAIN_SHARE}
        return tuple(
            exporter.label
            for exporter in self.settings.exporters
            if "traces" in exporter.signals
            and exporter.sampling_per_million / _MILLION >= _CERTAIN_SHARE
            and not certain.isdisjoint(exporter.only or certain)
        )

    @property
    def demanded(self) -> tuple[str, ...]:
        """The components whose spans of any one pod must be there: those sampled in full."""
        shares = self.readable
        return tuple(
            name
            for name, share in shares.items()
            if share == 1 and self._names_the_pod(name) and self._is_found_below(name, shares)
        )

    @property
    def expected(self) -> tuple[str, ...]:
        """The others of which some span must be there, as its absence is all but impossible.

        None where only errors and slow traces are kept: those of the probe's own pod are, too.
        """
        if self.settings.tracing == "errors-and-slow":
            return ()
        demanded = self.demanded
        likely = (name for name, share in self.readable.items() if share >= _CERTAIN_SHARE)
        return tuple(name for name in likely if name not in demanded)

    @property
    def lines(self) -> list[str]:
        """A line for each component: whether it will be traced, and why."""
        return [self._line(component, reason) for component, reason in self._reasons.items()]

    @property
    def _reasons(self) -> dict[str, str]:
        settings = self.settings
        version, containerd = settings.k3s_version, settings.containerd_plan
        reasons = {
            "apiserver": f"by its file of {compatibility.TRACING_CONFIGURATION.at(version)}",
            "kubelet": "by the tracing in its file, on every node",
            "containerd": containerd.reason,
        }
        if containerd.traced and not self._names_the_pod("containerd"):
            reasons["containerd"] += (
                "; in traces apart from the pod's, as in 1.28 and 1.29 (kubernetes#121192)"
            )
        if settings.servers > 1:
            reasons["etcd"] = f"etcdTracing is {'true' if settings.etcd_tracing else 'false'}"
        return reasons

    def _line(self, component: str, reason: str) -> str:
        share = self.shares.get(component)
        if share is None:
            return f"{component} will not be traced: {reason}"
        if share == 0:
            return f"{component} will not be traced: the sampling keeps none of its traces"
        line = f"{component} will be traced: {reason}"
        if share < 1:
            line += f"; {share:.4%} is kept, so a pod may have no trace of it"
        return line

    def _is_found_below(self, component: str, shares: Mapping[str, float]) -> bool:
        """Containerd's spans of a pod are found below the kubelet's, which must be there too."""
        return component != "containerd" or shares["kubelet"] == 1

    def _names_the_pod(self, component: str) -> bool:
        """Etcd's spans name no pod, nor do containerd's where they are in traces of their own."""
        if component == "containerd":
            return compatibility.RUNTIME_CALLS_JOIN_POD.at(self.settings.k3s_version)
        return component != "etcd"
