"""A configuration that k3d or k3s refuses ends ``pulumi up`` before the standing cluster changes.

Three judges can be called without a cluster: k3d's own reader of configurations, the node's own
reader of k3s' arguments, and the components of Kubernetes. They show that what is generated is bad,
and that a rehearsal has what k3d refuses. The cases on a standing cluster are those that the rules
accept (the others are in tests/unit/core/test_bad_configurations.py).
"""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from lab.build import programs
from lab.build.steps import prepare
from lab.node.k3s import command_line
from lab.node.k3s.processes import FatalError
from lab.paths import Cache
from runtime_observability.core import documents, rehearsal
from runtime_observability.core.naming import Names
from runtime_observability.core.settings.parse import SettingsError
from tests.bad_configurations import BAD, NEARLY_VALID, Bad, Judge, draw, handed_on
from tests.configuration import PROJECT, parsed, spec_of
from tests.live.fixtures import stack_in
from tests.live.pods import pods, wait_for_api
from tests.live.stack import Stack

pytestmark = pytest.mark.timeout(900)

NAMES = Names("dev", PROJECT)
CASES = handed_on(4)

# --- the judges -----------------------------------------------------------------------------------

Judgement = Callable[[dict[str, Any]], str]
"""What is wrong with k3d's configuration of a cluster; empty: nothing."""


@pytest.fixture(scope="module")
def k3d(tmp_path_factory: pytest.TempPathFactory) -> Judgement:
    """k3d's own reader, up to where it would create the first object in Docker."""
    cache, copies = Cache.of_this_user(), tmp_path_factory.mktemp("copies")
    program = prepare(cache, [programs.k3d_check])[programs.k3d_check.name] / "check"

    def read(config: dict[str, Any]) -> str:
        return refusal(["env", f"TMPDIR={copies}", str(program)], documents.dump(config))

    return read


@pytest.fixture(scope="module")
def components(environ: dict[str, str]) -> Path:
    """The folder of the components that the lab's nodes run."""
    folder = programs.kubernetes[programs.KUBERNETES].output(Cache.of_this_user())
    if not folder.is_dir():
        pytest.skip("the lab has not built Kubernetes: the nodes are official ones")
    return folder


def refusal(argv: Sequence[str], stdin: str = "") -> str:
    done = subprocess.run(
        argv, input=stdin, capture_output=True, text=True, timeout=60, check=False
    )
    return (done.stderr.strip() or "it exited with an error") if done.returncode else ""


def refused_by_k3s(arguments: Sequence[str], components: Path) -> str:
    """Why a server of the lab does not take these arguments of k3s; empty: their form is fine.

    A component is started with --help, before which it reads all its flags.
    """
    try:
        options = command_line.parse(["server", *arguments])
    except FatalError as error:
        return str(error)
    of_components = {
        "kube-apiserver": options.kube_apiserver_arg,
        "kubelet": [flag for flag in options.kubelet_arg if not flag.startswith("config=")],
    }
    for name, flags in of_components.items():
        argv = [f"{components}/{name}", *(f"--{flag}" for flag in flags), "--help"]
        if flags and (said := refusal(argv)):
            return said
    return ""


BY_FORM = {
    "a flag that k3s does not know",
    "a flag that k3s no longer has",
    "a flag that a component does not know",
    "registries with a value of another type",
}
"""Kinds that a judge refuses before it starts anything."""


def test_what_is_generated_as_bad_is_bad_for_those_who_can_be_asked(
    k3d: Judgement, components: Path
) -> None:
    assert k3d(spec_of(NAMES, parsed()).config) == ""
    refused: Counter[str] = Counter()
    for bad in draw(BAD, 200):
        if bad.judge is Judge.RULES:
            refused["the rules"] += 1
            continue
        spec = spec_of(NAMES, parsed(**{**bad.config, "containerdTracing": "image"}))
        first = rehearsal.configuration(spec, NAMES)["options"]["k3s"]["extraArgs"]
        on_servers = [entry["arg"] for entry in first if "server:0" in entry["nodeFilters"]]
        of_k3d, of_k3s = k3d(spec.config), refused_by_k3s(on_servers, components)
        refused["k3d" if of_k3d else "k3s" if of_k3s else "nobody who can be asked"] += 1
        if bad.kind in BY_FORM:
            assert of_k3d or of_k3s, f"{bad} is fine"
    print(dict(refused))
    assert refused["k3d"]
    assert refused["k3s"]


@settings(max_examples=200)
@given(config=NEARLY_VALID)
def test_what_k3d_refuses_is_refused_by_the_rules_or_in_the_rehearsal(
    k3d: Judgement, config: dict[str, Any]
) -> None:
    try:
        spec = spec_of(NAMES, parsed(**config))
    except SettingsError:
        return
    if why := k3d(spec.config):
        assert k3d(rehearsal.configuration(spec, NAMES)), why


# --- a standing cluster ---------------------------------------------------------------------------

REFUSALS = {
    Judge.PREFLIGHT: r"nothing was touched, because:((?s:.*?))\n\n",
    Judge.IMAGES: r"(?:error|fatal): (.*)",
    Judge.ADDITION: r"error: cluster [\w-]+: ((?s:.*?))the new agents are removed again",
    Judge.REHEARSAL: r"does not start, so the cluster stays as it is: ((?s:.*?))`pulumi config set",
}
"""What ``up`` says, with the refusal in the words of the one who refuses."""


class Cluster:
    """A stack with a bare pod, which nothing would make again."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.rehearsal = Names(stack.name, stack.folder).rehearsal
        self.pod = ExitStack()

    def make(self) -> None:
        """Brings it up, with another pod; what is left of a cluster that does not work goes."""
        self.pod.close()
        self.stack.delete_cluster_by_hand()
        self.stack.configure()
        self.stack.up()
        wait_for_api(self.stack)
        self.pod.enter_context(pods(self.stack, "sleep", "86400")).wait_for("Running")

    def look(self) -> dict[str, Any]:
        """All that must stay: containers with their start and volumes, networks, and the pod."""
        docker = self.stack.docker
        seen: dict[str, Any] = {"objects": docker.of_stack(self.stack.name)}
        for name in self.stack.ids():
            found = docker.inspect(name)
            volumes = sorted(mount["Source"] for mount in found["Mounts"])
            seen[name] = (found["Id"], found["State"]["StartedAt"], volumes)
        listed = json.loads(self.stack.kubectl("get", "pods", "-o", "json", "--request-timeout=9s"))
        for pod in listed["items"]:
            (container,) = pod["status"]["containerStatuses"]
            seen[pod["metadata"]["uid"]] = (container["restartCount"], container["ready"])
        assert len(listed["items"]) == 1, "the pod is gone"
        return seen

    def rehearsed(self) -> set[str]:
        """What is left of a rehearsal."""
        docker = self.stack.docker
        marks = f"name={self.rehearsal}"
        folder = self.stack.directory / "rehearsal"
        return {
            *docker.containers(marks), *docker.containers(f"label=k3d.cluster={self.rehearsal}"),
            *docker.networks(marks), *docker.volumes(marks),
            *([str(folder)] if folder.exists() else []),
        }  # fmt: skip


@pytest.fixture(scope="module")
def _cluster(tmp_path_factory: Any, environ: dict[str, str]) -> Iterator[Cluster]:
    with stack_in(tmp_path_factory.mktemp("configurations"), environ, traceProbe=False) as stack:
        cluster = Cluster(stack)
        with cluster.pod:
            cluster.make()
            yield cluster


@pytest.fixture
def cluster(_cluster: Cluster) -> Cluster:
    """One that works, whatever the case before has left."""
    try:
        _cluster.look()
    except (AssertionError, ValueError):
        _cluster.make()
    return _cluster


def refusal_in(said: str, judge: Judge) -> str:
    """The words of the one who refused, in ``up``'s output; empty: it was somebody else."""
    return "\n".join(
        re.findall(REFUSALS[judge], said, re.DOTALL if judge is not Judge.IMAGES else 0)
    )


@pytest.mark.cases("bad", CASES, 2)
def test_a_bad_configuration_leaves_the_standing_cluster_as_it_is(
    cluster: Cluster, bad: Bad
) -> None:
    before = cluster.look()
    cluster.stack.configure(**bad.config)
    said = cluster.stack.refused_up().said
    assert cluster.look() == before
    assert cluster.rehearsed() == set()
    refused = refusal_in(said, bad.judge).lower()
    assert refused, f"somebody else than {bad.judge.name} refused it:\n{said}"
    assert any(reason in refused for reason in bad.reasons or ("",)), said


def test_after_all_refusals_the_old_configuration_changes_nothing(cluster: Cluster) -> None:
    before = cluster.look()
    cluster.stack.configure(k3sArgs=["--no-such-flag"])
    cluster.stack.refused_up()
    cluster.stack.configure()
    cluster.stack.up()
    cluster.stack.expect_no_changes()
    assert cluster.look() == before
