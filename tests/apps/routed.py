"""A gateway before the backend at BACKEND, to be served by processes that the tests start."""

from __future__ import annotations

import os

from services.user.v1 import user_service_pb2
from transcoder import Channel, Gateway


def create() -> Gateway:
    """Return the gateway; its calls may take a second."""
    gateway = Gateway()
    config = {"methodConfig": [{"name": [{}], "timeout": "1s"}]}
    service = user_service_pb2.DESCRIPTOR.services_by_name["UserService"]
    gateway.route(service, Channel(os.environ["BACKEND"], service_config=config))
    return gateway
