"""The ports that files and commands name, and those that are free on this machine."""

from __future__ import annotations

import random
import re
import socket
from collections.abc import Iterable, Mapping
from contextlib import ExitStack

_KEPT = range(20_000, 32_768)
"""Ports that no system gives to whoever asks for any, as to a client that connects: Linux begins at
32,768. So the port of a process that has died is still free when it is started again."""

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
        # Whoever runs the story at the same time is not to ask for the same.
        tried = iter(random.sample(_KEPT, len(_KEPT)))
        with ExitStack() as stack:
            free = {name: next(port for port in tried if _binds(stack, port)) for name in written}
        return cls({name: str(port) for name, port in free.items()})

    def real(self, text: str) -> str:
        """Return a text with the ports that are used."""
        return _PORT.sub(lambda found: self._free.get(found[0], found[0]), text)

    def written(self, text: str) -> str:
        """Return a text with the ports that are written."""
        return _PORT.sub(lambda found: self._written.get(found[0], found[0]), text)


def _binds(stack: ExitStack, port: int) -> bool:
    """Say whether a port is free, and hold it for as long as the stack lasts."""
    probe = stack.enter_context(socket.socket())
    try:
        probe.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True
