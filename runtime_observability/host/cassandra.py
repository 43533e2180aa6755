"""Sees Jaeger start with its Cassandra before the old Jaeger goes: run with ``python -m``.

Jaeger is the check: what its driver makes of certificates, logins, permissions and servers that are
down is what counts, it makes its keyspace, and it is there: no other image of the stack speaks
Cassandra's protocol, and what Jaeger's container reaches, this machine may not.

Reads ``{"trial", "cassandra"}`` on stdin, the fields of Trial and CassandraArgs, and prints
``{"seconds"}``. An error is one line.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from runtime_observability.core import cassandra, naming
from runtime_observability.core.args import CassandraArgs
from runtime_observability.host import container_files, readiness, runner

_SECONDS = 120
"""For the first start, which makes the keyspace with its tables."""
_DOCKER_SECONDS = 60


@dataclass(frozen=True)
class Trial:
    """A Jaeger as the stack's is to be, without its name on the network and on a free port."""

    name: str
    owner: str
    image: str
    network: str
    user: int
    memory_mib: int
    variables: Mapping[str, str]
    command: Sequence[str]
    files: Mapping[str, str] = field(repr=False)
    """Contents by path."""
    port: int
    """Of its page and query API."""

    def create(self) -> None:
        """Creates the container; one that a killed run left goes first."""
        own = ["--filter", f"label={naming.OWNER_LABEL}={self.owner}"]
        listed = ["docker", "ps", "-aq", *own, "--filter", f"name=^/?{self.name}$"]
        for left in runner.run(listed).checked().split():
            runner.run(["docker", "rm", "--force", "--volumes", left]).checked()
        create = ["docker", "create", f"--name={self.name}", f"--network={self.network}"]
        create += [f"--label={naming.OWNER_LABEL}={self.owner}", f"--user={self.user}"]
        create += ["--log-driver=json-file"]  # whose end is read
        create += ["--cap-drop=ALL", "--security-opt=no-new-privileges:true"]
        create += [f"--memory={self.memory_mib}m", f"--publish=127.0.0.1::{self.port}"]
        create += [f"--env={name}={value}" for name, value in self.variables.items()]
        runner.run([*create, self.image, *self.command], timeout=_DOCKER_SECONDS).checked()

    def start(self) -> None:
        """With its files."""
        archive = container_files.archive_of(self.files, user=self.user)
        container_files.unpack(self.name, archive, seconds=_DOCKER_SECONDS)
        runner.run(["docker", "start", self.name], timeout=_DOCKER_SECONDS).checked()

    @property
    def url(self) -> str:
        """Of its query API. Raises CommandError once the container has ended: it has no port."""
        published = runner.run(["docker", "port", self.name, f"{self.port}/tcp"]).checked()
        address, *_ = published.split()
        return f"http://{address}/api/services"

    @property
    def runs(self) -> bool:
        state = ["docker", "inspect", "--format", "{{.State.Status}}", self.name]
        return runner.run(state).stdout.strip() == "running"

    @property
    def log(self) -> str:
        logs = runner.run(["docker", "logs", self.name])
        return logs.stdout + logs.stderr

    def remove(self) -> None:
        runner.run(["docker", "rm", "--force", "--volumes", self.name], timeout=_DOCKER_SECONDS)


class UnfitError(Exception):
    """Jaeger cannot use the Cassandra: the text says why, and what to do."""


def check(trial: Trial, user: str, password: str, keyspace: str) -> float:
    """The seconds until the Jaeger of ``trial`` answers.

    Raises UnfitError where it ends or does not answer in time, and CommandError where Docker cannot
    run it.
    """
    trial.create()
    try:
        trial.start()
        try:
            return readiness.wait(trial.name, trial.url, _SECONDS)
        except runner.CommandError:
            if trial.runs:
                reason = cassandra.why_it_is_not_ready(trial.log, _SECONDS, password)
            else:
                reason = cassandra.why_it_ended(trial.log, user, password, keyspace)
            raise UnfitError(reason) from None
    finally:
        trial.remove()


def main() -> int:
    request = json.load(sys.stdin)
    trial, wanted = Trial(**request["trial"]), CassandraArgs(**request["cassandra"])
    where = f"traceStore cassandra: {', '.join(wanted.servers)}"
    try:
        waited = check(trial, wanted.user, wanted.password, wanted.keyspace)
    except (UnfitError, runner.CommandError) as error:
        print(f"error: {where}: {error}", file=sys.stderr)
        return 1
    print(json.dumps({"seconds": round(waited, 2)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
