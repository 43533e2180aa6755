"""Why a cluster cannot be reached, in one line."""

from __future__ import annotations

import pytest
import urllib3
from kubernetes import client

from runtime_observability.host import kubeapi

POOL = urllib3.HTTPConnectionPool("127.0.0.1", 9)
CONNECTION = urllib3.connection.HTTPConnection("127.0.0.1", 9)
REFUSED = urllib3.exceptions.NewConnectionError(CONNECTION, "x: Connection refused")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (client.ApiException(status=401, reason="Unauthorized"), "401 Unauthorized"),
        (urllib3.exceptions.MaxRetryError(POOL, "/api", REFUSED), "Connection refused"),
        (urllib3.exceptions.HTTPError("Read timed out."), "Read timed out."),
    ],
)
def test_the_root_cause_is_told(error: Exception, reason: str) -> None:
    assert kubeapi.reason(error) == reason
