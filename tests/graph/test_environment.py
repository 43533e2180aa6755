"""TracedEnvironment as other programs use it: typed, without this project, more than once."""

from __future__ import annotations

import dataclasses
import inspect
import json
import subprocess
import sys
import typing
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components import (
    ExporterArgs,
    RegistriesArgs,
    TracedEnvironment,
    TracedEnvironmentArgs,
)
from runtime_observability.core.settings.model import Settings
from tests.configuration import PROJECT, SCHEMA
from tests.graph.program import ENVIRONMENT, IMAGE, Run, run, run_program
from tests.graph.test_changes import changed

CLAIM = {"stack-sweep": {"environment"}, "collector-container": {"uploads"}}
"""All that differs between two projects: whose the stack's folder and its spans are."""
OWN_ARGS = {"stack", "folder", "state_folder"}


def made(*environments: tuple[str, TracedEnvironmentArgs], project: str = "shop") -> Run:
    def body() -> None:
        for name, args in environments:
            pulumi.export(name, TracedEnvironment(name, args).kubeconfig)

    return run_program(body, project=project)


def test_without_args_it_is_this_projects_program(default: Run) -> None:
    args = TracedEnvironmentArgs(folder=str(PROJECT))
    assert changed(default, made((ENVIRONMENT, args))) == CLAIM


def test_what_is_set_is_what_the_configuration_sets() -> None:
    registries = RegistriesArgs(use=["mirror:5000"])
    args = TracedEnvironmentArgs(
        folder=str(PROJECT),
        agents=1,
        k3s_version="v1.33.6-k3s1",
        jaeger_memory_mib=512,
        k3s_args=["--disable=traefik"],
        registries=registries,
        trace_probe=False,
    )
    configured = run(
        {
            "agents": 1,
            "k3sVersion": "v1.33.6-k3s1",
            "jaegerMemoryMiB": 512,
            "k3sArgs": ["--disable=traefik"],
            "registries": {"use": ["mirror:5000"]},
            "traceProbe": False,
        }
    )
    assert changed(configured, made((ENVIRONMENT, args))) == CLAIM


def test_a_mirror_is_the_same_key_of_both(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program reads no variable: another shell would make another cluster."""
    monkeypatch.setenv("RUNTIME_OBSERVABILITY_REGISTRY", "mirror.example")
    (image,) = (image for image in run().of_type(IMAGE) if image.name == "jaeger-image")
    assert "mirror.example" not in image.inputs["name"]
    args = TracedEnvironmentArgs(folder=str(PROJECT), registry_mirror="own.example")
    configured = run({"registryMirror": "own.example"})
    assert changed(configured, made((ENVIRONMENT, args))) == CLAIM
    (image,) = (image for image in configured.of_type(IMAGE) if image.name == "jaeger-image")
    assert image.inputs["name"].startswith("own.example/jaegertracing/")


def test_a_folder_is_claimed_for_a_stack_with_its_organization_and_project(tmp_path: Path) -> None:
    def body() -> None:
        TracedEnvironment("e", TracedEnvironmentArgs(stack="a", folder=str(tmp_path)))

    stack = run_program(body, project="shop", stack="prod", organization="acme")
    guard = next(resource for resource in stack.custom if resource.name == "e-stack-sweep")
    assert json.loads(guard.environment["CLAIM"]) == {
        "folder": str(tmp_path),
        "pulumiStack": "acme/shop/prod",
    }


def test_two_environments_share_nothing(tmp_path: Path) -> None:
    both = made(
        ("one", TracedEnvironmentArgs(stack="a", folder=str(tmp_path))),
        ("two", TracedEnvironmentArgs(stack="b", folder=str(tmp_path), port_offset=100)),
    )
    assert both.error is None
    urns = [resource.urn for resource in both.resources]
    assert len(urns) == len(set(urns))
    names = [
        resource.inputs["name"]
        for resource in both.custom
        if resource.type.startswith("docker:index/con")
    ]
    assert sorted(names) == [
        f"traced-{stack}-{part}" for stack in "ab" for part in ("collector", "jaeger")
    ]
    assert both.exports == {
        "one": f"{tmp_path}/.stacks/a/kubeconfig",
        "two": f"{tmp_path}/.stacks/b/kubeconfig",
    }


def test_two_environments_of_one_name_are_refused(tmp_path: Path) -> None:
    args = TracedEnvironmentArgs(stack="a", folder=str(tmp_path))
    refused = made(("one", args), ("two", dataclasses.replace(args, port_offset=100)))
    assert "two environments of the name a" in str(refused.error)
    assert "TracedEnvironmentArgs(stack=" in str(refused.error)
    assert made(("one", args)).error is None, "another run is another program"


def test_two_environments_on_the_same_ports_are_refused(tmp_path: Path) -> None:
    folder = str(tmp_path)
    one, two = (TracedEnvironmentArgs(stack=name, folder=folder) for name in ("a", "b"))
    refused = made(("one", one), ("two", dataclasses.replace(two, otlp_grpc_port=20_000)))
    assert "environment b has ports of environment a" in str(refused.error)
    assert "jaegerUiPort 16686, otlpHttpPort 4318" in str(refused.error)
    assert "TracedEnvironmentArgs(port_offset=" in str(refused.error)


def test_two_environments_on_one_udp_port_are_refused(tmp_path: Path) -> None:
    """A TCP port of the same number is another port."""

    def environment(stack: str, offset: int, port: str) -> TracedEnvironmentArgs:
        folder = str(tmp_path)
        return TracedEnvironmentArgs(
            stack=stack, folder=folder, port_offset=offset, published_ports=[port]
        )

    a, b, c = (
        environment("a", 100, "8053:53/udp"),
        environment("b", 200, "8053:53/udp"),
        environment("c", 300, "8053:53"),
    )
    assert "publishedPorts '8053:53/udp' 8053/udp" in str(made(("one", a), ("two", b)).error)
    assert made(("one", a), ("two", c)).error is None


def test_state_lies_where_it_is_told(tmp_path: Path) -> None:
    args = TracedEnvironmentArgs(folder=str(PROJECT), state_folder=str(tmp_path))
    stack = made(("lab", args))
    assert stack.exports == {"lab": f"{tmp_path}/dev/kubeconfig"}
    sweep = next(resource for resource in stack.custom if resource.name == "lab-stack-sweep")
    assert sweep.environment["DIRECTORY"] == f"{tmp_path}/dev"
    ensure = next(resource for resource in stack.custom if resource.name == "lab-cluster-ensure")
    assert ensure.stdin["stateFolder"] == str(tmp_path)
    (volume,) = ensure.stdin["spec"]["k3d"]["volumes"]
    assert volume["volume"].startswith(f"{tmp_path}/dev/node:")


def test_by_default_state_lies_where_the_program_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert made(("e", TracedEnvironmentArgs())).exports == {
        "e": f"{tmp_path}/.stacks/dev/kubeconfig"
    }


def test_every_problem_is_told_before_the_first_resource() -> None:
    refused = made(("e", TracedEnvironmentArgs(agents=99, servers=2)))
    assert refused.resources == ()
    assert "agents: 99 is too large: the maximum is 10" in str(refused.error)
    assert "servers: 2 cannot be used" in str(refused.error)


def test_the_kubeconfig_is_known_once_the_cluster_is_ready(default: Run) -> None:
    """So that resources inside the cluster wait for it."""

    def body() -> None:
        environment = TracedEnvironment("e", TracedEnvironmentArgs(folder=str(PROJECT)))
        pulumi.ComponentResource("shop:index:Chart", "chart", {"config": environment.kubeconfig})

    stack = run_program(body, project="shop")
    chart = next(resource for resource in stack.resources if resource.name == "chart")
    (source,) = chart.property_dependencies["config"]
    assert source.endswith("::e-cluster-ensure")


# --- Args and Pulumi.yaml are one schema ----------------------------------------------------------


def _type(annotation: Any) -> str:
    (kind,) = (kind for kind in typing.get_args(annotation) if kind is not type(None))
    kinds: dict[Any, str] = {
        str: "string",
        int: "integer",
        bool: "boolean",
        list[str]: "array",
        dict[str, str]: "object",
        RegistriesArgs: "object",
        list[ExporterArgs]: "array",
    }
    return kinds[kind]


def test_every_key_is_an_argument_of_its_type() -> None:
    keys = {name: str(field.alias) for name, field in Settings.model_fields.items()}
    hints = typing.get_type_hints(TracedEnvironmentArgs)
    assert {keys[name]: _type(hint) for name, hint in hints.items() if name not in OWN_ARGS} == {
        key: rule["type"] for key, rule in SCHEMA.items()
    }
    assert hints.keys() - keys.keys() == OWN_ARGS


@pytest.mark.parametrize("key", sorted(SCHEMA))
def test_an_argument_is_described_as_its_key(key: str) -> None:
    """The descriptions become those of the schema for other languages."""
    source = " ".join(inspect.getsource(TracedEnvironmentArgs).split())
    assert SCHEMA[key]["description"].rstrip(".") in source


def test_importing_it_does_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import components, components.stack_config"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(PROJECT), "PATH": "/nonexistent"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


# --- stacks made before TracedEnvironment existed -------------------------------------------------

PARTS = [
    "backends-guard",
    "cluster",
    "cluster-guard",
    "collector",
    "files",
    "jaeger",
    "network",
    "node-image",
    "probe",
    "rehearsal",
    "stack",
]


def test_this_projects_stacks_are_taken_over_by_their_old_names(default: Run) -> None:
    earlier = {
        resource.name: resource.earlier_names
        for resource in default.resources
        if resource.earlier_names
    }
    assert earlier == {part: (part,) for part in PARTS}


def test_other_programs_have_no_old_names() -> None:
    stack = made((ENVIRONMENT, TracedEnvironmentArgs(folder=str(PROJECT))))
    assert all(not resource.earlier_names for resource in stack.resources)
