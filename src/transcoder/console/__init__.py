"""The console: a page for operators, and what this process sees of who calls whom.

Nothing is done while nobody looks. A look takes what metrics count anyway; the page is made off
the event loop.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from transcoder.console import page
from transcoder.console.history import History
from transcoder.console.look import Look, Question, Source
from transcoder.console.peers import Peer, Peers
from transcoder.console.readings import Backend, Caller, counted
from transcoder.console.view import View
from transcoder.topology import EDGES, Edge, Topology, merged

NAMELESS = "gateway"
"""The name of a process that answers no service itself."""


class Console:
    """Makes the pages.

    Args:
        source: what they tell of.
        peers: other processes.
        name: of this one; empty for that of the first service that it answers itself.
        now: the clock.
    """

    def __init__(
        self,
        source: Source,
        peers: Peers,
        name: str = "",
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._peers = peers
        self._name = name
        self._now = now
        self._began = now()
        # Each belongs to a view; there are as many as there are workers.
        self._histories: dict[str, History] = {}
        self._looks: dict[str, Look] = {}
        self._pages: dict[str, bytes] = {}
        self._looking = threading.Lock()

    async def page(self, worker: str = "") -> bytes:
        """Return the console.

        Args:
            worker: the place of one of several processes; empty for all together.

        Raises:
            KeyError: there is no such worker.
        """
        ready = await self._source.ready()
        if worker and worker not in {each["worker"] for each in ready.get("workers", ())}:
            raise KeyError(worker)
        peers = await self._peers.look()
        return await asyncio.to_thread(self._made, worker, ready, peers)

    async def topology(self) -> Topology:
        """Return what this process sees of who calls whom."""
        return await asyncio.to_thread(self._own)

    async def explanation(self, question: Question) -> bytes:
        """Return the page that explains a request; a question without a path is none."""
        told = await self._source.explain(question) if question.target else None
        name = await asyncio.to_thread(self._called)
        return page.explanation(name, question, told)

    def _made(self, worker: str, ready: Mapping[str, Any], peers: Sequence[Peer]) -> bytes:
        with self._looking:
            if self._look(worker) or worker not in self._pages:
                self._pages[worker] = self._rendered(worker, ready, peers)
            return self._pages[worker]

    def _own(self) -> Topology:
        with self._looking:
            self._look("")
            return self._topology("")

    def _called(self) -> str:
        with self._looking:
            self._look("")
            return self._name_of(self._looks[""])

    def _look(self, worker: str) -> bool:
        """Look, unless it was just now; return whether there was something to see."""
        now = self._now()
        history = self._histories.setdefault(worker, History(self._began))
        if not history.is_due(now):
            return False
        look = self._looks[worker] = self._source.look(worker)
        history.take(now, counted(look.families))
        return True

    def _rendered(self, worker: str, ready: Mapping[str, Any], peers: Sequence[Peer]) -> bytes:
        look = self._looks[worker]
        told = [peer.topology for peer in peers if peer.topology is not None]
        view = View(
            name=self._name_of(look),
            ready=ready,
            look=look,
            history=self._histories[worker],
            peers=peers,
            edges=merged([self._topology(worker), *told]),
            worker=worker,
        )
        return page.console(view)

    def _name_of(self, look: Look) -> str:
        return self._name or next(iter(look.about.services), NAMELESS)

    def _topology(self, worker: str) -> Topology:
        look, history = self._looks[worker], self._histories[worker]
        name = self._name_of(look)
        edges = []
        for key in history.keys:
            if isinstance(key, Caller):
                edge = Edge(source=key.name, destination=name)
            elif isinstance(key, Backend):
                edge = Edge(source=name, destination=key.service or "others", target=key.target)
            else:
                continue
            rates = history.rates(key)
            edges.append(
                replace(edge, rate=rates.rate, failed=rates.failed, p50=rates.p50, p99=rates.p99)
            )
        return Topology(name=name, services=look.about.services, edges=tuple(edges[:EDGES]))
