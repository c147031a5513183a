"""The plugin as protoc and buf run it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest, CodeGeneratorResponse

from generating import BIN, protoc
from programs import program
from transcoder.plugin import respond

GOLDEN = Path(__file__).parent / "golden"

HEAD = """\
syntax = "proto3";
package api.v1;
import "google/api/annotations.proto";
message Book { string name = 1; int32 pages = 2; Book next = 3; }
service Books {
"""


def api(folder: Path, *rules: str, head: str = HEAD, name: str = "api.proto") -> None:
    """Write a service with a method for each rule, the first in line 6, each in three lines."""
    methods = [
        f"rpc M{number}(Book) returns (Book) {{\n  option (google.api.http) = {{{rule}}};\n}}\n"
        for number, rule in enumerate(rules, 1)
    ]
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(head + "".join(methods) + "}\n")


def made(folder: Path) -> list[str]:
    """Return the Python files of a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.py"))


def test_golden(tmp_path: Path) -> None:
    """A proto with what there is gives the module that is kept here."""
    shutil.copy(GOLDEN / "library.proto", tmp_path)
    done = protoc(tmp_path, "--transcoder_out=.", "library.proto")

    assert (done.returncode, done.stderr) == (0, "")
    written = (tmp_path / "library_transcoder.py").read_text()
    assert written == (GOLDEN / "library_transcoder.py.txt").read_text()


def test_another_protoc(tmp_path: Path) -> None:
    """The protoc of a distribution, older or newer, runs the plugin as that of grpc_tools does."""
    shutil.copy(GOLDEN / "library.proto", tmp_path)
    done = protoc(tmp_path, "--transcoder_out=.", "library.proto", program=[program("protoc")])

    assert (done.returncode, done.stderr) == (0, "")
    written = (tmp_path / "library_transcoder.py").read_text()
    assert written == (GOLDEN / "library_transcoder.py.txt").read_text()


def test_golden_is_formatted() -> None:
    """A formatter leaves the module as it is."""
    formatted = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--isolated", "--line-length=100", "-"],
        input=(GOLDEN / "library_transcoder.py.txt").read_bytes(),
        capture_output=True,
        check=True,
    )

    assert formatted.stdout == (GOLDEN / "library_transcoder.py.txt").read_bytes()


def test_errors_are_told_as_protoc_tells_its_own(tmp_path: Path) -> None:
    """All that is wrong is told at once, with file, line and column, and nothing is written."""
    api(
        tmp_path,
        'get: "/v1/{nmae}"',
        'get: "v1"',
        'get: "/v1/{name}" additional_bindings { post: "/x" body: "boody" }',
        'get: "/v1/{pages}"',
        'get: "/healthz"',
    )
    done = protoc(tmp_path, "--transcoder_out=.", "api.proto")

    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "--transcoder_out: 5 problems in the rules:",
        (
            "api.proto:7:3: api.v1.Books.M1: '/v1/{nmae}', column 6: "
            "nmae: no such field; did you mean name?"
        ),
        "api.proto:10:3: api.v1.Books.M2: 'v1', column 1: expected '/' at the start",
        "api.proto:13:3: api.v1.Books.M3: '/x': body 'boody': boody: no such field",
        (
            "api.proto:16:3: api.v1.Books.M3 (GET /v1/{name}) and api.v1.Books.M4 "
            "(GET /v1/{pages}) answer the same requests: remove one of them; "
            "the other is at api.proto:13:3"
        ),
        (
            "api.proto:19:3: the gateway's health (GET /healthz) and api.v1.Books.M5 "
            "(GET /healthz) answer the same requests: remove one of them; health= moves it"
        ),
    ]
    assert made(tmp_path) == []


def test_one_problem(tmp_path: Path) -> None:
    """One problem is counted as one."""
    api(tmp_path, 'get: "v1"')
    done = protoc(tmp_path, "--transcoder_out=.", "api.proto")

    assert done.stderr.startswith("--transcoder_out: 1 problem in the rules:\napi.proto:7:3: ")


def test_notes_are_warnings(tmp_path: Path) -> None:
    """What may not be meant is a warning, and the module is written."""
    api(tmp_path, 'delete: "/v1/{name}" body: "next"')
    done = protoc(tmp_path, "--transcoder_out=.", "api.proto")

    assert done.returncode == 0
    assert done.stderr == (
        "api.proto:7:3: warning: api.v1.Books.M1 (DELETE /v1/{name}): "
        "DELETE with a body: RFC 9110 gives it no meaning, clients and proxies may drop it\n"
    )
    assert made(tmp_path) == ["api_transcoder.py"]


def test_conflicts_between_files(tmp_path: Path) -> None:
    """Routes of all files that are generated at once are looked at together."""
    api(tmp_path, 'get: "/v1/{name}"')
    other = HEAD.replace("api.v1", "api.v2")
    api(tmp_path, 'get: "/v1/{pages}"', head=other, name="other.proto")
    apart = protoc(tmp_path, "--transcoder_out=.", "other.proto")
    together = protoc(tmp_path, "--transcoder_out=.", "other.proto", "api.proto")

    assert apart.returncode == 0
    assert "\napi.proto:7:3: api.v2.Books.M1 (GET /v1/{pages}) and api.v1.Books.M1" in (
        together.stderr
    )


def test_services_of_imported_files_are_not_looked_at(tmp_path: Path) -> None:
    """A file that is only imported may be wrong, and gets no module."""
    api(tmp_path, 'get: "v1"')
    (tmp_path / "user.proto").write_text(
        'syntax = "proto3";\nimport "api.proto";\n'
        "service Users { rpc Get(api.v1.Book) returns (api.v1.Book); }\n"
    )
    done = protoc(tmp_path, "--transcoder_out=.", "user.proto")

    assert (done.returncode, done.stderr) == (0, "")
    assert made(tmp_path) == ["user_transcoder.py"]


def test_a_proto_without_services(tmp_path: Path) -> None:
    """Messages alone need no module."""
    (tmp_path / "api.proto").write_text('syntax = "proto3";\nmessage Book {}\n')
    done = protoc(tmp_path, "--transcoder_out=.", "api.proto")

    assert (done.returncode, done.stderr, made(tmp_path)) == (0, "", [])


def test_names_that_python_cannot_have(tmp_path: Path) -> None:
    """What grpc's module could not be imported for is told with its place; nothing is written."""
    api(tmp_path, 'get: "/v1/{name}"', name="class/v1/x.proto")
    (tmp_path / "import").mkdir()
    (tmp_path / "import/y.proto").write_text(
        'syntax = "proto3";\nimport "class/v1/x.proto";\n'
        "service None {\n  rpc def(api.v1.Book) returns (api.v1.Book);\n}\n"
    )
    done = protoc(tmp_path, "--transcoder_out=.", "import/y.proto")

    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "--transcoder_out: choose other names, for Python cannot have these:",
        "class/v1/x.proto: class is a keyword",
        "import/y.proto: import is a keyword",
        "import/y.proto:3:1: None is a keyword",
        "import/y.proto:4:3: def is a keyword",
    ]
    assert made(tmp_path) == []


@pytest.mark.parametrize("edition", ['syntax = "proto2"', 'edition = "2023"', 'edition = "2024"'])
def test_syntaxes(tmp_path: Path, edition: str) -> None:
    """Every syntax and edition that protoc has is taken."""
    head = f"{edition};\nimport 'google/api/annotations.proto';\nmessage Book {{}}\nservice B {{\n"
    api(tmp_path, 'get: "/v1"', head=head)
    done = protoc(tmp_path, "--transcoder_out=.", "api.proto")

    assert (done.returncode, done.stderr) == (0, "")
    assert made(tmp_path) == ["api_transcoder.py"]


def test_optional_fields_of_proto3(tmp_path: Path) -> None:
    """An `optional` of proto3 is taken."""
    head = HEAD.replace("int32 pages", "optional int32 pages")
    api(tmp_path, 'get: "/v1"', head=head)

    assert protoc(tmp_path, "--transcoder_out=.", "api.proto").stderr == ""


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("conflicts=maybe", "option conflicts is one of refuse, warn, not maybe"),
        (
            "unbounded",
            (
                "there is no option unbounded; did you mean unbound? There are comments, "
                "conflicts, docs, health, liveness, openapi, profile, readiness, "
                "service_config, unbound"
            ),
        ),
        ("service_config=gone.yaml", "service_config=gone.yaml: No such file or directory"),
        ("service_config=odd.yaml", "odd.yaml is not UTF-8"),
    ],
)
def test_wrong_options(tmp_path: Path, option: str, told: str) -> None:
    """A wrong option is refused, and protoc says so."""
    api(tmp_path, 'get: "/v1"')
    (tmp_path / "odd.yaml").write_bytes(b"\xff")
    done = protoc(tmp_path, f"--transcoder_opt={option}", "--transcoder_out=.", "api.proto")

    assert (done.returncode, done.stderr) == (1, f"--transcoder_out: {told}\n")


def test_options_are_those_of_the_gateway(tmp_path: Path) -> None:
    """What a gateway would take with the same options is taken, and what it adds is written."""
    api(tmp_path, 'get: "/v1/{name}"', 'get: "/v1/{pages}"', 'get: "/healthz"', "")
    options = "conflicts=warn,health=/health"
    done = protoc(
        tmp_path, f"--transcoder_out={options}:.", "--transcoder_opt=unbound", "api.proto"
    )

    assert done.returncode == 0
    assert "api.proto:10:3: warning: api.v1.Books.M2 (GET /v1/{pages}) never answers" in done.stderr
    written = (tmp_path / "api_transcoder.py").read_text()
    assert 'HttpRoute("POST", "/api.v1.Books/M4", "api.v1.Books.M4", body="*")' in written


def test_service_configuration(tmp_path: Path) -> None:
    """Rules of a service configuration take the place of the options."""
    api(tmp_path, 'get: "v1"')
    config = tmp_path / "api.yaml"
    config.write_text(
        "type: google.api.Service\n"
        "http:\n  rules:\n    - selector: api.v1.Books.M1\n      get: /v2/{name}\n"
    )
    option = "--transcoder_opt=service_config=api.yaml"
    done = protoc(tmp_path, option, "--transcoder_out=.", "api.proto")

    assert (done.returncode, done.stderr) == (0, "")
    written = (tmp_path / "api_transcoder.py").read_text()
    assert 'HttpRoute("GET", "/v2/{name}", "api.v1.Books.M1")' in written

    config.write_text(config.read_text().replace("{name}", "{nmae}"))
    wrong = protoc(tmp_path, option, "--transcoder_out=.", "api.proto")
    assert "\napi.yaml:5:12: api.v1.Books.M1: '/v2/{nmae}', column 6: nmae" in wrong.stderr


def test_files_stand_beside_those_of_protoc(tmp_path: Path) -> None:
    """Dashes become underscores and dots folders, as in the names of the other modules."""
    api(tmp_path, 'get: "/v1"', name="some-where/v1.beta/my-api.proto")
    done = protoc(
        tmp_path,
        *("--python_out=.", "--grpc_python_out=.", "--transcoder_out=."),
        "some-where/v1.beta/my-api.proto",
    )

    assert (done.returncode, done.stderr) == (0, "")
    folder = "some_where/v1/beta"
    assert made(tmp_path) == [
        f"{folder}/my_api_pb2.py",
        f"{folder}/my_api_pb2_grpc.py",
        f"{folder}/my_api_transcoder.py",
    ]
    script = (
        "import importlib\n"
        "module = importlib.import_module('some_where.v1.beta.my_api_transcoder')\n"
        "print(module.BOOKS_ROUTES[0].template)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert told.stdout == "/v1\n"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where mypy keeps what it knows of modules that are the same in each folder."""
    return tmp_path_factory.mktemp("mypy")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("stubs", [True, False])
def test_types(tmp_path: Path, cache: Path, *, stubs: bool) -> None:
    """A strict mypy passes the module, with stubs of grpc or without, and refuses no servicers."""
    shutil.copy(GOLDEN / "library.proto", tmp_path)
    outs = [f"--{kind}_out=." for kind in ("python", "pyi", "grpc_python", "transcoder")]
    outs += ["--mypy_grpc_out=quiet,generate_concrete_servicer_stubs:."] if stubs else []
    protoc(tmp_path, *outs, "library.proto").check_returncode()
    (tmp_path / "wrong.py").write_text(
        "from library_transcoder import BOOK_SERVICE_ROUTES, register_book_service\n"
        "from transcoder import Gateway\n"
        "\n"
        "gateway = Gateway()\n"
        "register_book_service(gateway, object())\n"
        "template: int = BOOK_SERVICE_ROUTES[0].template\n"
    )
    checked = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--no-error-summary"),
            *("--config-file=", f"--cache-dir={cache}", "--no-pretty", "--hide-error-context"),
            *("library_transcoder.py", "wrong.py"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    ours = [line for line in checked.stdout.splitlines() if "_pb2" not in line.split(":")[0]]
    assert [line.partition(" error: ")[0] for line in ours] == ["wrong.py:5:", "wrong.py:6:"]


def test_comments(tmp_path: Path) -> None:
    """Comments are kept where the gateway looks for them: in the folder of the modules."""
    api(tmp_path, 'get: "/v1"', head=f"// Of all.\n{HEAD}", name="my-api/api.proto")
    options = ("--transcoder_opt=comments", "--transcoder_out=.", "--python_out=.")
    done = protoc(tmp_path, *options, "my-api/api.proto")

    assert (done.returncode, done.stderr) == (0, "")
    kept = sorted(path.name for path in (tmp_path / "my_api").iterdir())
    assert kept == ["api_comments.json", "api_pb2.py", "api_transcoder.py"]


def test_buf(tmp_path: Path) -> None:
    """Buf runs the plugin by its path, hands options over, and tells what is wrong."""
    api(tmp_path, 'get: "/v1/{name}"', "")
    google = tmp_path / "google/api"
    google.mkdir(parents=True)
    for name in ("annotations.proto", "http.proto"):
        shutil.copy(Path(sys.prefix, "lib", _python(), "site-packages/google/api", name), google)
    (tmp_path / "buf.yaml").write_text("version: v2\n")
    (tmp_path / "buf.gen.yaml").write_text(
        "version: v2\nplugins:\n"
        f"  - local: {BIN / 'protoc-gen-transcoder'}\n"
        "    opt: [unbound, conflicts=warn]\n    strategy: all\n    out: out\n"
    )
    right = _buf(tmp_path)
    api(tmp_path, 'get: "v1"')
    wrong = _buf(tmp_path)

    assert (right.returncode, right.stderr) == (0, "")
    assert "/api.v1.Books/M2" in (tmp_path / "out/api_transcoder.py").read_text()
    assert wrong.returncode != 0
    # Unlike protoc, buf knows where within the option the template stands.
    assert "\napi.proto:7:31: api.v1.Books.M1: 'v1', column 1" in wrong.stderr


def _python() -> str:
    return f"python{sys.version_info.major}.{sys.version_info.minor}"


def _buf(folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "BUF_CACHE_DIR": str(folder / ".cache")}
    return subprocess.run(
        [BIN / "buf", "generate", "--path", "api.proto"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_features() -> None:
    """The answer says what the plugin takes, also where it is an error."""
    response, notes = respond(CodeGeneratorRequest(parameter="nope"))

    assert response.supported_features == (
        CodeGeneratorResponse.FEATURE_PROTO3_OPTIONAL
        | CodeGeneratorResponse.FEATURE_SUPPORTS_EDITIONS
    )
    assert response.minimum_edition < response.maximum_edition
    assert response.error.startswith("there is no option nope. There are ")
    assert notes == ()


def test_by_hand() -> None:
    """Who starts the plugin without protoc is told what it is."""
    plugin = BIN / "protoc-gen-transcoder"
    nonsense = subprocess.run(
        [plugin], input="nonsense", capture_output=True, text=True, check=False
    )
    helped = subprocess.run([plugin, "--help"], capture_output=True, text=True, check=True)

    assert nonsense.returncode == 1
    assert nonsense.stderr == (
        "protoc-gen-transcoder: this is no CodeGeneratorRequest; protoc sends one\n"
    )
    assert "  service_config  a file with rules" in helped.stdout
