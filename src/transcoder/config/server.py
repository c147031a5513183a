"""What a file says of the server that serves its gateway, as the server's arguments."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from transcoder.config.folder import Folder
from transcoder.config.models import Config
from transcoder.config.parts import placed
from transcoder.connection_limits import ConnectionLimits
from transcoder.http_port import HttpPort


def options(config: Config, folder: Path = Path()) -> dict[str, Any]:
    """Return the arguments of the `Server` that serves what a file describes.

    Args:
        config: what the file says.
        folder: which its relative paths are of.

    Raises:
        WrongPart: an option is none.
    """
    told = config.server.told("workers", "connections")
    with placed("server"):
        told["connections"] = ConnectionLimits(**config.server.connections.told())
    with placed("tls"):
        told["tls"] = Folder(folder).server_tls(config.tls)
    if config.listen.admin is not None:
        with placed("listen", "admin"):
            import_module("transcoder.observers.scrape")
    return told


def http_ports(config: Config, folder: Path = Path()) -> list[HttpPort]:
    """Return where a `Server` listens for HTTP; the arguments are those of `options`.

    Raises:
        WrongPart: an option is none.
    """
    ports = [HttpPort(config.listen.http)]
    for index, each in enumerate(config.listeners):
        told = each.told("http")
        with placed("listeners", index):
            if "tls" in told:
                told["tls"] = Folder(folder).server_tls(each.tls)
            ports.append(HttpPort(each.http, **told))
    return ports
