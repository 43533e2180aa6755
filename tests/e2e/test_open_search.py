"""Traces in OpenSearch: in a node of the stack's own, and in a cluster that exists."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from lab.build import images
from runtime_observability.core import prefix_mark, retention, stores
from runtime_observability.core.naming import Names
from tests import lacking
from tests.contract import login_server, tls_proxy
from tests.e2e import search_engine
from tests.e2e.kept import destroy_and_find_again
from tests.e2e.ktrace import document, of_spans, shown, whole
from tests.e2e.search_engine import FOREIGN, Elsewhere
from tests.live import traces
from tests.live.pods import pods
from tests.live.stack import Stack
from tests.live.starts import boot_of
from tests.live.waiting import until

STORE = {"traceStore": "opensearch", "traceRetention": "365d"}
IN_A_CLUSTER = {**STORE, "traceRetention": "7d"}
"""A cluster that exists takes by default no line of HTTP that names the indices of a year."""
ANSWER_SECONDS = 180
"""OpenSearch starts in 15 to 40 s, and later on a busy machine; Docker starts a Jaeger that found
none again and again, up to a minute apart."""


@pytest.fixture
def opensearch(stack: Stack) -> Iterator[Stack]:
    """The default stack with another store; its volume goes with the test."""
    refuse_a_lab_without_it(stack)
    nodes = stack.docker.containers(f"label=k3d.cluster={stack.cluster}")
    stack.settle(**STORE)
    assert stack.docker.containers(f"label=k3d.cluster={stack.cluster}") == nodes
    yield stack
    stack.settle(**STORE)
    stack.settle()
    assert not stack.docker.volumes(f"name=traced-{stack.name}-traces")
    assert not stack.docker.exists(node(stack))


def refuse_a_lab_without_it(stack: Stack) -> None:
    """The lab's image is built where there is Maven: without it, this fails in CI alone."""
    built = stack.config.get("openSearchImage", "")
    if built.startswith(images.PREFIX) and not stack.docker.exists(built):
        reason = f"there is no {built}: install Maven, and run `make test`"
        lacking.refuse(reason)


def node(stack: Stack) -> str:
    return f"traced-{stack.name}-opensearch"


def keeper_of(stack: Stack) -> str:
    return f"traced-{stack.name}-retention"


def last_line(stack: Stack) -> str:
    """Of what has looked for old indices."""
    return stack.docker("logs", "--tail", "1", keeper_of(stack)).strip()


def answers(stack: Stack) -> None:
    until("an answer from Jaeger", lambda: traces.answers(stack.jaeger_url), ANSWER_SECONDS)


def test_traces_outlive_jaeger_opensearch_and_then_the_cluster(opensearch: Stack) -> None:
    stack = opensearch
    container = stack.docker.inspect(node(stack))
    assert not container["HostConfig"]["PortBindings"]
    assert list(container["NetworkSettings"]["Networks"]) == [stack.cluster]
    keeper = stack.docker.inspect(keeper_of(stack))
    assert not keeper["HostConfig"]["PortBindings"]
    until("a look at the indices", lambda: "kept: nothing is older" in last_line(stack), 60)
    assert document(stack, "verify")["retentionFault"] == ""
    stack.expect_no_changes()
    stack.docker("rm", "--force", keeper_of(stack))
    assert (
        f"there is no container {keeper_of(stack)}" in document(stack, "verify")["retentionFault"]
    )
    stack.up()
    assert stack.docker.inspect(keeper_of(stack))["State"]["Running"]
    stack.expect_no_changes()
    with pods(stack, "sleep", "300") as single:
        pod = f"{single.name}-0"
        shown(stack, pod, whole)
        # What has arrived may be invisible for a while: this waits until nothing more comes.
        before = document(stack, "show", pod)
        for restarted in (stack.jaeger, node(stack)):
            stack.docker("restart", "--time", "60", restarted)
            answers(stack)
            assert of_spans(shown(stack, pod, whole)) == of_spans(before)
    document(stack, "verify")

    volume = f"traced-{stack.name}-traces-opensearch"
    destroy_and_find_again(stack, STORE, volume, pod, before)
    # OpenSearch and then Jaeger have started beside the cluster, and later than it.
    assert boot_of(stack, "apiserver")


# --- a cluster that exists ------------------------------------------------------------------------

HEAP_MIB = 256
OLD = "2020-01-31"


@pytest.fixture
def elsewhere(stack: Stack) -> Iterator[Elsewhere]:
    refuse_a_lab_without_it(stack)
    variables = stores.own_environment(HEAP_MIB)
    del variables["http.max_initial_line_length"]
    given = (f"--env={name}={value}" for name, value in variables.items())
    with search_engine.running(stack, *given, stack.config["openSearchImage"]) as found:
        yield found


@pytest.mark.every_store
def test_a_cluster_that_exists_has_the_stacks_own_indices_and_no_others(
    stack: Stack, elsewhere: Elsewhere, neighbour: Stack
) -> None:
    prefix = Names(stack.name, stack.folder).index_prefix
    expired = f"{prefix}-jaeger-span-{OLD}"
    impossible = f"{prefix}-jaeger-none-2020-02-30"
    for index in (expired, impossible, FOREIGN, f"near-{expired}"):
        assert "acknowledged" in elsewhere.ask("PUT", f"/{index}")
    stays = {FOREIGN} | {name for name in elsewhere.indices() if not name.startswith(prefix)}
    jaeger = stack.docker.inspect(stack.jaeger)["Id"]
    closed = elsewhere.url.replace(":9200", ":9201")
    for settings, url, reason in (
        (IN_A_CLUSTER, closed, f"{closed}: nothing answers there"),
        (STORE, elsewhere.url, "traceRetention 365d is too long for it: Jaeger names each day's"),
    ):
        stack.configure(**settings, openSearchUrls=[url])
        refused = stack.refused_up()
        assert f"error: traceStore opensearch: {reason}" in refused.said
        assert stack.docker.inspect(stack.jaeger)["Id"] == jaeger, "the old one goes on"

    stack.settle(**IN_A_CLUSTER, openSearchUrls=[elsewhere.url])
    stack.expect_no_changes()
    with pods(stack, "sleep", "600") as single:
        pod = f"{single.name}-0"
        shown(stack, pod, whole)
        start = document(stack, "show", pod)
        until("the old index to go", lambda: expired not in elsewhere.indices(), 60)
        assert last_line(stack) == f"kept: deleted {expired}"
        assert impossible in elsewhere.indices(), "that day was none"
        own = elsewhere.indices() - stays
        assert any(index.startswith(f"{prefix}-jaeger-span-") for index in own)
        assert all(index.startswith(f"{prefix}-jaeger-") for index in own)
        replicas = json.loads(elsewhere.ask("GET", f"/{prefix}-jaeger-span-*/_settings"))
        assert {
            index["settings"]["index"]["number_of_replicas"] for index in replicas.values()
        } == {"0"}

        # Another stack in the same cluster, with a pod of the same name.
        stack.docker("network", "connect", neighbour.cluster, elsewhere.name)
        neighbour.settle(**IN_A_CLUSTER, openSearchUrls=[elsewhere.url])
        with pods(neighbour, "sleep", "600", name=single.name):
            assert shown(neighbour, pod, whole)["uid"] != start["uid"]
            assert of_spans(document(stack, "show", pod)) == of_spans(start), "its own pod alone"
        assert elsewhere.indices() > stays | own
        neighbour.settle()
        assert elsewhere.indices() == stays | own
        assert of_spans(document(stack, "show", pod)) == of_spans(start)

    stack.settle()
    assert elsewhere.indices() == stays
    assert not [name for name in elsewhere.templates() if name.startswith(prefix)]


@pytest.mark.every_store
def test_a_cluster_without_room_for_the_days_is_refused(stack: Stack, elsewhere: Elsewhere) -> None:
    jaeger = stack.docker.inspect(stack.jaeger)["Id"]
    there = len(elsewhere.indices())

    def allow(shards: int) -> None:
        limit = {"persistent": {"cluster.max_shards_per_node": str(shards)}}
        assert "acknowledged" in elsewhere.ask("PUT", "/_cluster/settings", json.dumps(limit))

    allow(15 + there)
    stack.configure(**IN_A_CLUSTER, openSearchUrls=[elsewhere.url])
    refused = " ".join(stack.refused_up().said.split())
    assert "traceRetention 7d makes 16 shards (2 indices a day, traceStoreShards 1" in refused
    assert f"it has room for 15: it takes {15 + there} (cluster.max_shards_per_node)" in refused
    assert "set traceRetention to 6d, or raise that setting" in refused
    assert stack.docker.inspect(stack.jaeger)["Id"] == jaeger, "the old one goes on"
    allow(16 + there)
    stack.up()


@pytest.mark.every_store
def test_indices_that_another_docker_has_used_last_are_left(
    stack: Stack, elsewhere: Elsewhere
) -> None:
    prefix, other = Names(stack.name, stack.folder).index_prefix, "another-docker"

    def own() -> list[str]:
        return [name for name in elsewhere.indices() if name.startswith(prefix)]

    store = {**IN_A_CLUSTER, "openSearchUrls": [elsewhere.url]}
    stack.settle(**store)
    until("an index of the stack", own, ANSWER_SECONDS)
    mark = prefix_mark.document(prefix, other)
    assert "acknowledged" in elsewhere.ask("PUT", prefix_mark.path(prefix), mark)
    stack.configure()
    said = " ".join(stack.up().said.split())
    assert "were NOT deleted, because a stack of this name and folder has used them last" in said
    assert f"another Docker daemon, {other}" in said
    assert own()
    stack.configure(**store)
    told = f"indices {prefix}-jaeger-* were last used from another Docker daemon, {other}"
    assert told in " ".join(stack.up().said.split())
    stack.configure()
    stack.up()
    assert own() == []


@pytest.mark.every_store
def test_a_cluster_that_is_gone_keeps_no_stack_from_leaving_it(
    stack: Stack, elsewhere: Elsewhere
) -> None:
    stack.settle(**IN_A_CLUSTER, openSearchUrls=[elsewhere.url])
    stack.docker("kill", elsewhere.name)
    stack.docker("restart", keeper_of(stack))
    until("a failure", lambda: retention.fault(last_line(stack)), 90)
    assert elsewhere.url in document(stack, "verify", code=1)["retentionFault"]
    stack.configure()
    said = stack.up().said
    prefix = Names(stack.name, stack.folder).index_prefix
    assert f"indices and templates {prefix}-jaeger-* of opensearch at {elsewhere.url}" in said
    assert "were NOT deleted" in said


# --- behind TLS and a login -----------------------------------------------------------------------

USER, PASSWORD, NEXT_PASSWORD = "traces", 'p$ss"w\\örd', "~n€xt: #{%s}'`${HOME}"
_TLS_PORT = 9443


class LoginElsewhere:
    """TLS and a login before ``store``, in a container of the node image, which has Python."""

    def __init__(self, stack: Stack, store: Elsewhere, folder: Path) -> None:
        self.name = f"traced-{stack.name}-login-{secrets.token_hex(2)}"
        self.url = f"https://{self.name}:{_TLS_PORT}"
        authority, other = trustme.CA(), trustme.CA()
        certificate = authority.create_child_ca().issue_cert(self.name)
        trusted = (other.cert_pem, authority.cert_pem)
        self.certificates = "".join(pem.bytes().decode() for pem in trusted)
        self._stack, self._store, self._folder = stack, store, folder
        shutil.copy(login_server.__file__, folder / "server.py")
        certificate.private_key_pem.write_to_path(folder / "key.pem")
        for blob in certificate.cert_chain_pems:
            blob.write_to_path(folder / "tls.pem", append=True)
        self.start(PASSWORD)

    def start(self, password: str) -> None:
        """Again with another password, if it runs."""
        stack = self._stack
        image = stack.docker.inspect(stack.server)["Config"]["Image"]
        arguments = ["/tls.pem", "/key.pem", f"{self._store.name}:9200"]
        arguments += [tls_proxy.login(USER, password), str(_TLS_PORT)]
        stack.docker("rm", "--force", "--volumes", self.name, check=False)
        stack.docker(
            "create", "--name", self.name, "--network", stack.cluster,
            "--entrypoint", "python3", image, "/server.py", *arguments,
        )  # fmt: skip
        for file in self._folder.iterdir():
            stack.docker("cp", str(file), f"{self.name}:/{file.name}")
        stack.docker("start", self.name)


@pytest.fixture
def guarded(stack: Stack, elsewhere: Elsewhere, tmp_path: Path) -> Iterator[LoginElsewhere]:
    if not stack.docker.inspect(stack.server)["Config"]["Image"].startswith(images.PREFIX):
        lacking.refuse("only the lab's node image has Python")
    folder = tmp_path / "login"
    folder.mkdir()
    found = LoginElsewhere(stack, elsewhere, folder)
    try:
        yield found
    finally:
        stack.settle()
        stack.docker("rm", "--force", "--volumes", found.name)


@pytest.mark.every_store
def test_a_cluster_behind_tls_and_a_login_is_used_and_left(
    stack: Stack, elsewhere: Elsewhere, guarded: LoginElsewhere
) -> None:
    prefix = Names(stack.name, stack.folder).index_prefix
    assert "acknowledged" in elsewhere.ask("PUT", f"/{FOREIGN}")
    stays = elsewhere.indices()
    jaeger = stack.docker.inspect(stack.jaeger)["Id"]
    other = trustme.CA().cert_pem.bytes().decode()
    right = {**IN_A_CLUSTER, "openSearchUrls": [guarded.url], "traceStoreUser": USER}

    def configure(password: str, certificates: str) -> None:
        stack.configure(**right, traceStoreCaFile=certificates)
        stack.pulumi("config", "set", "--secret", "traceStorePassword", password)

    for password, certificates, reason in (
        (
            "another",
            guarded.certificates,
            f"it refuses traceStoreUser {USER} and traceStorePassword (401)",
        ),
        (PASSWORD, other, f"{guarded.url}: its certificate is not trusted"),
        (PASSWORD, "", f"{guarded.url}: its certificate is not trusted"),
    ):
        configure(password, certificates)
        refused = stack.refused_up().said
        assert f"error: traceStore opensearch: {reason}" in refused, refused
        assert PASSWORD not in refused
        assert stack.docker.inspect(stack.jaeger)["Id"] == jaeger, "the old one goes on"
        assert elsewhere.indices() == stays

    configure(PASSWORD, guarded.certificates)
    mark = prefix_mark.document(prefix, "elsewhere")
    assert "acknowledged" in elsewhere.ask("PUT", prefix_mark.path(prefix), mark)
    assert prefix_mark.warning(prefix, "elsewhere") in stack.up().said
    assert prefix_mark.path(prefix).rpartition("/")[2] in elsewhere.templates()
    stack.expect_no_changes()
    with pods(stack, "sleep", "600") as single:
        shown(stack, f"{single.name}-0", whole)
    own = elsewhere.indices() - stays
    assert any(index.startswith(f"{prefix}-jaeger-span-") for index in own)
    assert all(index.startswith(f"{prefix}-jaeger-") for index in own)

    guarded.start(NEXT_PASSWORD)
    until("a refusal", lambda: "401" in stack.plan().diagnostics, 60)
    configure(NEXT_PASSWORD, guarded.certificates)
    assert NEXT_PASSWORD not in stack.up().said
    with pods(stack, "sleep", "600") as single:
        shown(stack, f"{single.name}-0", whole)
    expired = f"{prefix}-jaeger-span-{OLD}"
    assert "acknowledged" in elsewhere.ask("PUT", f"/{expired}")
    stack.docker("restart", keeper_of(stack))
    until("the old index to go", lambda: expired not in elsewhere.indices(), 60)
    inspected = json.dumps(stack.docker.inspect(keeper_of(stack)), ensure_ascii=False)
    assert json.dumps(NEXT_PASSWORD, ensure_ascii=False)[1:-1] not in inspected
    stack.destroy()
    assert elsewhere.indices() == stays
    assert not [name for name in elsewhere.templates() if name.startswith(prefix)]
