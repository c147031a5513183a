"""The folder of a file, which its relative paths are of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from transcoder.config.models.listeners import ServerTls
from transcoder.config.models.upstreams import Tls as ClientTls
from transcoder.server_tls import ServerTls as ShownTls
from transcoder.upstream.tls import Tls

_FILES: Final = frozenset({"ca", "certificate", "client_ca", "key"})


class Folder:
    """Finds the files that a file names.

    Args:
        path: of the folder.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, name: str) -> Path:
        """Return the path of a file."""
        return self._path / name

    def server_tls(self, given: ServerTls | None) -> ShownTls | None:
        """Return what listeners show; None for nothing."""
        return None if given is None else ShownTls(**self._files(given.told()))

    def tls(self, given: ClientTls | None) -> Tls | None:
        """Return how a backend is spoken to; None for in the clear."""
        return None if given is None else Tls(**self._files(given.told()))

    def _files(self, told: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: self(value) if name in _FILES and value is not None else value
            for name, value in told.items()
        }
