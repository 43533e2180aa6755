"""The kinds of objects that start pods, and the names that kubectl has for them."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True)
class Kind:
    """``names`` are kubectl's, besides ``plural`` with or without its group."""

    kind: str
    group: str
    plural: str
    names: tuple[str, ...]

    @property
    def title(self) -> str:
        return self.kind.lower()

    def path(self, namespace: str = "", name: str = "") -> str:
        """The path of one object, of a namespace's or, without ``namespace``, of all of them."""
        root = f"/apis/{self.group}/v1" if self.group else "/api/v1"
        place = f"namespaces/{quote(namespace, safe='')}/" if namespace else ""
        own = f"/{quote(name, safe='')}" if name else ""
        return f"{root}/{place}{self.plural}{own}"


DEPLOYMENT = Kind("Deployment", "apps", "deployments", ("deploy", "deployment"))
REPLICA_SET = Kind("ReplicaSet", "apps", "replicasets", ("rs", "replicaset"))
STATEFUL_SET = Kind("StatefulSet", "apps", "statefulsets", ("sts", "statefulset"))
DAEMON_SET = Kind("DaemonSet", "apps", "daemonsets", ("ds", "daemonset"))
JOB = Kind("Job", "batch", "jobs", ("job",))
EVENT = Kind("Event", "", "events", ())
CONTROLLER_REVISION = Kind("ControllerRevision", "apps", "controllerrevisions", ())
KINDS = (DEPLOYMENT, STATEFUL_SET, DAEMON_SET, JOB, REPLICA_SET)
PODS = Kind("Pod", "", "pods", ("pod", "po"))
_BY_NAME = {
    name: kind
    for kind in (*KINDS, PODS)
    for name in (kind.plural, f"{kind.plural}.{kind.group}", *kind.names)
}


def named(text: str) -> Kind | None:
    """The kind that kubectl calls ``text``; None if it is none of these."""
    return _BY_NAME.get(text.lower())
