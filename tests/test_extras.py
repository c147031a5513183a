"""What runs where only some extras are installed, and what tells which one is missing."""

from __future__ import annotations

import http.client
import importlib.metadata
import re
import select
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

PATIENCE = 60

ONLY = """
import sys
from importlib.machinery import PathFinder

hidden = set(sys.argv.pop(1).split(","))


class Hiding(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        is_hidden = name.partition(".")[0] in hidden
        return None if is_hidden else super().find_spec(name, path, target)


sys.meta_path[sys.meta_path.index(PathFinder)] = Hiding
from transcoder.cli import main

main(prog_name="transcoder")
"""

GREETER = """
syntax = "proto3";
package greeter.v1;
import "google/api/annotations.proto";
service Greeter {
  rpc SayHello(Hello) returns (Hello) {
    option (google.api.http) = {get: "/v1/hello/{name}"};
  }
}
message Hello {
  string name = 1;
}
"""

GATEWAY = """
services: [{descriptor_set: greeter.binpb, upstream: greeter}]
upstreams:
  greeter: {target: "127.0.0.1:9"}
"""

ALONE = """
listen: {http: "127.0.0.1:0", grpc: "127.0.0.1:0"}
policies:
  request_id: {}
  cors: {origins: ["https://a.example"]}
  compression: {}
  rate_limits: [{rate: 5/second}]
observers: {audit_log: {path: audit.log}}
"""
"""What a file may say where nothing but the extra `gateway` is installed."""

MISSING = (
    ("forms: {}", "forms"),
    ("validate_requests: true", "validate"),
    ("observers: {access_log: {}}", "log"),
    ("observers: {metrics: {}}", "metrics"),
    ("listen: {admin: '127.0.0.1:0'}", "metrics"),
    ("observers: {traces: {}}", "traces"),
    ("policies: {jwt: {issuers: [{name: 'https://a.example', audiences: [a]}]}}", "jwt"),
    ("policies: {rate_limits: [{rate: 5/second, shared: {url: 'redis://localhost'}}]}", "redis"),
    ("  other: {url: 'http://127.0.0.1:9'}", "http"),
    ("  other: {discovery: {dns: 'other.example:9'}}", "dns"),
    ("  other: {graphql: 'http://127.0.0.1:9', sdl: other.graphql}", "graphql"),
)
"""What a file may say, and the extra that it needs beside `gateway`."""


def _name(requirement: str) -> str:
    [found] = re.findall(r"^[\w.-]+", requirement)
    return re.sub(r"[-_.]+", "-", found).lower()


def _needed(requirements: list[str]) -> Iterator[str]:
    """Yield the names of distributions, and of those that they need."""
    waiting = [_name(each) for each in requirements]
    seen = set()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            yield name
            needs = importlib.metadata.requires(name) or []
            waiting += [_name(each) for each in needs if "extra ==" not in each and _is_here(each)]


def _is_here(requirement: str) -> bool:
    try:
        importlib.metadata.version(_name(requirement))
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _hidden(*extras: str) -> str:
    """Return the packages that are there, and would not be if only these were installed."""
    optional = PROJECT["optional-dependencies"]
    wanted = PROJECT["dependencies"] + [each for extra in extras for each in optional[extra]]
    there = {"transcoder", *_needed(wanted)}
    packages = importlib.metadata.packages_distributions()
    return ",".join(
        package
        for package, owners in packages.items()
        if there.isdisjoint(_name(owner) for owner in owners)
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the descriptors of a service are."""
    found = tmp_path_factory.mktemp("extras")
    (found / "greeter.proto").write_text(GREETER)
    (found / "other.graphql").write_text("type Query { a: Int }")
    annotations = f"-I{sysconfig.get_path('purelib')}"
    told = ["-I.", annotations, "--include_imports", "--descriptor_set_out=greeter.binpb"]
    protoc = [sys.executable, "-m", "grpc_tools.protoc", *told, "greeter.proto"]
    subprocess.run(protoc, cwd=found, check=True)
    return found


def _run(hidden: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", ONLY, hidden, *arguments]
    return subprocess.run(
        command, cwd=folder, text=True, capture_output=True, timeout=60, check=False
    )


def _written(folder: Path, more: str) -> str:
    (folder / "gateway.yaml").write_text(f"{GATEWAY}{more}\n")
    return "gateway.yaml"


def test_a_gateway_needs_its_own_extra_only(folder: Path) -> None:
    """What needs no further package is built where only `gateway` is installed."""
    done = _run(_hidden("gateway"), folder, "check", _written(folder, ALONE))
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_a_gateway_is_served_with_its_own_extra_only(folder: Path) -> None:
    """Where only `gateway` is installed it starts, reaches its backend, answers, and ends."""
    backend = grpc.server(ThreadPoolExecutor(1))
    port = backend.add_insecure_port("127.0.0.1:0")
    backend.start()
    said = f"{GATEWAY}{ALONE}".replace("127.0.0.1:9", f"127.0.0.1:{port}")
    (folder / "served.yaml").write_text(said)
    command = [sys.executable, "-c", ONLY, _hidden("gateway"), "gateway", "served.yaml"]
    process = subprocess.Popen(
        command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], PATIENCE)
        line = process.stdout.readline() if ready else ""
        found = re.match(r"REST on (\S+), ", line)
        assert found is not None, line
        connection = http.client.HTTPConnection(found[1], timeout=PATIENCE)
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        answer.read()
        connection.close()
    finally:
        process.terminate()
        _, told = process.communicate(timeout=PATIENCE)
        backend.stop(None)
    assert (answer.status, process.returncode) == (200, 0), told


@pytest.mark.parametrize(("more", "extra"), MISSING, ids=[extra for _, extra in MISSING])
def test_a_missing_extra_is_told_with_its_place(folder: Path, more: str, extra: str) -> None:
    """The line and the key that need it, and how it is installed: no traceback."""
    done = _run(_hidden("gateway"), folder, "check", _written(folder, more))
    assert done.returncode == 1, done.stderr
    [line] = done.stdout.splitlines()
    assert re.match(r"gateway\.yaml:\d+:\d+: ", line)
    assert line.endswith(f"is missing: install transcoder[{extra}]")


@pytest.mark.parametrize(("more", "extra"), MISSING, ids=[extra for _, extra in MISSING])
def test_the_extra_that_is_told_is_enough(folder: Path, more: str, extra: str) -> None:
    """Who installs what the line tells has all that is needed."""
    # dnspython asks which distributions there are, and imports httpx2 where it is one.
    also = ["http"] if extra == "dns" else []
    done = _run(_hidden("gateway", extra, *also), folder, "check", _written(folder, more))
    assert "is missing" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("gateway", "gateway.yaml"),
        ("check", "gateway.yaml"),
        ("explain", "--gateway", "gateway.yaml", "GET", "http://localhost/v1/hello/ann"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_command_without_its_extra_is_one_line(folder: Path, arguments: tuple[str, ...]) -> None:
    """Where only `cli` is installed, what reads a gateway's file says what it needs."""
    _written(folder, "")
    done = _run(_hidden("cli"), folder, *arguments)
    assert done.returncode == 1
    assert done.stderr == "Error: pydantic is missing: install transcoder[gateway]\n"


@pytest.mark.parametrize("extra", ["cli", "gateway"])
def test_tables_are_drawn_with_either(folder: Path, extra: str) -> None:
    """The commands that look at routes are there with both extras."""
    done = _run(_hidden(extra), folder, "routes", "--descriptor-set", "greeter.binpb")
    assert done.returncode == 0, done.stderr
    assert "/v1/hello/{name}" in done.stdout
