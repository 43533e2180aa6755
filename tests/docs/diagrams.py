"""Two drawings of the default stack, from a run of the program on mocks."""

from __future__ import annotations

from collections import defaultdict
from urllib.parse import urlsplit

import yaml

from tests.docs.layers import layers
from tests.docs.svg import Box, arrow, label, page
from tests.graph.program import ENVIRONMENT, NETWORK, Resource, Run

TYPES = {
    "command:local:Command": "Command",
    "docker:index/container:Container": "Container",
    "docker:index/network:Network": "Network",
    "docker:index/remoteImage:RemoteImage": "RemoteImage",
}


# --- the graph ------------------------------------------------------------------------------------


def edges(run: Run) -> dict[str, set[str]]:
    """By the name of each component of the environment: the components that it waits for.

    One that is waited for through another is left out.
    """
    by_urn = {resource.urn: resource for resource in run.resources}
    before: dict[str, set[str]] = {}
    for component in components(run):
        parts = [component, *(part for part in run.custom if part.parent == component.urn)]
        waits = {by_urn[urn].parent for part in parts for urn in part.dependencies}
        before[component.name] = {by_urn[urn].name for urn in waits - {component.urn}}
    reachable = {name: _all_before(name, before) for name in before}
    return {
        name: {one for one in waits if not any(one in reachable[other] for other in waits)}
        for name, waits in before.items()
    }


def components(run: Run) -> list[Resource]:
    """The parts of the environment by name: the order of their registration changes."""
    parts = (resource for resource in run.resources if not resource.custom)
    return sorted((part for part in parts if part.name != ENVIRONMENT), key=lambda part: part.name)


def _all_before(name: str, before: dict[str, set[str]]) -> set[str]:
    return {one for other in before[name] for one in {other, *_all_before(other, before)}}


def graph(run: Run) -> str:
    """Every component with its resources; an arrow leads to what is created later."""
    waits = edges(run)
    width, gap, margin = 270.0, 44.0, 30.0
    placed = layers(waits, width, gap=40)
    left = min(placed.center.values()) - width / 2 - margin
    by_name = {component.name: component for component in components(run)}
    resources = defaultdict(list)
    for resource in sorted(run.custom, key=lambda one: (len(run.before(one.name)), one.name)):
        resources[resource.parent].append(resource)
    boxes: dict[str, Box] = {}
    heights: list[tuple[float, float]] = []
    """Top and bottom of each row."""
    top = margin
    for number, row in enumerate(placed.rows):
        for name in row:
            component = by_name[name]
            lines = tuple(
                f"{TYPES[resource.type]} {resource.name.removeprefix(f'{name}-')}"
                for resource in resources[component.urn]
            )
            x = placed.center[name, number] - left - width / 2
            title = component.type.rpartition(":")[2]
            boxes[name] = Box(x, top, width, 34 + 17 * len(lines), title, lines)
        heights.append((top, max(boxes[name].bottom for name in row)))
        top = heights[number][1] + gap
    arrows = [
        arrow(
            (boxes[one].middle, boxes[one].bottom),
            (boxes[name].middle, boxes[name].y),
            by=[
                (placed.center[place] - left, height)
                for place in placed.passed(one, name)
                for height in heights[place[1]]
            ],
        )
        for name in boxes
        for one in sorted(waits[name])
    ]
    size = (max(box.right for box in boxes.values()) + margin, heights[-1][1] + margin)
    title = "The components of a stack. An arrow leads from a component to one that waits for it."
    return page(title, size, [*arrows, *(box.draw() for box in boxes.values())])


# --- the flow of spans ----------------------------------------------------------------------------


def addresses(run: Run) -> dict[str, str]:
    """Where each part sends its spans or its requests, as the stack's own files say."""
    apiserver = yaml.safe_load(run["files-apiserver-tracing.yaml"].inputs["stdin"])["endpoint"]
    kubelet = yaml.safe_load(run["files-kubelet-tracing.yaml"].inputs["stdin"])["tracing"]
    spec = run["cluster-ensure"].stdin["spec"]["k3d"]
    variables = dict(entry["envVar"].split("=", 1) for entry in spec["env"])
    (upload,) = run["collector-container"].inputs["uploads"]
    exporter, *_ = yaml.safe_load(upload["content"])["exporters"].values()
    return {
        "apiserver": apiserver,
        "kubelet": kubelet["endpoint"],
        "containerd": _host(variables["CONTAINERD_OTEL_EXPORTER_OTLP_ENDPOINT"]),
        "pods": _host(run.exports["otlpEndpointInCluster"]),
        "collector": _host(exporter["endpoint"]),
        "programs over gRPC": _host(run.exports["otlpGrpcEndpoint"]),
        "programs over HTTP": _host(run.exports["otlpHttpEndpoint"]),
        "readers": _host(run.exports["jaegerUrl"]),
        "clients": f"{spec['kubeAPI']['hostIP']}:{spec['kubeAPI']['hostPort']}",
    }


def _host(url: str) -> str:
    return urlsplit(url).netloc


def flow(run: Run) -> str:
    """Spans on their way to Jaeger, and who reads them."""
    to = addresses(run)
    (network,) = run.of_type(NETWORK)
    node = f"k3d-{run.exports['clusterName']}-server-0, and every other node"
    outer = Box(330, 20, 660, 470, f"Docker network {network.inputs['name']}", kind="group")
    inner = Box(350, 52, 620, 118, node, kind="group")
    sources = [
        Box(362 + 155 * number, 92, 135, 50, name, (what,))
        for number, (name, what) in enumerate(
            (
                ("API server", "each request"),
                ("kubelet", "each pod's sync"),
                ("containerd", "each call"),
                ("your pods", "their own spans"),
            )
        )
    ]
    collector = Box(520, 268, 280, 50, "OpenTelemetry Collector", ("batches, sampling, retries",))
    jaeger = Box(520, 412, 280, 50, "Jaeger", ("traces in memory",))
    clients = Box(20, 92, 190, 50, "kubectl, helm, tests", ("or ktrace run -- CMD",), "outside")
    programs = Box(20, 268, 190, 50, "your programs", ("on this machine",), "outside")
    readers = Box(20, 412, 190, 50, "browser, ktrace", ("show, run, verify",), "outside")
    fan = [
        arrow((box.middle, box.bottom), (collector.middle + (box.middle - 660) / 3, collector.y))
        for box in sources
    ]
    port = to["programs over HTTP"].rpartition(":")[2]
    local = f"{to['programs over gRPC']}, :{port}"
    arrows = [
        *fan,
        arrow((sources[1].right, 117), (sources[2].x, 117)),
        label((812, 228), to["kubelet"]),
        arrow((660, 318), (660, 412), to["collector"], (670, 368)),
        arrow((210, 117), (362, 117), to["clients"], (222, 111)),
        arrow((210, 293), (520, 293), local, (342, 287)),
        arrow((210, 437), (520, 437), to["readers"], (342, 431)),
    ]
    boxes = [*sources, collector, jaeger, clients, programs, readers]
    title = (
        "API server, kubelet, containerd and pods send spans to the collector, which sends them to "
        "Jaeger. Programs on this machine send theirs to the collector, too; a browser and ktrace "
        "read them from Jaeger."
    )
    parts = [*(box.draw() for box in (outer, inner)), *arrows]
    return page(title, (1010, 510), [*parts, *(box.draw() for box in boxes)])
