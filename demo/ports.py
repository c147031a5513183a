"""The ports that files and commands name, and those that are free on this machine."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Mapping
from contextlib import ExitStack

_PORT = re.compile(r"(?<=:)\d{4,5}\b")


class Ports:
    """Ports by the names that files have for them, which are ports too.

    Args:
        free: the port that is used, by the one that is written.

    >>> ports = Ports({"8443": "41000"})
    >>> ports.real("https://localhost:8443/v1"), ports.written("localhost:41000")
    ('https://localhost:41000/v1', 'localhost:8443')
    """

    def __init__(self, free: Mapping[str, str]) -> None:
        self._free = dict(free)
        self._written = {real: written for written, real in free.items()}

    @classmethod
    def found(cls, written: Iterable[str]) -> Ports:
        """Return ports of 127.0.0.1 that are free now, one for each that is written."""
        with ExitStack() as stack:
            free = {}
            for port in written:
                probe = stack.enter_context(socket.socket())
                probe.bind(("127.0.0.1", 0))
                free[port] = str(probe.getsockname()[1])
        return cls(free)

    def real(self, text: str) -> str:
        """Return a text with the ports that are used."""
        return _PORT.sub(lambda found: self._free.get(found[0], found[0]), text)

    def written(self, text: str) -> str:
        """Return a text with the ports that are written."""
        return _PORT.sub(lambda found: self._written.get(found[0], found[0]), text)
