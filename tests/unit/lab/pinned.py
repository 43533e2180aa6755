"""Where each pin of lab/pins.toml has to be written, and what does not agree with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lab import pins

IMAGES = "runtime-observability-lab"


def disagreements(project: Path) -> list[str]:
    """A line for each file of a project that lacks the text which a pin demands."""
    return [
        f"{file} lacks {text!r}"
        for file, text in _wanted(pins.read(project / "lab" / "pins.toml"))
        if text not in (project / file).read_text()
    ]


def _wanted(found: pins.Pins) -> Iterator[tuple[str, str]]:
    """A file, and the text that it must have."""
    for file, text in _PROGRAMS:
        yield f"lab/go/{file}", text.format(**{**found.programs, **found.plugins, **found.modules})
    for minor, release in found.kubernetes.items():
        file = f"lab/go/kubernetes-{minor}/go.mod"
        yield file, f"module runtime-observability/lab/kubernetes-{minor}\n"
        yield file, f"require k8s.io/kubernetes v{release}\n"
        yield file, f"\tk8s.io/api => k8s.io/api v0{release[1:]}\n"
        yield file, f"\tk8s.io/kubelet => k8s.io/kubelet v0{release[1:]}\n"
    defaults = {
        ("K3S", "k3sVersion"): f"v{found.kubernetes[found.kubernetes_default]}-k3s1",
        ("JAEGER", "jaegerVersion"): found.programs["jaeger"],
        ("COLLECTOR", "collectorVersion"): found.programs["collector"],
        ("OPENSEARCH", "openSearchVersion"): found.java["opensearch"],
    }
    for (name, key), release in defaults.items():
        yield "Pulumi.yaml", f"  {key}:\n    type: string\n    default: {release}\n"
        yield (
            "runtime_observability/core/support.py",
            f'\nDEFAULT_{name} = Version.parse("{release}")\n',
        )
    yield "config_templates/k3d.yaml", f"rancher/k3s:{defaults['K3S', 'k3sVersion']}\n"
    for image in (
        f"jaegerImage: {IMAGES}/jaeger:{found.programs['jaeger']}",
        f"collectorImage: {IMAGES}/opentelemetry-collector:{found.programs['collector']}",
        f"k3dToolsImage: {IMAGES}/k3d-tools:{found.programs['k3d']}",
        f"openSearchImage: {IMAGES}/opensearch:{found.java['opensearch']}",
    ):
        yield "Pulumi.lab.yaml", f":{image}\n"
    yield "examples/central/compose.yaml", f"/opensearch:{found.java['opensearch']}\n"
    for folder, jar in _JARS:
        yield f"lab/{folder}/jars.sha256", f"/{jar.format(**found.java)}.jar\n"
    for plugin in ("command", "docker"):
        release = found.plugins[f"pulumi-{plugin}"]
        yield "lab/providers/__init__.py", f"pulumi-resource-{plugin} {release}"


_PROGRAMS = (
    ("containerd/go.mod", "\tgithub.com/containerd/containerd/v2 v{containerd} // indirect\n"),
    ("jaeger/go.mod", "\tgithub.com/jaegertracing/jaeger {jaeger-module} // indirect\n"),
    ("k3d/go.mod", "\tgithub.com/k3d-io/k3d/v5 v{k3d} // indirect\n"),
    ("pulumi/go.mod", "\tgithub.com/pulumi/pulumi/pkg/v3 v{pulumi} // indirect\n"),
    ("pulumi/go.mod", "\tgithub.com/pulumi/pulumi/sdk/v3 v{pulumi} // indirect\n"),
    ("language-host/go.mod", "\tgithub.com/pulumi/pulumi/sdk/v3 v{language-host} // indirect\n"),
    (
        "pulumi-kubernetes/go.mod",
        "require github.com/pulumi/pulumi-kubernetes/provider/v4 {pulumi-kubernetes-module}\n",
    ),
    ("collector/manifest.yaml", "  version: {collector}\n"),
    ("collector/manifest.yaml", "collector/receiver/otlpreceiver v{collector}\n"),
    ("collector/manifest.yaml", "confmap/provider/envprovider {collector-module}\n"),
)
_JARS = (
    ("cassandra", "cassandra-all-{cassandra}"),
    ("elasticsearch", "elasticsearch-{elasticsearch}"),
    ("elasticsearch", "transport-netty4-{elasticsearch}"),
    ("opensearch", "opensearch-{opensearch}"),
    ("opensearch", "opensearch-plugin-classloader-{opensearch}"),
    ("opensearch", "transport-netty4-client-{opensearch}"),
    ("opensearch", "log4j-core-{log4j}"),
)
