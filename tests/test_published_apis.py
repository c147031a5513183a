"""All rules that Google publishes, as `scripts/published.py` compiled them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool

from cost import untraced
from transcoder.errors import ConfigError
from transcoder.path_template import Kind, PathTemplate
from transcoder.route import Match
from transcoder.transcoder import Transcoder

ROOT = Path(__file__).resolve().parent.parent
COMPILED = ROOT / "build/published/protos.binpb"

STORAGE = "google.cloud.bigquery.storage"
TAKEN = {
    # Methods with one route: the first of them answers, where that is no error.
    f"{STORAGE}.v1.BigQueryRead.SplitReadStream": "ReadRows",
    f"{STORAGE}.v1.BigQueryWrite.GetWriteStream": "AppendRows",
    f"{STORAGE}.v1.BigQueryWrite.FinalizeWriteStream": "AppendRows",
    f"{STORAGE}.v1.BigQueryWrite.FlushRows": "AppendRows",
    f"{STORAGE}.v1beta1.BigQueryStorage.SplitReadStream": "ReadRows",
    f"{STORAGE}.v1beta2.BigQueryRead.SplitReadStream": "ReadRows",
    f"{STORAGE}.v1beta2.BigQueryWrite.GetWriteStream": "AppendRows",
    f"{STORAGE}.v1beta2.BigQueryWrite.FinalizeWriteStream": "AppendRows",
    f"{STORAGE}.v1beta2.BigQueryWrite.FlushRows": "AppendRows",
    # Documents and collections have the same paths, and the template that lists says more.
    "google.firestore.v1.Firestore.GetDocument": "ListDocuments",
    "google.firestore.v1beta1.Firestore.GetDocument": "ListDocuments",
}
"""The rules whose requests go to another method, and to which."""


@dataclass
class Seen:
    """What became of the rules."""

    services: int = 0
    rules: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    """By the full names of services, why they do not start unless they are told to."""
    taken: dict[str, str] = field(default_factory=dict)
    bound: int = 0
    """Values of path variables that came back out of the request messages."""
    lost: list[tuple[str, str, object]] = field(default_factory=list)


@pytest.fixture(scope="module")
def seen() -> Seen:
    """What became of all rules, each service in a transcoder of its own."""
    if not COMPILED.exists():
        if os.environ.get("CI") == "true":
            pytest.fail("make test did not get the published protos, and CI tests their rules")
        pytest.skip("the published protos are not there: make test gets them, by npm")
    seen = Seen()
    with untraced():
        for service in services():
            look_at(service, seen)
    return seen


def services() -> Iterator[ServiceDescriptor]:
    """The published services, in a pool of their own."""
    files = FileDescriptorSet.FromString(COMPILED.read_bytes()).file
    pool = DescriptorPool()
    for file in files:
        pool.Add(file)
    for file in files:
        for service in file.service:
            yield pool.FindServiceByName(f"{file.package}.{service.name}")


def look_at(service: ServiceDescriptor, seen: Seen) -> None:
    try:
        transcoder = Transcoder([service])
        transcoder.compile()
    except ConfigError as refused:
        seen.refused[service.full_name] = str(refused)
        transcoder = Transcoder([service], conflicts="warn")
    seen.services += 1
    seen.rules += len(transcoder.routes)
    for route in transcoder.routes:
        for deep in (1, 3):
            parts = path_parts(route.template, deep)
            match = transcoder.match(route.method, written(route.template, parts))
            if match.route is route:
                bind(transcoder, match, parts, seen)
            else:
                seen.taken[route.name] = match.route.name.rpartition(".")[2]


def path_parts(template: PathTemplate, deep: int) -> list[str]:
    """A path of a template, by segments; each wildcard is another number, `**` a few of them."""
    return [
        {
            Kind.LITERAL: segment.text,
            Kind.WILDCARD: f"{place}",
            Kind.DEEP_WILDCARD: "/".join(f"{place}{number}" for number in range(deep)),
        }[segment.kind]
        for place, segment in enumerate(template.segments, 1)
    ]


def written(template: PathTemplate, parts: list[str]) -> str:
    return f"/{'/'.join(parts)}" + (f":{template.verb}" if template.verb else "")


def bind(transcoder: Transcoder, match: Match[Any], parts: list[str], seen: Seen) -> None:
    request: Any = transcoder.request(match)
    for variable in match.route.template.variables:
        value = request
        for name in variable.field_path:
            value = getattr(value, name)
        seen.bound += 1
        sent = "/".join(parts[variable.start : variable.end])
        if f"{value}" != sent:
            seen.lost.append((str(match.route), sent, value))


def test_loads(seen: Seen) -> None:
    """All services load, but for those of which two methods have one route: these are refused."""
    assert (seen.services, seen.rules) == (1939, 15381)
    assert seen.refused.keys() == {
        name.rpartition(".")[0] for name in TAKEN if name.startswith(STORAGE)
    }


def test_refusals(seen: Seen) -> None:
    """A refusal names both methods and both templates, and the option to start all the same."""
    assert seen.refused[f"{STORAGE}.v1.BigQueryRead"] == (
        f"{STORAGE}.v1.BigQueryRead.ReadRows "
        "(GET /v1/{read_stream=projects/*/locations/*/sessions/*/streams/*}) and "
        f"{STORAGE}.v1.BigQueryRead.SplitReadStream "
        "(GET /v1/{name=projects/*/locations/*/sessions/*/streams/*}) "
        'answer the same requests: remove one of them; conflicts="warn" makes this a warning'
    )


def test_routes(seen: Seen) -> None:
    """Paths of each rule, with one and three segments under `**`, go to it, but for a few known."""
    assert seen.taken == TAKEN


def test_binds(seen: Seen) -> None:
    """The request message of each path has what its variables matched, in their fields."""
    assert seen.bound > 30_000
    assert seen.lost == []


def test_without_npm(tmp_path: Path) -> None:
    """Where there is no npm, the protos are not written, and one line says why."""
    target = tmp_path / "protos.binpb"
    command = [sys.executable, str(ROOT / "scripts/published.py"), str(target)]
    environment = {**os.environ, "PATH": str(tmp_path)}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)

    assert not target.exists()
    assert done.stdout.count("\n") == 1
    assert done.stdout.endswith("its rules are not tested: npm is not installed\n")
