"""The last calls that failed, for people to look at."""

from __future__ import annotations

import heapq
from collections import deque
from typing import Final, NamedTuple

from transcoder.call_details import CallDetails
from transcoder.status import FAULTS, Code

KEPT: Final = 50
"""How many of each kind: failures of the server, and calls that it refused."""

_TEXT_LIMIT = 256


class Failure(NamedTuple):
    """A call that failed.

    Args:
        number: of it; later ones have greater numbers.
        at: when it was over, in seconds since the epoch.
        seconds: that it took.
        door: through which it came.
        method: the full name of the rpc; empty where no rpc answers.
        route: the template of its path; empty for none.
        path: as the client sent it, the beginning.
        http_status: of the answer; 0 on the gRPC door.
        code: the name of the call's code; empty where none was told.
        denied_by: the name of the policy that refused it.
        reason: why it was refused, or cut.
        request_id: names the call.
        peer: the client's address.
    """

    number: int
    at: float
    seconds: float
    door: str
    method: str
    route: str
    path: str
    http_status: int
    code: str
    denied_by: str
    reason: str
    request_id: str
    peer: str

    @property
    def is_fault(self) -> bool:
        """Whether it is the server's fault."""
        return Code[self.code] in FAULTS if self.code else self.http_status >= 500


class Recent:
    """The last failures; many of one kind do not push out those of the other."""

    def __init__(self) -> None:
        self._faults: deque[Failure] = deque(maxlen=KEPT)
        self._refusals: deque[Failure] = deque(maxlen=KEPT)

    def add(self, failure: Failure) -> None:
        """Keep one."""
        (self._faults if failure.is_fault else self._refusals).append(failure)

    def since(self, number: int = 0) -> list[Failure]:
        """Return those after the one of a number, in their order; it may be another thread."""
        found = heapq.merge(self._faults.copy(), self._refusals.copy())
        return [each for each in found if each.number > number]


class Failures:
    """Keeps the last calls that failed, of both kinds.

    >>> failures = Failures()
    >>> call = CallDetails("http", path="/nowhere")
    >>> call.http_status = 404
    >>> failures.ended(call)
    >>> [(each.http_status, each.path) for each in failures.recent.since()]
    [(404, '/nowhere')]
    """

    def __init__(self) -> None:
        self.recent: Final = Recent()
        self._count = 0

    def began(self, call: CallDetails) -> None:
        """Do nothing: it may go well."""

    def ended(self, call: CallDetails) -> None:
        """Keep a call that did not."""
        code = call.code
        if code is Code.OK or (code is None and call.http_status < 400):
            return
        self._count += 1
        seconds = max(0.0, call.ended - call.started)
        self.recent.add(
            Failure(
                self._count,
                call.wall + seconds,
                seconds,
                call.door,
                call.method,
                call.template,
                call.path[:_TEXT_LIMIT],
                call.http_status,
                "" if code is None else code.name,
                call.denied_by,
                call.reason,
                call.request_id,
                call.peer,
            )
        )
