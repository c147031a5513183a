"""Several ways to be known, of which one is enough."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from transcoder.call_details import CallDetails
from transcoder.policies.policy import Authenticator, Denied, Now, Policy, Stage
from transcoder.status import Code


class AnyOf:
    """Asks one policy after another who calls, until one knows.

    Args:
        policies: of authentication, at least one.
    """

    stage: Final = Stage.AUTHENTICATION

    def __init__(self, policies: Sequence[Policy]) -> None:
        self.name = policies[0].name if len(policies) == 1 else "authentication"
        self._policies = policies
        challenges = [each.challenge for each in policies if isinstance(each, Authenticator)]
        self._headers = [("www-authenticate", each) for each in dict.fromkeys(challenges)]

    def decide(self, call: CallDetails, now: Now) -> Any:
        """Let a call pass whose caller is known."""
        for index, policy in enumerate(self._policies):
            waiting = policy.decide(call, now)
            if waiting is not None:
                return self._rest(waiting, index, call, now)
            if call.principal is not None:
                return None
        raise self._unknown()

    async def _rest(self, waiting: Any, index: int, call: CallDetails, now: Now) -> None:
        await waiting
        for policy in self._policies[index + 1 :]:
            if call.principal is not None:
                return
            further = policy.decide(call, now)
            if further is not None:
                await further
        if call.principal is None:
            raise self._unknown()

    def _unknown(self) -> Denied:
        message = "this needs credentials"
        return Denied(Code.UNAUTHENTICATED, message, reason="missing", headers=self._headers)
