import asyncio
import contextlib
import datetime as dt
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import grpc
import grpc.aio
import pytest
import trustme
from google.protobuf.struct_pb2 import ListValue, Value
from google.rpc import error_details_pb2

from backend import CHAT, GET, IMPORT, SERVICE, WATCH, Users, backend
from evil import Answer, evil
from services.user.v1.user_service_pb2 import (
    ChatRequest,
    GetUserRequest,
    ImportUsersRequest,
    ImportUsersResponse,
    User,
    WatchUsersRequest,
)
from transcoder.errors import ConfigError, StatusError
from transcoder.metadata import Metadatum
from transcoder.protojson.weight import LIMIT
from transcoder.status import Code
from transcoder.upstream import Call
from transcoder.upstream.channel import Channel
from transcoder.upstream.channel_options import Backoff, Keepalive
from transcoder.upstream.tls import Tls

OURS = re.compile(r"/grpc/aio/_|call\.pyx|/transcoder/")
T = TypeVar("T")
Test = Callable[[Channel, Users], Awaitable[T]]


def run(test: Test[T], **options: Any) -> T:
    """Run a test with a channel to a backend; nothing of its calls may be left."""

    async def running() -> T:
        users = Users()
        async with backend(users) as target, Channel(target, **options) as channel:
            channel.add(SERVICE)
            value = await test(channel, users)
            await asyncio.wait_for(nothing_left(), 5)
            return value

    return asyncio.run(running())


async def nothing_left() -> None:
    """Wait until no task is left but the backend's; gRPC's own end a moment after a call."""
    while [task for task in asyncio.all_tasks() if OURS.search(repr(task))]:  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def get(channel: Channel, name: str = "7", call: Call | None = None) -> User:
    """Call GetUser."""
    reply = await channel.unary(call or Call(GET), GetUserRequest(id=name))
    assert isinstance(reply, User)
    return reply


async def twice(channel: Channel, name: str) -> list[StatusError]:
    """Return how GetUser fails: as a method's first call, and as one of the next."""
    failures = []
    for first in (True, False):
        if not first:
            await get(channel)
        with pytest.raises(StatusError) as caught:
            await get(channel, name)
        failures.append(caught.value)
    return failures


async def texts(*words: str) -> AsyncIterator[ChatRequest]:
    """Say words."""
    for word in words:
        yield ChatRequest(text=word)


async def imports(*names: str, then: float = 0) -> AsyncIterator[ImportUsersRequest]:
    """Import users, then wait."""
    for name in names:
        yield ImportUsersRequest(user_id=name)
    await asyncio.sleep(then)


def test_unary() -> None:
    """A call for one reply returns it, and the metadata that came with it."""

    async def test(channel: Channel, users: Users) -> None:
        for _ in range(2):
            call = Call(GET)

            assert User(id="7") == await get(channel, call=call)
            assert call.initial_metadata == (("x-cost", "3"), ("seal-bin", b"\x00"))
            assert call.trailing_metadata == (("x-after", "1"),)

    run(test)


def test_server_stream() -> None:
    """Replies come one by one; initial metadata with the first, trailing with the end."""

    async def test(channel: Channel, users: Users) -> None:
        call, numbers, after = Call(WATCH), [], []
        async for reply in channel.stream(call, WatchUsersRequest()):
            numbers.append(getattr(reply, "sequence"))  # noqa: B009  a Message to mypy
            after.append(call.trailing_metadata)
            assert call.initial_metadata == (("x-cost", "3"),)

        assert numbers == [0, 1, 2]
        assert after == [()] * 3
        assert call.trailing_metadata == (("x-after", "1"),)

    run(test)


def test_client_stream() -> None:
    """Requests are passed on as they come, and the one reply is returned."""

    async def test(channel: Channel, users: Users) -> None:
        reply = await channel.unary(Call(IMPORT), imports("a", "b"))

        assert ImportUsersResponse(created_count=2) == reply

    run(test)


def test_bidirectional_stream() -> None:
    """The next request waits for nothing but the client."""

    async def test(channel: Channel, users: Users) -> None:
        answered: asyncio.Queue[str] = asyncio.Queue()

        async def talk() -> AsyncIterator[ChatRequest]:
            yield ChatRequest(text="a")
            yield ChatRequest(text=await answered.get() + "b")

        said = []
        async for reply in channel.stream(Call(CHAT), talk()):
            said.append(getattr(reply, "text"))  # noqa: B009
            answered.put_nowait(said[-1])

        assert said == ["a", "ab"]

    run(test)


def test_backend_ends_first() -> None:
    """A reply before the client's stream has ended ends the call; the stream is left alone."""

    async def test(channel: Channel, users: Users) -> None:
        reply = await channel.unary(Call(IMPORT), imports("a", "stop", then=30))

        assert ImportUsersResponse(created_count=2) == reply

    run(test)


def test_broken_requests() -> None:
    """What reading the client's stream raises is raised, and the backend's call cancelled."""

    async def test(channel: Channel, users: Users) -> None:
        async def broken() -> AsyncIterator[ImportUsersRequest]:
            yield ImportUsersRequest(user_id="hang")
            await users.begun.wait()
            raise StatusError(Code.INVALID_ARGUMENT, "not JSON")

        with pytest.raises(StatusError, match="not JSON"):
            await channel.unary(Call(IMPORT), broken())
        await asyncio.wait_for(users.cancelled.wait(), 5)

    run(test)


def test_status() -> None:
    """A status of the backend comes with its message, details and metadata."""

    async def test(channel: Channel, users: Users) -> None:
        for error in await twice(channel, "none"):
            detail = error_details_pb2.ErrorInfo()
            error.status.details[0].Unpack(detail)

            assert (error.status.code, error.status.message) == (Code.NOT_FOUND, "no such user")
            assert (error.http, detail.reason) == (404, "GONE")

    run(test)


def test_metadata_of_failures() -> None:
    """A failed call's metadata is told too, less what is gRPC's own."""

    async def test(channel: Channel, users: Users) -> None:
        call = Call(GET)
        with pytest.raises(StatusError):
            await get(channel, "none", call)

        assert call.initial_metadata == (("x-cost", "3"), ("seal-bin", b"\x00"))
        assert call.trailing_metadata == (("x-after", "1"),)

    run(test)


def test_late_status() -> None:
    """A status after replies ends their stream."""

    async def test(channel: Channel, users: Users) -> None:
        call = Call(WATCH)
        replies = channel.stream(call, WatchUsersRequest(id="late"))
        for _ in range(3):
            await anext(replies)
        with pytest.raises(StatusError) as caught:
            await anext(replies)

        assert caught.value.status.code is Code.ABORTED
        assert call.trailing_metadata == (("x-after", "2"),)

    run(test)


def test_exceptions_are_not_told() -> None:
    """The text of an exception, which grpc.aio sends, is not passed on."""

    async def test(channel: Channel, users: Users) -> None:
        for error in await twice(channel, "defect"):
            assert (error.status.code, error.status.message) == (Code.UNKNOWN, "internal error")

    run(test)


def test_large_reply() -> None:
    """A reply over the limit is the backend's fault, not the client's."""

    async def test(channel: Channel, users: Users) -> None:
        for error in await twice(channel, "large"):
            assert (error.http, error.status.code) == (502, Code.INTERNAL)

    run(test)


def test_large_request() -> None:
    """A request over the limit is the client's, told before it is sent."""

    async def test(channel: Channel, users: Users) -> None:
        with pytest.raises(StatusError) as caught:
            await get(channel, "x" * 2000)

        assert (caught.value.http, users.calls) == (413, 0)

    run(test, max_message=1000)


@pytest.mark.parametrize(("count", "calls"), [(LIMIT - 1, 1), (LIMIT, 0)])
def test_heavy_request(count: int, calls: int) -> None:
    """A request of too many messages is the client's, told before it is serialized."""

    async def test(channel: Channel, users: Users) -> None:
        # Its values are texts to the backend, for these look the same when they are empty.
        heavy = ListValue(values=[Value()] * count)
        answered = await asyncio.gather(channel.unary(Call(GET), heavy), return_exceptions=True)

        assert users.calls == calls
        if not calls:
            (error,) = answered
            assert isinstance(error, StatusError)
            assert (error.status.code, error.http) == (Code.RESOURCE_EXHAUSTED, 413)

    run(test)


@pytest.mark.parametrize("kind", [WATCH, CHAT])
def test_heavy_request_of_a_stream(kind: str) -> None:
    """So is one for a stream, or in one; a call that has begun is cancelled."""
    heavy = ListValue(values=[Value()] * LIMIT)

    async def messages() -> AsyncIterator[Any]:
        yield ChatRequest(text="a")
        yield heavy

    async def test(channel: Channel, users: Users) -> None:
        request: Any = messages() if kind == CHAT else heavy
        with pytest.raises(StatusError) as caught:
            _ = [reply async for reply in channel.stream(Call(kind), request)]

        assert caught.value.http == 413

    run(test)


def test_deadline_of_the_call() -> None:
    """The backend is told how long it has."""

    async def test(channel: Channel, users: Users) -> None:
        await get(channel, call=Call(GET, deadline=time.monotonic() + 20))

        assert users.left is not None
        assert 10 < users.left <= 20.1

    run(test)


@pytest.mark.parametrize("seconds", [1e9, 3.6e11, float("inf")])
def test_long_deadline(seconds: float) -> None:
    """A deadline beyond gRPC's reckoning is a long one, not one that has passed."""

    async def test(channel: Channel, users: Users) -> None:
        assert await get(channel, call=Call(GET, deadline=time.monotonic() + seconds)) == User(
            id="7"
        )

    run(test)


def test_passed_deadline() -> None:
    """A call whose deadline has passed is not begun."""

    async def test(channel: Channel, users: Users) -> None:
        with pytest.raises(StatusError) as caught:
            await get(channel, call=Call(GET, deadline=time.monotonic() - 1))

        assert (caught.value.status.code, users.calls) == (Code.DEADLINE_EXCEEDED, 0)

    run(test)


def config(**settings: Any) -> Mapping[str, Any]:
    """Return a service config for all methods."""
    return {"methodConfig": [{"name": [{}], **settings}]}


@pytest.mark.parametrize(("of_call", "of_config"), [(20.0, "5s"), (5.0, "20s"), (None, "5s")])
def test_smaller_deadline(of_call: float | None, of_config: str) -> None:
    """Of the call's timeout and the service config's the smaller holds."""

    async def test(channel: Channel, users: Users) -> None:
        deadline = None if of_call is None else time.monotonic() + of_call
        await get(channel, call=Call(GET, deadline=deadline))

        assert users.left is not None
        assert 1 < users.left <= 5.1

    run(test, service_config=config(timeout=of_config))


@pytest.mark.parametrize("proven", [False, True])
def test_slow_backend(*, proven: bool) -> None:
    """At the deadline the call fails, and the backend's is cancelled."""

    async def test(channel: Channel, users: Users) -> None:
        if proven:
            await get(channel)
        with pytest.raises(StatusError) as caught:
            await get(channel, "hang", Call(GET, deadline=time.monotonic() + 0.2))

        assert (caught.value.http, str(caught.value)) == (504, "the deadline has passed")
        await asyncio.wait_for(users.cancelled.wait(), 5)

    run(test)


@pytest.mark.parametrize("proven", [False, True])
def test_cancelled(*, proven: bool) -> None:
    """Who cancels a call cancels the backend's at once."""

    async def test(channel: Channel, users: Users) -> None:
        if proven:
            await get(channel)
        task = asyncio.ensure_future(get(channel, "hang"))
        await users.begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(users.cancelled.wait(), 5)

    run(test)


def test_closed_stream() -> None:
    """Who closes a stream of replies cancels the backend's call."""

    async def test(channel: Channel, users: Users) -> None:
        async with contextlib.aclosing(
            channel.stream(Call(WATCH), WatchUsersRequest(id="hang"))
        ) as replies:
            await anext(replies)
            await users.begun.wait()
        await asyncio.wait_for(users.cancelled.wait(), 5)

    run(test)


def test_cancelled_client_stream() -> None:
    """A cancelled call leaves neither the backend's nor a task that waits for requests."""

    async def test(channel: Channel, users: Users) -> None:
        task = asyncio.ensure_future(channel.unary(Call(IMPORT), imports("a", "hang", then=30)))
        await users.begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(users.cancelled.wait(), 5)

    run(test)


@pytest.mark.parametrize("proven", [False, True])
def test_closed_channel(*, proven: bool) -> None:
    """Calls that a channel's end cuts off are UNAVAILABLE."""

    async def test(channel: Channel, users: Users) -> None:
        if proven:
            await get(channel)
        task = asyncio.ensure_future(get(channel, "hang"))
        await users.begun.wait()
        await channel.close()
        with pytest.raises(StatusError) as caught:
            await task

        assert Code.UNAVAILABLE is caught.value.status.code

    run(test)


@pytest.mark.parametrize(
    ("options", "least", "most"),
    [((), 0, 1 << 20), ((("grpc.http2.lookahead_bytes", 4 << 20),), 2 << 20, 16 << 20)],
)
def test_stalled_reader(options: Any, least: int, most: int) -> None:
    """A backend waits for a client that does not read: soon, unless an option has more come."""

    async def test(channel: Channel, users: Users) -> None:
        async with contextlib.aclosing(
            channel.stream(Call(WATCH), WatchUsersRequest(id="endless"))
        ) as replies:
            for _ in range(4):
                await anext(replies)
            taken = -1
            while taken < users.taken:
                taken = users.taken
                await asyncio.sleep(0.1)

        # What the backend's own gRPC holds is 64 KiB.
        assert least < users.taken * 100_000 < most

    run(test, options=options)


def sent(*headers: tuple[str, str]) -> Mapping[str, str | bytes]:
    """Return what of a call's headers the backend sees."""

    async def test(channel: Channel, users: Users) -> Mapping[str, str | bytes]:
        raw = [(name.encode(), value.encode()) for name, value in headers]
        await get(channel, call=Call(GET, raw))
        return users.seen

    return run(test)


def test_metadata() -> None:
    """Request id, trace context, identity and a client's own metadata pass."""
    headers = {
        "x-request-id": "r1",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "tracestate": "a=b",
        "authorization": "Bearer t",
        "x-tenant": "acme",
    }

    assert headers.items() <= sent(*headers.items()).items()


@pytest.mark.parametrize(
    "name",
    ["te", "host", "connection", "grpc-timeout", "grpc-foo", "content-length", "content-language"],
)
def test_metadata_of_the_connection(name: str) -> None:
    """What belongs to the client's connection, or to gRPC, does not pass."""
    assert name not in sent((name, "13"), ("x-tenant", "acme"))


def test_much_metadata() -> None:
    """More metadata than backends take is refused before the call."""

    async def test(channel: Channel, users: Users) -> None:
        call = Call(GET, inbound=lambda _: (Metadatum("x-a", "b" * 9000),))
        with pytest.raises(StatusError) as caught:
            await get(channel, call=call)

        assert (caught.value.http, users.calls) == (431, 0)

    run(test)


def test_retries() -> None:
    """A service config's retries are made."""

    class Failing(Users):
        async def GetUser(self, request: GetUserRequest, context: Any) -> User:
            self.calls += 1
            if self.calls < 3:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "not yet")
            return User(id=request.id)

    async def running() -> None:
        users = Failing()
        retry = {
            "maxAttempts": 4,
            "initialBackoff": "0.01s",
            "maxBackoff": "0.1s",
            "backoffMultiplier": 2,
            "retryableStatusCodes": ["UNAVAILABLE"],
        }
        async with (
            backend(users) as target,
            Channel(target, service_config=config(retryPolicy=retry)) as channel,
        ):
            channel.add(SERVICE)

            assert User(id="7") == await get(channel)
            assert users.calls == 3

    asyncio.run(running())


def test_unknown_method() -> None:
    """A method of no service that the channel knows is UNIMPLEMENTED."""

    async def test(channel: Channel, users: Users) -> None:
        with pytest.raises(StatusError) as caught:
            await get(channel, call=Call("/no.Such/Method"))

        assert Code.UNIMPLEMENTED is caught.value.status.code

    run(test)


def test_one_channel_in_two_loops() -> None:
    """A channel made at import serves whichever loop runs."""
    channel = Channel("127.0.0.1:1")
    channel.add(SERVICE)

    async def running() -> User:
        async with backend(Users()) as target:
            channel.target = target
            try:
                return await get(channel)
            finally:
                await channel.close()

    assert [User(id="7")] * 2 == [asyncio.run(running()), asyncio.run(running())]


def test_state() -> None:
    """The connection's state is what grpc.aio says of it."""

    async def test(channel: Channel, users: Users) -> None:
        assert grpc.ChannelConnectivity.IDLE is channel.get_state()
        await asyncio.wait_for(channel.channel_ready(), 5)
        assert grpc.ChannelConnectivity.READY is channel.get_state()
        waiting = asyncio.ensure_future(
            channel.wait_for_state_change(grpc.ChannelConnectivity.IDLE)
        )
        await asyncio.wait_for(waiting, 5)

    run(test)


CA = trustme.CA()
HERE = CA.issue_cert("127.0.0.1")
ELSEWHERE = CA.issue_cert("users.internal")
EXPIRED = CA.issue_cert(
    "127.0.0.1",
    not_before=dt.datetime(2020, 1, 1, tzinfo=dt.UTC),
    not_after=dt.datetime(2021, 1, 1, tzinfo=dt.UTC),
)
CLIENT = CA.issue_cert("gateway@example.com")
TRUST = CA.cert_pem.bytes()


def over_tls(tls: Tls, certificate: trustme.LeafCert = HERE, *, mutual: bool = False) -> User:
    """Call a backend with that certificate."""
    credentials = grpc.ssl_server_credentials(
        [(certificate.private_key_pem.bytes(), certificate.cert_chain_pems[0].bytes())],
        TRUST if mutual else None,
        mutual,
    )

    async def running() -> User:
        async with backend(Users(), credentials) as target, Channel(target, tls=tls) as channel:
            channel.add(SERVICE)
            return await get(channel)

    return asyncio.run(running())


def test_tls() -> None:
    """A backend is trusted by the authority that is given."""
    assert User(id="7") == over_tls(Tls(ca=TRUST))


def test_tls_from_files(tmp_path: Any) -> None:
    """The authority may stand in a file."""
    file = tmp_path / "ca.pem"
    file.write_bytes(TRUST)

    assert User(id="7") == over_tls(Tls(ca=file))


def test_server_name() -> None:
    """The certificate may be of another name, if that name is given."""
    assert User(id="7") == over_tls(Tls(ca=TRUST, server_name="users.internal"), ELSEWHERE)


def test_mutual_tls() -> None:
    """A backend that asks for a certificate is shown ours."""
    tls = Tls(
        ca=TRUST,
        certificate=CLIENT.cert_chain_pems[0].bytes(),
        key=CLIENT.private_key_pem.bytes(),
    )

    assert User(id="7") == over_tls(tls, mutual=True)


@pytest.mark.parametrize(
    ("tls", "certificate", "mutual"),
    [
        (Tls(ca=trustme.CA().cert_pem.bytes()), HERE, False),  # another authority
        (Tls(ca=TRUST), ELSEWHERE, False),  # another name
        (Tls(ca=TRUST), HERE, True),  # no certificate of ours
    ],
)
def test_untrusted(tls: Tls, certificate: trustme.LeafCert, *, mutual: bool) -> None:
    """Without trust there is no call; the log knows why, the client does not."""
    with pytest.raises(StatusError) as caught:
        over_tls(tls, certificate, mutual=mutual)

    assert (caught.value.http, str(caught.value)) == (503, "the backend is unavailable")
    assert "127.0.0.1" in caught.value.log


def test_expired() -> None:
    """A certificate that has expired is named in the log alone."""
    with pytest.raises(StatusError) as caught:
        over_tls(Tls(ca=TRUST), EXPIRED)

    assert (caught.value.http, str(caught.value)) == (503, "the backend is unavailable")
    assert "certificate has expired" in caught.value.log


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keepalive": Keepalive(time=0)}, "keepalive: 0 s"),
        ({"backoff": Backoff(longest=1e6)}, "backoff: 1000000.0 s"),
        ({"service_config": {"a": object()}}, "service_config: it has no JSON form"),
        (
            {"health_check": True, "load_balancing": "pick_first"},
            "health_check: gRPC asks for none where it balances by pick_first",
        ),
        (
            {"health_check": True, "service_config": {"loadBalancingPolicy": "PICK_FIRST"}},
            "health_check: gRPC asks for none where it balances by pick_first",
        ),
        (
            {"health_check": "a.B", "service_config": {"healthCheckConfig": {}}},
            "health_check: service_config has a healthCheckConfig as well",
        ),
        ({"tls": Tls(ca="/no/such/file")}, "tls: ca: /no/such/file cannot be read"),
        ({"tls": Tls(ca=b"")}, "tls: ca: what is given holds no certificate"),
        (
            {
                "tls": Tls(
                    certificate=CLIENT.cert_chain_pems[0].bytes(),
                    key=HERE.private_key_pem.bytes(),
                )
            },
            "tls: certificate: what is given and its key cannot be used",
        ),
        ({"tls": Tls(), "credentials": grpc.ssl_channel_credentials()}, "tls, credentials: one"),
    ],
)
def test_wrong_options(options: dict[str, Any], message: str) -> None:
    """A wrong option is an error at once, in one line."""
    with pytest.raises(ConfigError, match=message):
        Channel("users:50051", **options)


def test_key_without_certificate() -> None:
    """A key is of no use alone."""
    with pytest.raises(ConfigError, match="together"):
        Tls(key=b"")


def test_poisoned_connection() -> None:
    """A header that gRPC cannot read costs its own call, none of those after it.

    gRPC keeps it in the connection's table of headers, and fails whatever refers to it.
    """

    def script(answer: Answer) -> None:
        name = GetUserRequest.FromString(answer.request).id
        answer.headers()
        answer.message(User(id=name).SerializeToString())
        answer.trailers((b"grpc-status", b"-1" if name == "bad" else b"0"))

    async def running() -> None:
        async with evil(script) as broken, Channel(broken.target) as channel:
            channel.add(SERVICE)
            await get(channel)
            with pytest.raises(StatusError):
                await get(channel, "bad")

            assert await get(channel, "good") == User(id="good")
            assert broken.connections == 2

    asyncio.run(running())


def test_renewed_channel() -> None:
    """Calls under way end as they would when a channel connects anew."""

    async def test(channel: Channel, users: Users) -> None:
        call = asyncio.ensure_future(get(channel, "wait-200"))
        stream = channel.stream(Call(WATCH), WatchUsersRequest())
        await anext(stream)
        while users.calls < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        channel.renew()

        assert await get(channel) == User(id="7")
        assert await call == User(id="wait-200")
        assert len([reply async for reply in stream]) == 2

    run(test)


@pytest.mark.parametrize("kind", ["unary", "proven", "requests", "replies"])
def test_cancelled_anywhere(kind: str) -> None:
    """Wherever a call is when it is cancelled, it leaves nothing behind, and the next one works."""

    async def call(channel: Channel) -> None:
        if kind == "requests":
            await channel.unary(Call(IMPORT), imports("a", "b"))
        elif kind == "replies":
            async with contextlib.aclosing(
                channel.stream(Call(WATCH), WatchUsersRequest())
            ) as all_:
                async for _ in all_:
                    pass
        else:
            await get(channel)

    async def test(channel: Channel, users: Users) -> None:
        for steps in range(40):
            if kind == "proven":
                await get(channel)
            task = asyncio.ensure_future(call(channel))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await asyncio.wait_for(nothing_left(), 5)
        assert await get(channel) == User(id="7")

    run(test)


def replying(
    *messages: bytes, head: Sequence[tuple[bytes, bytes]] = (), **end: bytes
) -> Callable[[Answer], None]:
    """Return a script: headers, messages, and trailers under names with dashes."""
    trailers = {"grpc_status": b"0", **end}

    def script(answer: Answer) -> None:
        answer.headers(*head)
        for message in messages:
            answer.message(message)
        answer.trailers(*((key.replace("_", "-").encode(), told) for key, told in trailers.items()))

    return script


ADA = User(id="u").SerializeToString()
TWO = replying(ADA, ADA)
LARGE = (b"x-a", b"b" * 9_000)


@pytest.mark.parametrize(
    ("script", "http", "code"),
    [
        (replying(), 502, Code.INTERNAL),
        (TWO, 502, Code.INTERNAL),
        (replying(b"\xff"), 502, Code.INTERNAL),
        (replying(ADA, head=[LARGE]), 502, Code.INTERNAL),
        (replying(ADA, x_a=LARGE[1]), 502, Code.INTERNAL),
        (replying(x_a=b"b" * 20_000), 502, Code.INTERNAL),
        (replying(grpc_status=b"5", grpc_status_details_bin=b"////"), 404, Code.NOT_FOUND),
        (replying(grpc_status=b"42"), 500, Code.UNKNOWN),
        (lambda answer: answer.reset(7), 503, Code.UNAVAILABLE),
        (lambda answer: answer.reset(8), 502, Code.INTERNAL),
        (lambda answer: answer.reset(11), 503, Code.UNAVAILABLE),
        # A proxy before the backend that refuses the client's credentials, with no body.
        (lambda answer: answer.trailers((b":status", b"403")), 403, Code.PERMISSION_DENIED),
        (lambda answer: answer.trailers((b":status", b"502")), 503, Code.UNAVAILABLE),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_broken_answers(
    script: Callable[[Answer], None], http: int, code: Code, *, first: bool
) -> None:
    """What a backend does wrong is told as its fault, on the first call of a method and later."""
    good = replying(ADA)

    def answering(answer: Answer) -> None:
        name = GetUserRequest.FromString(answer.request).id
        (good if name == "good" else script)(answer)

    async def running() -> None:
        async with evil(answering) as broken, Channel(broken.target) as channel:
            channel.add(SERVICE)
            if not first:
                await channel.unary(Call(GET), GetUserRequest(id="good"))
            with pytest.raises(StatusError) as caught:
                await get(channel, call=Call(GET, deadline=time.monotonic() + 1))
            told = caught.value.http, caught.value.status.code
            two = script is TWO and not first
            assert told == ((504, Code.DEADLINE_EXCEEDED) if two else (http, code))

    asyncio.run(running())


@pytest.mark.parametrize(("end", "told"), [(None, 40_000), (-1, 502)])
def test_heavy_replies(end: int | None, told: int) -> None:
    """A reply that takes long to read is read on a thread, and refused like any other."""
    heavy = User(tags=[""] * 40_000).SerializeToString()

    async def running() -> int:
        async with evil(replying(heavy[:end])) as backend, Channel(backend.target) as channel:
            channel.add(SERVICE)
            try:
                return len((await get(channel)).tags)
            except StatusError as error:
                return error.http

    assert asyncio.run(running()) == told


@pytest.mark.parametrize("kind", ["reset", "odd"])
def test_broken_streams(kind: str) -> None:
    """A stream ends where the backend breaks it; of its metadata only what can be told is."""

    def answering(answer: Answer) -> None:
        answer.headers((b"x-odd", b"\xff"), (b"x-odd-bin", b"AA"), (b"x-fine", b"1"))
        answer.message(b"")
        if kind == "reset":
            answer.reset(7)
        else:
            answer.message(b"\xff")

    async def running() -> None:
        async with evil(answering) as broken, Channel(broken.target) as channel:
            channel.add(SERVICE)
            call = Call(CHAT)
            replies = channel.stream(call, texts("a"))
            if kind == "odd":
                await anext(replies)
                assert dict(call.initial_metadata) == {"x-odd-bin": b"\x00", "x-fine": "1"}
            with pytest.raises(StatusError):
                [reply async for reply in replies]
            await replies.aclose()

    asyncio.run(running())
