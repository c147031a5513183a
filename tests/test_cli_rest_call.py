"""`transcoder call --rest`: methods over HTTP, by their rules."""

from __future__ import annotations

import http.server
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from compiled import descriptor_set
from over_tls import CA, CLIENT, HERE
from services.user.v1 import user_service_pb2 as user
from transcoder.cli import main
from transcoder.cli.rest_request import body_of, request_of
from transcoder.descriptors import read_descriptors
from transcoder.errors import ConfigError
from transcoder.http_rule import bindings
from transcoder.protojson import to_json

if TYPE_CHECKING:
    from tests.conftest import Served, Start


@pytest.fixture(scope="module")
def streams(start_shared: Start) -> Served:
    """Our own server, with methods of all four kinds."""
    return start_shared("streams:create")


def call(served: Served, *arguments: str, url: str = "", given: str | None = None) -> Result:
    """Call a method that reflection of a server knows; over HTTP there, or at a URL."""
    rest = ["--rest", url or f"http://{served.http_target}"]
    return CliRunner().invoke(main, ["call", served.grpc_target, *arguments, *rest], input=given)


def test_one_reply(streams: Served) -> None:
    """The request that the rule makes is told, and the answer printed."""
    done = call(streams, "Single", '{"topic": "a b", "size": 1}')

    assert done.stderr == "GET /v1/a%20b/single?size=1\n"
    assert done.stdout == '{"text":"a b"}\n'
    assert done.exit_code == 0


def test_replies(streams: Served) -> None:
    """Each reply of a stream is a line."""
    done = call(streams, "Tell", '{"topic": "a", "count": 2}')

    assert done.stdout == '{"text":"a"}\n{"number":"1","text":"a"}\n'


@pytest.mark.parametrize("method", ["Collect", "Echo"])
def test_requests(streams: Served, method: str) -> None:
    """A stream of requests is a body; the path is that of the first."""
    done = call(streams, method, "-", given='{"topic": "a"}\n{"topic": "b", "count": 7}')
    last = json.loads(done.stdout.splitlines()[-1])

    assert done.stderr == f"POST /v1/a/{'asks' if method == 'Collect' else 'echo'}\n"
    assert last == (
        {"topic": "a", "count": "2"} if method == "Collect" else {"number": "1", "text": "b"}
    )


def test_raw_bytes(streams: Served) -> None:
    """What is google.api.HttpBody goes and comes as the bytes that it is, under its own type."""
    parts = (
        '{"topic": "a", "data": {"contentType": "x/y", "data": "AAH/"}}{"data": {"data": "Cg=="}}'
    )
    sent = call(streams, "Upload", "-", given=parts)
    got = call(streams, "Download", '{"topic": "a", "count": 2, "size": 256}')

    told = json.loads(sent.stdout)
    assert (told["contentType"], told["bytes"]) == ("x/y", "4")
    assert got.stdout_bytes == bytes(range(256)) * 2


@pytest.mark.parametrize(
    ("method", "how", "told"),
    [
        ("Single", "abort", ["409 ABORTED: no message 0"]),
        (
            "Single",
            "detail",
            ["409 ABORTED: with a detail", '  streams.v1.Told {"number":"7"}'],
        ),
        (
            "Tell",
            "foreign",
            [
                "409 ABORTED: with a detail",
                '  edition.v1.Edition {"explicit":"of a file that none imports"}',
            ],
        ),
    ],
)
def test_status(streams: Served, method: str, how: str, told: list[str]) -> None:
    """A status other than OK is told with its details, and the exit code is 1."""
    done = call(streams, method, f'{{"topic": "a", "count": 2, "failAt": 0, "how": "{how}"}}')

    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.splitlines()[1:] == told


def test_a_status_within_a_stream(streams: Served) -> None:
    """A stream that fails behind its first reply is told like any other."""
    done = call(streams, "Tell", '{"topic": "a", "count": 2, "failAt": 1, "how": "detail"}')

    assert done.exit_code == 1
    assert done.stdout == '{"text":"a"}\n'
    assert done.stderr.splitlines()[1:] == [
        "the stream ABORTED: with a detail",
        '  streams.v1.Told {"number":"7"}',
    ]


def test_a_timeout(streams: Served) -> None:
    """The server is told how long the call may take."""
    done = call(
        streams,
        "Single",
        '{"topic": "a", "pause": 9}',
        "--timeout",
        "5",
        "-H",
        "grpc-timeout: 100m",
    )

    assert done.exit_code == 1
    assert done.stderr.splitlines()[1].startswith("504 DEADLINE_EXCEEDED: ")


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """A server that answers one connection with these bytes, and then closes it or says no more."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        done = threading.Event()

        def serve() -> None:
            client, _ = listening.accept()
            with client:
                client.recv(1 << 16)
                client.sendall(answer)
                if not answer:
                    done.wait(20)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        done.set()
        thread.join()


HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "method", "told"),
    [
        (b"", "Single", "DEADLINE_EXCEEDED: {} has not answered in time"),
        (HEAD + b"3\r\n{}\n\r\n5\r\n{", "Tell", "UNAVAILABLE: the answer of {} breaks off: "),
        (HEAD + b"5\r\n{", "Download", "UNAVAILABLE: the answer of {} breaks off: "),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n<p>\x1b[1mno\n", "Single", "502: <p> [1mno "),
        (b'HTTP/1.1 403 No\r\n\r\n{"code": "x"}', "Single", '403: {{"code": "x"}}'),
        (b'HTTP/1.1 403 No\r\n\r\n{"code": 99}', "Single", "403 UNKNOWN: "),
        (
            HEAD + b'A\r\n{"error":7\r\n1\r\n}\r\n0\r\n\r\n',  # No status, so a message.
            "Tell",
            None,
        ),
    ],
)
def test_other_answers(streams: Served, answer: bytes, method: str, told: str | None) -> None:
    """What no server of ours says is told all the same, in a line that a terminal only prints."""
    with answering(answer) as url:
        done = call(
            streams, method, '{"topic": "a"}', "--timeout", "0.5" if not answer else "20", url=url
        )

    assert done.exit_code == (told is not None)
    rest = done.stderr.splitlines()[1:]
    assert [line.startswith(told.format(url)) for line in rest if told] == ([True] if told else [])


class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def https() -> Iterator[str]:
    """A server that speaks TLS, and asks for a certificate of `CA`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    HERE.configure_cert(context)
    CA.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    with http.server.HTTPServer(("127.0.0.1", 0), Hello) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"https://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_https(streams: Served, https: str, tmp_path: Path) -> None:
    """The same files say whom to trust over HTTPS, and who we are."""
    names = {name: str(tmp_path / f"{name}.pem") for name in ("ca", "cert", "key")}
    CA.cert_pem.write_to_path(names["ca"])
    CLIENT.cert_chain_pems[0].write_to_path(names["cert"])
    CLIENT.private_key_pem.write_to_path(names["key"])
    options = [word for name, path in names.items() for word in (f"--{name}", path)]
    right = call(streams, "Single", '{"topic": "a"}', *options, url=https)
    wrong = call(streams, "Single", '{"topic": "a"}', url=https)
    absent = call(streams, "Single", '{"topic": "a"}', "--ca", "none.pem", url=https)

    assert (right.exit_code, right.stdout) == (0, "{}\n")
    assert wrong.exit_code == 2
    assert "does not answer: [SSL: CERTIFICATE_VERIFY_FAILED]" in wrong.stderr
    assert "tls: --ca, --cert or --key cannot be read: " in absent.stderr


@pytest.mark.parametrize(
    ("method", "given", "told"),
    [
        ("Single", "{}", "the request: topic is of the path, and is missing"),
        ("grpc.health.v1.Health/Check", "{}", "grpc.health.v1.Health.Check has no HTTP rule"),
        ("Collect", '{"topic": "a"}{', "the requests: [1]: the body ends inside of this message"),
        ("Upload", '{"topic": "a"}{"topic": "b"}', "only data of a request behind the first goes"),
    ],
)
def test_no_such_call(streams: Served, method: str, given: str, told: str) -> None:
    """What a rule does not take is told in a line, with the exit code 2."""
    done = call(streams, method, given)

    assert done.exit_code == 2
    assert done.stderr.splitlines()[-1].startswith(f"Error: {told}")


@pytest.mark.parametrize(
    ("method", "message", "expected"),
    [
        ("GetUser", user.GetUserRequest(id="a/b"), ("GET", "/v1/users/a%2Fb", None)),
        ("ListUsers", user.ListUsersRequest(page_size=2), ("GET", "/v1/users?page_size=2", None)),
        (
            "CreateUser",
            user.CreateUserRequest(user_id="a", user=user.User(name="Ada")),
            ("POST", "/v1/users?user_id=a", b'{"name": "Ada"}'),
        ),
    ],
)
def test_request_of(method: str, message: Any, expected: tuple[str, str, bytes | None]) -> None:
    """A message becomes path, query and body as its rule says."""
    rpc = user.DESCRIPTOR.services_by_name["UserService"].methods_by_name[method]
    made = request_of(bindings(rpc)[0], json.loads(to_json(message, proto_names=True)))

    assert (made.method, made.target, made.body) == expected


NESTED = """\
syntax = "proto3";
package nested.v1;
import "google/api/annotations.proto";
message Page { string title = 1; }
message Book { string name = 1; Page page = 2; }
message Ask { Book book = 1; map<string, string> labels = 2; repeated int32 sizes = 3; }
service Books {
  rpc Put(Ask) returns (Book) {
    option (google.api.http) = {
      put: "/v1/{book.name}" body: "book.page"
      additional_bindings: {put: "/v1" body: "book.page"}
    };
  }
}
"""


@pytest.mark.parametrize(
    ("binding", "fields", "target"),
    [
        (0, {"book": {"name": "b", "page": {"title": "T"}}}, "/v1/b"),
        (1, {"book": {"name": "b", "page": {"title": "T"}}}, "/v1?book.name=b"),
        (1, {"book": {"page": {"title": "T"}}, "labels": {"a b": "c"}}, "/v1?labels%5Ba+b%5D=c"),
        (1, {"book": {"page": {"title": "T"}}, "sizes": [1, 2]}, "/v1?sizes=1&sizes=2"),
    ],
)
def test_nested(binding: int, fields: dict[str, Any], target: str) -> None:
    """A field within a field may be the body; maps and lists are parameters that servers read."""
    [service] = read_descriptors(descriptor_set(NESTED), "nested").services
    made = request_of(bindings(service.methods[0])[binding], fields)

    assert (made.target, made.body) == (target, b'{"title": "T"}')


def test_the_rest_of_a_stream() -> None:
    """Behind the first message, what does not go into the body is told."""
    [service] = read_descriptors(descriptor_set(NESTED), "nested").services
    [binding, _] = bindings(service.methods[0])

    assert body_of(binding, {"book": {"page": {}}}) == b"{}"
    with pytest.raises(ConfigError, match=r"only book.page of .* goes over REST, and not sizes"):
        body_of(binding, {"book": {"page": {}}, "sizes": [1]})
