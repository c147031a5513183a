from __future__ import annotations

import json
import os
import pty
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner, Result

from compiled import descriptor_set
from over_tls import CA, CLIENT, over_tls
from pages import page
from transcoder.cli import main

if TYPE_CHECKING:
    from tests.conftest import Start

SCRIPT = str(Path(sys.executable).with_name("transcoder"))
OPERATIONS = ("--module", "google.longrunning")
API = """\
syntax = "proto3";
package api.v1;
import "google/api/annotations.proto";
message Book { string name = 1; int32 pages = 2; }
service Books {
  rpc Get(Book) returns (Book) {
    option (google.api.http).get = "/v1/{name=books/*}";
  }
  rpc Put(Book) returns (Book) {
    option (google.api.http) = { put: "/v1/{name=books/*}" body: "pages" response_body: "name" };
  }
  rpc Copy(Book) returns (Book);
}
"""
BROKEN = API.replace("name=books", "nmae=books")
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in a folder with `api.binpb` and `broken.binpb`."""
    (tmp_path / "api.binpb").write_bytes(descriptor_set(API))
    (tmp_path / "broken.binpb").write_bytes(descriptor_set(BROKEN))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return lambda *arguments, **options: CliRunner().invoke(main, arguments, **options)


def python(program: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own."""
    command = [sys.executable, "-c", program]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def script(*arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the console script in a process of its own."""
    return subprocess.run(
        [SCRIPT, *arguments], check=False, capture_output=True, text=True, cwd=folder
    )


def test_version() -> None:
    """The script tells the version of the package."""
    assert script("--version").stdout == f"transcoder, version {version('transcoder')}\n"


CONTEXT = click.Context(main)
COMMANDS = main.list_commands(CONTEXT)


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)])
def test_help(run: Run, command: tuple[str, ...]) -> None:
    """Every help has examples, each on a line of its own."""
    helped = run(*command, "--help")

    assert helped.exit_code == 0
    examples = helped.stdout.partition("Examples:\n")[2].partition("\n\n")[0].splitlines()
    assert len(examples) > 1
    assert all("transcoder " in line or "protoc " in line for line in examples)


def test_commands_are_told_whole(run: Run) -> None:
    """Each command has a sentence that fits, and they stand in the order of their use."""
    listed = run("--help").stdout.partition("Commands:\n")[2].splitlines()

    assert [line.split()[0] for line in listed] == COMMANDS
    assert COMMANDS[0] == "new"
    assert all(line.endswith(".") and not line.endswith("..") for line in listed)


def test_listing_imports_no_command() -> None:
    """Help is there at once: a command's module is imported when it is called."""
    program = (
        "import sys\n"
        "from transcoder.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit:\n"
        "    print([name for name in sys.modules if name.startswith('transcoder.cli.')])"
    )

    assert python(program).stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("command", ["routes", "explain", "check", "openapi"])
def test_help_tells_of_sources_and_exit_codes(run: Run, command: str) -> None:
    """What reads services says where from, and each of its exit codes but 0."""
    told = " ".join(run(command, "--help").stdout.partition("Options:")[0].split())

    assert "One of --descriptor-set, --image, --module and --reflection says " in told
    assert re.search(r"The exit code is 1 if .*, and 2 if there is nothing to look at\.", told)


def test_completion() -> None:
    """The shell is told what completes our words, and asks for them."""
    environment = {**os.environ, "COMP_WORDS": "transcoder ro", "COMP_CWORD": "1"}
    told, asked = (
        subprocess.run(
            [SCRIPT],
            env={**environment, "_TRANSCODER_COMPLETE": step},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for step in ("bash_source", "bash_complete")
    )

    assert "complete " in told
    assert asked == "plain,routes\n"


def test_help_is_light() -> None:
    """Before a command runs, neither protobuf, gRPC, starlette, YAML nor rich are imported."""
    program = (
        "import sys, transcoder.cli; heavy = {'google', 'grpc', 'starlette', 'yaml', 'rich'};"
        "print(heavy & set(sys.modules))"
    )
    found = python(program)

    assert found.stdout == "set()\n"


def test_rich_prints_tables_only() -> None:
    """JSON and explanations come without rich, gRPC and starlette."""
    program = (
        "import sys\n"
        "from transcoder.cli import main\n"
        "try: main(['routes', '--module', 'google.cloud.location', '--json'])\n"
        "except SystemExit: print({'grpc', 'rich', 'starlette'} & set(sys.modules))\n"
    )
    found = python(program)

    assert found.stdout.endswith("\nset()\n")


def test_without_click() -> None:
    """Without click, the import names the extra to install."""
    program = "import sys; sys.modules['click'] = None; import transcoder.cli"
    done = python(program)

    assert done.stderr.endswith("ImportError: the command needs click: install transcoder[cli]\n")


def test_routes(run: Run) -> None:
    """Routes are a table, in the order of their declaration."""
    table = run("routes", "--descriptor-set", "api.binpb").stdout

    assert [line.split() for line in table.splitlines()] == [
        ["method", "path", "rpc", "body", "response", "body"],
        ["GET", "/v1/{name=books/*}", "api.v1.Books.Get"],
        ["PUT", "/v1/{name=books/*}", "api.v1.Books.Put", "pages", "name"],
    ]


def test_routes_in_json(run: Run) -> None:
    """JSON has all of it, places too."""
    listed = json.loads(run("routes", "--descriptor-set", "api.binpb", "--json").stdout)

    assert listed[1] == {
        "method": "PUT",
        "path": "/v1/{name=books/*}",
        "rpc": "api.v1.Books.Put",
        "body": "pages",
        "response_body": "name",
        "place": "api.proto:10:5",
    }


def test_unbound(run: Run) -> None:
    """Methods without a rule are listed when they are asked for."""
    listed = json.loads(run("routes", "--image", "api.binpb", "--json", "--unbound").stdout)

    assert [each["path"] for each in listed][2:] == ["/api.v1.Books/Copy"]


def test_no_routes(run: Run) -> None:
    """Services without rules are told from a failure."""
    listed = run("routes", "--module", "grpc_health.v1")

    assert (listed.exit_code, listed.stdout) == (0, "")
    assert listed.stderr == "no method has a rule; --unbound routes them without one\n"


def test_stdin() -> None:
    """A dash reads from stdin, as in a pipe behind `buf build -o -`."""
    command = [SCRIPT, "check", "--image", "-"]
    right = subprocess.run(command, check=False, capture_output=True, input=descriptor_set(API))
    wrong = subprocess.run(command, check=False, capture_output=True, input=b"")

    assert right.stderr == b"no problems in 1 service\n"
    assert wrong.stderr.startswith(b"Error: <stdin> is no descriptor set: it holds no files")


CONFIG = """\
type: google.api.Service
http:
  fully_decode_reserved_expansion: true
  rules:
  - selector: api.v1.Books.Copy
    get: /v1/{name=copies/**}
"""


def test_service_config(run: Run, tmp_path: Path) -> None:
    """A service configuration adds routes, and places in itself."""
    (tmp_path / "api.yaml").write_text(CONFIG)
    options = ("--descriptor-set", "api.binpb", "--service-config", "api.yaml")
    listed = json.loads(run("routes", *options, "--json").stdout)
    explained = run("explain", *options, "GET", "/v1/copies/a%3Ab%2Fc").stdout

    assert listed[2]["place"] == "api.yaml:6:10"
    assert "  api.yaml:6:10\n" in explained
    assert "path  name = 'copies/a:b%2Fc' -> name (string)\n" in explained


def test_wrong_service_config(run: Run, tmp_path: Path) -> None:
    """`check` tells all that is wrong in a service configuration, others the first of it."""
    (tmp_path / "api.yaml").write_text(CONFIG.replace("get:", "gett:").replace("true", "maybe"))
    options = ("--descriptor-set", "api.binpb", "--service-config", "api.yaml")
    checked, listed = run("check", *options), run("routes", *options)

    assert (checked.exit_code, checked.stdout) == (
        1,
        (
            "api.yaml:3:36: expected true or false\n"
            "api.yaml:6:5: gett: no such field; did you mean get?\n"
        ),
    )
    assert (listed.exit_code, listed.stderr) == (
        2,
        "Error: api.yaml:3:36: expected true or false\n",
    )


def test_service(run: Run, tmp_path: Path) -> None:
    """Services of imported files are left out with a word, or chosen by name."""
    text = API.replace("package", 'import "google/cloud/location/locations.proto";\npackage', 1)
    (tmp_path / "two.binpb").write_bytes(descriptor_set(text))
    options = ("routes", "--descriptor-set", "two.binpb", "--json")
    own = run(*options)
    chosen = run(*options, "--service", "google.cloud.location.Locations")
    wrong = run(*options, "--service", "api.v1.Boks")

    assert {row["rpc"] for row in json.loads(own.stdout)} == {
        "api.v1.Books.Get",
        "api.v1.Books.Put",
    }
    assert own.stderr == (
        "left out, for other files import theirs: google.cloud.location.Locations\n"
    )
    assert len(json.loads(chosen.stdout)) == 4
    assert chosen.stderr == ""
    assert wrong.exit_code == 2
    assert "no service is named api.v1.Boks; did you mean api.v1.Books?" in wrong.stderr


def test_explain_options(run: Run) -> None:
    """OPTIONS tells what the server answers, and that is no refusal."""
    explained = run("explain", "--image", "api.binpb", "OPTIONS", "/v1/books/7")

    assert explained.exit_code == 0
    assert explained.stdout == "204 with Allow: GET, HEAD, OPTIONS, PUT\n"


def test_explain_a_match(run: Run) -> None:
    """A match tells the rule, its place, what was bound, and the message."""
    explained = run("explain", "--descriptor-set", "api.binpb", "GET", "/v1/books/7?pages=3")

    assert explained.exit_code == 0
    assert explained.stdout == (
        "api.v1.Books.Get\n"
        "  GET /v1/{name=books/*}\n"
        "  api.proto:7:5\n"
        "\n"
        "path  name = 'books/7' -> name (string)\n"
        "query pages = '3' -> pages (int32)\n"
        "\n"
        '{\n  "name": "books/7",\n  "pages": 3\n}\n'
    )


def test_explain_an_empty_message(run: Run) -> None:
    """A request that says nothing binds nothing."""
    target = "/api.v1.Books/Copy"
    explained = run("explain", "--image", "api.binpb", "--unbound", "POST", target, "-d", "{}")

    assert explained.stdout == f"api.v1.Books.Copy\n  POST {target}\n  api.proto:12:3\n\n{{}}\n"


def test_explain_a_refusal(run: Run) -> None:
    """What the client would be told is told, and the exit code is 1."""
    explained = run("explain", *OPERATIONS, "GET", "/v1/operations/7?nmae=1")

    assert explained.exit_code == 1
    assert "query nmae = '1': no such field; did you mean name?\n" in explained.stdout
    assert explained.stdout.endswith(
        "\n400 INVALID_ARGUMENT: nmae: no such field; did you mean name?\n"
    )


def test_explain_a_miss(run: Run) -> None:
    """Where nothing matches, the nearest routes tell where they stopped."""
    explained = run("explain", "--descriptor-set", "api.binpb", "GET", "/v1/book/7")

    assert explained.exit_code == 1
    assert explained.stdout == (
        "404 NOT_FOUND: no route matches this path\n"
        "\n"
        "The nearest routes:\n"
        "  GET /v1/{name=books/*}  api.v1.Books.Get\n"
        "    segment 2 is 'book', not 'books'\n"
        "  PUT /v1/{name=books/*}  api.v1.Books.Put\n"
        "    segment 2 is 'book', not 'books'\n"
    )


GATEWAY = """\
upstreams: {{users: {{target: "localhost:{target}"}}}}
listen: {{grpc: ":{grpc}"}}
services: [{{descriptor_set: api.binpb, upstream: users{more}}}]
policies: {{request_id: {{}}}}
"""
HOPS = """\
edge.yaml: HTTP on :8080
  host      api.example
  route     GET /v1/{name=books/*}
  method    api.v1.Books.Get
  policies  request-id
  upstream  users: gRPC to localhost:50052, in the clear
inner.yaml: gRPC on :50052
  method    api.v1.Books.Get
  policies  request-id
  upstream  users: gRPC to localhost:50061, in the clear
"""


def test_explain_hops(run: Run) -> None:
    """Each gateway's file is a hop, and what nothing answers ends with 1."""
    Path("edge.yaml").write_text(GATEWAY.format(target=50052, grpc=50051, more=""))
    Path("inner.yaml").write_text(GATEWAY.format(target=50061, grpc=50052, more=""))
    files = ("--gateway", "edge.yaml", "--gateway", "inner.yaml")
    explained = run("explain", *files, "GET", "http://api.example/v1/books/7")

    assert explained.exit_code == 0
    assert explained.stdout == HOPS
    explained = run("explain", *files, "GET", "http://api.example/none")
    assert explained.exit_code == 1
    assert "  refused   404 NOT_FOUND: " in explained.stdout


def test_explain_hops_options(run: Run) -> None:
    """Options that mean nothing are told, with exit code 2."""
    Path("edge.yaml").write_text(GATEWAY.format(target=50052, grpc=50051, more=""))
    for wrong, why in (
        (("--gateway", "edge.yaml", "GET", "/v1/books/7"), "a URL with a host is expected"),
        (("--gateway", "none.yaml", "GET", "http://a/"), "No such file or directory"),
        (("--gateway", "edge.yaml", "-H", "a", "GET", "http://a/"), "NAME:VALUE is expected"),
        (("--gateway", "edge.yaml", "--image", "api.binpb", "GET", "/"), "--gateway says itself"),
    ):
        explained = run("explain", *wrong)
        assert (explained.exit_code, why in explained.stderr) == (2, True)


def test_explain_a_method_in_small_letters(run: Run) -> None:
    """A method is taken as it is written, as the server does, and the right one is told."""
    explained = run("explain", "--descriptor-set", "api.binpb", "get", "/v1/books/7")

    assert explained.exit_code == 1
    assert explained.stdout.startswith(
        "501 UNIMPLEMENTED: no such HTTP method: methods are case-sensitive, write GET\n"
    )


def test_explain_a_body(run: Run) -> None:
    """The body is given as text."""
    options = ("--descriptor-set", "api.binpb")
    explained = run("explain", *options, "PUT", "/v1/books/7", "-d", "3")

    assert '"pages": 3' in explained.stdout


def test_profile(run: Run) -> None:
    """A profile decides what happens, as it does in a server."""
    target = "/v1/operations/7?unknown=1"

    assert run("explain", *OPERATIONS, "GET", target).exit_code == 1
    assert run("explain", *OPERATIONS, "--profile", "grpc-gateway", "GET", target).exit_code == 0


def test_check() -> None:
    """What is right is told on stderr, and the exit code is 0."""
    checked = script("check", *OPERATIONS)

    assert (checked.returncode, checked.stdout) == (0, "")
    assert checked.stderr == "no problems in 1 service\n"


@pytest.mark.parametrize(
    ("health", "code", "problem"),
    [
        ((), 1, "(GET /healthz) answer the same requests: remove one of them"),
        (("--health", "/health"), 0, ""),
        (("--health", ""), 0, ""),
        (("--health", "health"), 2, "'health', column 1: expected '/' at the start"),
    ],
)
def test_check_health(
    run: Run, tmp_path: Path, health: tuple[str, ...], code: int, problem: str
) -> None:
    """A route in the place of the gateway's health is told, wherever that is said to be."""
    proto = API.replace('.get = "/v1/{name=books/*}"', '.get = "/healthz"')
    (tmp_path / "api.binpb").write_bytes(descriptor_set(proto))
    checked = run("check", "--descriptor-set", "api.binpb", *health)

    assert checked.exit_code == code
    assert problem in checked.output


@pytest.mark.parametrize(
    ("option", "path"),
    [
        ("--liveness", "/livez"),
        ("--readiness", "/readyz"),
        ("--openapi", "/openapi.json"),
        ("--docs", "/docs"),
    ],
)
def test_check_own_paths(run: Run, tmp_path: Path, option: str, path: str) -> None:
    """A route where the gateway tells of itself is told, wherever that is said to be."""
    proto = API.replace('.get = "/v1/{name=books/*}"', f'.get = "{path}"')
    (tmp_path / "api.binpb").write_bytes(descriptor_set(proto))

    codes = [
        run("check", "--descriptor-set", "api.binpb", *more).exit_code
        for more in ((), (option, "/about"), (option, ""))
    ]
    assert codes == [1, 0, 0]


def test_check_a_broken_proto(run: Run, tmp_path: Path) -> None:
    """Every problem is a line with file, line and column, and the exit code is 1."""
    checked = script("check", "--descriptor-set", "broken.binpb", folder=tmp_path)

    assert checked.returncode == 1
    assert checked.stdout == "".join(
        f"api.proto:{line}:5: api.v1.Books.{name}: '/v1/{{nmae=books/*}}', column 6: "
        "nmae: no such field; did you mean name?\n"
        for line, name in ((7, "Get"), (10, "Put"))
    )
    assert checked.stderr == "2 problems in 1 service\n"
    assert run("check", "--descriptor-set", "broken.binpb").stdout == checked.stdout


def test_check_notes(run: Run, tmp_path: Path) -> None:
    """What does not keep a server from starting is a note, and no failure."""
    get = 'get: "/v1/{name=a/*/**}" additional_bindings { get: "/v1/*/{name=**}" }'
    rules = [get, 'get: "/v1/{name=a/*/**}/{pages}"', 'get: "/v1/a/{name}"']
    methods = "".join(
        f"rpc M{number}(Book) returns (Book) {{ option (google.api.http) = {{ {rule} }}; }}\n"
        for number, rule in enumerate(rules)
    )
    text = API.partition("service")[0] + f"service Books {{ {methods} }}\n"
    (tmp_path / "notes.binpb").write_bytes(descriptor_set(text))
    checked = run("check", "--descriptor-set", "notes.binpb")

    assert checked.exit_code == 0
    assert checked.stdout.startswith("api.proto:5:")
    assert ": note: api.v1.Books.M0 (GET /v1/{name=a/*/**}) can never answer: " in checked.stdout


def test_conflicts(run: Run, tmp_path: Path) -> None:
    """Routes in conflict are a failure, or with --conflicts warn a note on what answers."""
    text = API.replace("put:", "get:").replace(' body: "pages"', "")
    (tmp_path / "conflict.binpb").write_bytes(descriptor_set(text))
    of = ("--descriptor-set", "conflict.binpb")
    route = "GET /v1/{name=books/*}"
    does = f"api.v1.Books.Put ({route}) never answers: api.v1.Books.Get ({route}) does"

    assert run("check", *of).exit_code == 1
    assert 'conflicts="warn" makes this a warning' in run("routes", *of).stderr
    checked = run("check", *of, "--conflicts", "warn")
    assert checked.exit_code == 0
    assert checked.stdout == f"api.proto:10:5: note: {does}; the other is at api.proto:7:5\n"
    listed = script("routes", *of, "--conflicts", "warn", folder=tmp_path)
    assert listed.stdout.count(route.removeprefix("GET ")) == 2
    assert listed.stderr == f"{does}\n"
    explained = run("explain", *of, "--conflicts", "warn", "GET", "/v1/books/7")
    assert explained.stdout.startswith("api.v1.Books.Get\n")
    assert "fits too, but /v1/{name=books/*} was declared first\n" in explained.stdout


@pytest.mark.parametrize("command", [("routes",), ("explain", "GET", "/v1/books/7")])
def test_broken_rules(run: Run, command: tuple[str, ...]) -> None:
    """Other commands tell the first problem in one line."""
    done = run(*command, "--descriptor-set", "broken.binpb")

    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == (
        "Error: api.v1.Books.Get: '/v1/{nmae=books/*}', column 6: "
        "nmae: no such field; did you mean name?\n"
    )


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), "say where the services come from, by one of"),
        ((*OPERATIONS, "--reflection", "x:1"), "say where the services come from, by one of"),
        (("--descriptor-set", "nothing"), "'nothing': No such file or directory"),
        (("--module", "nothing"), "no module is named nothing; is the folder"),
        (("--reflection", "127.0.0.1:1"), "127.0.0.1:1 does not answer: UNAVAILABLE"),
        ((*OPERATIONS, "--tls"), "--tls goes with --reflection"),
        (("--reflection", "x:1", "--ca", "ca.pem"), "--ca, --cert and --key go with --tls"),
        (("--reflection", "x:1", "--tls", "--ca", "no.pem"), "tls: ca: no.pem cannot be read"),
        (
            ("--reflection", "x:1", "--tls", "--key", "no.pem"),
            "tls: a certificate and its key are given together",
        ),
        ((*OPERATIONS, "--service-config", "api.binpb"), "api.binpb is not UTF-8"),
        ((*OPERATIONS, "--service-config", "api.json"), "api.json:1:1: expected type"),
        ((*OPERATIONS, "--profile", "nginx"), "'nginx' is not one of"),
    ],
)
def test_nothing_to_look_at(run: Run, tmp_path: Path, options: tuple[str, ...], told: str) -> None:
    """Options and input that say nothing are told, and the exit code is 2."""
    (tmp_path / "api.json").write_text("{}")
    (tmp_path / "api.binpb").write_bytes(b"\xff")
    done = run("check", *options)

    assert (done.exit_code, done.stdout) == (2, "")
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_module_of_the_current_folder(tmp_path: Path) -> None:
    """A module is looked for in the current folder first, as `python -m` does."""
    (tmp_path / "mine_pb2.py").write_text(
        "from google.longrunning.operations_pb2 import DESCRIPTOR\n"
    )
    checked = script("check", "--module", "mine_pb2", folder=tmp_path)

    assert checked.stderr == "no problems in 1 service\n"


def test_reflection(start: Start) -> None:
    """A running server is asked for its services."""
    listed = script("routes", "--reflection", start().grpc_target)

    assert listed.returncode == 0
    assert "/v1/{name=operations/**}" in listed.stdout


def shown(*arguments: str, **environment: str) -> str:
    """What a command shows on a terminal."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", **environment}
    subprocess.run([SCRIPT, *arguments], check=False, stdout=theirs, env=environment)
    os.close(theirs)
    screen = os.read(ours, 1 << 16).decode()
    os.close(ours)
    return screen


@pytest.mark.parametrize(
    "command", [("routes",), ("explain", "GET", "/v1/operations/7"), ("explain", "GET", "/x")]
)
def test_colours(command: tuple[str, ...]) -> None:
    """Colours are for terminals, and not for those who ask for none."""
    assert "\x1b[" in shown(*command, *OPERATIONS)
    assert "\x1b[" not in shown(*command, *OPERATIONS, NO_COLOR="1")
    assert "\x1b[" not in script(*command, *OPERATIONS).stdout


def test_reflection_over_tls(run: Run, tmp_path: Path) -> None:
    """A running server that speaks TLS is read with the files that the options name."""
    CA.cert_pem.write_to_path(tmp_path / "ca.pem")
    CLIENT.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    CLIENT.private_key_pem.write_to_path(tmp_path / "key.pem")
    options = ("--tls", "--ca", "ca.pem", "--cert", "cert.pem", "--key", "key.pem")
    with over_tls(mutual=True) as target:
        listed = run("routes", "--reflection", target, *options)
        refused = run("routes", "--reflection", target, *options[:3])

    assert listed.exit_code == 0
    assert "google.longrunning.Operations.GetOperation" in listed.stdout
    assert refused.exit_code == 2
    assert f"{target} does not answer: UNAVAILABLE" in refused.stderr


def test_narrow_terminal() -> None:
    """A table keeps to the width of its terminal, and loses nothing."""
    table = shown("routes", *OPERATIONS, COLUMNS="60", NO_COLOR="1")

    assert max(map(len, table.splitlines())) <= 60
    assert "…" not in table


PAGE = page("command.md")


def test_the_page_about_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program of docs/command.md makes a gateway that decodes paths as its file says."""
    (tmp_path / "api.yaml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    (recipe,) = PAGE.blocks("python")
    made = PAGE.run(recipe)

    assert made["gateway"].transcoder.profile.unescape == "except-slash"


@pytest.mark.parametrize(("command", "printed"), PAGE.commands)
def test_the_page_about_the_command(run: Run, command: str, printed: str) -> None:
    """Each command of docs/command.md prints what the page shows."""
    name, *words = shlex.split(command)
    output = run(*words).output

    assert name == "transcoder"
    assert [line.rstrip() for line in output.splitlines()] == printed.splitlines()
