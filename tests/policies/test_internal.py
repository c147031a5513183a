from __future__ import annotations

import pytest

from entrances import ENTRANCES, call_each
from transcoder.policies.internal import Internal

FORGED = {"X-Internal": "forged", "x_internal": "forged", "grpc-metadata-x-internal": "forged"}


@pytest.mark.parametrize("entrance", list(ENTRANCES))
def test_marked(entrance: str) -> None:
    """Every call is marked once, whatever the client says in whichever spelling."""
    seen = call_each(FORGED, policies=[Internal()])[entrance][0].seen
    assert seen["x-internal"] == ["true"]
    assert "x_internal" not in seen


def test_not_told() -> None:
    """The client is told nothing of it."""
    outcomes = call_each(policies=[Internal()])
    assert all("x-internal" not in calls[0].headers for calls in outcomes.values())
