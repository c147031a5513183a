"""`transcoder new`: what it writes, and the project at work where only the wheel is installed."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from environments import CONSTRAINTS, create, install, see
from transcoder.cli import main
from transcoder.cli.serve import serve

BIN = Path(sys.executable).parent

pytestmark = pytest.mark.timeout(300)


def new(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["new", *arguments])


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which the command runs in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    """What the command says, and the project that it wrote."""
    folder = tmp_path_factory.mktemp("written")
    with contextlib.chdir(folder):
        return new("greeter"), folder / "greeter"


def test_next(written: tuple[Result, Path]) -> None:
    """The command tells how many files it wrote, and the three commands that come next."""
    done, folder = written
    files = [path for path in folder.rglob("*") if path.is_file() and path.parent.name != "v1"]

    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == (
        f"Wrote {len(files) + 1} files to greeter/ and generated the code of its proto.\n"
        "Next, the last one in a second terminal:\n"
        "  cd greeter\n"
        "  make run\n"
        "  curl localhost:8080/v1/hello/World\n"
    )


@pytest.mark.parametrize(
    ("name", "package", "service"),
    [
        ("my-shop", "my_shop", "MyShopService"),
        ("shop2_floor", "shop2_floor", "Shop2FloorService"),
        ("user-service", "user_service", "UserService"),  # Said once is enough.
    ],
)
def test_names(here: Path, name: str, package: str, service: str) -> None:
    """The folder has the name, the package its letters, and the service says what it is."""
    new(name)
    folder = here / name
    app = (folder / "src" / package / "app.py").read_text()
    proto = (folder / "proto" / package / "v1" / f"{package}.proto").read_text()

    assert f"\npackage {package}.v1;\n" in proto
    assert f"\nservice {service} {{\n" in proto
    [register] = re.findall(r"_transcoder import (\w+)", app)
    generated = (folder / "src" / package / "v1" / f"{package}_transcoder.py").read_text()
    assert f"def {register}(" in generated
    assert tomllib.loads((folder / "pyproject.toml").read_text())["project"]["name"] == name


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Shop", "'Shop' is no name such as my-shop: words of two or more small letters and "),
        ("my--shop", "'my--shop' is no name"),
        ("../shop", "'../shop' is no name"),
        ("2shop", "'2shop' is no name"),
        ("a-b", "'a-b' is no name"),  # Its service would be ABService, which is ab_service.
        ("x" * 41, "in up to 40 characters\n"),
        ("class", "class is a keyword of Python: choose another name"),
        ("calendar", "Python has a module calendar here already"),
        ("grpc", "Python has a module grpc here already"),
        ("google", "Python has a module google here already"),  # Of many folders.
        ("full", "full is there already, and not an empty folder"),
        ("file", "file is there already, and not an empty folder"),
        ("dangling", "dangling: File exists"),
    ],
)
def test_refused(here: Path, name: str, told: str) -> None:
    """What cannot be is told in a line, with exit code 2, and nothing is written."""
    (here / "full").mkdir()
    (here / "full" / "mine").touch()
    (here / "file").touch()
    (here / "dangling").symlink_to("nowhere")
    before = sorted(here.rglob("*"))
    done = new(name)

    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: ")
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
    assert sorted(here.rglob("*")) == before


def test_an_empty_folder(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is there is taken while it is empty, though Python would import it."""
    (here / "greeter").mkdir()
    monkeypatch.syspath_prepend(here)

    assert new("greeter").exit_code == 0


def test_style(written: tuple[Result, Path]) -> None:
    """A formatter leaves the project's code as it is, and a linter finds nothing."""
    ours = ["--isolated", "--no-cache", "--exclude=*_pb2*,*_transcoder.py", "."]
    for check in (["format", "--check"], ["check", "--select=E,F,I,B,UP,D4,RET,SIM"]):
        ruff = [str(BIN / "ruff"), *check, *ours]
        done = subprocess.run(ruff, cwd=written[1], check=False, capture_output=True)
        assert done.returncode == 0, done.stdout


def test_the_image_has_the_generated_code(written: tuple[Result, Path], tmp_path: Path) -> None:
    """What the Dockerfile installs is whole: modules, their types and the proto's comments."""
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q"]
    subprocess.run([*pip, "-w", str(tmp_path), str(written[1])], check=True)
    [built] = tmp_path.glob("*.whl")
    shutil.unpack_archive(built, tmp_path, "zip")

    source, packed = written[1] / "src" / "greeter", tmp_path / "greeter"
    files = {path.relative_to(source) for path in source.rglob("*") if path.is_file()}
    assert Path("v1/greeter_comments.json") in files
    assert {path.relative_to(packed) for path in packed.rglob("*.*")} == files


@dataclass(frozen=True)
class Dockerfile:
    """The instructions of a Dockerfile, in their order, with their text."""

    lines: list[tuple[str, str]]

    @classmethod
    def read(cls, path: Path) -> Dockerfile:
        text = re.sub(r"^#.*\n", "", path.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
        return cls(
            [(line.split()[0], line.split(maxsplit=1)[1]) for line in text.splitlines() if line]
        )

    def all(self, instruction: str) -> list[str]:
        return [text for found, text in self.lines if found == instruction]

    def command(self, instruction: str) -> list[str]:
        """The words of a command in the exec form, without a shell."""
        [text] = self.all(instruction)
        words: list[str] = json.loads(text[text.index("[") :])
        return words


@pytest.fixture(scope="module")
def project(wheel: Path, clean: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that the wheel's own command wrote, and in which `make` was not yet.

    Its environment sees the clean one: what both need is installed once.
    """
    folder = tmp_path_factory.mktemp("new")
    commands = create(folder / "environment")
    see(commands, clean)
    install(commands, "--no-deps", "--ignore-installed", str(wheel), "click")
    subprocess.run([commands / "transcoder", "new", "greeter"], cwd=folder, check=True)
    (folder / "greeter" / ".venv").symlink_to(commands.parent)
    return folder / "greeter"


def make(project: Path, *targets: str) -> str:
    """Make targets of a project, with the versions that we pin."""
    environment = {**os.environ, "PIP_CONSTRAINT": str(CONSTRAINTS)}
    environment["BUF_CACHE_DIR"] = str(project.parent / "cache")
    command = ["make", *targets]
    done = subprocess.run(
        command, cwd=project, env=environment, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def made(project: Path) -> Path:
    """The project after `make test`, which installs what it needs."""
    (project / "tested").write_text(make(project, "test"))
    return project


@contextmanager
def running(*command: str, folder: Path, **variables: str) -> Iterator[tuple[str, str]]:
    """Run a server of the project; yield its ports for HTTP and gRPC."""
    process = subprocess.Popen(
        command, cwd=folder, env={**os.environ, **variables}, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], 30)
        line = process.stdout.readline() if ready else ""
        told = re.fullmatch(r"REST on \S*:(\d+), gRPC on \S*:(\d+)\n", line)
        assert told is not None, line
        yield told[1], told[2]
    finally:
        process.terminate()
        process.communicate(timeout=60)
    assert process.returncode == 0


def test_make_test(made: Path) -> None:
    """The project's own tests pass, with what `make` installed."""
    assert re.search(r"^=+ 3 passed in ", (made / "tested").read_text(), re.MULTILINE)


def test_make_generate(made: Path) -> None:
    """buf, without a network, generates what the command did; the protos pass its checks."""
    source = made / "src" / "greeter" / "v1"
    before = {path: path.read_bytes() for path in source.glob("*.*")}
    make(made, "generate", "check")

    assert len(before) == 5
    assert {path: path.read_bytes() for path in source.glob("*.*")} == before


def test_readme(made: Path) -> None:
    """What the README says to type prints what it shows, from a server in a process of its own."""
    readme = (made / "README.md").read_text()
    shown = re.findall(r"^\$ (.*)\n((?:(?!\$ |```).*\n)*)", readme, re.MULTILINE)
    serve_, *calls = shown
    assert serve_ == ("make run", "REST on localhost:8080, gRPC on localhost:50051\n")
    assert make(made, "-n", "run").endswith(".venv/bin/python -m greeter \n")
    command = (".venv/bin/python", "-m", "greeter", "--http=localhost:0", "--grpc=localhost:0")
    with running(*command, folder=made) as (http, grpc):
        for line, expected in calls:
            here = line.replace(":8080", f":{http}").replace(":50051", f":{grpc}")
            path = os.pathsep.join([str(BIN), os.environ["PATH"]])
            done = subprocess.run(
                ["sh", "-c", here],
                cwd=made,
                env={**os.environ, "PATH": path},
                check=False,
                capture_output=True,
                text=True,
            )
            assert done.stdout.rstrip("\n") == expected.rstrip("\n"), done.stderr

    assert [line.split()[0] for line, _ in calls] == [
        "curl",
        "grpcurl",
        ".venv/bin/transcoder",
        "curl",
    ]


@pytest.fixture(scope="module")
def image(made: Path) -> Path:
    """The project after what `make image` does before it starts Docker."""
    *before, last = make(made, "-n", "image").splitlines()
    assert (before != [], last) == (True, "docker build -t greeter .")
    make(made, "wheels")
    return made


def test_the_image_takes_transcoder_from_the_project(image: Path) -> None:
    """The Dockerfile installs the very wheel that the command came from, and none of an index."""
    [line] = [text for text in Dockerfile.read(image / "Dockerfile").all("RUN") if "pip" in text]
    pip, _, arguments = line.partition(" install ")
    assert pip == "/venv/bin/pip"
    done = subprocess.run(
        ["sh", "-c", f".venv/bin/python -m pip install --dry-run -qI --report - {arguments}"],
        cwd=image,
        env={**os.environ, "PIP_CONSTRAINT": str(CONSTRAINTS)},
        check=True,
        capture_output=True,
    )
    found = {each["metadata"]["name"]: each for each in json.loads(done.stdout)["install"]}

    [wheel] = (image / "wheels").iterdir()
    assert found["transcoder"]["download_info"]["url"] == wheel.as_uri()


def test_dockerfile(image: Path) -> None:
    """Each file that the image takes is there and not ignored, and nothing in it runs as root."""
    dockerfile = Dockerfile.read(image / "Dockerfile")
    stages = [text.split(" AS ") for text in dockerfile.all("FROM")]
    copied = [text.split()[:-1] for text in dockerfile.all("COPY")]
    ignored = (image / ".dockerignore").read_text().split()
    wanted = tomllib.loads((image / "pyproject.toml").read_text())["project"]["requires-python"]

    assert [image for image, *_ in stages] == ["python:3.13-slim"] * 2
    assert tuple(map(int, wanted.removeprefix(">=").split("."))) <= (3, 13)
    assert copied.pop() == [f"--from={stages[0][1]}", "/venv"]
    sources = {source.removeprefix("./") for words in copied for source in words}
    assert sources == {"pyproject.toml", "README.md", "src", "wheels"}
    assert all((image / source).exists() and f"!{source}" in ignored for source in sources)
    *_, user, _, _, last = dockerfile.lines
    assert (user, last[0]) == (("USER", "10001:10001"), "CMD")
    defaults = [str(option.default) for option in serve.params if option.name in {"http", "grpc"}]
    assert dockerfile.all("EXPOSE") == [" ".join(each.removeprefix(":") for each in defaults)]


def test_the_command_of_the_image(made: Path) -> None:
    """The image's command serves from any folder, and its health check fails without it."""
    dockerfile = Dockerfile.read(made / "Dockerfile")
    command, check = dockerfile.command("CMD"), dockerfile.command("HEALTHCHECK")
    commands = made / ".venv" / "bin"
    doors = {"TRANSCODER_HTTP": "127.0.0.1:0", "TRANSCODER_GRPC": "127.0.0.1:0"}

    def healthy(port: str) -> bool:
        words = [each.replace(":8080/", f":{port}/") for each in check[1:]]
        done = subprocess.run([commands / check[0], *words], check=False, capture_output=True)
        return done.returncode == 0

    words = [str(commands / command[0]), *command[1:]]
    with running(*words, folder=made.parent, TRANSCODER_SETTLE="0", **doors) as (http, _):
        assert healthy(http)
    assert not healthy(http)
