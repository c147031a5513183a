"""What a gateway does at the door without business code: who may call, how often, and what.

A policy decides; `Gateway(policies=[…])` switches it on, for HTTP, WebSocket and gRPC alike. The
order is fixed, from the outside in: see `Stage`. A policy of one's own is any object that is a
`Policy`.
"""

from transcoder.call_details import CallDetails, Principal
from transcoder.events import Auditor, Observer
from transcoder.policies.policy import (
    Authenticator,
    Denied,
    Now,
    Policy,
    Resource,
    Stage,
    Writer,
    load,
)

__all__ = [
    "Auditor",
    "Authenticator",
    "CallDetails",
    "Denied",
    "Now",
    "Observer",
    "Policy",
    "Principal",
    "Resource",
    "Stage",
    "Writer",
    "load",
]
