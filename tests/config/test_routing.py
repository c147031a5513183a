"""What a file says of routing, and what is built of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from transcoder.config import build, read_models
from transcoder.config.build import Built
from transcoder.config.models import Config
from transcoder.errors import NotFound

SERVICE: dict[str, Any] = {"module": "services.user.v1.user_service_pb2", "upstream": "a"}
GOOD: dict[str, Any] = {
    "upstreams": {"a": {"target": "localhost:1"}, "b": {"target": "localhost:2"}},
    "services": [SERVICE],
}


def built(**told: Any) -> Built:
    """Build what a file says; JSON is YAML."""
    config, found = read_models(json.dumps({**GOOD, **told}), "g.yaml")
    assert found == []
    assert isinstance(config, Config)
    return build(config)


def test_hosts() -> None:
    """Services are at the hosts that they name, and the listener serves those that it names."""
    made = built(
        listen={"hosts": ["*.example.com"]},
        services=[{**GOOD["services"][0], "hosts": ["Users.example.com", "u.example.com:8443"]}],
    )
    transcoder = made.gateway.transcoder

    assert transcoder.match("GET", "/v1/users/7", "users.example.com").values == ("7",)
    for host in ("", "other.example.com"):
        with pytest.raises(NotFound):
            transcoder.match("GET", "/v1/users/7", host)
    assert not transcoder.compile().serves(transcoder.compile().of("elsewhere"))
