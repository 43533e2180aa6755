"""A stack's configuration: which values are accepted, and which problems others cause.

The cases are the files in settings/: ``config`` over the defaults of Pulumi.yaml.
"""

from __future__ import annotations

import re
import string
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from annotated_types import Ge, Le
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from runtime_observability.core.compatibility import OLDEST_COLLECTOR, OLDEST_JAEGER, OLDEST_K3S
from runtime_observability.core.settings.exporter import Exporter, Tls
from runtime_observability.core.settings.model import (
    CLUSTER_KEYS,
    PORT_DEFAULTS,
    Registries,
    Settings,
)
from runtime_observability.core.settings.parse import SettingsError, parse
from runtime_observability.core.versions import Version
from tests.configuration import SCHEMA, defaults, of_stack_file, parsed

CASES = Path(__file__).parent / "settings"


def cases(pattern: str) -> list[Any]:
    found = [pytest.param(path, id=path.stem) for path in sorted(CASES.glob(pattern))]
    assert found, f"no case in {CASES} is named {pattern}"
    return found


@pytest.mark.parametrize("path", cases("valid-*.yaml"))
def test_is_accepted(path: Path) -> None:
    case = yaml.safe_load(path.read_text())
    accepted = parsed(**case["config"])
    dumped = accepted.model_dump(mode="json")
    wanted = case.get("settings", {})
    assert {key: dumped[key] for key in wanted} == wanted
    assert accepted.ports == case.get("ports", accepted.ports)


@pytest.mark.parametrize("path", cases("invalid-*.yaml"))
def test_is_refused(path: Path) -> None:
    case = yaml.safe_load(path.read_text())
    raw = defaults() | case.get("config", {})
    with pytest.raises(SettingsError) as refused:
        parse(raw)
    assert [str(problem) for problem in refused.value.problems] == case["problems"]
    assert all(problem in str(refused.value) for problem in case["problems"])


def test_every_key_is_refused_by_some_case() -> None:
    """Those of an exporter and of registries too."""
    inside: dict[str, type[BaseModel]] = {
        "exporters": Exporter,
        "exporters.tls": Tls,
        "registries": Registries,
    }
    known = {
        f"{key}.{field.alias}"
        for key, model in inside.items()
        for field in model.model_fields.values()
    }
    told = (
        problem
        for path in CASES.glob("invalid-*.yaml")
        for problem in yaml.safe_load(path.read_text())["problems"]
        if "unknown key" not in problem
    )
    keys = {re.sub(r"\.\d+", "", problem.split(":")[0].split(" ")[0]) for problem in told}
    assert known | SCHEMA.keys() <= keys


BESIDE = {
    "jaegerMaxTraces": {"jaegerMemoryMiB": 65_536},
    "jaegerMemoryMiB": {"jaegerMaxTraces": 1_000},
}
"""What another key needs for every number of a key to be possible."""


@pytest.mark.parametrize(
    ("key", "least", "most"),
    [
        ("agents", 0, 10),
        ("apiserverSamplingPerMillion", 0, 1_000_000),
        ("nodeSamplingPerMillion", 0, 1_000_000),
        ("collectorSamplingPerMillion", 0, 1_000_000),
        ("portOffset", 0, 40_000),
        ("jaegerUiPort", 1024, 65_535),
        ("kubeApiPort", 1024, 65_535),
        ("jaegerMaxTraces", 1_000, 1_000_000),
        ("jaegerMemoryMiB", 128, 65_536),
        ("collectorMemoryMiB", 64, 65_536),
        ("probeTimeoutSeconds", 10, 600),
    ],
)
def test_a_number_ends_where_it_says(key: str, least: int, most: int) -> None:
    for number, cure in ((least - 1, f"the minimum is {least}"), (most + 1, f"maximum is {most}")):
        with pytest.raises(SettingsError, match=cure) as refused:
            parsed(**BESIDE.get(key, {}), **{key: number})
        assert len(refused.value.problems) == 1
    for number in (least, most):
        settings = parsed(**BESIDE.get(key, {}), **{key: number})
        assert settings.model_dump(by_alias=True)[key] == number


def test_the_offset_moves_a_default_that_is_text() -> None:
    """Pulumi passes every value on as text."""
    settings = parsed(portOffset="100", jaegerUiPort="16686", otlpGrpcPort="4318")
    assert (settings.jaeger_ui_port, settings.otlp_grpc_port) == (16786, 4318)


def test_a_number_of_too_many_digits_is_still_a_number() -> None:
    with pytest.raises(SettingsError, match="it has too many digits"):
        parsed(agents="9" * 5_000)


def test_an_offset_that_is_no_number_hides_no_other_problem() -> None:
    with pytest.raises(SettingsError) as refused:
        parsed(portOffset="many", kubeApiPort=65_536)
    offset, port = sorted(str(problem) for problem in refused.value.problems)[::-1]
    assert offset.startswith('portOffset: "many" cannot be used')
    assert port == "kubeApiPort: 65536 is too large: the maximum is 65535"


def test_every_committed_stack_is_accepted() -> None:
    for stack in ("dev", "lab", "article"):
        parsed(**of_stack_file(stack))


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        parsed().agents = 2  # type: ignore[misc]


@given(st.integers(min_value=0, max_value=40_000))
def test_any_offset_moves_every_port_alike(offset: int) -> None:
    moved = parsed(portOffset=offset).ports
    assert moved == {key: port + offset for key, port in PORT_DEFAULTS.items()}


@given(
    st.dictionaries(
        st.sampled_from(sorted(SCHEMA)),
        st.one_of(st.integers(), st.text(max_size=8), st.booleans()),
        max_size=4,
    ).filter(lambda raw: not {"k3sArgs", "publishedPorts", "registries"} & raw.keys())
)
def test_whatever_is_given_is_settings_or_a_list_of_problems(raw: dict[str, Any]) -> None:
    try:
        parsed(**raw)
    except SettingsError as refused:
        keys = {problem.key.partition(" ")[0] for problem in refused.problems}
        assert keys <= SCHEMA.keys()


# --- secrets --------------------------------------------------------------------------------------

passwords = st.text(string.ascii_letters + string.digits + "-._~!:@/%+$;,", min_size=6).map(
    lambda text: f"Hush{text}"
)
logins = st.sampled_from(
    [
        ("k3sArgs", ["--token={}"]),
        ("k3sArgs", ["--token {}"]),
        ("k3sArgs", ["--etcd-s3-secret-key={}@server:0"]),
        ("k3sArgs", ["--etcd-s3-proxy=http://ada:{}@proxy:3128@server:*"]),
        ("k3sArgs", ["--datastore-endpoint=mysql://ada:{}@tcp(db:3306)/k3s"]),
        ("k3sArgs", ["--datastore-endpoint=postgres://db/k3s?password={}"]),
        ("k3sArgs", ["--kube-apiserver-arg=etcd-servers=https://ada:{}@db"]),
        ("k3sArgs", "--token={}"),
        ("registryMirror", "ada:{}@registry.example"),
        ("registryMirror", "https://ada:{}@registry.example"),
        ("jaegerImage", "ada:{}@registry.example/jaeger"),
        ("registries", {"use": ["http://ada:{}@registry.example"]}),
        ("registries", {"config": "mirrors: {{a: {{endpoint: ['https://ada:{}@b']}}}}"}),
        ("registries", {"config": "configs: {{a: {{auth: {{password: '{}'}}}}}}"}),
        ("registries", "configs: {{a: {{auth: {{password: '{}'}}}}}}"),
    ]
)


def _filled(template: Any, password: str) -> Any:
    if isinstance(template, dict):
        return {key: _filled(value, password) for key, value in template.items()}
    if isinstance(template, list):
        return [_filled(item, password) for item in template]
    return template.format(password)


@given(logins, passwords)
def test_a_login_is_refused_and_never_repeated(login: tuple[str, Any], password: str) -> None:
    key, template = login
    with pytest.raises(SettingsError) as refused:
        parsed(**{key: _filled(template, password)})
    assert {problem.key.partition(".")[0] for problem in refused.value.problems} == {key}
    assert "Hush" not in str(refused.value)
    assert password[4:] not in str(refused.value)


@pytest.mark.parametrize("key", ["k3sArgs", "registries"])
def test_two_settings_differ_in_what_is_secret(key: str) -> None:
    kept = parse(defaults(), secret_keys=[key])
    assert kept.secret_keys == {key}
    assert parsed().secret_keys == frozenset()
    assert kept.model_dump() == parsed().model_dump()


# --- Pulumi.yaml and Settings are one schema ------------------------------------------------------


def _type_in_pulumi(annotation: Any) -> str:
    if annotation is Version or typing.get_origin(annotation) is typing.Literal:
        return "string"
    if typing.get_origin(annotation) is tuple:
        return "array"
    if typing.get_origin(annotation) is Mapping or issubclass(annotation, BaseModel):
        return "object"
    names: dict[Any, str] = {int: "integer", bool: "boolean", str: "string"}
    return names[annotation]


def test_both_have_the_same_keys_of_the_same_types() -> None:
    fields = Settings.model_fields.values()
    assert {str(field.alias): _type_in_pulumi(field.annotation) for field in fields} == {
        key: rule["type"] for key, rule in SCHEMA.items()
    }


def test_both_have_the_same_defaults() -> None:
    """Pulumi fills in those of Pulumi.yaml; programs of other projects have only the model's."""
    assert all("default" in rule for rule in SCHEMA.values())
    assert parse({}) == parsed()


def test_the_ports_that_move_have_the_defaults_of_pulumi_yaml() -> None:
    ports = {key: rule["default"] for key, rule in SCHEMA.items() if key.endswith("Port")}
    assert ports == PORT_DEFAULTS


def test_what_changes_the_nodes_is_the_same_in_both() -> None:
    changes = re.compile(r"A change .*(replaces the cluster|restarts the nodes|adds nodes)")
    said = {key for key, rule in SCHEMA.items() if changes.search(rule["description"])}
    assert set(CLUSTER_KEYS) == said


@pytest.mark.parametrize("key", sorted(SCHEMA))
def test_every_key_is_explained(key: str) -> None:
    assert len(SCHEMA[key]["description"]) > 20


def bounds(field: FieldInfo) -> tuple[int | None, int | None]:
    """The least and the greatest number of a key; None where it has no such bound."""
    found = {type(rule): rule for rule in field.metadata if isinstance(rule, Ge | Le)}
    least, most = found.get(Ge), found.get(Le)
    return getattr(least, "ge", None), getattr(most, "le", None)


def said_range(key: str) -> tuple[int | None, int | None]:
    """``10 to 600`` in the description of a key in Pulumi.yaml."""
    ranges = re.findall(r"(-?\b\d+) to (\d+)\b", SCHEMA[key]["description"])
    assert len(ranges) <= 1, f"{key} states {len(ranges)} ranges"
    return (int(ranges[0][0]), int(ranges[0][1])) if ranges else (None, None)


@pytest.mark.parametrize("field", Settings.model_fields.values(), ids=lambda field: field.alias)
def test_the_range_of_a_number_is_told(field: FieldInfo) -> None:
    assert said_range(str(field.alias)) == bounds(field)


def test_every_number_has_a_range() -> None:
    numbers = [field for field in Settings.model_fields.values() if field.annotation is int]
    assert len(numbers) > 10
    assert [field.alias for field in numbers if None in bounds(field)] == []


@pytest.mark.parametrize(
    ("key", "oldest"),
    [
        ("k3sVersion", OLDEST_K3S),
        ("jaegerVersion", OLDEST_JAEGER),
        ("collectorVersion", OLDEST_COLLECTOR),
    ],
)
def test_the_oldest_release_is_told(key: str, oldest: Version) -> None:
    assert f"{oldest} or newer" in SCHEMA[key]["description"]


@pytest.mark.parametrize(
    ("image", "accepted"), [("", False), ("own/k3s:v{version}", False), ("own/k3s:today", True)]
)
def test_a_k3s_without_a_build_number_needs_an_image_that_does_not_name_it(
    image: str, accepted: bool
) -> None:
    chosen = {"k3sVersion": "1.34.4", "k3sImage": image}
    if accepted:
        assert parsed(**chosen).images.nodes == image
        return
    with pytest.raises(SettingsError, match=r"1\.34\.4 is not the tag of an image"):
        parsed(**chosen)
