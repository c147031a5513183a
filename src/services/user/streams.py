"""The endless streams: watching users, and the chat."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

import grpc

from services.user.feed import LOG_LIMIT, Feed
from services.user.refusal import Refused, Violation, failed_precondition, invalid
from services.user.v1.user_service_pb2 import (
    ChatRequest,
    ChatResponse,
    User,
    WatchUsersRequest,
    WatchUsersResponse,
)

_INTERVAL = 0.2
"""Seconds between two looks at a feed that had nothing new."""


async def watch(feed: Feed, request: WatchUsersRequest) -> AsyncGenerator[WatchUsersResponse, None]:
    """Yield the changes that a request asks for, without an end."""
    newest = await feed.newest_change()
    seen = request.after_sequence if request.HasField("after_sequence") else newest
    if not newest - LOG_LIMIT <= seen <= newest:
        problem = "after_sequence: these changes are no longer known: list the users, then watch"
        raise Refused(grpc.StatusCode.OUT_OF_RANGE, problem)
    while True:
        changes = await feed.changes(seen, request.id)
        for change in changes:
            seen = change.sequence
            yield change
        if not changes:
            await asyncio.sleep(_INTERVAL)


class Conversation:
    """One participant of a room: what the requests say goes there, what is said there comes out.

    It ends when the requests end, and all that they said has come out.

    Args:
        find: returns the user of an id, or raises if there is none.
    """

    def __init__(self, feed: Feed, find: Callable[[str], Awaitable[User]]) -> None:
        self._feed = feed
        self._find = find

    async def run(self, requests: AsyncIterator[ChatRequest]) -> AsyncGenerator[ChatResponse, None]:
        """Yield what is said in the room that the first request names."""
        first = await anext(requests, None)
        if first is None:
            return
        await self._admit(first)
        seen = await self._feed.newest_message()
        speaking = asyncio.create_task(self._speak(first, requests))
        try:
            leaving = False
            while not leaving:
                # Asked before the look at the feed, which then has all that was said.
                leaving = speaking.done()
                while messages := await self._feed.messages(seen, first.room):
                    for number, message in messages:
                        seen = number
                        yield message
                await asyncio.wait({speaking}, timeout=_INTERVAL)
            await speaking
        finally:
            speaking.cancel()

    async def _admit(self, first: ChatRequest) -> None:
        violations = [
            Violation(field, "is required in the first message")
            for field in ("room", "user_id")
            if not getattr(first, field)
        ]
        if violations:
            raise invalid(*violations)
        user = await self._find(first.user_id)
        if user.state != User.STATE_ACTIVE:
            raise failed_precondition("USER_ACTIVE", user.id, "the user is inactive")

    async def _speak(self, first: ChatRequest, requests: AsyncIterator[ChatRequest]) -> None:
        await self._say(first, first)
        async for request in requests:
            await self._say(first, request)

    async def _say(self, first: ChatRequest, request: ChatRequest) -> None:
        for field in ("room", "user_id"):
            if getattr(request, field) not in {"", getattr(first, field)}:
                raise invalid(Violation(field, "must be that of the first message"))
        if request.text:
            message = ChatResponse(user_id=first.user_id, text=request.text)
            message.send_time.GetCurrentTime()
            await self._feed.say(first.room, message)
