"""A gateway before the backend at BACKEND, to be served by processes that the tests start."""

from __future__ import annotations

import os
from typing import Any

from services.user.v1 import user_service_pb2
from transcoder import Channel, Gateway


def create(service_config: dict[str, Any] | None = None) -> Gateway:
    """Return the gateway; its calls may take a second."""
    gateway = Gateway()
    config = {"methodConfig": [{"name": [{}], "timeout": "1s"}]}
    service = user_service_pb2.DESCRIPTOR.services_by_name["UserService"]
    channel = Channel(os.environ["BACKEND"], service_config=service_config or config)
    gateway.route(service, channel)
    return gateway


def patient() -> Gateway:
    """Return the gateway; its calls may take a minute."""
    return create({"methodConfig": [{"name": [{}], "timeout": "60s"}]})
