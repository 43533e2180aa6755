"""The cluster in which a replacement is rehearsed."""

from __future__ import annotations

import copy
from typing import Any

from runtime_observability.core import transition
from runtime_observability.core.cluster_spec import ClusterSpec
from runtime_observability.core.naming import Names

TIMEOUT = "180s"
"""How long k3d waits for the only node."""


def configuration(spec: ClusterSpec, names: Names) -> dict[str, Any]:
    """k3d's configuration of ``spec`` with the first server alone, which disturbs nothing.

    Its image, arguments, environment and registries are the same. Its files have a folder of their
    own, as the standing nodes read theirs when they restart; it publishes the API server alone, on
    a free port, and has a network of its own, on which no span reaches the collector.
    """
    config = copy.deepcopy(spec.config)

    def of_the_server(key: str) -> list[dict[str, Any]]:
        return [
            {key: text, "nodeFilters": ["server:0"]}
            for text in transition.of_node(spec.config, key, "server", 0)
        ]

    config["metadata"]["name"] = names.rehearsal
    config |= {"servers": 1, "agents": 0, "ports": [], "env": of_the_server("envVar")}
    del config["network"], config["kubeAPI"]["hostPort"]
    directory = str(names.rehearsal_directory / names.node_directory.name)
    config["volumes"] = [
        entry | {"volume": entry["volume"].replace(str(names.node_directory), directory, 1)}
        for entry in of_the_server("volume")
    ]
    arguments = of_the_server("arg")
    if spec.config["servers"] > 1:  # k3d itself adds it for more than one
        arguments.append({"arg": "--cluster-init", "nodeFilters": ["server:0"]})
    config["options"]["k3s"]["extraArgs"] = arguments
    config["options"]["k3d"]["timeout"] = TIMEOUT
    return config
