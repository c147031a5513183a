"""What serves a gateway, as a file says it; see `transcoder.Server`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from transcoder.config.models.model import Model

Seconds = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]


class Connections(Model):
    """See `transcoder.ConnectionLimits`."""

    total: int = 0
    per_address: int = 0
    head: float = 10.0
    stall: float = 60.0


class Server(Model):
    """Processes, their graces, and the limits of their ports; a change takes a restart."""

    workers: Count = 1
    settle: Seconds = 5.0
    grace: Seconds = 30.0
    stream_grace: Seconds = 5.0
    reload_grace: Seconds = 300.0
    max_concurrent_streams: Count = 100
    max_message: Count = 4 << 20
    max_connection_age: Annotated[float, Field(gt=0)] = 300.0
    keep_alive: Annotated[int, Field(ge=0)] = 75
    backlog: Count = 2048
    connections: Connections = Connections()
