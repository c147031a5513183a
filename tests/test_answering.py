from __future__ import annotations

import asyncio
import logging
from typing import Any

import grpc
import pytest
from starlette.testclient import TestClient

from registered import Users, asgi, client, register
from services.user.v1.user_service_pb2 import GetUserRequest, User
from services.user.v1.user_service_pb2_grpc import UserServiceServicer
from transcoder import Code, Gateway, StatusError


def test_head() -> None:
    """HEAD answers as GET does, without the body."""
    web = client()
    head, get = web.head("/v1/users/42"), web.get("/v1/users/42")

    assert (head.status_code, head.content) == (200, b"")
    assert get.headers["content-length"] == head.headers["content-length"]


def test_options() -> None:
    """OPTIONS tells the methods, without a body."""
    answer = client().options("/v1/users/42")

    assert (answer.status_code, answer.content) == (204, b"")
    assert "PATCH" in answer.headers["allow"]


def test_allow() -> None:
    """A 405 lists the methods that the path answers."""
    answer = client().put("/v1/users/42")

    assert {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH"} == set(answer.headers["allow"].split(", "))


def test_metadata_becomes_headers() -> None:
    """What the servicer sends beside the reply is a header of the answer."""
    web = client()

    assert web.get("/v1/users/42").headers["x-cost"] == "3"
    assert web.get("/v1/users/none").headers["x-a"] == "1"


def test_failures_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """An exception in a servicer is one log line with traceback, under the id the client has."""
    answer = client().get("/v1/users/broken", headers={"x-request-id": "abc-1"})

    (record,) = [each for each in caplog.records if each.name == "transcoder.refusal"]
    assert answer.headers["x-request-id"] == "abc-1"
    assert "request id abc-1" in record.getMessage()
    assert record.exc_info is not None
    assert "dsn=secret" in str(record.exc_info[1])


def test_refusals_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """A refused request is one log line without a traceback."""
    caplog.set_level(logging.INFO, "transcoder")

    client().get("/v1/users/%00")

    (record,) = [each for each in caplog.records if each.name.startswith("transcoder")]
    assert record.exc_info is None
    assert "/v1/users/%00" in record.getMessage()


def test_draining() -> None:
    """While the server drains, the health check says so and calls are still answered."""
    gateway = register(Gateway())
    gateway.draining = True
    web = TestClient(gateway)

    assert (web.get("/healthz").status_code, web.get("/v1/users/42").status_code) == (503, 200)


def test_disconnect_during_upload() -> None:
    """When the client goes before its body has come, nobody is called and nothing is sent."""

    async def gone() -> Any:
        return {"type": "http.disconnect"}

    assert asgi(register(Gateway()), {"method": "POST", "path": "/v1/users"}, gone) == []


def test_cancelled_while_draining() -> None:
    """A call cut off by the drain is answered 503, not dropped."""

    class Slow(Users):
        async def GetUser(self, request: GetUserRequest, context: Any) -> User:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(10)
            return User()

    gateway = register(Gateway(), Slow())
    gateway.draining = True

    assert asgi(gateway, {})[0]["status"] == 503


def test_cancellation_of_something_else() -> None:
    """A servicer that waits for something cancelled has failed; the call was not cancelled."""

    class Waiting(Users):
        async def GetUser(self, request: GetUserRequest, context: Any) -> User:
            never: asyncio.Future[User] = asyncio.get_running_loop().create_future()
            never.cancel()
            return await never

    answer = TestClient(register(Gateway(), Waiting())).get("/v1/users/1")

    assert (answer.status_code, answer.json()["code"]) == (500, 13)


def test_cancellation_by_another_server() -> None:
    """A server that is not ours, or an application around the gateway, may cancel a request."""

    async def running() -> list[Any]:
        begun, sent = asyncio.Event(), []

        class Waiting(UserServiceServicer):
            async def GetUser(self, request: GetUserRequest, context: Any) -> User:
                begun.set()
                await asyncio.sleep(60)
                return User()

        async def receive() -> Any:
            await asyncio.sleep(60)

        async def send(message: Any) -> None:
            sent.append(message)

        path = "/v1/users/7"
        scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode()}
        gateway = register(Gateway(), Waiting())
        answering = gateway({**scope, "query_string": b"", "headers": []}, receive, send)
        task = asyncio.ensure_future(answering)
        await asyncio.wait_for(begun.wait(), 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return sent

    assert asyncio.run(running()) == []


def test_exception_after_a_status(caplog: pytest.LogCaptureFixture) -> None:
    """An exception after a status was set leaves the status, and its traceback in the log."""

    class Failing(Users):
        async def GetUser(self, request: GetUserRequest, context: Any) -> User:
            context.set_code(grpc.StatusCode.NOT_FOUND)
            raise KeyError(request.id)

    web = TestClient(register(Gateway(), Failing()))
    answer = web.get("/v1/users/1", headers={"x-request-id": "abc-1"})

    (record,) = [each for each in caplog.records if each.name.startswith("transcoder")]
    assert answer.status_code == 404
    assert "request id abc-1" in record.getMessage()
    assert record.exc_info is not None


def test_servicers_do_not_name_the_request() -> None:
    """The request id of an error is the gateway's, whatever metadata the servicer sends."""

    class Naming(Users):
        async def GetUser(self, request: GetUserRequest, context: Any) -> User:
            await context.abort(grpc.StatusCode.ABORTED, "", (("x-request-id", "forged"),))
            raise AssertionError

    web = TestClient(register(Gateway(), Naming()))
    answer = web.get("/v1/users/1", headers={"x-request-id": "abc-1"})

    assert answer.headers.get_list("x-request-id") == ["abc-1"]


def test_one_error_raised_again() -> None:
    """An error that a servicer keeps and raises again tells nothing of the calls before."""
    busy = StatusError(Code.UNAVAILABLE, "busy")

    class Raising(Users):
        async def GetUser(self, request: GetUserRequest, context: Any) -> User:
            context.set_trailing_metadata((("x-user", request.id),))
            raise busy

    web = TestClient(register(Gateway(), Raising()))
    web.get("/v1/users/1")

    assert web.get("/v1/users/2").headers["x-user"] == "2"


def test_status_error_of_a_servicer() -> None:
    """A servicer may raise a StatusError instead of aborting."""

    class Raising(Users):
        async def GetUser(self, request: GetUserRequest, context: Any) -> User:
            raise StatusError(Code.ABORTED, "stale", headers=[("retry-after", "1")])

    answer = TestClient(register(Gateway(), Raising())).get("/v1/users/42")

    assert (answer.status_code, answer.headers["retry-after"]) == (409, "1")
