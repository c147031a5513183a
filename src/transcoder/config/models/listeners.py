"""Where a gateway listens, as a file says it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from transcoder.config.models.model import Model

Port = Annotated[str, Field(description="HOST:PORT, :PORT or unix:/path")]


class Listen(Model):
    """Where the gateway listens."""

    http: Port = ":8080"
    grpc: Port = ":50051"
    admin: Port | None = None
    admin_name: Annotated[str, Field(description="of the process, as its certificate has it")] = ""
    admin_peers: Annotated[list[str], Field(description="admin ports of other processes")] = []


class ServerTls(Model):
    """What it shows there; see `transcoder.ServerTls`."""

    certificate: str
    key: str
    client_ca: str | None = None
    client_certificates: Literal["required", "optional"] | None = None
    min_version: Literal["1.2", "1.3"] = "1.2"
    handshake_timeout: float = 10.0
