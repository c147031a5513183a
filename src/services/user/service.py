"""The user service: each method of `services.user.v1.UserService` over a store."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable

from google.api.httpbody_pb2 import HttpBody
from google.protobuf.empty_pb2 import Empty

from services import update_mask
from services.database import Unavailable
from services.user.answering import Context, single, status_of, stream
from services.user.feed import Feed
from services.user.listing import page_of, query_of
from services.user.refusal import (
    Refused,
    Violation,
    changed,
    failed_precondition,
    invalid,
    missing,
)
from services.user.store import Avatar, Changed, Missing, Store, Taken
from services.user.streams import Conversation, watch
from services.user.v1.user_service_pb2 import (
    ChatRequest,
    ChatResponse,
    CreateUserRequest,
    DeactivateUserRequest,
    DeleteUserRequest,
    DownloadAvatarRequest,
    GetUserRequest,
    ImportUsersRequest,
    ImportUsersResponse,
    ListUsersRequest,
    ListUsersResponse,
    UpdateUserRequest,
    UploadAvatarRequest,
    User,
    WatchUsersRequest,
    WatchUsersResponse,
)
from services.user.v1.user_service_pb2_grpc import UserServiceServicer
from services.user.validation import check_avatar, check_user, image_type, is_email, is_id
from transcoder import StatusError, Validation

_ATTEMPTS = 10
"""How often a change without an etag is tried while others change the same user."""

_FAILURE_LIMIT = 100


class UserService(UserServiceServicer):
    """Answers by a store of users and a feed of what happens."""

    def __init__(self, store: Store, feed: Feed) -> None:
        self._store = store
        self._feed = feed
        self._rules = Validation()

    @single
    async def GetUser(self, request: GetUserRequest, context: Context) -> User:
        """Return one user, by id or by email."""
        if not request.HasField("email"):
            return await self._get(request.id)
        if not is_email(request.email):
            raise missing(request.email)
        return await self._store.find(request.email)

    @single
    async def ListUsers(self, request: ListUsersRequest, context: Context) -> ListUsersResponse:
        """Return one page of users."""
        query = query_of(request)
        return page_of(request, query, await self._store.page(query))

    @single
    async def CreateUser(self, request: CreateUserRequest, context: Context) -> User:
        """Add a user."""
        return await self._create(request)

    @single
    async def UpdateUser(self, request: UpdateUserRequest, context: Context) -> User:
        """Change the fields of a user that the mask names."""
        paths = request.update_mask.paths
        if not request.user.id:
            raise invalid(Violation("user.id", "is required"))
        problems = [update_mask.problem(path, User) for path in paths if path != "*"]
        violations = [Violation("update_mask", problem) for problem in problems if problem]
        if violations:
            raise invalid(*violations)

        def edit(user: User) -> None:
            update_mask.apply(paths, request.user, user)
            self._settle(user)

        return await self._change(request.user.id, request.user.etag, edit)

    @single
    async def DeleteUser(self, request: DeleteUserRequest, context: Context) -> Empty:
        """Remove a user."""
        _check(request.id)
        await self._store.delete(request.id, request.etag)
        return Empty()

    @single
    async def DeactivateUser(self, request: DeactivateUserRequest, context: Context) -> User:
        """Take a user out of service."""

        def edit(user: User) -> None:
            if user.state == User.STATE_INACTIVE:
                raise failed_precondition("USER_ACTIVE", user.id, "the user is inactive already")
            user.state = User.STATE_INACTIVE

        return await self._change(request.id, request.etag, edit)

    @stream
    def WatchUsers(
        self, request: WatchUsersRequest, context: Context
    ) -> AsyncGenerator[WatchUsersResponse, None]:
        """Tell of changes as they happen."""
        return watch(self._feed, request)

    @single
    async def ImportUsers(
        self, request_iterator: AsyncIterator[ImportUsersRequest], context: Context
    ) -> ImportUsersResponse:
        """Add many users."""
        response = ImportUsersResponse()
        index = 0
        async for request in request_iterator:
            try:
                await self._create(CreateUserRequest(user_id=request.user_id, user=request.user))
                response.created_count += 1
            except Unavailable:
                raise
            except (Refused, StatusError, Taken) as error:
                response.failed_count += 1
                if response.failed_count <= _FAILURE_LIMIT:
                    response.failures.add(index=index, status=status_of(error))
            index += 1
        return response

    @stream
    def Chat(
        self, request_iterator: AsyncIterator[ChatRequest], context: Context
    ) -> AsyncGenerator[ChatResponse, None]:
        """Join a room."""
        return Conversation(self._feed, self._get).run(request_iterator)

    @single
    async def UploadAvatar(self, request: UploadAvatarRequest, context: Context) -> User:
        """Set the picture of a user."""
        data = request.avatar.data
        violations = list(check_avatar(request.avatar.content_type, data))
        if violations:
            raise invalid(*violations)

        def edit(user: User) -> None:
            user.avatar_bytes = len(data)

        avatar = Avatar(content_type=image_type(data), data=data)
        return await self._change(request.id, "", edit, avatar=avatar)

    @single
    async def DownloadAvatar(self, request: DownloadAvatarRequest, context: Context) -> HttpBody:
        """Return the picture of a user."""
        user = await self._get(request.id)
        try:
            avatar = await self._store.avatar(user.id)
        except Missing:
            raise missing(user.id, "the user has no avatar") from None
        return HttpBody(content_type=avatar.content_type, data=avatar.data)

    async def _get(self, user_id: str) -> User:
        _check(user_id)
        return await self._store.get(user_id)

    async def _create(self, request: CreateUserRequest) -> User:
        user = User(state=User.STATE_ACTIVE)
        update_mask.apply(["*"], request.user, user)
        _stamp(user)
        user.create_time.CopyFrom(user.update_time)
        user.id = request.user_id or secrets.token_hex(8)
        self._settle(user)
        await self._store.insert(user)
        return user

    def _settle(self, user: User) -> None:
        user.role = user.role or User.ROLE_MEMBER
        # By what a change did not touch, and for each user of an import.
        self._rules(CreateUserRequest(user_id=user.id, user=user))
        if found := list(check_user(user)):
            raise invalid(*found)

    async def _change(
        self,
        user_id: str,
        etag: str,
        edit: Callable[[User], None],
        *,
        avatar: Avatar | None = None,
    ) -> User:
        for _ in range(_ATTEMPTS):
            current = await self._get(user_id)
            if etag not in {"", current.etag}:
                break
            user = User()
            user.CopyFrom(current)
            edit(user)
            if user == current and avatar is None:
                return current
            _stamp(user)
            try:
                await self._store.replace(user, current.etag, avatar)
            except Changed:
                continue
            return user
        raise changed()


def _check(user_id: str) -> None:
    if not is_id(user_id):
        # No user can have it, and a database may refuse what a client writes here.
        raise missing(user_id)


def _stamp(user: User) -> None:
    user.etag = secrets.token_urlsafe(8)
    user.update_time.FromMicroseconds(time.time_ns() // 1000)
