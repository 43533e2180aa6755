"""kubectl in a server's node: every image of k3s has it, and it needs no kubeconfig."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from runtime_observability.host import runner


class AgentsError(runner.CommandError):
    """What is wrong is an agent's: the rest of the cluster works."""


def read(unknown: str, *arguments: str, server: str) -> str:
    """What `kubectl get` prints. Raises AgentsError, which begins with ``unknown``, if it fails."""
    read = run(server, "get", *arguments)
    if read.code:
        raise AgentsError(f"{unknown}: {last_line(read)}. Run `pulumi up` again")
    return read.stdout


def objects(*of: str, server: str) -> list[dict[str, Any]]:
    """Those that `kubectl get` finds; none where that cannot be asked."""
    try:
        got = json.loads(read("", *of, "--ignore-not-found", "--output=json", server=server))
    except (AgentsError, ValueError):
        return []
    found: list[dict[str, Any]] = got.get("items", [got])
    return found


def name_of(found: Mapping[str, Any]) -> str:
    """The object's kind, namespace and name."""
    metadata = found["metadata"]
    path = "/".join(filter(None, (metadata.get("namespace"), metadata["name"])))
    return f"{found['kind']} {path}"


def is_drained(found: Mapping[str, Any]) -> bool:
    """Whether a drain waits for the object's end: not for that of a DaemonSet's pod."""
    owners = found["metadata"].get("ownerReferences", ())
    return all(owner["kind"] != "DaemonSet" for owner in owners)


def run(server: str, *arguments: str, seconds: float = 30) -> runner.Result:
    """Raises AgentsError when kubectl does not end within ``seconds``."""
    try:
        return runner.run(["docker", "exec", server, "kubectl", *arguments], timeout=seconds)
    except runner.CommandError as error:
        raise AgentsError(
            f"kubectl {arguments[0]} in {server}: {error}. Run `pulumi up` again"
        ) from None


def last_line(kubectl: runner.Result) -> str:
    return (kubectl.stderr.strip() or "kubectl says nothing").splitlines()[-1]
