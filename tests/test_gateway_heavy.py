"""Serialized messages that take protobuf long: what they may cost the event loop."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from websockets.sync.client import connect

from cost import BOUND
from heavy import EVERYTHING, SERVICE, TAKEN
from serialized import heaviest, number

if TYPE_CHECKING:
    from tests.conftest import Served, Start

PROTOBUF = "application/x-protobuf"
SIZES = {"1MiB": (1 << 20) - 100, "4MiB": (4 << 20) - 100}
NAMES = [name for name, (type_, _) in heaviest(1).items() if type_ == "everything.v1.Everything"]
CASES = [(name, "1MiB") for name in NAMES]
CASES += [(name, "4MiB") for name in ("children", "in-a-list", "grandchildren")]
FEW = {"numbers", "unknown-group"}
"""Those that hold few messages."""
OPTIONS = [("grpc.max_receive_message_length", 8 << 20), ("grpc.max_send_message_length", 8 << 20)]
TAKEN_DATA: bytes = TAKEN.SerializeToString()
_PATH = f"/{SERVICE.full_name}/"


def content(name: str, size: str) -> bytes:
    return heaviest(SIZES[size])[name][1]


class Backend(grpc.GenericRpcHandler):
    """Answers any method with the message of the name in the request, or that it was taken."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        if handler_call_details.method.endswith("Watch"):
            return grpc.unary_stream_rpc_method_handler(self._watch)
        if handler_call_details.method.endswith("Import"):
            return grpc.stream_unary_rpc_method_handler(self._import)
        return grpc.unary_unary_rpc_method_handler(self._answer)

    def _answer(self, request: bytes, context: Any) -> bytes:
        if len(request) > 1000:
            return TAKEN_DATA
        name, _, size = EVERYTHING.FromString(request).string_value.partition("@")
        return content(name, size)

    def _watch(self, request: bytes, context: Any) -> Iterator[bytes]:
        yield self._answer(request, context)

    def _import(self, requests: Iterator[bytes], context: Any) -> bytes:
        for _ in requests:
            pass
        return TAKEN_DATA


@pytest.fixture(scope="module")
def local(start_shared: Start) -> Served:
    """A gateway that answers by itself."""
    return start_shared("heavy:create")


@pytest.fixture(scope="module")
def backend() -> Iterator[None]:
    """A backend of heavy replies, which the gateways started meanwhile find."""
    server = grpc.server(ThreadPoolExecutor(2), options=OPTIONS)
    server.add_generic_rpc_handlers((Backend(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BACKEND", f"127.0.0.1:{port}")
        yield
    server.stop(None).wait()


@pytest.fixture(scope="module")
def routed(start_shared: Start, backend: None) -> Served:
    """A gateway before that backend."""
    return start_shared("heavy:routed")


@pytest.fixture(scope="module")
def intercepted(start_shared: Start, backend: None) -> Served:
    """The same with an interceptor, for which it reads what else it would pass on unread."""
    return start_shared("heavy:intercepted")


def held(served: Served, call: Callable[[], object]) -> float:
    """Return how many CPU seconds the loop was held at once: the least of a few tries."""
    longest: list[float] = []
    for _ in range(5):
        served.get("/held")
        call()
        longest.append(served.get("/held")[2])
        if longest[-1] < BOUND:
            break
    return min(longest)


def channel_to(served: Served) -> grpc.Channel:
    return grpc.insecure_channel(served.grpc_target, OPTIONS)


def post(served: Served, path: str, body: bytes, content_type: str = PROTOBUF) -> int:
    """Send a body; return the status."""
    connection = http.client.HTTPConnection(served.http_target, timeout=20)
    connection.request("POST", path, body, {"content-type": content_type})
    status = connection.getresponse().status
    connection.close()
    return status


def get(served: Served, path: str, accept: str) -> int:
    """Ask for an answer; return the status."""
    connection = http.client.HTTPConnection(served.http_target, timeout=20)
    connection.request("GET", path, headers={"accept": accept})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


@pytest.mark.parametrize(("name", "size"), CASES)
def test_bodies(local: Served, name: str, size: str) -> None:
    """A serialized body keeps nobody waiting."""
    body = content(name, size)
    statuses = set()
    longest = held(local, lambda: statuses.add(post(local, "/v1/put", body)))

    assert statuses == {200}
    assert longest < BOUND


@pytest.mark.parametrize("size", SIZES)
def test_bodies_of_a_field(local: Served, size: str) -> None:
    """Nor does one that is a field of the request."""
    body = content("children", size)
    longest = held(local, lambda: post(local, "/v1/child", body))

    assert longest < BOUND


@pytest.mark.parametrize("size", SIZES)
def test_messages_of_a_stream(local: Served, size: str) -> None:
    """Nor does a message of a stream."""
    body = content("children", size)
    delimited, content_type = number(len(body)) + body, f"{PROTOBUF}; delimited=true"
    longest = held(local, lambda: post(local, "/v1/import", delimited, content_type))

    assert longest < BOUND


@pytest.mark.parametrize("size", SIZES)
def test_messages_of_a_websocket(local: Served, size: str) -> None:
    """Nor does one that comes in frames."""
    body = content("children", size)

    def call() -> None:
        with connect(f"ws://{local.http_target}/v1/import", max_size=None) as socket:
            socket.send(body)
            socket.send("")
            answers.add(socket.recv())

    answers: set[str | bytes] = set()
    longest = held(local, call)

    assert answers == {'{"stringValue":"taken"}'}
    assert longest < BOUND


@pytest.mark.parametrize(("name", "size"), CASES)
def test_requests(local: Served, name: str, size: str) -> None:
    """Nor does a request on the gRPC port."""
    data = content(name, size)
    with channel_to(local) as channel:
        put: Any = channel.unary_unary(_PATH + "Put")
        longest = held(local, lambda: put(data, timeout=20))

    assert longest < BOUND


@pytest.mark.parametrize(("name", "size"), CASES)
def test_requests_passed_on(routed: Served, name: str, size: str) -> None:
    """Nor when it is passed on."""
    data = content(name, size)
    with channel_to(routed) as channel:
        put: Any = channel.unary_unary(_PATH + "Put")
        longest = held(routed, lambda: put(data, timeout=20))

    assert longest < BOUND


@pytest.mark.parametrize(("name", "size"), [*CASES[: len(NAMES)], ("grandchildren", "4MiB")])
def test_bodies_passed_on(routed: Served, name: str, size: str) -> None:
    """Nor a body for a backend; one of too many messages is refused."""
    body = content(name, size)
    statuses = set()
    longest = held(routed, lambda: statuses.add(post(routed, "/v1/put", body)))

    assert statuses == {200 if name in FEW else 413}
    assert longest < BOUND


@pytest.mark.parametrize("size", SIZES)
def test_messages_of_a_stream_passed_on(routed: Served, size: str) -> None:
    """Nor a message of a stream for one."""
    body = content("grandchildren", size)
    delimited, content_type = number(len(body)) + body, f"{PROTOBUF}; delimited=true"
    statuses = set()
    longest = held(
        routed, lambda: statuses.add(post(routed, "/v1/import", delimited, content_type))
    )

    assert statuses == {413}
    assert longest < BOUND


@pytest.mark.parametrize("size", SIZES)
def test_streamed_requests(local: Served, size: str) -> None:
    """Nor when it is one of many."""
    data = content("children", size)
    with channel_to(local) as channel:
        import_: Any = channel.stream_unary(_PATH + "Import")
        longest = held(local, lambda: import_(iter([data]), timeout=20))

    assert longest < BOUND


@pytest.mark.parametrize(("name", "size"), CASES)
def test_replies(routed: Served, name: str, size: str) -> None:
    """Nor does a backend's reply; one of too many messages is refused."""
    statuses = set()
    path = f"/v1/{name}@{size}"
    longest = held(routed, lambda: statuses.add(get(routed, path, "application/json")))

    assert statuses == {200 if name in FEW else 500}
    assert longest < BOUND


@pytest.mark.parametrize("size", SIZES)
def test_serialized_replies(routed: Served, size: str) -> None:
    """Nor does one that the client wants serialized."""
    statuses = set()
    longest = held(routed, lambda: statuses.add(get(routed, f"/v1/children@{size}", PROTOBUF)))

    assert statuses == {500}
    assert longest < BOUND


@pytest.mark.parametrize(("name", "size"), CASES)
def test_replies_passed_on(routed: Served, name: str, size: str) -> None:
    """Nor does one on the gRPC port."""
    asked = EVERYTHING(string_value=f"{name}@{size}").SerializeToString()
    with channel_to(routed) as channel:
        call: Any = channel.unary_unary(_PATH + "Get")
        longest = held(routed, lambda: call(asked, timeout=20))

    assert longest < BOUND


@pytest.mark.parametrize(("name", "size"), CASES)
def test_replies_through_interceptors(intercepted: Served, name: str, size: str) -> None:
    """Nor one that an interceptor may look at; one of too many messages is refused."""
    asked = EVERYTHING(string_value=f"{name}@{size}").SerializeToString()
    told: set[str | None] = set()

    def ask() -> None:
        try:
            call(asked, timeout=20)
            told.add("")
        except grpc.RpcError as error:
            told.add(error.details())

    with channel_to(intercepted) as channel:
        call: Any = channel.unary_unary(_PATH + "Get")
        longest = held(intercepted, ask)

    assert told == {"" if name in FEW else "the backend's answer is over a limit"}
    assert longest < BOUND


@pytest.mark.parametrize("size", SIZES)
def test_streamed_replies_passed_on(routed: Served, size: str) -> None:
    """Nor one of many."""
    asked = EVERYTHING(string_value=f"children@{size}").SerializeToString()
    with channel_to(routed) as channel:
        watch: Any = channel.unary_stream(_PATH + "Watch")
        longest = held(routed, lambda: list(watch(asked, timeout=20)))

    assert longest < BOUND


@pytest.mark.parametrize("size", SIZES)
def test_streamed_replies_through_interceptors(intercepted: Served, size: str) -> None:
    """Nor one of many that an interceptor may look at."""
    asked = EVERYTHING(string_value=f"children@{size}").SerializeToString()
    told: set[str | None] = set()

    def ask() -> None:
        try:
            list(watch(asked, timeout=20))
        except grpc.RpcError as error:
            told.add(error.details())

    with channel_to(intercepted) as channel:
        watch: Any = channel.unary_stream(_PATH + "Watch")
        longest = held(intercepted, ask)

    assert told == {"the backend's answer is over a limit"}
    assert longest < BOUND
