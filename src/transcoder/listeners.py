"""Addresses to listen on, and the claim of one process on them.

An address is claimed before anything slow starts, so that a port in use is found at once, and
opened to clients only when the application is ready. A TCP claim is a socket that is bound and
does not listen: a client is still refused, and so is any other process that wants the port. A Unix
socket has no such state; it listens from the start.
"""

from __future__ import annotations

import contextlib
import errno
import re
import socket
import stat
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self, TypeAlias

from transcoder.errors import ConfigError

_TCP = re.compile(r"(?:\[(?P<v6>[^\[\]]+)\]|(?P<host>[^:\[\]/]*)):(?P<port>[0-9]{1,5})")
_ABSENT = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
_TRIES = 8
_WANTED = "write HOST:PORT, [IPv6]:PORT, :PORT for all interfaces, or unix:/path"

_Name: TypeAlias = "tuple[socket.AddressFamily, tuple[Any, ...]]"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a listener listens: a host is all of its addresses that are of this machine.

    >>> Address.parse("[::1]:8080")
    Address(host='::1', port=8080, path='')
    >>> str(Address.parse(":8080")), Address.parse(":8080").target
    (':8080', 'localhost:8080')
    """

    host: str = ""
    port: int = 0
    path: str = ""

    @classmethod
    def parse(cls, text: str) -> Address:
        """Return the address that `text` writes; port 0 leaves the choice to the system.

        Raises:
            ConfigError: the text is not one of the three forms.
        """
        if text.startswith("unix:"):
            path = text.removeprefix("unix:")
            if not path or "\0" in path:
                raise ConfigError(f"{text!r} is no address: unix: wants a path")
            return cls(path=path)
        match = _TCP.fullmatch(text)
        if match is None or int(match["port"]) > 65535:
            raise ConfigError(f"{text!r} is no address: {_WANTED}")
        return cls(match["v6"] or match["host"], int(match["port"]))

    @property
    def target(self) -> str:
        """What a client on this machine dials."""
        return str(self) if self.host or self.path else f"localhost:{self.port}"

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Listening:
    """Where a process listens, with the real ports; `also` has the further ones for HTTP."""

    http: Address
    grpc: Address
    admin: Address | None = None
    also: tuple[Address, ...] = ()

    @property
    def fronts(self) -> str:
        """All of the ports for HTTP, in words."""
        return " and ".join(map(str, (self.http, *self.also)))

    def __str__(self) -> str:
        aside = "" if self.admin is None else f", admin on {self.admin}"
        return f"http on {self.fronts}, grpc on {self.grpc}{aside}"


@dataclass(frozen=True, slots=True)
class Claim:
    """An address that this process holds.

    Args:
        address: the address, with its real port.
        held: the sockets that hold it; several for a host of several addresses.
        inode: of the Unix socket that is removed at the end; 0 for none.
    """

    address: Address
    held: tuple[socket.socket, ...]
    inode: int = 0

    @classmethod
    def take(cls, door: str, address: Address, *, reuse_port: bool = False) -> Claim:
        """Hold an address.

        Args:
            door: "http" or "grpc", for messages.
            address: what to hold.
            reuse_port: let processes that are told so listen there together, by SO_REUSEPORT.

        Raises:
            ConfigError: the address is in use, does not resolve or may not be bound.
        """
        try:
            if address.path:
                claimed = _claim_path(address.path)
                return cls(address, (claimed,), Path(address.path).stat().st_ino)
            held = _claim_port(address, reuse_port=reuse_port)
        except OSError as error:
            raise ConfigError(f"{door}: {address} {_problem(error)}") from error
        return cls(replace(address, port=held[0].getsockname()[1]), held)

    @classmethod
    def inherit(cls, address: Address, descriptors: Iterable[int]) -> Claim:
        """Return the claim of the parent process that passed these file descriptors."""
        held = tuple(socket.socket(fileno=descriptor) for descriptor in descriptors)
        for each in held:
            each.set_inheritable(False)
            each.settimeout(0)
        return cls(address, held)

    @property
    def descriptors(self) -> tuple[int, ...]:
        """The sockets' file descriptors."""
        return tuple(each.fileno() for each in self.held)

    @property
    def endpoints(self) -> tuple[str, ...]:
        """The claimed addresses in numbers, as gRPC writes them."""
        if self.address.path:
            return (str(self.address),)
        port = self.address.port
        return tuple(str(Address(each.getsockname()[0], port)) for each in self.held)

    def to_listen(self) -> list[socket.socket]:
        """Return copies of the sockets, for a server about to listen, which will close them."""
        if not self.address.path:
            for each in self.held:
                # Connections inherit it; the port of one in TIME_WAIT can be had only with it.
                each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return [each.dup() for each in self.held]

    def release(self) -> None:
        """Close the sockets, as others listen in their stead."""
        for each in self.held:
            each.close()

    def close(self) -> None:
        """Let go of the address."""
        self.release()
        if self.inode:
            with contextlib.suppress(OSError):
                path = Path(self.address.path)
                if path.stat().st_ino == self.inode:
                    path.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _claim_port(address: Address, *, reuse_port: bool) -> tuple[socket.socket, ...]:
    if not address.host:
        return (_claim_all_interfaces(address.port, reuse_port=reuse_port),)
    names = _names(address)
    for _ in range(_TRIES):
        try:
            return _claim_names(names, reuse_port=reuse_port)
        except OSError as error:
            # The port that the system chose for one address may be taken at another.
            if address.port or error.errno != errno.EADDRINUSE:
                raise
    return _claim_names(names, reuse_port=reuse_port)


def _names(address: Address) -> list[_Name]:
    port = address.port
    if address.host == "localhost":
        # Whatever the resolver knows of them (RFC 6761, section 6.3).
        return [(socket.AF_INET, ("127.0.0.1", port)), (socket.AF_INET6, ("::1", port))]
    found = socket.getaddrinfo(address.host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys((family, name) for family, _, _, _, name in found))


def _claim_all_interfaces(port: int, *, reuse_port: bool) -> socket.socket:
    if socket.has_dualstack_ipv6():
        try:
            return _claim_name(socket.AF_INET6, ("::", port), reuse_port=reuse_port)
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL:
                raise
    return _claim_name(socket.AF_INET, ("", port), reuse_port=reuse_port)


def _claim_names(names: Iterable[_Name], *, reuse_port: bool) -> tuple[socket.socket, ...]:
    """Hold those of the names that are of this machine, on one port."""
    held: list[socket.socket] = []
    absent: OSError | None = None
    with contextlib.ExitStack() as stack:
        for family, (host, wanted, *rest) in names:
            port = held[0].getsockname()[1] if held else wanted
            try:
                claimed = _claim_name(family, (host, port, *rest), reuse_port=reuse_port)
            except OSError as error:
                if error.errno not in _ABSENT:
                    raise
                absent = error
            else:
                held.append(stack.enter_context(claimed))
        stack.pop_all()
    if absent is not None and not held:
        raise absent
    return tuple(held)


def _claim_name(
    family: socket.AddressFamily, name: tuple[Any, ...], *, reuse_port: bool
) -> socket.socket:
    if name[1] != 0:
        with _bound(family, name) as probe:
            probe.listen(1)
    claimed = _bound(family, name, reuse_port=reuse_port)
    # It was wanted for connections in TIME_WAIT. Left on, Linux would let others bind and listen
    # beside this socket for as long as it does not listen itself.
    claimed.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    claimed.settimeout(0)
    return claimed


def _bound(
    family: socket.AddressFamily, name: tuple[Any, ...], *, reuse_port: bool = False
) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, name[0] != "::")
        bound.bind(name)
    except OSError:
        bound.close()
        raise
    return bound


def _claim_path(path: str) -> socket.socket:
    _remove_stale(path)
    claimed = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        claimed.bind(path)
        claimed.listen()
    except OSError:
        claimed.close()
        raise
    claimed.settimeout(0)
    return claimed


def _remove_stale(path: str) -> None:
    try:
        mode = Path(path).stat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(errno.EEXIST, "exists and is no socket", path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink()
        except TimeoutError as error:
            raise OSError(errno.EADDRINUSE, "a backlog is full", path) from error
        else:
            raise OSError(errno.EADDRINUSE, "somebody answers", path)


def _problem(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "is in use"
    if isinstance(error, socket.gaierror):
        return "does not resolve to an address of this machine"
    if isinstance(error, FileExistsError):
        return "exists and is no socket"
    reason = (error.strerror or str(error)).lower()
    return f"cannot be bound: {reason}"
