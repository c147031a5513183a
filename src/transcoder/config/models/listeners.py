"""Where a gateway listens, as a file says it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from transcoder.config.models.model import Model
from transcoder.errors import ConfigError
from transcoder.hosts import Host as Pattern
from transcoder.hosts import Served
from transcoder.listeners import Address


def _address(text: str) -> str:
    try:
        Address.parse(text)
    except ConfigError as error:
        raise ValueError(error) from None
    return text


Port = Annotated[str, AfterValidator(_address), Field(description="HOST:PORT, :PORT or unix:/path")]


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


class Listener(Model):
    """A further port for HTTP; see `transcoder.HttpPort`."""

    http: Port
    hosts: Annotated[list[Host], Field(description="answered there; none for all")] = []
    tls: Annotated[
        ServerTls | None, Field(description="the gateway's without it; null for in the clear")
    ] = None


def not_over_grpc(tls: ServerTls | None) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield what the port for gRPC cannot have, which has the same TLS as the one for HTTP."""
    advice = "listeners may have it in a tls of their own"
    if tls is not None and tls.client_certificates == "optional":
        yield ("tls", "client_certificates"), f"the gRPC port knows 'required' only: {advice}"
    if tls is not None and tls.min_version != "1.2":
        yield ("tls", "min_version"), f"the gRPC port knows '1.2' only: {advice}"


def clashes(
    listen: Listen, listeners: Sequence[Listener]
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield where further ports are not to be had, and why."""
    taken = {
        Address.parse(text): f"listen.{name}"
        for name, text in (("http", listen.http), ("grpc", listen.grpc), ("admin", listen.admin))
        if text is not None
    }
    for index, each in enumerate(listeners):
        address = Address.parse(each.http)
        other = taken.setdefault(address, f"listeners[{index}]")
        # The system chooses another each time.
        chosen = not address.port and not address.path
        if other != f"listeners[{index}]" and not chosen:
            yield ("listeners", index, "http"), f"{address} is the address of {other}"
        for place, host in enumerate(each.hosts):
            try:
                Served([host]).check_port(address.port)
            except ConfigError as error:
                yield ("listeners", index, "hosts", place), str(error)
