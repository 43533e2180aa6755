"""An object as kubectl names it, compared with an object as a request's path names it."""

from __future__ import annotations

from dataclasses import dataclass

_NAMES = {
    "pods": ("po", "pod"),
    "services": ("svc", "service"),
    "configmaps": ("cm", "configmap"),
    "secrets": ("secret",),
    "serviceaccounts": ("sa", "serviceaccount"),
    "endpoints": ("ep",),
    "persistentvolumeclaims": ("pvc", "persistentvolumeclaim"),
    "replicationcontrollers": ("rc", "replicationcontroller"),
    "resourcequotas": ("quota", "resourcequota"),
    "limitranges": ("limits", "limitrange"),
    "nodes": ("no", "node"),
    "namespaces": ("ns", "namespace"),
    "persistentvolumes": ("pv", "persistentvolume"),
    "deployments.apps": ("deploy", "deployment", "deployments"),
    "replicasets.apps": ("rs", "replicaset", "replicasets"),
    "statefulsets.apps": ("sts", "statefulset", "statefulsets"),
    "daemonsets.apps": ("ds", "daemonset", "daemonsets"),
    "jobs.batch": ("job", "jobs"),
    "cronjobs.batch": ("cj", "cronjob", "cronjobs"),
    "horizontalpodautoscalers.autoscaling": (
        "hpa", "horizontalpodautoscaler", "horizontalpodautoscalers",
    ),
    "poddisruptionbudgets.policy": ("pdb", "poddisruptionbudget", "poddisruptionbudgets"),
    "ingresses.networking.k8s.io": ("ing", "ingress", "ingresses"),
    "networkpolicies.networking.k8s.io": ("netpol", "networkpolicy", "networkpolicies"),
    "leases.coordination.k8s.io": ("lease", "leases"),
    "endpointslices.discovery.k8s.io": ("endpointslice", "endpointslices"),
    "customresourcedefinitions.apiextensions.k8s.io": (
        "crd", "crds", "customresourcedefinition", "customresourcedefinitions",
    ),
    "storageclasses.storage.k8s.io": ("sc", "storageclass", "storageclasses"),
    "priorityclasses.scheduling.k8s.io": ("pc", "priorityclass", "priorityclasses"),
    "roles.rbac.authorization.k8s.io": ("role", "roles"),
    "rolebindings.rbac.authorization.k8s.io": ("rolebinding", "rolebindings"),
    "clusterroles.rbac.authorization.k8s.io": ("clusterrole", "clusterroles"),
    "clusterrolebindings.rbac.authorization.k8s.io": (
        "clusterrolebinding", "clusterrolebindings",
    ),
}  # fmt: skip
"""Kubernetes' own short and singular names, and plurals without their group, by the resource."""
RESOURCES = {name: resource for resource, names in _NAMES.items() for name in names}
"""The resource, ``deployments.apps``, by each other name that kubectl takes for it."""


def _plural(singular: str) -> str:
    """As Kubernetes guesses a resource's name (k8s.io/apimachinery pkg/api/meta, of a kind)."""
    if singular.endswith("s"):
        return f"{singular}es"
    return f"{singular[:-1]}ies" if singular.endswith("y") else f"{singular}s"


@dataclass(frozen=True)
class NamedObject:
    """An object of one cluster. Whether its kind has namespaces need not be known: no resource is
    both with and without."""

    resources: tuple[str, ...]
    """``deployments.apps``, or a plural without its group, which then may be any. Of a word that is
    not known: itself, and its plural."""
    namespace: str
    name: str

    @classmethod
    def of(cls, text: str, namespace: str) -> NamedObject | None:
        """``deploy/web`` in ``namespace``, or ``deployments.apps/default/web``; else None."""
        kind, *names = text.split("/")
        if not all((kind, *names)) or len(names) not in (1, 2):
            return None
        where = names[0] if len(names) > 1 else namespace
        known = RESOURCES.get(kind.lower())
        word, dot, group = kind.lower().partition(".")
        guessed = (f"{word}{dot}{group}", f"{_plural(word)}{dot}{group}")
        return cls((known,) if known else guessed, where, names[-1])

    def is_of(self, resource: str) -> bool:
        """Whether ``resource``, as of a request (``deployments.apps/status``), may be its own."""
        plural = resource.partition("/")[0]
        return not {plural, plural.partition(".")[0]}.isdisjoint(self.resources)

    def is_at(self, path: str) -> bool:
        """Whether ``path`` names it: ``RESOURCE.GROUP/NAMESPACE/NAME``, or without NAMESPACE."""
        resource, *names = path.split("/")
        return self.is_of(resource) and names in ([self.namespace, self.name], [self.name])
