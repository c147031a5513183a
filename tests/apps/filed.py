"""Gateways that files describe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from transcoder.config import Config, build, read_models
from transcoder.config.build import Built

USERS: Final = "services.user.v1.UserService"
SERVICE: Final = {"module": "services.user.v1.user_service_pb2", "upstream": "a"}
GOOD: Final[dict[str, Any]] = {
    "upstreams": {"a": {"target": "localhost:1"}, "b": {"target": "localhost:2"}},
    "services": [SERVICE],
}


def config(**told: Any) -> Config:
    """Return what a file says; JSON is YAML."""
    found, wrong = read_models(json.dumps({**GOOD, **told}), "g.yaml")
    assert wrong == []
    assert isinstance(found, Config)
    return found


def built(folder: Path = Path(), **told: Any) -> Built:
    """Build what a file says."""
    return build(config(**told), folder)


def upstream(made: Built) -> Any:
    """Return who answers the user service."""
    return made.gateway._registry.upstream_of(f"/{USERS}/GetUser")
