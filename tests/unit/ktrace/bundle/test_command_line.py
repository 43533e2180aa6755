"""A command line is kept without what may be a secret in it."""

from __future__ import annotations

import pytest

from ktrace.bundle.command_line import without_values


@pytest.mark.parametrize(
    ("command", "kept"),
    [
        ("kubectl apply -n shop -f deploy.yaml", "kubectl apply -n shop -f deploy.yaml"),
        ("kubectl rollout restart deploy/web", "kubectl rollout restart deploy/web"),
        ("kubectl --token hunter2 get pods", "kubectl --token … get pods"),
        ("kubectl --token=hunter2 get pods -A", "kubectl --token=… get pods -A"),
        (
            "kubectl create secret generic a --from-literal=password=hunter2",
            "kubectl create secret generic a --from-literal=…",
        ),
        ("kubectl set env deploy/web PASSWORD=hunter2", "kubectl set env deploy/web PASSWORD=…"),
        ("helm install web ./chart --set db.password=hunter2", "helm install web ./chart --set …"),
        ("sh -c hunter2", "sh -c …"),
        ("kubectl exec web-0 -- mysql -phunter2", "kubectl exec web-0 -- …"),
        ("kubectl scale deploy/web --replicas=3", "kubectl scale deploy/web --replicas=3"),
        ("mysql -p:hunter2", "mysql …"),
        ("curl https://me:hunter2@host/path", "curl https://…@host/path"),
    ],
)
def test_only_values_that_are_known_to_be_harmless_are_kept(command: str, kept: str) -> None:
    assert " ".join(without_values(command.split())) == kept
    assert "hunter2" not in kept
