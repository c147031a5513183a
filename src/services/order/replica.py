"""Which replica of a service answered."""

from __future__ import annotations

from typing import Final

from transcoder.policies import CallDetails, Now, Stage


class Replica:
    """Tells every client, refused ones too, under `x-replica`; it refuses nobody.

    Args:
        name: of the replica, or its version.
    """

    name: Final = "replica"
    stage: Final = Stage.REQUEST_ID

    def __init__(self, name: str) -> None:
        self._name = name

    def decide(self, call: CallDetails, now: Now) -> None:
        """Let a call pass."""
        call.tell_client("x-replica", self._name)
