"""Further destinations: their files in the collector's container, and what of them is secret."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pulumi
import pytest
import trustme

from components import (
    ExporterArgs,
    ExporterTlsArgs,
    TracedEnvironment,
    TracedEnvironmentArgs,
)
from runtime_observability.core.observation import Observation
from runtime_observability.host import certificates, passphrase
from tests.graph.program import CONTAINER, ENVIRONMENT, Run, run, run_program
from tests.graph.test_graph import MARK

CERTIFICATE = trustme.CA().cert_pem.bytes().decode()
ONE = {
    "name": "team",
    "endpoint": "collector.example:4317",
    "headers": {"authorization": "Bearer hush-hush"},
    "tls": {"caFile": CERTIFICATE},
}


@pytest.fixture(autouse=True)
def _private(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "of my own")


def uploads(done: Run) -> Any:
    assert done.error is None
    return done["collector-container"].inputs["uploads"]


@pytest.mark.parametrize("secret_keys", [[], ["exporters"]])
def test_a_header_is_in_a_secret_file_whether_or_not_it_was_set_as_one(
    secret_keys: list[str],
) -> None:
    done = run({"exporters": [ONE]}, secret_keys=secret_keys)
    found = uploads(done)
    assert found[MARK]
    contents = {upload["file"]: upload["content"] for upload in found["value"]}
    assert contents.pop("/etc/otelcol/team.authorization.header") == "Bearer hush-hush"
    assert contents.pop("/etc/otelcol/team-ca.pem") == CERTIFICATE
    (configuration,) = contents.values()
    assert "hush" not in configuration
    inputs = {**done["collector-container"].inputs, "uploads": None}
    assert "hush" not in json.dumps(inputs)
    for resource in done.custom:
        if resource.name != "collector-container":
            assert "hush" not in json.dumps(dict(resource.inputs), default=str)


def test_without_a_secret_file_the_files_are_shown() -> None:
    found = uploads(run({"exporters": [{"endpoint": "collector.example:4317"}]}))
    assert [upload["file"] for upload in found] == ["/etc/otelcol/config.yaml"]


def test_destinations_replace_the_collector_alone() -> None:
    without, having = run(), run({"exporters": [ONE]})
    assert sorted(having.names) == sorted(without.names)
    for name in without.names:
        if name != "collector-container":
            assert having[name].inputs == without[name].inputs, name
    assert len(having.of_type(CONTAINER)) == 2


def test_a_secret_of_a_published_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """This project's own stack files are in git, with the empty passphrase."""
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "")
    monkeypatch.setattr(passphrase, "_is_in_git", lambda file: file.name == "Pulumi.dev.yaml")
    refused = run({"exporters": [ONE]}, secret_keys=["exporters"])
    assert refused.resources == ()
    assert "Pulumi.dev.yaml is in git, and its passphrase is empty" in str(refused.error)
    assert "hush" not in str(refused.error)
    assert run({"exporters": [ONE]}).error is None


def test_a_certificate_that_is_not_there_is_refused() -> None:
    refused = run({"exporters": [{**ONE, "tls": {"caFile": "absent.pem"}}]})
    assert "exporters.0.tls.caFile: absent.pem cannot be used: No such file" in str(refused.error)


def test_a_client_certificate_that_has_expired_is_refused() -> None:
    own = trustme.CA().issue_cert("me.example", not_after=datetime(2001, 2, 3, tzinfo=UTC))
    pair = {
        "clientCert": own.cert_chain_pems[0].bytes().decode(),
        "clientKey": own.private_key_pem.bytes().decode(),
    }
    refused = run({"exporters": [{**ONE, "tls": pair}]})
    assert refused.resources == ()
    told = "exporters.0.tls.clientCert: its certificate expired at 2001-02-03 00:00 UTC"
    assert told in str(refused.error)


def test_what_only_the_machine_tells_is_refused_at_once() -> None:
    """The collector under another name, and more memory than there is."""
    observed = Observation(memory_mib=2000)
    own = {**ONE, "endpoint": "traced-dev-collector:4317"}
    refused = run({"exporters": [own], "jaegerMemoryMiB": 2001}, observed=observed)
    assert refused.resources == ()
    told = str(refused.error)
    assert "it is the stack's own collector, which would send to itself" in told
    assert "jaegerMemoryMiB: 2001 MiB cannot be used" in told


def test_a_program_writes_them_with_types() -> None:
    exporter = ExporterArgs(
        endpoint="collector.example:4317",
        name="team",
        headers={"authorization": "Bearer hush-hush"},
        tls=ExporterTlsArgs(ca_file=CERTIFICATE),
        sampling_per_million=5,
    )
    args = TracedEnvironmentArgs(exporters=[exporter])
    assert args.values()["exporters"] == [{**ONE, "samplingPerMillion": 5}]
    done = run_program(lambda: TracedEnvironment(ENVIRONMENT, args), project="shop")
    assert uploads(done)[MARK]


def test_an_output_inside_is_refused() -> None:
    secret = pulumi.Output.secret("Bearer hush-hush")
    exporter = ExporterArgs(endpoint="a.example:4317", headers={"authorization": secret})  # type: ignore[dict-item]
    args = TracedEnvironmentArgs(exporters=[exporter])
    refused = run_program(lambda: TracedEnvironment(ENVIRONMENT, args), project="shop")
    assert str(refused.error).startswith("exporters is an Output, or has one inside")


def test_words_of_an_exporter_are_not_taken_for_secrets() -> None:
    done = run({"exporters": [{**ONE, "only": ["kubelet"]}]}, secret_keys=["exporters"])
    assert done.outlook() == run().outlook()


def test_an_authority_that_has_expired_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "warnings", lambda _: ["it has expired"])
    assert "it has expired" in run({"exporters": [ONE]}).warnings()
