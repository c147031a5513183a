"""What a console looks at: what processes tell at one moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from transcoder.observers.failures import Failure
from transcoder.observers.scrape import Family


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a process says of itself.

    Args:
        services: full names of those that it answers itself.
        limits: what it allows, in words.
    """

    services: tuple[str, ...] = ()
    limits: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is known of one process, or of several together.

    Args:
        about: what it says of itself; of several one speaks for all.
        families: what is counted.
        failures: the last calls that failed, in their order.
    """

    about: About
    families: Sequence[Family]
    failures: Sequence[Failure]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A request that is to be explained.

    Args:
        method: of HTTP.
        target: path and query.
        body: of the request.
        content_type: of the body.
    """

    method: str = "GET"
    target: str = ""
    body: str = ""
    content_type: str = "application/json"


class Source(Protocol):
    """What a console tells of."""

    def look(self, worker: str = "") -> Look:
        """Return what is known; it is asked on a thread.

        Args:
            worker: the place of one of several; empty for all together.
        """
        ...

    async def ready(self) -> Mapping[str, Any]:
        """Return the state of all as JSON has it: `status`, and what it comes from."""
        ...

    async def explain(self, question: Question) -> Mapping[str, Any]:
        """Return why a request goes where it goes, as `explained.plain` has it."""
        ...
