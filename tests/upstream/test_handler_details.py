from __future__ import annotations

from typing import Any

import grpc
import pytest

from transcoder.errors import ConfigError
from transcoder.upstream.interceptors import HandlerDetails, chained


class Blocking(grpc.ServerInterceptor):
    """An interceptor of gRPC's other server."""

    def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        """Pass on."""
        return continuation(handler_call_details)


def test_wrong_interceptor() -> None:
    """An interceptor that is none of grpc.aio is refused before anything is served."""
    with pytest.raises(ConfigError, match="Blocking"):
        chained([Blocking()], lambda _: None)


def test_details_are_grpcs() -> None:
    """The details are gRPC's class, and can be replaced in part as grpc.aio's can."""
    details = HandlerDetails("/a", (("x", "1"),))
    replaced: Any = details._replace(method="/b")

    assert replaced == HandlerDetails("/b", (("x", "1"),))
    assert isinstance(replaced, grpc.HandlerCallDetails)
