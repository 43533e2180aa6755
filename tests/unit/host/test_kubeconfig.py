"""The stack's kubeconfig keeps what others have written into it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

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
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(k3d, "kubeconfig", lambda _: GIVEN)
    return tmp_path / "kubeconfig"


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
def test_what_has_nothing_of_others_is_what_k3d_gives(path: Path, before: str | None) -> None:
    if before is not None:
        path.write_text(before)
    kubeconfig.write(path, "traced-dev")
    assert path.read_text() == GIVEN
    assert path.stat().st_mode & 0o777 == 0o600


def test_entries_of_other_clusters_stay(path: Path) -> None:
    """As `kind create cluster` and the tools of clouds write them where KUBECONFIG says."""
    mine = document("k3d-traced-dev", "https://127.0.0.1:1")
    other = document("prod", "https://prod.example", namespace="shop")
    both = {
        key: mine[key] + other[key] if isinstance(mine[key], list) else other[key] for key in mine
    }
    path.write_text(yaml.safe_dump(both))
    kubeconfig.write(path, "traced-dev")
    written = yaml.safe_load(path.read_text())
    given = yaml.safe_load(GIVEN)
    for kind in ("clusters", "contexts", "users"):
        assert written[kind] == given[kind] + other[kind]
    assert written["current-context"] == "k3d-traced-dev"


def test_the_namespace_that_somebody_chose_stays(path: Path) -> None:
    """`kubectl config set-context --current --namespace=shop`."""
    before = document("k3d-traced-dev", "https://127.0.0.1:1", namespace="shop")
    path.write_text(yaml.safe_dump(before))
    kubeconfig.write(path, "traced-dev")
    written = yaml.safe_load(path.read_text())
    assert written == document("k3d-traced-dev", "https://127.0.0.1:6550", namespace="shop")
