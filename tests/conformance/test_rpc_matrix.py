"""Every kind of method in every way it may go, behind six doors, with one set of assertions.

A servicer in the gateway's process, behind a channel, or behind interceptors and a channel; asked
over REST or over gRPC. Who asks can see no difference.
"""

from __future__ import annotations

import base64
import http.client
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import grpc
import pytest
from google.protobuf import json_format
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from tests.conftest import Served, Start

from chunked import noted
from matrix import SECRET, names
from streams import Ask, Sum, Told

SERVICE = "/streams.v1.Streams"
ROUTES = {
    "Single": ("GET", "single"),
    "Tell": ("GET", "told"),
    "Collect": ("POST", "asks"),
    "Echo": ("POST", "echo"),
}
REPLIES = {"Single": Told, "Tell": Told, "Collect": Sum, "Echo": Told}
STREAMS = {"Collect", "Echo"}
KINDS = list(ROUTES)


@dataclass(frozen=True)
class Outcome:
    """How a call went, as its client sees it."""

    code: int
    message: str
    replies: list[Any]
    reasons: list[str] = field(default_factory=list)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    raw: str = ""


class Door(Protocol):
    """One way to reach the servicer."""

    served: Served

    def call(
        self,
        name: str,
        requests: Sequence[Any],
        metadata: Mapping[str, str | bytes] = ...,
        timeout: float | None = ...,
    ) -> Outcome:
        """Call a method; give up after so many seconds, as a deadline."""
        ...

    def abandon(self, name: str, request: Any) -> None:
        """Call a method and go away while it runs."""
        ...


class Rest:
    """Asks over REST, for lines."""

    def __init__(self, served: Served, ledger: Served) -> None:
        self.served = ledger
        self._target = served.http_target

    def call(
        self,
        name: str,
        requests: Sequence[Any],
        metadata: Mapping[str, str | bytes] = {},
        timeout: float | None = None,
    ) -> Outcome:
        headers = {"accept": "application/x-ndjson, application/json"}
        for key, value in metadata.items():
            text = base64.b64encode(value).decode() if isinstance(value, bytes) else value
            headers[key] = text
        if timeout is not None:
            headers["grpc-timeout"] = f"{round(timeout * 1000)}m"
        connection = self._asked(name, requests, headers)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        told = names(answer.getheaders())
        if "seal-bin" in told:
            told["seal-bin"] = base64.b64decode(told["seal-bin"])
        return self._outcome(name, answer.status, [json.loads(x) for x in body.splitlines()], told)

    def abandon(self, name: str, request: Any) -> None:
        connection = self._asked(name, [request], {})
        time.sleep(0.3)
        connection.close()

    def _asked(
        self, name: str, requests: Sequence[Any], headers: Mapping[str, str]
    ) -> http.client.HTTPConnection:
        method, path = ROUTES[name]
        topic = requests[0].topic or "-" if requests else "-"
        connection = http.client.HTTPConnection(self._target, timeout=10)
        if name in STREAMS:
            body = "\n".join(json_format.MessageToJson(x, indent=None) for x in requests)
            sent = {**headers, "content-type": "application/json"}
            connection.request(method, f"/v1/{topic}/{path}", body, sent)
            return connection
        (request,) = requests
        given = json_format.MessageToDict(request)
        given.pop("topic", None)
        query = "&".join(f"{key}={value}" for key, value in given.items())
        connection.request(method, f"/v1/{topic}/{path}?{query}", headers=dict(headers))
        return connection

    def _outcome(self, name: str, status: int, told: list[Any], headers: Any) -> Outcome:
        error: Any = {}
        if status != 200:
            (error,) = told
            told = []
        elif told and "error" in told[-1]:
            error = told.pop()["error"]
        reply = REPLIES[name]
        return Outcome(
            error.get("code", 0),
            error.get("message", ""),
            [json_format.ParseDict(each, reply()) for each in told],
            [detail["reason"] for detail in error.get("details", [])],
            headers,
            json.dumps([told, error]),
        )


class Rpc:
    """Asks over gRPC."""

    def __init__(self, served: Served, ledger: Served) -> None:
        self.served = ledger
        self._channel = served.channel()

    def call(
        self,
        name: str,
        requests: Sequence[Any],
        metadata: Mapping[str, str | bytes] = {},
        timeout: float | None = 10,
    ) -> Outcome:
        call = self._asked(name, requests, tuple(metadata.items()), timeout)
        replies: list[Any] = []
        reasons: list[str] = []
        error: Any = None
        try:
            replies.extend(call if name in {"Tell", "Echo"} else [call.result()])
        except grpc.RpcError as raised:
            error = raised
            status = rpc_status.from_call(error)
            for detail in status.details if status else ():
                info = error_details_pb2.ErrorInfo()
                detail.Unpack(info)
                reasons.append(info.reason)
        told = names((*(call.initial_metadata() or ()), *(call.trailing_metadata() or ())))
        code = call.code().value[0]
        raw = "" if error is None else str(error.details())
        return Outcome(code, call.details() or "", replies, reasons, told, raw)

    def abandon(self, name: str, request: Any) -> None:
        call = self._asked(name, [request], (), 10)
        time.sleep(0.3)
        call.cancel()

    def close(self) -> None:
        self._channel.close()

    def _asked(self, name: str, requests: Sequence[Any], metadata: Any, timeout: Any) -> Any:
        makers: dict[str, Any] = {
            "Single": self._channel.unary_unary,
            "Tell": self._channel.unary_stream,
            "Collect": self._channel.stream_unary,
            "Echo": self._channel.stream_stream,
        }
        make = makers[name](
            f"{SERVICE}/{name}",
            request_serializer=Ask.SerializeToString,
            response_deserializer=REPLIES[name].FromString,
        )
        sent = iter(requests) if name in STREAMS else requests[0]
        ask = make.future if name in {"Single", "Collect"} else make
        return ask(sent, metadata=metadata, timeout=timeout)


@pytest.fixture(scope="module")
def local(start_shared: Start) -> Served:
    """The gateway with the servicer in its process."""
    return start_shared("matrix:serving")


@pytest.fixture(scope="module")
def remote(local: Served, start_shared: Start) -> Iterator[Served]:
    """The gateway before it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BACKEND", local.grpc_target)
        yield start_shared("matrix:before")


@pytest.fixture(scope="module")
def intercepted(local: Served, start_shared: Start) -> Iterator[Served]:
    """The gateway before it that has an interceptor."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BACKEND", local.grpc_target)
        yield start_shared("matrix:intercepted")


@pytest.fixture(params=["local", "remote", "intercepted"])
def served(request: pytest.FixtureRequest) -> Served:
    """Each gateway."""
    served: Served = request.getfixturevalue(request.param)
    return served


@pytest.fixture(params=["REST", "gRPC"])
def door(request: pytest.FixtureRequest, served: Served, local: Served) -> Iterator[Door]:
    """Each way to reach the servicer."""
    if request.param == "REST":
        yield Rest(served, local)
        return
    rpc = Rpc(served, local)
    yield rpc
    rpc.close()


@pytest.mark.parametrize("name", KINDS)
def test_replies(door: Door, name: str) -> None:
    """Each kind of method is answered with its messages, in their order, and OK."""
    outcome = door.call(name, [Ask(topic="a", count=3)])

    one = {"Single": [Told(text="a", number=3)], "Collect": [Sum(topic="a", count=1)]}
    many = [Told(text="a", number=number) for number in range(3 if name == "Tell" else 1)]
    assert (outcome.code, outcome.replies) == (0, one.get(name, many))


def test_many_requests(door: Door) -> None:
    """Streams of requests arrive whole and in order."""
    asks = [Ask(topic="a") for _ in range(200)]

    assert door.call("Collect", asks).replies == [Sum(topic="a" * 200, count=200)]
    assert len(door.call("Echo", asks).replies) == 200


def test_no_messages(door: Door) -> None:
    """A stream may hold nothing, in either direction."""
    assert door.call("Tell", [Ask(topic="a")]).replies == []
    assert door.call("Collect", []).replies == [Sum()]
    assert door.call("Echo", []).replies == []


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(
    ("how", "code", "message"),
    [
        ("abort", 10, "told so"),
        ("code", 15, "lost"),
        ("details", 9, "gone"),
    ],
)
def test_errors(door: Door, name: str, how: str, code: int, message: str) -> None:
    """A status that the servicer sets or aborts with is what the client is told."""
    outcome = door.call(name, [Ask(topic="a", how=how)])

    assert (outcome.code, outcome.message) == (code, message)
    assert outcome.reasons == (["GONE"] if how == "details" else [])


def test_error_after_replies(door: Door) -> None:
    """What was answered before an error stays answered."""
    outcome = door.call("Tell", [Ask(topic="a", count=5, fail_at=3, how="abort")])

    assert (len(outcome.replies), outcome.code) == (3, 10)


@pytest.mark.parametrize("name", KINDS)
def test_defects(door: Door, name: str) -> None:
    """Of an exception the client learns INTERNAL and nothing else."""
    outcome = door.call(name, [Ask(topic="a", how="defect")])

    assert outcome.code == 13
    assert SECRET not in outcome.raw
    assert "KeyError" not in outcome.raw


@pytest.mark.parametrize("name", KINDS)
def test_metadata(door: Door, name: str) -> None:
    """Metadata arrive and go back, text and bytes; what belongs to the gateway does not."""
    sent: dict[str, str | bytes] = {
        "x-tenant": "acme",
        "x-seal-bin": b"\x00\xff",
        "x-internal": "1",
    }
    # With a reply: of a stream that ends without one, grpc.aio may drop the initial metadata.
    outcome = door.call(name, [Ask(topic="a", count=1, how="trailing")], sent)
    seen = json.loads(outcome.metadata["x-seen"])

    assert seen["x-tenant"] == "acme"
    assert "x-internal" not in seen
    assert outcome.metadata["seal-bin"] == b"\x00\xff"


@pytest.mark.parametrize("name", KINDS)
def test_deadline(door: Door, name: str) -> None:
    """The deadline that the client sets ends the call, and the servicer with it."""
    topic = f"deadline-{name}-{type(door).__name__}-{time.monotonic_ns()}"
    start = time.monotonic()
    outcome = door.call(name, [Ask(topic=topic, how="wait")], timeout=0.4)
    took = time.monotonic() - start

    assert outcome.code == 4
    assert 0.3 < took < 5
    assert noted(door.served.noted, f"{name} cancelled {topic}", 2)


@pytest.mark.parametrize("name", KINDS)
def test_time_remaining(door: Door, name: str) -> None:
    """The servicer knows of the deadline."""
    outcome = door.call(name, [Ask(topic="a", how="left")], timeout=5)

    assert (outcome.code, outcome.message) == (11, "some")


@pytest.mark.parametrize("name", KINDS)
def test_client_goes_away(door: Door, name: str) -> None:
    """When the client goes, the servicer is cancelled."""
    topic = f"gone-{name}-{type(door).__name__}-{time.monotonic_ns()}"
    door.abandon(name, Ask(topic=topic, how="wait"))

    assert noted(door.served.noted, f"{name} cancelled {topic}", 2)
