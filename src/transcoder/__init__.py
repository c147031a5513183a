"""gRPC and REST from one Python process.

A request's way, one module for each step:

    uvicorn → gateway.py → routing.py (Match) → request.py (message) → upstream/ (call)
            → response_encoder.py (bytes) → answering.py → uvicorn
    errors from anywhere → errors.py → google.rpc.Status

`Transcoder` is the pure core, `Gateway` the ASGI application around it, `Server` one process
that listens for HTTP and for gRPC. Names are resolved when first used, so that the core can be
imported without grpc and starlette.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from transcoder.lazy import lazy

if TYPE_CHECKING:
    from transcoder.admin import Admin
    from transcoder.connection_limits import ConnectionLimits
    from transcoder.errors import ConfigError, InvalidRequest, StatusError, TranscoderError
    from transcoder.event_stream import EventStream
    from transcoder.forward_split import ForwardSplit, ForwardVersion
    from transcoder.forwarded import TrustedProxies
    from transcoder.gateway import Gateway
    from transcoder.graphql_upstream import GraphQl
    from transcoder.health import Health
    from transcoder.http_port import HttpPort
    from transcoder.http_route import HttpRoute
    from transcoder.http_upstream.proxy import HttpUpstream
    from transcoder.listeners import Listening
    from transcoder.metadata import set_http_status
    from transcoder.own_pages import OpenApi
    from transcoder.pace import Pace
    from transcoder.profile import ENVOY, GOOGLE, GRPC_GATEWAY, STRICT, Profile
    from transcoder.response import Payload
    from transcoder.server import Server
    from transcoder.server_tls import ServerTls
    from transcoder.status import Code, Status
    from transcoder.stream_limits import StreamLimits
    from transcoder.timeouts import Timeout, Timeouts
    from transcoder.transcoder import Transcoder
    from transcoder.upstream.balanced import Balanced
    from transcoder.upstream.breaker import Thresholds
    from transcoder.upstream.channel import Channel
    from transcoder.upstream.choice import Condition, Sticky, VersionMatch
    from transcoder.upstream.circuit_breaker import CircuitBreaker
    from transcoder.upstream.limited import Limited
    from transcoder.upstream.outliers import OutlierDetection
    from transcoder.upstream.split import Split, Version
    from transcoder.upstream.tls import Tls
    from transcoder.upstream.versions import HeaderMatch
    from transcoder.validation import Validation

_HOME = {
    "Admin": "admin",
    "Balanced": "upstream.balanced",
    "Channel": "upstream.channel",
    "CircuitBreaker": "upstream.circuit_breaker",
    "Code": "status",
    "Condition": "upstream.choice",
    "ConfigError": "errors",
    "ENVOY": "profile",
    "ConnectionLimits": "connection_limits",
    "EventStream": "event_stream",
    "ForwardSplit": "forward_split",
    "ForwardVersion": "forward_split",
    "GOOGLE": "profile",
    "GRPC_GATEWAY": "profile",
    "Gateway": "gateway",
    "GraphQl": "graphql_upstream",
    "HeaderMatch": "upstream.versions",
    "Health": "health",
    "HttpPort": "http_port",
    "HttpRoute": "http_route",
    "HttpUpstream": "http_upstream.proxy",
    "InvalidRequest": "errors",
    "Limited": "upstream.limited",
    "Listening": "listeners",
    "OpenApi": "own_pages",
    "OutlierDetection": "upstream.outliers",
    "Pace": "pace",
    "Payload": "response",
    "Profile": "profile",
    "STRICT": "profile",
    "Server": "server",
    "ServerTls": "server_tls",
    "Split": "upstream.split",
    "Status": "status",
    "StatusError": "errors",
    "Sticky": "upstream.choice",
    "StreamLimits": "stream_limits",
    "Thresholds": "upstream.breaker",
    "Timeout": "timeouts",
    "Timeouts": "timeouts",
    "Tls": "upstream.tls",
    "Transcoder": "transcoder",
    "TranscoderError": "errors",
    "TrustedProxies": "forwarded",
    "Validation": "validation",
    "Version": "upstream.split",
    "VersionMatch": "upstream.choice",
    "set_http_status": "metadata",
}

__all__ = [
    "ENVOY",
    "GOOGLE",
    "GRPC_GATEWAY",
    "STRICT",
    "Admin",
    "Balanced",
    "Channel",
    "CircuitBreaker",
    "Code",
    "Condition",
    "ConfigError",
    "ConnectionLimits",
    "EventStream",
    "ForwardSplit",
    "ForwardVersion",
    "Gateway",
    "GraphQl",
    "HeaderMatch",
    "Health",
    "HttpPort",
    "HttpRoute",
    "HttpUpstream",
    "InvalidRequest",
    "Limited",
    "Listening",
    "OpenApi",
    "OutlierDetection",
    "Pace",
    "Payload",
    "Profile",
    "Server",
    "ServerTls",
    "Split",
    "Status",
    "StatusError",
    "Sticky",
    "StreamLimits",
    "Thresholds",
    "Timeout",
    "Timeouts",
    "Tls",
    "Transcoder",
    "TranscoderError",
    "TrustedProxies",
    "Validation",
    "Version",
    "VersionMatch",
    "set_http_status",
]

__getattr__ = lazy(__name__, _HOME)


def __dir__() -> list[str]:
    return __all__
