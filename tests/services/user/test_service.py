from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import grpc.aio
import pytest
from google.protobuf import text_format
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, PreconditionFailure, ResourceInfo
from grpc_status import rpc_status

from services.database import Database
from services.user.app import create_app
from services.user.schema import METADATA
from services.user.v1 import user_service_pb2 as pb
from services.user.v1.user_service_pb2_grpc import UserServiceStub

if TYPE_CHECKING:
    # This class stands in the .pyi file alone.
    from services.user.v1.user_service_pb2_grpc import UserServiceAsyncStub

T = TypeVar("T")
Use = Callable[["UserServiceAsyncStub"], Awaitable[T]]
Code = grpc.StatusCode

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 8


@contextlib.asynccontextmanager
async def serving(url: str) -> AsyncIterator[UserServiceAsyncStub]:
    """Serve users on a real port, and give a client; two users exist: ann, and bob who is out."""
    app = create_app(url)
    server = grpc.aio.server()
    app.register_into(server)
    target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    async with app.router.lifespan_context(app), grpc.aio.insecure_channel(target) as channel:
        await server.start()
        users = UserServiceStub(channel)
        for name in ("ann", "bob"):
            user = pb.User(name=name.title(), email=f"{name}@example.com", tags=["first"])
            await users.CreateUser(pb.CreateUserRequest(user_id=name, user=user))
        await users.DeactivateUser(pb.DeactivateUserRequest(id="bob"))
        try:
            yield users
        finally:
            await server.stop(None)


@pytest.fixture
def run(sqlite_url: str) -> Callable[[Use[T]], T]:
    """Run a scenario with a client of a service, within ten seconds."""

    def within(use: Use[T]) -> T:
        async def scenario() -> T:
            async with asyncio.timeout(60), serving(sqlite_url) as users:
                return await use(users)

        return asyncio.run(scenario())

    return within


Run = Callable[[Use[Any]], Any]


async def refusal(call: Awaitable[object]) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


def details(error: Any, kind: type[Message]) -> list[Any]:
    status = rpc_status.from_call(error)
    found = []
    for packed in status.details if status else ():
        message = kind()
        if packed.Unpack(message):
            found.append(message)
    return found


def fields(error: Any) -> list[str]:
    return [
        violation.field
        for bad_request in details(error, BadRequest)
        for violation in bad_request.field_violations
    ]


@pytest.mark.parametrize(
    ("method", "request_text", "code", "named"),
    [
        ("GetUser", 'id: "carl"', Code.NOT_FOUND, []),
        ("GetUser", 'email: "carl@example.com"', Code.NOT_FOUND, []),
        ("GetUser", 'email: "not an email"', Code.NOT_FOUND, []),
        ("GetUser", 'id: "\\000"', Code.NOT_FOUND, []),  # PostgreSQL has no such text
        ("GetUser", "", Code.INVALID_ARGUMENT, ["key"]),
        ("GetUser", 'id: ""', Code.INVALID_ARGUMENT, ["id"]),
        ("ListUsers", "page_size: -1", Code.INVALID_ARGUMENT, ["page_size"]),
        ("ListUsers", 'filter: "x = 1"', Code.INVALID_ARGUMENT, ["filter"]),
        ("ListUsers", 'order_by: "x"', Code.INVALID_ARGUMENT, ["order_by"]),
        ("ListUsers", 'page_token: "x"', Code.INVALID_ARGUMENT, ["page_token"]),
        (
            "ListUsers",
            'filter: "x" order_by: "," page_token: "x"',
            Code.INVALID_ARGUMENT,
            ["filter", "order_by"],  # the token's meaning depends on those
        ),
        ("CreateUser", "", Code.INVALID_ARGUMENT, ["user"]),
        ("CreateUser", "user {}", Code.INVALID_ARGUMENT, ["user.name", "user.email"]),
        (
            "CreateUser",
            'user_id: "ann" user { name: "A" email: "a@example.com" }',
            Code.ALREADY_EXISTS,
            [],
        ),
        ("CreateUser", 'user { name: "A" email: "ANN@example.com" }', Code.ALREADY_EXISTS, []),
        (
            "CreateUser",
            'user_id: "A b" user { name: "A" email: "a@example.com" }',
            Code.INVALID_ARGUMENT,
            ["user_id"],
        ),
        ("UpdateUser", 'user { id: "carl" name: "C" }', Code.NOT_FOUND, []),
        ("UpdateUser", "", Code.INVALID_ARGUMENT, ["user"]),
        ("UpdateUser", 'user { name: "A" }', Code.INVALID_ARGUMENT, ["user.id"]),
        ("UpdateUser", 'user { id: "ann" name: " " }', Code.INVALID_ARGUMENT, ["user.name"]),
        (
            "UpdateUser",
            'user { id: "ann" } update_mask { paths: "nme" paths: "name" paths: "tags.x" }',
            Code.INVALID_ARGUMENT,
            ["update_mask", "update_mask"],
        ),
        ("UpdateUser", 'user { id: "ann" name: "B" etag: "old" }', Code.ABORTED, []),
        ("UpdateUser", 'user { id: "ann" email: "bob@example.com" }', Code.ALREADY_EXISTS, []),
        ("DeleteUser", 'id: "carl"', Code.NOT_FOUND, []),
        ("DeleteUser", "", Code.INVALID_ARGUMENT, ["id"]),
        ("DeleteUser", 'id: "ann" etag: "old"', Code.ABORTED, []),
        ("DeactivateUser", 'id: "carl"', Code.NOT_FOUND, []),
        ("DeactivateUser", 'id: "bob"', Code.FAILED_PRECONDITION, []),
        ("DeactivateUser", 'id: "ann" etag: "old"', Code.ABORTED, []),
        ("UploadAvatar", 'id: "ann"', Code.INVALID_ARGUMENT, ["avatar.data"]),
        (
            "UploadAvatar",
            'id: "ann" avatar { content_type: "image/png" data: "<script>" }',
            Code.INVALID_ARGUMENT,
            ["avatar.data"],
        ),
        (
            "UploadAvatar",
            'id: "ann" avatar { content_type: "text/html" data: "GIF89a<script>" }',
            Code.INVALID_ARGUMENT,
            ["avatar.content_type"],
        ),
        ("UploadAvatar", 'id: "carl" avatar { data: "GIF89a" }', Code.NOT_FOUND, []),
        ("DownloadAvatar", 'id: "ann"', Code.NOT_FOUND, []),
        ("DownloadAvatar", 'id: "carl"', Code.NOT_FOUND, []),
    ],
)
def test_refuses(run: Run, method: str, request_text: str, code: Code, named: list[str]) -> None:
    """A refusal has its code, names all fields that are wrong, and changes nothing."""
    request = text_format.Parse(request_text, getattr(pb, f"{method}Request")())

    async def scenario(users: UserServiceAsyncStub) -> None:
        before = await users.ListUsers(pb.ListUsersRequest())
        error = await refusal(getattr(users, method)(request))
        assert (code, named) == (error.code(), fields(error))
        assert before == await users.ListUsers(pb.ListUsersRequest())

    run(scenario)


@pytest.mark.parametrize(
    ("user_text", "named"),
    [
        ('name: "\\n"', ["user.name"]),
        (f'name: "{"x" * 201}"', ["user.name"]),
        ('name: "a\\000b"', ["user.name"]),
        ('email: "a@"', ["user.email"]),
        ('email: "a@b\\n"', ["user.email"]),
        (f'email: "{"x" * 64}@{"y" * 63}.{"z" * 63}.{"w" * 63}"', ["user.email"]),  # 256
        ("role: 99", ["user.role"]),
        ("quota_bytes: -1", ["user.quota_bytes"]),
        ('tags: "a" tags: "" tags: "a"', ["user.tags", "user.tags[1]"]),
        ('tags: "a" tags: " "', ["user.tags[1]"]),
        ('labels { key: "A" value: "" }', ["user.labels.A"]),
        ('labels { key: "a" value: "\\007" }', ["user.labels.a"]),
        ('address { region_code: "Ch" }', ["user.address.region_code"]),
        ('phone: "044"', ["user.phone"]),
        ('messenger { service: "matrix" }', ["user.messenger.handle"]),
        ("messenger {}", ["user.messenger.service", "user.messenger.handle"]),
        ('phone: "1" quota_bytes: -1', ["user.quota_bytes", "user.phone"]),
    ],
)
def test_names_the_fields_of_a_user_that_are_wrong(
    run: Run, user_text: str, named: list[str]
) -> None:
    """Every field of a user is checked, at creation and at change alike."""
    user = pb.User(name="Carl", email="carl@example.com")
    text_format.Merge(user_text, user)

    async def scenario(users: UserServiceAsyncStub) -> None:
        created = await refusal(users.CreateUser(pb.CreateUserRequest(user=user)))
        user.id = "ann"
        updated = await refusal(users.UpdateUser(pb.UpdateUserRequest(user=user)))
        assert [named, named] == [fields(created), fields(updated)]

    run(scenario)


@pytest.mark.parametrize(
    ("method", "request_text", "name"),
    [
        ("GetUser", 'id: "carl"', "carl"),
        ("GetUser", 'email: "carl@example.com"', "carl@example.com"),
        ("GetUser", 'email: "no email"', "no email"),
        ("GetUser", f'id: "{"x" * 5000}"', "x" * 64),
        ("UpdateUser", 'user { id: "carl" name: "C" }', "carl"),
        ("DeleteUser", 'id: "carl"', "carl"),
        ("DownloadAvatar", 'id: "ann"', "ann"),
        ("CreateUser", 'user_id: "ann" user { name: "A" email: "a@example.com" }', "ann"),
        ("CreateUser", 'user { name: "A" email: "ANN@example.com" }', "ANN@example.com"),
        ("UpdateUser", 'user { id: "ann" email: "bob@example.com" }', "bob@example.com"),
    ],
)
def test_names_the_user_that_is_missing_or_in_the_way(
    run: Run, method: str, request_text: str, name: str
) -> None:
    """A refusal for one user has the id or email that was asked for, at most 64 characters."""
    request = text_format.Parse(request_text, getattr(pb, f"{method}Request")())

    async def scenario(users: UserServiceAsyncStub) -> list[Any]:
        return details(await refusal(getattr(users, method)(request)), ResourceInfo)

    (info,) = run(scenario)
    assert (info.resource_type, info.resource_name) == ("services.user.v1.User", name)


def test_a_refusal_stays_small(run: Run) -> None:
    """However much is wrong, the details fit into the trailers of a call."""
    labels = {"Ü" * 1000 + str(number): "\n" for number in range(64)}
    user = pb.User(labels=labels, tags=["\n"] * 32, quota_bytes=-1)

    async def scenario(users: UserServiceAsyncStub) -> grpc.aio.AioRpcError:
        return await refusal(users.CreateUser(pb.CreateUserRequest(user=user)))

    error = run(scenario)
    assert 1 < len(fields(error)) < 20
    assert len(rpc_status.from_call(error).SerializeToString()) < 2048


def test_creates_what_was_sent(run: Run) -> None:
    """The reply is what was sent, and what the server adds; reading gives the same."""
    sent = pb.User(
        id="ignored",
        name="Carl",
        email="carl@example.com",
        state=pb.User.STATE_INACTIVE,
        avatar_bytes=5,
        etag="ignored",
        labels={"a": "1"},
        newsletter=False,
    )

    async def scenario(users: UserServiceAsyncStub) -> tuple[pb.User, pb.User]:
        created = await users.CreateUser(pb.CreateUserRequest(user=sent))
        return created, await users.GetUser(pb.GetUserRequest(id=created.id))

    created, read = run(scenario)
    assert created == read
    assert created.id not in {"", "ignored"}
    assert created.etag not in {"", "ignored"}
    assert created.create_time == created.update_time
    expected = pb.User(
        name="Carl",
        email="carl@example.com",
        role=pb.User.ROLE_MEMBER,
        state=pb.User.STATE_ACTIVE,
        labels={"a": "1"},
        newsletter=False,
    )
    for field in ("id", "etag", "create_time", "update_time"):
        created.ClearField(field)
    assert expected == created


def test_a_change_gives_a_new_etag(run: Run) -> None:
    """An etag is good for one change; a change that changes nothing keeps it."""

    async def scenario(users: UserServiceAsyncStub) -> None:
        ann = await users.GetUser(pb.GetUserRequest(email="ann@example.com"))
        same = await users.UpdateUser(pb.UpdateUserRequest(user=ann))
        assert ann == same
        change = pb.User(id="ann", name="Anna", etag=ann.etag)
        anna = await users.UpdateUser(pb.UpdateUserRequest(user=change))
        assert (anna.name, list(anna.tags)) == ("Anna", ["first"])
        assert anna.update_time.ToMicroseconds() > ann.update_time.ToMicroseconds()
        error = await refusal(users.UpdateUser(pb.UpdateUserRequest(user=change)))
        assert error.code() is Code.ABORTED
        await users.DeleteUser(pb.DeleteUserRequest(id="ann", etag=anna.etag))

    run(scenario)


def test_changes_without_an_etag_are_all_made(run: Run) -> None:
    """Several who change different fields at once do not undo each other."""

    async def scenario(users: UserServiceAsyncStub) -> pb.User:
        changes = [
            pb.User(id="ann", name="Anna"),
            pb.User(id="ann", quota_bytes=7),
            pb.User(id="ann", phone="+41446681800"),
            pb.User(id="ann", newsletter=True),
        ]
        calls = [users.UpdateUser(pb.UpdateUserRequest(user=change)) for change in changes]
        await asyncio.gather(*calls)
        return await users.GetUser(pb.GetUserRequest(id="ann"))

    ann = run(scenario)
    assert (ann.name, ann.quota_bytes, ann.phone) == ("Anna", 7, "+41446681800")
    assert ann.newsletter


def test_a_mask_clears_what_it_names(run: Run) -> None:
    """A field in the mask that has no value is cleared, and a role falls back to member."""

    async def scenario(users: UserServiceAsyncStub) -> pb.User:
        request = pb.UpdateUserRequest(user=pb.User(id="ann", name="ignored"))
        request.update_mask.paths.extend(["tags", "role", "address.city"])
        return await users.UpdateUser(request)

    ann = run(scenario)
    assert (ann.name, ann.tags, ann.role) == ("Ann", [], pb.User.ROLE_MEMBER)


def test_pages_follow_each_other(run: Run) -> None:
    """Tokens lead through the whole list; a user who comes meanwhile hides nobody."""

    async def scenario(users: UserServiceAsyncStub) -> list[str]:
        for name in ("dan", "eve", "fay"):
            user = pb.User(name=name, email=f"{name}@example.com")
            await users.CreateUser(pb.CreateUserRequest(user_id=name, user=user))
        request = pb.ListUsersRequest(page_size=2, order_by="id desc", filter='id != "eve"')
        found: list[str] = []
        while True:
            page = await users.ListUsers(request)
            found += [user.id for user in page.users]
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token
            user = pb.User(name="new", email=f"new{len(found)}@example.com")
            await users.CreateUser(pb.CreateUserRequest(user_id=f"x{len(found)}", user=user))

    assert run(scenario) == ["fay", "dan", "bob", "ann"]


@pytest.mark.parametrize("changed", ['filter: "id = ann"', 'order_by: "name"', 'page_token: "AA"'])
def test_a_token_belongs_to_its_list(run: Run, changed: str) -> None:
    """A token with another filter or order, or in another spelling, is refused by name."""

    async def scenario(users: UserServiceAsyncStub) -> list[str]:
        request = pb.ListUsersRequest(page_size=1)
        request.page_token = (await users.ListUsers(request)).next_page_token
        text_format.Merge(changed, request)
        return fields(await refusal(users.ListUsers(request)))

    assert run(scenario) == ["page_token"]


@pytest.mark.parametrize(("size", "expected"), [(0, 50), (60, 60), (5000, 70), (1, 1)])
def test_page_sizes(run: Run, size: int, expected: int) -> None:
    """No size is fifty, and a size over the limit is the limit."""

    async def scenario(users: UserServiceAsyncStub) -> int:
        await users.ImportUsers(
            pb.ImportUsersRequest(user=pb.User(name="x", email=f"{number}@example.com"))
            for number in range(68)
        )
        return len((await users.ListUsers(pb.ListUsersRequest(page_size=size))).users)

    assert run(scenario) == expected


def test_a_page_fits_into_a_message(run: Run) -> None:
    """A page of large users ends early, and the next one goes on."""
    labels = {f"k{number}": "€" * 256 for number in range(64)}

    async def scenario(users: UserServiceAsyncStub) -> int:
        await users.ImportUsers(
            pb.ImportUsersRequest(user=pb.User(name="x", email=f"{n}@x.org", labels=labels))
            for n in range(90)
        )
        request = pb.ListUsersRequest(page_size=1000)
        seen: set[str] = set()
        while not seen or request.page_token:
            page = await users.ListUsers(request)
            assert page.ByteSize() < 4 << 20
            seen.update(user.id for user in page.users)
            request.page_token = page.next_page_token
        return len(seen)

    assert run(scenario) == 92


def test_deactivation_shows_in_the_state(run: Run) -> None:
    """A user who is taken out of service stays, as inactive; the refusal to repeat says why."""

    async def scenario(users: UserServiceAsyncStub) -> tuple[pb.User, grpc.aio.AioRpcError]:
        await users.DeactivateUser(pb.DeactivateUserRequest(id="ann"))
        error = await refusal(users.DeactivateUser(pb.DeactivateUserRequest(id="ann")))
        return await users.GetUser(pb.GetUserRequest(id="ann")), error

    ann, error = run(scenario)
    assert ann.state == pb.User.STATE_INACTIVE
    (failure,) = details(error, PreconditionFailure)
    assert failure.violations[0].type == "USER_ACTIVE"


@pytest.mark.parametrize("content_type", ["image/png", "", "application/octet-stream"])
def test_an_avatar_comes_back(run: Run, content_type: str) -> None:
    """An avatar comes back under the type that its data tells."""

    async def scenario(users: UserServiceAsyncStub) -> None:
        request = pb.UploadAvatarRequest(id="ann")
        request.avatar.content_type = content_type
        request.avatar.data = PNG
        ann = await users.UploadAvatar(request)
        assert ann.avatar_bytes == len(PNG)
        avatar = await users.DownloadAvatar(pb.DownloadAvatarRequest(id="ann"))
        assert (avatar.content_type, avatar.data) == ("image/png", PNG)

    run(scenario)


def test_an_avatar_has_a_limit(run: Run) -> None:
    """An avatar of more than 512 KiB is refused."""

    async def scenario(users: UserServiceAsyncStub) -> list[str]:
        request = pb.UploadAvatarRequest(id="ann")
        request.avatar.data = PNG + bytes(512 << 10)
        return fields(await refusal(users.UploadAvatar(request)))

    assert run(scenario) == ["avatar.data"]


def test_an_import_tells_who_was_not_created(run: Run) -> None:
    """One user that cannot be created does not stop the others, and is told by index and status."""
    users_to_import = [
        pb.User(name="Carl", email="carl@example.com"),
        pb.User(name="Carl", email="CARL@example.com"),
        pb.User(email="dan@example.com"),
        pb.User(name="Eve", email="eve@example.com"),
    ]

    async def scenario(users: UserServiceAsyncStub) -> pb.ImportUsersResponse:
        return await users.ImportUsers(pb.ImportUsersRequest(user=user) for user in users_to_import)

    response = run(scenario)
    assert (response.created_count, response.failed_count) == (2, 2)
    assert [(failure.index, failure.status.code) for failure in response.failures] == [
        (1, Code.ALREADY_EXISTS.value[0]),
        (2, Code.INVALID_ARGUMENT.value[0]),
    ]


def test_a_watcher_hears_of_changes(run: Run) -> None:
    """A watcher of one user hears what happens to that user, from the number it gives on."""

    async def scenario(users: UserServiceAsyncStub) -> list[str]:
        watching = users.WatchUsers(pb.WatchUsersRequest(id="ann", after_sequence=0))
        heard = [await anext(aiter(watching))]
        await users.UpdateUser(pb.UpdateUserRequest(user=pb.User(id="ann", name="Anna")))
        await users.DeactivateUser(pb.DeactivateUserRequest(id="ann"))
        await users.DeleteUser(pb.DeleteUserRequest(id="ann"))
        while heard[-1].change != pb.WatchUsersResponse.CHANGE_DELETED:
            heard.append(await anext(aiter(watching)))
        watching.cancel()
        again = users.WatchUsers(pb.WatchUsersRequest(after_sequence=heard[-2].sequence))
        assert heard[-1] == await anext(aiter(again))
        again.cancel()
        return [pb.WatchUsersResponse.Change.Name(change.change) for change in heard]

    assert run(scenario) == [
        "CHANGE_CREATED",
        "CHANGE_UPDATED",
        "CHANGE_UPDATED",
        "CHANGE_DELETED",
    ]


@pytest.mark.parametrize("after", [-10_001, 1 << 40])
def test_a_watcher_is_told_of_a_gap(run: Run, after: int) -> None:
    """A number that the log no longer has, or not yet, is out of range."""

    async def scenario(users: UserServiceAsyncStub) -> Code:
        watching = users.WatchUsers(pb.WatchUsersRequest(after_sequence=after))
        return (await refusal(anext(aiter(watching)))).code()

    assert run(scenario) is Code.OUT_OF_RANGE


async def said(conversation: Any) -> list[str]:
    """What is said until the conversation ends."""
    heard = []
    while (message := await conversation.read()) is not grpc.aio.EOF:
        heard.append(f"{message.user_id}: {message.text}")
    return heard


def test_who_is_in_a_room_hears_who_speaks(run: Run) -> None:
    """Two in a room hear each other, and who leaves has heard all of what was said there."""

    async def scenario(users: UserServiceAsyncStub) -> tuple[list[str], list[str]]:
        carl = pb.User(name="Carl", email="carl@example.com")
        await users.CreateUser(pb.CreateUserRequest(user_id="carl", user=carl))
        ann_hears = users.Chat()
        await ann_hears.write(pb.ChatRequest(room="lobby", user_id="ann", text="anybody?"))
        first = await ann_hears.read()
        assert isinstance(first, pb.ChatResponse)
        elsewhere = [pb.ChatRequest(room="attic", user_id="carl", text="not here")]
        assert await said(users.Chat(iter(elsewhere))) == ["carl: not here"]
        carl_says = [
            pb.ChatRequest(room="lobby", user_id="carl", text="me"),
            pb.ChatRequest(text="and bye"),
        ]
        carl_heard = await said(users.Chat(iter(carl_says)))
        await ann_hears.write(pb.ChatRequest(text="bye"))
        await ann_hears.done_writing()
        return [f"{first.user_id}: {first.text}", *await said(ann_hears)], carl_heard

    assert run(scenario) == (
        ["ann: anybody?", "carl: me", "carl: and bye", "ann: bye"],
        ["carl: me", "carl: and bye"],
    )


@pytest.mark.parametrize(
    ("texts", "code", "named"),
    [
        ([""], Code.INVALID_ARGUMENT, ["room", "user_id"]),
        (['room: "A b" user_id: "ann"'], Code.INVALID_ARGUMENT, ["[0].room"]),
        (['room: "a" user_id: "carl"'], Code.NOT_FOUND, []),
        (['room: "a" user_id: "bob"'], Code.FAILED_PRECONDITION, []),
        (['room: "a" user_id: "ann"', 'room: "b"'], Code.INVALID_ARGUMENT, ["room"]),
        (['room: "a" user_id: "ann"', 'user_id: "bob"'], Code.INVALID_ARGUMENT, ["user_id"]),
        ([f'room: "a" user_id: "ann" text: "{"x" * 2001}"'], Code.INVALID_ARGUMENT, ["[0].text"]),
    ],
)
def test_a_room_refuses(run: Run, texts: list[str], code: Code, named: list[str]) -> None:
    """A message that does not fit ends the conversation with its code."""

    async def scenario(users: UserServiceAsyncStub) -> None:
        requests = [text_format.Parse(text, pb.ChatRequest()) for text in texts]
        error = await refusal(users.Chat(iter(requests)).read())
        assert (code, named) == (error.code(), fields(error))

    run(scenario)


def test_no_message_is_no_conversation(run: Run) -> None:
    """A stream without a message ends without one."""

    async def scenario(users: UserServiceAsyncStub) -> list[str]:
        return await said(users.Chat(iter(())))

    assert run(scenario) == []


def test_a_database_that_is_gone_is_unavailable(
    sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A failing database is told as UNAVAILABLE and nothing of the inside, but in one log line."""

    async def scenario() -> grpc.aio.AioRpcError:
        async with serving(sqlite_url) as users:
            await _break(sqlite_url)
            metadata = (("x-request-id", "r1"),)
            return await refusal(users.GetUser(pb.GetUserRequest(id="ann"), metadata=metadata))

    error = asyncio.run(scenario())
    told = f"database {sqlite_url}: no such table: users, request id r1"
    warned = [record for record in caplog.records if record.levelname == "WARNING"]
    assert [(record.getMessage(), record.exc_info) for record in warned] == [(told, None)]
    assert (error.code(), error.details()) == (
        Code.UNAVAILABLE,
        "the users cannot be reached: try again",
    )


async def _break(url: str) -> None:
    database = Database(url, METADATA)

    async def drop(connection: Any) -> None:
        await connection.exec_driver_sql("DROP TABLE users")

    await database.write(drop)
    await database.close()
