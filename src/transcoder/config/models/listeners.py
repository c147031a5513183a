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


def asks_for_certificates(tls: ServerTls | None, listeners: Sequence[Listener]) -> bool:
    """Say whether clients show certificates at any port."""
    shown = (tls, *(each.tls for each in listeners))
    return any(each is not None and each.client_ca is not None for each in shown)


def clashes(
    listen: Listen, listeners: Sequence[Listener]
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield where ports are not to be had, and why."""
    taken: list[tuple[Address, str]] = []
    told = [(("listen", name), getattr(listen, name)) for name in ("http", "grpc", "admin")]
    ports: list[tuple[tuple[str | int, ...], str, str]] = [
        (keys, text, ".".join(keys)) for keys, text in told if text is not None
    ]
    ports += [
        (("listeners", index, "http"), each.http, f"listeners[{index}]")
        for index, each in enumerate(listeners)
    ]
    for keys, text, name in ports:
        address = Address.parse(text)
        for other, of in taken:
            if _clash(address, other):
                how = "is the address" if address == other else f"is taken by {other}, the address"
                yield keys, f"{address} {how} of {of}"
                break
        taken.append((address, name))
    for index, each in enumerate(listeners):
        port = Address.parse(each.http).port
        for place, host in enumerate(each.hosts):
            try:
                Served([host]).check_port(port)
            except ConfigError as error:
                yield ("listeners", index, "hosts", place), str(error)


def _clash(one: Address, other: Address) -> bool:
    """Say whether only one of two addresses is to be had."""
    if one.path or other.path:
        return one.path == other.path
    # Without a port the system chooses another each time.
    if one.port != other.port or not one.port:
        return False
    same = not _hosts(one).isdisjoint(_hosts(other))
    return same or _is_every(one, other) or _is_every(other, one)


def _hosts(address: Address) -> frozenset[str]:
    return frozenset({"127.0.0.1", "::1"} if address.host == "localhost" else {address.host})


def _is_every(one: Address, other: Address) -> bool:
    """Say whether an address is all interfaces, that of another among them."""
    return one.host in {"", "::"} or (one.host == "0.0.0.0" and ":" not in other.host)  # noqa: S104  it is looked for
