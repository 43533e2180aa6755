"""The stack's kubeconfig keeps what others have written into it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from runtime_observability.core.naming import Names
from runtime_observability.host import k3d, kubeconfig


def document(cluster: str, server: str, **context: str) -> dict[str, Any]:
    """As k3d writes it."""
    return {
        "apiVersion": "v1",
        "clusters": [{"cluster": {"server": server}, "name": cluster}],
        "contexts": [
            {"context": {"cluster": cluster, "user": f"admin@{cluster}"} | context, "name": cluster}
        ],
        "current-context": cluster,
        "kind": "Config",
        "users": [{"name": f"admin@{cluster}", "user": {"token": "of-k3d"}}],
    }


GIVEN = yaml.safe_dump(document("k3d-traced-dev", "https://127.0.0.1:6550"))


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Names:
    monkeypatch.setattr(k3d, "kubeconfig", lambda _: GIVEN)
    return Names("dev", tmp_path)


@pytest.fixture
def path(names: Names) -> Path:
    names.directory.mkdir(parents=True)
    return names.kubeconfig


def with_(*others: dict[str, Any]) -> str:
    """The stack's kubeconfig with entries of ``others``, of which the last is the current one."""
    documents = (document("k3d-traced-dev", "https://127.0.0.1:1"), *others)
    lists = {
        kind: [one[kind][0] for one in documents] for kind in ("clusters", "contexts", "users")
    }
    return yaml.safe_dump(documents[-1] | lists)


@pytest.mark.parametrize(
    "before",
    [
        None,
        yaml.safe_dump(document("k3d-traced-dev", "https://127.0.0.1:1")),
        "",
        "a: [",
        "clusters: 1",
        "contexts: [{name: k3d-traced-dev}]",
    ],
    ids=["absent", "older", "empty", "not YAML", "no list", "no context"],
)
def test_what_has_nothing_of_others_is_what_k3d_gives(
    names: Names, path: Path, before: str | None
) -> None:
    if before is not None:
        path.write_text(before)
    kubeconfig.write(names)
    assert path.read_text() == GIVEN
    assert path.stat().st_mode & 0o777 == 0o600


def test_entries_of_other_clusters_stay(names: Names, path: Path) -> None:
    """As `kind create cluster` and the tools of clouds write them where KUBECONFIG says."""
    other = document("prod", "https://prod.example", namespace="shop")
    path.write_text(with_(other))
    kubeconfig.write(names)
    written = yaml.safe_load(path.read_text())
    given = yaml.safe_load(GIVEN)
    for kind in ("clusters", "contexts", "users"):
        assert written[kind] == given[kind] + other[kind]
    assert written["current-context"] == "k3d-traced-dev"


def test_the_namespace_that_somebody_chose_stays(names: Names, path: Path) -> None:
    """`kubectl config set-context --current --namespace=shop`."""
    before = document("k3d-traced-dev", "https://127.0.0.1:1", namespace="shop")
    path.write_text(yaml.safe_dump(before))
    kubeconfig.write(names)
    written = yaml.safe_load(path.read_text())
    assert written == document("k3d-traced-dev", "https://127.0.0.1:6550", namespace="shop")


def test_what_a_destroy_has_kept_of_others_comes_back(names: Names, path: Path) -> None:
    kept, added = document("prod", "https://prod.example"), document("kind", "https://127.0.0.1:9")
    names.kept_kubeconfig.write_text(with_(kept))
    path.write_text(with_(added))
    kubeconfig.write(names)
    contexts = [entry["name"] for entry in yaml.safe_load(path.read_text())["contexts"]]
    assert contexts == ["k3d-traced-dev", "kind", "prod"]
    assert not names.kept_kubeconfig.exists()


def test_what_is_no_kubeconfig_is_left_where_it_was_kept(names: Names, path: Path) -> None:
    names.kept_kubeconfig.write_text("a: [")
    kubeconfig.write(names)
    assert path.read_text() == GIVEN
    assert names.kept_kubeconfig.exists()
