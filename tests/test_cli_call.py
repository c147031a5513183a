"""`transcoder call`, against a server with reflection."""

from __future__ import annotations

import json
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from click.testing import CliRunner, Result
from google.protobuf import any_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.error_details_pb2 import ResourceInfo
from google.rpc.status_pb2 import Status
from grpc_reflection.v1alpha import reflection
from grpc_status import rpc_status

from compiled import descriptor_set
from services.user.v1 import user_service_pb2 as user
from services.user.v1.user_service_pb2_grpc import (
    UserServiceServicer,
    add_UserServiceServicer_to_server,
)
from transcoder.cli import main
from transcoder.cli.message_types import Types
from transcoder.descriptors import read_descriptors, read_files

if TYPE_CHECKING:
    from tests.conftest import Served, Start

SCRIPT = str(Path(sys.executable).with_name("transcoder"))
SERVICE = "services.user.v1.UserService"

RESOURCE = any_pb2.Any()
RESOURCE.Pack(ResourceInfo(resource_type="User", resource_name="ada"))
DETAILS = {
    "nobody": [],
    "resource": [RESOURCE],
    "strange": [
        any_pb2.Any(type_url="x.org/strange.v1.Thing", value=b"12"),
        any_pb2.Any(type_url=RESOURCE.type_url, value=b"\xff"),
        RESOURCE,
    ],
}


class Users(UserServiceServicer):
    """Tells what it was asked."""

    def GetUser(self, request: Any, context: Any) -> Any:
        if request.id in DETAILS:
            status = Status(code=5, message="no such\nuser", details=DETAILS[request.id])
            context.abort_with_status(rpc_status.to_status(status))
        if request.id == "broken":
            context.set_trailing_metadata((("grpc-status-details-bin", b"\xff"),))
            context.abort(grpc.StatusCode.NOT_FOUND, "no such user")
        if request.id == "late":
            return user.User(create_time=Timestamp(seconds=10**15))
        metadata = {pair[0]: pair[1] for pair in context.invocation_metadata()}
        return user.User(id=request.id, name=metadata.get("x-name", ""))

    def WatchUsers(self, request: Any, context: Any) -> Iterator[Any]:
        yield user.WatchUsersResponse(sequence=1)
        yield user.WatchUsersResponse(sequence=2)

    def ImportUsers(self, request_iterator: Any, context: Any) -> Any:
        return user.ImportUsersResponse(created_count=len(list(request_iterator)))


@pytest.fixture(scope="module")
def target() -> Iterator[str]:
    """A server of `Users`, with reflection."""
    server = grpc.server(ThreadPoolExecutor(4))
    add_UserServiceServicer_to_server(Users(), server)
    reflection.enable_server_reflection([SERVICE], server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


def call(*arguments: str, given: str | None = None) -> Result:
    return CliRunner().invoke(main, ["call", *arguments], input=given)


@pytest.mark.parametrize(
    "name", [f"{SERVICE}/GetUser", f"{SERVICE}.GetUser", f"/{SERVICE}/GetUser"]
)
def test_one_reply(target: str, name: str) -> None:
    """A method is called by its name in each spelling, with metadata."""
    done = call(target, name, '{"id": "ada"}', "-H", "X-Name: Ada", "--timeout", "10")

    assert json.loads(done.stdout) == {"id": "ada", "name": "Ada"}
    assert done.exit_code == 0


def test_stream_of_replies(target: str) -> None:
    """Each reply is a line."""
    done = call(target, f"{SERVICE}/WatchUsers")

    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"sequence": "1"},
        {"sequence": "2"},
    ]


def test_stream_of_requests(target: str) -> None:
    """Requests are JSON values one after another, from stdin too."""
    done = call(target, f"{SERVICE}/ImportUsers", "-", given='{"userId": "a"}\n{"userId": "b"}\n')

    assert json.loads(done.stdout) == {"createdCount": "2"}


TWINS = """\
syntax = "proto3";
package twins.v1;
message One {}
service Left { rpc Get(One) returns (One); }
service Right { rpc Get(One) returns (One); }
"""


def test_a_short_name(streams: Served) -> None:
    """The end of a method's name is enough where it is of one method."""
    server = grpc.server(ThreadPoolExecutor(1))
    pool = read_descriptors(descriptor_set(TWINS), "twins").pool
    reflection.enable_server_reflection(["twins.v1.Left", "twins.v1.Right"], server, pool)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    short, longer = (call(f"127.0.0.1:{port}", name) for name in ("Get", "Left/Get"))
    server.stop(None).wait()

    several = "Error: several methods are named Get: twins.v1.Left.Get, twins.v1.Right.Get\n"
    assert (short.exit_code, short.stderr) == (2, several)
    assert (longer.exit_code, longer.stderr) == (1, "UNIMPLEMENTED: Method not found!\n")


def test_status(target: str) -> None:
    """A status other than OK is told on stderr, and the exit code is 1."""
    done = call(target, f"{SERVICE}/GetUser", '{"id": "nobody"}')

    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "NOT_FOUND: no such user\n"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (
            "resource",
            ['google.rpc.ResourceInfo {"resourceType":"User","resourceName":"ada"}'],
        ),
        (
            "strange",
            [
                "strange.v1.Thing 2 bytes that nobody here can read",
                "google.rpc.ResourceInfo 1 bytes that nobody here can read",
                'google.rpc.ResourceInfo {"resourceType":"User","resourceName":"ada"}',
            ],
        ),
        ("broken", ["grpc-status-details-bin: 1 bytes that are no google.rpc.Status"]),
    ],
)
def test_details(target: str, name: str, told: list[str]) -> None:
    """Each detail of a status is a line of its own, and the message is one."""
    done = call(target, f"{SERVICE}/GetUser", f'{{"id": "{name}"}}')

    assert done.exit_code == 1
    assert done.stderr.splitlines() == ["NOT_FOUND: no such user", *(f"  {each}" for each in told)]


@pytest.fixture(scope="module")
def streams(start_shared: Start) -> Served:
    """Our own server, with methods of all four kinds."""
    return start_shared("streams:create")


def test_a_type_that_no_method_names(streams: Served) -> None:
    """The type of a detail is asked of the server where its files do not import it."""
    given = '{"topic": "a", "failAt": 0, "how": "foreign"}'
    done = call(streams.grpc_target, "streams.v1.Streams.Single", given)

    assert done.stderr == (
        'ABORTED: with a detail\n  edition.v1.Edition {"explicit":"of a file that none imports"}\n'
    )


OUTER = """\
syntax = "proto3";
package outer.v1;
import "google/protobuf/any.proto";
message Outer { repeated google.protobuf.Any all = 1; map<string, google.protobuf.Any> named = 2; }
"""
INNER = OUTER.replace("outer", "inner").replace("Outer", "Inner")


def test_types_within_types() -> None:
    """What stands in an Any is read and printed, in others too, and no type is asked for twice."""
    asked: list[str] = []
    inner = {"inner.v1.Inner": read_files(descriptor_set(INNER).replace(b"api.", b"inn."), "inner")}

    def ask(name: str) -> Sequence[FileDescriptorProto]:
        asked.append(name)
        return inner.get(name, ())

    outer = read_descriptors(descriptor_set(OUTER), "outer")
    types = Types(outer, ask)
    text = (
        '{"all":[{"@type":"type.googleapis.com/inner.v1.Inner","named":{"a":'
        '{"@type":"type.googleapis.com/google.rpc.RequestInfo","requestId":"7"}}}]}'
    )
    message = types.from_json(text.encode(), outer.pool.FindMessageTypeByName("outer.v1.Outer"))

    assert types.to_json(message) == text
    assert Types(outer, ask).to_json(message) == text
    assert asked == ["inner.v1.Inner", "google.rpc.RequestInfo"] * 2


def test_a_reply_without_json(target: str) -> None:
    """A reply that JSON cannot tell is told of, as a failure of the call."""
    done = call(target, f"{SERVICE}/GetUser", '{"id": "late"}')

    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("the reply: services.user.v1.User has no JSON form: createTime")


@pytest.mark.parametrize("given", ['{"topic":"a"}{"topic":"b"}', '[{"topic":"a"}, {"topic":"b"}]'])
def test_streams_both_ways(streams: Served, given: str) -> None:
    """Requests may stand side by side or be an array, as an argument or on stdin."""
    shown = '{"text":"a"}\n{"number":"1","text":"b"}\n'

    assert call(streams.grpc_target, "Echo", given).stdout == shown
    assert call(streams.grpc_target, "Echo", "-", given=given).stdout == shown


def test_no_requests(streams: Served) -> None:
    """A stream of requests may be empty."""
    assert json.loads(call(streams.grpc_target, "Collect", "-", given="").stdout) == {}


@contextmanager
def calling(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run the command in a process of its own, whose stdin stays open."""
    with subprocess.Popen(
        [SCRIPT, "call", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.kill()


def line(process: subprocess.Popen[str]) -> str:
    """The next line of a process."""
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], 20)
    return process.stdout.readline() if ready else ""


def test_a_conversation(streams: Served) -> None:
    """A request is sent as soon as it is there, and a reply printed as soon as it comes."""
    with calling(streams.grpc_target, "Echo", "-") as process:
        assert process.stdin is not None
        for number, topic in enumerate("ab"):
            process.stdin.write(f'{{"topic": "{topic}"}}')
            process.stdin.flush()
            told = json.loads(line(process))
            assert (int(told.get("number", 0)), told["text"]) == (number, topic)
        process.stdin.close()

        assert process.wait(20) == 0


def test_a_wrong_request_cancels(streams: Served) -> None:
    """A stream that goes wrong is cancelled: the server does not take the half for the whole."""
    ended = len(streams.noted())
    with calling(streams.grpc_target, "Echo", "-") as process:
        assert process.stdin is not None
        process.stdin.write('{"topic": "a"}')
        process.stdin.flush()
        assert json.loads(line(process)) == {"text": "a"}
        process.stdin.write('{"topc": "b"}')
        process.stdin.flush()

        assert process.wait(20) == 2
        assert process.stderr is not None
        assert process.stderr.read() == (
            "Error: request 2: topc: no such field; did you mean topic?\n"
        )
    until = time.monotonic() + 20
    while len(streams.noted()) == ended:
        assert time.monotonic() < until, "the server was not told"
        time.sleep(0.01)
    assert streams.noted()[-1] == "cancelled 1"


def test_a_wrong_request_for_one_reply(streams: Served) -> None:
    """Who waits for the one reply is told too."""
    done = call(streams.grpc_target, "Collect", "-", given='{"topic": "a"}{"topic": 7}')

    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == "Error: request 2: topic: expected a string, got a number\n"


def test_the_server_ends_first(streams: Served) -> None:
    """The command ends with the call, though more might come on stdin."""
    with calling(streams.grpc_target, "Echo", "-") as process:
        assert process.stdin is not None
        process.stdin.write('{"topic": "a", "failAt": 0}')
        process.stdin.flush()

        assert process.wait(20) == 1
        assert process.stderr is not None
        assert process.stderr.read() == "OUT_OF_RANGE: no message 0\n"


def test_an_interrupt(streams: Served) -> None:
    """Ctrl-C ends a call without a word, with the exit code that shells know."""
    with calling(streams.grpc_target, "Echo", "-") as process:
        assert process.stdin is not None
        process.stdin.write('{"topic": "a"}')
        process.stdin.flush()
        assert json.loads(line(process)) == {"text": "a"}
        process.send_signal(signal.SIGINT)

        assert process.wait(20) == 130
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_a_timeout(streams: Served) -> None:
    """A call may take as long as it is said, and no longer."""
    given = '{"topic":"a","count":9,"pause":9}'
    done = call(streams.grpc_target, "Tell", given, "--timeout", "0.1")

    assert done.exit_code == 1
    assert done.stderr.startswith("DEADLINE_EXCEEDED: ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            (f"{SERVICE}/GetUsr",),
            f"has no method {SERVICE}.GetUsr; did you mean {SERVICE}.GetUser?\n",
        ),
        (("GetUsr",), "the server has no method GetUsr; did you mean GetUser?\n"),
        (("Nothing",), f"the server has no method Nothing; it has {SERVICE}.Chat, {SERVICE}.Cre"),
        ((f"{SERVICE}/GetUser", "{"), "the request: not JSON: line 1, column 2: "),
        ((f"{SERVICE}/ImportUsers", "{"), "the requests: [0]: "),
        ((f"{SERVICE}/GetUser", '{"nam": 1}'), "the request: nam: no such field"),
        ((f"{SERVICE}/GetUser", "{}{}"), "the request: not JSON: line 1, column 3: extra data"),
        ((f"{SERVICE}/GetUser", "-H", "x"), "'x': NAME:VALUE is expected"),
        ((f"{SERVICE}/GetUser", "--ca", "x"), "--ca, --cert and --key go with --tls"),
        ((f"{SERVICE}/GetUser", "--tls", "--ca", "/none"), "ca: /none cannot be read"),
        ((f"{SERVICE}/GetUser", "--rest", "ftp://x"), "--rest takes an http:// or https:// URL"),
        ((f"{SERVICE}/ListUsers", "--rest", "http://127.0.0.1:1"), "does not answer: "),
    ],
)
def test_wrong_arguments(target: str, arguments: tuple[str, ...], words: str) -> None:
    """What is wrong before the call is told in a line, with the exit code 2."""
    done = call(target, *arguments)

    assert done.exit_code == 2
    assert words in done.stderr
