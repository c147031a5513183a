"""What a gateway does at the door without business code: who may call, how often, and what.

A policy decides; `Gateway(policies=[…])` switches it on, for HTTP, WebSocket and gRPC alike. The
order is fixed, from the outside in: see `Stage`. A policy of one's own is any object that is a
`Policy`. Names are resolved when first used: some need packages that others do without.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from transcoder.lazy import lazy

if TYPE_CHECKING:
    from transcoder.call_details import CallDetails, Principal
    from transcoder.events import Auditor, Observer
    from transcoder.policies.api_keys import ApiKeys
    from transcoder.policies.authorization import Authorization, Grant
    from transcoder.policies.ceilings import Ceiling, Gradient
    from transcoder.policies.compression import Compression, Decompression
    from transcoder.policies.concurrency import ConcurrencyLimit
    from transcoder.policies.cors import Cors
    from transcoder.policies.internal import Internal
    from transcoder.policies.introspection import Introspection
    from transcoder.policies.ip_filter import IpFilter
    from transcoder.policies.issuer import Issuer
    from transcoder.policies.jwt import Jwt
    from transcoder.policies.key_file import KeyFile
    from transcoder.policies.mutual_tls import MutualTls
    from transcoder.policies.policy import (
        Answered,
        Authenticator,
        Check,
        Denied,
        Limiting,
        Now,
        Policy,
        Resource,
        Selective,
        Stage,
        Wrapper,
        Writer,
        load,
    )
    from transcoder.policies.published import Published
    from transcoder.policies.rate_limit import RateLimit
    from transcoder.policies.rates import Limiter, Rate
    from transcoder.policies.request_id import RequestId
    from transcoder.policies.requirement import Requirement
    from transcoder.policies.security_headers import SecurityHeaders
    from transcoder.policies.shared_limit import SharedLimiter

_HOME = {
    "Answered": "policies.policy",
    "ApiKeys": "policies.api_keys",
    "Auditor": "events",
    "Authenticator": "policies.policy",
    "Authorization": "policies.authorization",
    "CallDetails": "call_details",
    "Ceiling": "policies.ceilings",
    "Check": "policies.policy",
    "Compression": "policies.compression",
    "ConcurrencyLimit": "policies.concurrency",
    "Cors": "policies.cors",
    "Decompression": "policies.compression",
    "Denied": "policies.policy",
    "Gradient": "policies.ceilings",
    "Grant": "policies.authorization",
    "Internal": "policies.internal",
    "Introspection": "policies.introspection",
    "IpFilter": "policies.ip_filter",
    "Issuer": "policies.issuer",
    "Jwt": "policies.jwt",
    "KeyFile": "policies.key_file",
    "Limiter": "policies.rates",
    "Limiting": "policies.policy",
    "MutualTls": "policies.mutual_tls",
    "Now": "policies.policy",
    "Observer": "events",
    "Policy": "policies.policy",
    "Principal": "call_details",
    "Published": "policies.published",
    "Rate": "policies.rates",
    "RateLimit": "policies.rate_limit",
    "RequestId": "policies.request_id",
    "Requirement": "policies.requirement",
    "Resource": "policies.policy",
    "SecurityHeaders": "policies.security_headers",
    "Selective": "policies.policy",
    "SharedLimiter": "policies.shared_limit",
    "Stage": "policies.policy",
    "Wrapper": "policies.policy",
    "Writer": "policies.policy",
    "load": "policies.policy",
}

__all__ = [
    "Answered",
    "ApiKeys",
    "Auditor",
    "Authenticator",
    "Authorization",
    "CallDetails",
    "Ceiling",
    "Check",
    "Compression",
    "ConcurrencyLimit",
    "Cors",
    "Decompression",
    "Denied",
    "Gradient",
    "Grant",
    "Internal",
    "Introspection",
    "IpFilter",
    "Issuer",
    "Jwt",
    "KeyFile",
    "Limiter",
    "Limiting",
    "MutualTls",
    "Now",
    "Observer",
    "Policy",
    "Principal",
    "Published",
    "Rate",
    "RateLimit",
    "RequestId",
    "Requirement",
    "Resource",
    "SecurityHeaders",
    "Selective",
    "SharedLimiter",
    "Stage",
    "Wrapper",
    "Writer",
    "load",
]

__getattr__ = lazy(__name__, _HOME)


def __dir__() -> list[str]:
    return __all__
