"""Asks an OpenSearch or Elasticsearch from where Jaeger runs: run with ``python -m``.

What Jaeger's container reaches, this machine may not. So the client is curl in a container on the
stack's network, which lives for a few requests and reads everything from its standard input.

Reads on stdin what is to be checked and the cluster, and prints ``{"replicas"}``. An error is one
line.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from runtime_observability.core import naming, prefix_mark, search_engine, shards
from runtime_observability.core.search_engine import Answer, UnfitError
from runtime_observability.core.shards import WantedIndices
from runtime_observability.core.versions import Version
from runtime_observability.host import container_files, docker, runner
from runtime_observability.host.progress import log

_DOCKER_SECONDS = 900
"""The image may have to be pulled."""
_ASK_SECONDS = 180


@dataclass(frozen=True)
class Cluster:
    """How a cluster is reached: from ``network``, by ``image``, in the name of ``owner``."""

    store: str
    urls: tuple[str, ...]
    user: str
    password: str = field(repr=False)
    certificates: str = field(repr=False)
    """PEM; empty: the public ones."""
    network: str
    image: str
    owner: str

    def ask(self, paths: Sequence[str], method: str = "GET", document: str = "") -> list[Answer]:
        """The answers of the first node that gives one; each request sends the ``document``.

        Raises UnfitError where none does, with the reason of each, and CommandError where Docker
        cannot run curl.
        """
        own = search_engine.options(self.user, self.password, own_ca=bool(self.certificates))
        reasons = []
        for url in self.urls:
            found = self._run(search_engine.requests(own, url, paths, method, document))
            if found[0].code == 0:
                return found
            reasons.append(search_engine.unreachable(found[0], url))
        raise UnfitError("; ".join(reasons))

    def _run(self, configuration: str) -> list[Answer]:
        create = ["docker", "create", "--rm", "--interactive", "--log-driver=none"]
        create += [f"--network={self.network}", f"--label={naming.OWNER_LABEL}={self.owner}"]
        create += ["--cap-drop=ALL", "--security-opt=no-new-privileges", "--user=10001"]
        # Jaeger has no proxy either, and the docker command gives a container that of its settings.
        curl = [self.image, "--noproxy", "*", "--config", "-"]
        created = runner.run([*create, *curl], timeout=_DOCKER_SECONDS)
        container = created.checked().strip()
        try:
            if self.certificates:
                archive = archive_of(self.certificates)
                container_files.unpack(container, archive, seconds=_ASK_SECONDS)
            start = ["docker", "start", "--attach", "--interactive", container]
            asked = runner.run(start, stdin=configuration, timeout=_ASK_SECONDS)
        finally:
            runner.run(["docker", "rm", "--force", container])
        found = search_engine.answers(asked.stdout)
        if not found:
            raise runner.CommandError(f"{self.image} does not run curl: {asked.stderr.strip()}")
        return found


def archive_of(certificates: str) -> bytes:
    """A tar archive with the file of the certificates, to be unpacked at the root."""
    return container_files.archive_of({search_engine.CA_FILE: certificates}, mode=0o444)


def check(cluster: Cluster, prefix: str, jaeger: Version, wanted: WantedIndices) -> int:
    """How many replicas indices are to have: those that are ``wanted``, or what the cluster has
    nodes for if they are negative. Raises UnfitError where Jaeger could not use the cluster."""
    asked = ["/", "/_cluster/health", search_engine.listing(prefix), shards.LIMIT]
    main, health, listed, limit = _ask_the_first(cluster, asked)
    search_engine.refuse_a_nameless_certificate(main, cluster.urls[0])
    search_engine.refuse_another_engine(main, cluster.store, cluster.user, jaeger)
    privilege = f"indices:* on {prefix}-*"
    search_engine.refuse_a_status(listed, cluster.user, privilege)
    services = search_engine.services(prefix, datetime.now(UTC).date(), wanted.days)
    (searched,) = cluster.ask([services], "POST")
    search_engine.refuse_a_long_line(searched, services, wanted.days)
    search_engine.refuse_a_status(searched, cluster.user, privilege)
    trial = search_engine.trial(prefix)
    cluster.ask([trial], "DELETE")  # of a check that was cut off
    for method in ("PUT", "DELETE"):
        (answer,) = cluster.ask([trial], method)
        search_engine.refuse_a_status(answer, cluster.user, privilege)
    _mark(cluster, prefix)
    if wanted.replicas < 0:
        wanted = replace(wanted, replicas=search_engine.replicas(health, cluster.user))
    if room := shards.room(limit, health, listed):
        shards.refuse_too_many(room, wanted)
    return wanted.replicas


def _mark(cluster: Cluster, prefix: str) -> None:
    """Tells of another Docker daemon that has used the indices last, and marks them as this one's.

    Nothing stops where a user may not do that, or an engine has no such templates.
    """
    own, path = docker.daemon().id, prefix_mark.path(prefix)
    (found,) = cluster.ask([path])
    before = prefix_mark.daemon_of(found)
    if before == own:
        return
    if before:
        log(f"warning: traceStore {cluster.store}: {prefix_mark.warning(prefix, before)}")
    cluster.ask([path], "PUT", prefix_mark.document(prefix, own))


def _ask_the_first(cluster: Cluster, paths: Sequence[str]) -> list[Answer]:
    """The answers of the address with which Jaeger starts (Jaeger v1.76.0
    internal/storage/elasticsearch/config/config.go: Servers[0]); later it uses all of them."""
    try:
        return replace(cluster, urls=cluster.urls[:1]).ask(paths)
    except UnfitError as error:
        if len(cluster.urls) == 1:
            raise
        raise UnfitError(
            f"{error}; Jaeger starts with the first address alone: name one first that answers"
        ) from None


def main() -> int:
    request: dict[str, Any] = json.load(sys.stdin)
    of_cluster: dict[str, Any] = request["cluster"]
    cluster = Cluster(**{**of_cluster, "urls": tuple(of_cluster["urls"])})
    jaeger = Version.parse(request["jaeger"])
    wanted = WantedIndices(request["days"], request["shards"], request["replicas"])
    try:
        told = {"replicas": check(cluster, request["prefix"], jaeger, wanted)}
    except (UnfitError, runner.CommandError) as error:
        print(f"error: traceStore {cluster.store}: {error}", file=sys.stderr)
        return 1
    print(json.dumps(told))
    return 0


if __name__ == "__main__":
    sys.exit(main())
