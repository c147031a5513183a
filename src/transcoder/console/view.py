"""What a page of the console shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from transcoder.console.history import History
from transcoder.console.look import Look
from transcoder.console.peers import Peer
from transcoder.topology import Edge


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What a page shows.

    Args:
        name: of the process.
        ready: its state, as `/readyz` tells it.
        look: what is known of it.
        history: of the last minutes.
        peers: other processes.
        edges: who calls whom, of all.
        worker: the place of the one of several that is shown; empty for all together.
    """

    name: str
    ready: Mapping[str, Any]
    look: Look
    history: History
    peers: Sequence[Peer]
    edges: Sequence[Edge]
    worker: str = ""
