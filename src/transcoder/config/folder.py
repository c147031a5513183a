"""The folder of a file, which its relative paths are of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from transcoder.config.models.listeners import ServerTls
from transcoder.config.models.upstreams import Tls as ClientTls
from transcoder.server_tls import ServerTls as ShownTls
from transcoder.stamps import Stamp, stamp
from transcoder.upstream.tls import Tls

_FILES: Final = frozenset({"ca", "certificate", "client_ca", "key"})


class Folder:
    """Finds the files that a file names.

    Args:
        path: of the folder.
    """

    def __init__(self, path: Path) -> None:
        self.files: dict[Path, Stamp] = {}
        """What was found to be read, and what it was like before that."""
        self._path = path

    def __call__(self, name: str) -> Path:
        """Return the path of a file that is going to be read."""
        path = self._path / name
        self.files.setdefault(path, stamp(path))
        return path

    def unwatched(self, name: str) -> Path:
        """Return the path of a file that is written, or that its reader watches itself."""
        return self._path / name

    def apart(self) -> Folder:
        """Return the same folder, in which nothing was found yet."""
        return Folder(self._path)

    def server_tls(self, given: ServerTls | None) -> ShownTls | None:
        """Return what listeners show; None for nothing."""
        return (
            None
            if given is None
            else ShownTls(**_found(given.told(), lambda name: str(self.unwatched(name))))
        )

    def tls(self, given: ClientTls | None) -> Tls | None:
        """Return how a backend is spoken to; None for in the clear."""
        return None if given is None else Tls(**_found(given.told(), self))


def _found(told: Mapping[str, Any], find: Callable[[str], Path | str]) -> dict[str, Any]:
    return {
        name: find(value) if name in _FILES and value is not None else value
        for name, value in told.items()
    }
