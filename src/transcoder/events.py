"""Who is told of calls and of what was decided about them: logs, metrics, audits.

What they are told they must take at once: the event loop waits for them.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from transcoder.call_details import CallDetails
from transcoder.errors import StatusError
from transcoder.measured import Measured


@runtime_checkable
class Observer(Protocol):
    """Is told of every call, on both doors."""

    def began(self, call: CallDetails) -> None:
        """Take note of a call that has come; nothing is decided about it yet."""
        ...

    def ended(self, call: CallDetails) -> None:
        """Take note of a call that is over, in whatever way."""
        ...


@runtime_checkable
class Follower(Protocol):
    """An observer that tells what others count."""

    def follow(self, measured: Measured) -> None:
        """Ask it whenever somebody asks here, from now on and in place of another."""
        ...


@runtime_checkable
class Auditor(Protocol):
    """Is told of every decision of a policy."""

    def decided(self, call: CallDetails, policy: str, refusal: StatusError | None) -> None:
        """Take note of a decision, before it has any effect.

        Args:
            call: about which.
            policy: the policy's name.
            refusal: what the client is told; None where the policy lets the call pass.

        Raises:
            StatusError: the call must not go on, for the decision cannot be noted.
        """
        ...
