"""What a year or a rename does to a stack: `up` repairs it, or ends with the cure and no harm."""

from __future__ import annotations

import base64
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from runtime_observability.core.naming import PROJECT as PROJECT_NAME
from tests.live.pods import a_bare_pod
from tests.live.stack import UP_SECONDS, Stack
from tests.live.waiting import until

_AUTHORITIES = ("/var/lib/rancher/k3s/server/tls/client-ca", "/var/lib/rancher/k3s/tls/ca")
"""The authority that signs the users of k3s, and of the lab's stand-in: .crt and .key."""
_IN_NODE = "/output/kubeconfig.yaml"
"""Where k3d reads a cluster's kubeconfig (k3d v5.9.0 pkg/client/kubeconfig.go)."""


def test_an_expired_certificate_in_the_kubeconfig_is_replaced_and_the_cluster_stays(
    standing: Stack, tmp_path: Path
) -> None:
    before = standing.ids()
    kubeconfig = standing.directory / "kubeconfig"
    valid = kubeconfig.read_text()
    with a_bare_pod(standing) as pod:
        known = pod()
        kubeconfig.write_text(_expired(standing, valid, tmp_path))
        refused = f"the API server refuses {kubeconfig} (401): it has expired"
        assert refused in standing.plan().diagnostics
        standing.up()
        assert kubeconfig.read_text() == valid
        assert standing.ids() == before
        assert pod() == known
        standing.expect_no_changes()


def test_a_cluster_whose_own_credentials_have_expired_gets_new_ones_and_stays(
    standing: Stack, tmp_path: Path
) -> None:
    """k3s renews what has expired at each start; a node that runs for a year has no other chance.

    https://docs.k3s.io/cli/certificate: renewed within 120 days of the end, at a start of k3s.
    """
    before = standing.ids()
    kubeconfig = standing.directory / "kubeconfig"
    with a_bare_pod(standing) as pod, standing.disturbed():
        uid, restarts = pod()
        expired = tmp_path / "expired.yaml"
        inside = standing.docker("exec", standing.server, "cat", _IN_NODE)
        expired.write_text(_expired(standing, inside, tmp_path))
        standing.docker("cp", str(expired), f"{standing.server}:{_IN_NODE}")
        kubeconfig.write_text(_expired(standing, kubeconfig.read_text(), tmp_path))
        standing.up()
        assert standing.ids() == before
        until("the restart of the pod", lambda: pod() == (uid, restarts + 1), 60)
        standing.expect_no_changes()


def test_a_stopped_cluster_starts_though_a_killed_k3d_has_left_its_tools(standing: Stack) -> None:
    """As after a reboot in the middle of `k3d node create`: k3d itself fails to start it."""
    before = standing.ids()
    image = standing.docker.inspect(standing.server)["Config"]["Image"]
    labels = ("app=k3d", f"k3d.cluster={standing.cluster}", "k3d.role=noRole")
    marks = [f"--label={label}" for label in labels]
    with a_bare_pod(standing) as pod, standing.disturbed():
        uid, restarts = pod()
        tools = f"k3d-{standing.cluster}-tools"
        standing.docker("create", "--name", tools, *marks, image, "noop")
        standing.docker("kill", standing.server)  # a stop would drain it, and delete the pod
        standing.up()
        assert standing.ids() == before
        until("the restart of the pod", lambda: pod() == (uid, restarts + 1), 60)
        standing.expect_no_changes()


def _expired(stack: Stack, kubeconfig: str, scratch: Path) -> str:
    """``kubeconfig`` with its user's certificate as it would be one day after its end."""
    document = yaml.safe_load(kubeconfig)
    (user,) = document["users"]
    certificate, key = _authority(stack, scratch)
    own_key, request, ended = (scratch / name for name in ("own.key", "own.csr", "own.crt"))
    own_key.write_bytes(base64.b64decode(user["user"]["client-key-data"]))
    subject = "/O=system:masters/CN=system:admin"
    _openssl("req", "-new", "-key", own_key, "-subj", subject, "-out", request)
    signer = ("-CA", certificate, "-CAkey", key, "-CAcreateserial")
    _openssl("x509", "-req", "-in", request, *signer, "-days", "-1", "-out", ended)
    user["user"]["client-certificate-data"] = base64.b64encode(ended.read_bytes()).decode()
    return str(yaml.safe_dump(document))


def _authority(stack: Stack, scratch: Path) -> tuple[Path, Path]:
    """Certificate and key of the cluster's authority, copied to ``scratch``."""
    copies = (scratch / "ca.crt", scratch / "ca.key")
    for stem in _AUTHORITIES:
        for copy in copies:
            source = f"{stack.server}:{stem}{copy.suffix}"
            stack.docker("cp", source, str(copy), check=False)
        if all(copy.exists() for copy in copies):
            return copies
    raise AssertionError(f"{stack.server} has no authority that signs its users")


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


@contextmanager
def renamed(stack: Stack, name: str) -> Iterator[None]:
    """The stack with another name in Pulumi's state, and with its own one again afterwards."""
    before = stack.name
    stack.pulumi("stack", "rename", name)
    try:
        stack.name = name
        yield
    finally:
        stack.pulumi("stack", "rename", before)
        stack.name = before


def test_a_renamed_node_is_refused_with_the_cure_and_nothing_is_touched(standing: Stack) -> None:
    """A cluster without the server that it was made with would be replaced."""
    before = standing.ids()
    name = f"{standing.server}-old"
    standing.docker("rename", standing.server, name)
    cure = f"docker rename {name} $(docker inspect --format '{{{{.Config.Hostname}}}}' {name})"
    assert cure in standing.refused_up().said
    subprocess.run(["sh", "-c", cure], env=standing.environment, check=True)
    assert standing.ids() == before
    standing.expect_no_changes()


@pytest.mark.parametrize("containers", ["running", "stopped"])
def test_a_renamed_stack_is_refused_with_the_cure_and_nothing_is_touched(
    standing: Stack, containers: str
) -> None:
    """While they run, the ports are in the way; else the hook of the first resource is."""
    before, objects, name = standing.ids(), standing.docker.of_stack(standing.name), standing.name
    if containers == "stopped":
        standing.docker("stop", "--time", "5", *before)
    with renamed(standing, f"{name}-new"):
        up = ("up", "--yes", "--skip-preview")
        without = (*up, "--exclude", standing.state["stack-sweep"]["urn"])
        for command in (("preview",), up, without):
            said = standing.start(*command).wait(UP_SECONDS).failed().said
            assert f"pulumi stack rename {name}`" in said
            if containers == "stopped":
                assert f"this stack was renamed from {name} to {name}-new" in said
        assert standing.left_overs() == set()
    assert standing.ids() == before
    assert standing.docker.of_stack(name) == objects
    standing.up()
    now = standing.ids()
    assert now[standing.server] == before[standing.server]
    if containers == "running":  # Pulumi's provider replaces a stopped container
        assert now == before
    standing.expect_no_changes()


def test_a_stack_of_another_project_in_the_folder_takes_nothing(standing: Stack) -> None:
    before, project = standing.ids(), standing.folder / "Pulumi.yaml"
    text = project.read_text()
    project.write_text(text.replace(f"name: {PROJECT_NAME}\n", "name: another\n", 1))
    try:
        standing.pulumi("stack", "init", standing.name)
        refused = standing.start("preview").wait(60).failed(), standing.refused_up()
        standing.destroy()
        standing.pulumi("stack", "rm", "--yes", "--preserve-config")
    finally:
        project.write_text(text)
    claimed = f"belongs to the Pulumi stack organization/{PROJECT_NAME}/{standing.name}"
    unclaimed = "is there with its workloads"  # a test before may have removed the claim
    for run in refused:
        assert claimed in run.said or unclaimed in run.said
    assert standing.ids() == before
    standing.expect_no_changes()


def test_a_backend_leaves_the_cluster_to_the_run_of_another_one(
    absent: Stack, tmp_path: Path
) -> None:
    """Both have the stack's name and folder, and the cluster is not there yet."""
    making = absent.up_until_its_first_node_is_there()
    environment = absent.environment
    absent.environment = {**environment, "PULUMI_BACKEND_URL": f"file://{tmp_path}"}
    try:
        absent.pulumi("stack", "init", absent.name)
        refused = absent.refused_up()
        absent.destroy()
    finally:
        absent.environment = environment
    by_then = "is there with its workloads"  # the other run may have ended meanwhile
    assert "another run is making the cluster" in refused.said or by_then in refused.said
    making.wait(UP_SECONDS).succeeded()
    absent.expect_no_changes()


def test_an_empty_backend_neither_takes_nor_destroys_the_cluster(
    standing: Stack, tmp_path: Path
) -> None:
    """As after `pulumi stack rm --force`, or where the state is in another backend."""
    before, environment = standing.ids(), standing.environment
    standing.environment = {**environment, "PULUMI_BACKEND_URL": f"file://{tmp_path}"}
    try:
        standing.pulumi("stack", "init", standing.name)
        refused = standing.start("preview").wait(60).failed(), standing.refused_up()
        standing.destroy()
    finally:
        standing.environment = environment
    for run in refused:
        assert "is there with its workloads, and Pulumi's state does not have it" in run.said
    assert standing.ids() == before
    assert standing.directory.is_dir()
    standing.expect_no_changes()


def test_a_lost_state_comes_back_as_the_refusal_says(standing: Stack) -> None:
    """`pulumi stack import` does not read what a backend in a folder keeps by itself."""
    standing.up()  # its end keeps the state
    before = standing.ids()
    urn = standing.state["stack-sweep"]["urn"]
    standing.pulumi("state", "delete", urn, "--target-dependents", "--force", "--yes")
    said = standing.refused_up().said
    stack = f"{PROJECT_NAME}/{standing.name}"
    kept, current = f".pulumi/backups/{stack}", f".pulumi/stacks/{stack}.json"
    assert kept in said
    assert current in said
    backend = Path(standing.environment["PULUMI_BACKEND_URL"].removeprefix("file://"))
    files = sorted((backend / kept).glob("*.json"))
    newest = [file for file in files if "cluster-ensure" in file.read_text()][-1]
    shutil.copyfile(newest, backend / current)
    standing.up()
    assert standing.ids() == before
    standing.expect_no_changes()
