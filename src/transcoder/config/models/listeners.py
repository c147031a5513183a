"""Where a gateway listens, as a file says it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from transcoder.config.models.model import Model
from transcoder.errors import ConfigError
from transcoder.hosts import Host as Pattern

Port = Annotated[str, Field(description="HOST:PORT, :PORT or unix:/path")]


def _host(text: str) -> str:
    try:
        return str(Pattern.parse(text))
    except ConfigError as error:
        raise ValueError(error) from None


Host = Annotated[
    str,
    AfterValidator(_host),
    Field(description="user.example.com or *.example.com, with or without the listener's port"),
]


class Listen(Model):
    """Where the gateway listens."""

    http: Port = ":8080"
    grpc: Port = ":50051"
    admin: Port | None = None
    hosts: Annotated[list[Host], Field(description="served over HTTP; none for all")] = []
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
