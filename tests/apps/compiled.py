"""The protos of `tests/protos`, compiled where they are needed: nothing generated is committed."""

from __future__ import annotations

import tempfile
from pathlib import Path

import google.api
import grpc_tools
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_tools import protoc

PROTOS = Path(__file__).resolve().parents[1] / "protos"
INCLUDE = [
    PROTOS,
    Path(grpc_tools.__path__[0]) / "_proto",
    Path(google.api.__path__[0]).parents[1],
]


def pool() -> DescriptorPool:
    """Return a pool of its own with all protos."""
    with tempfile.NamedTemporaryFile() as compiled:
        arguments = [
            "protoc",
            *(f"--proto_path={folder}" for folder in INCLUDE),
            "--include_imports",
            f"--descriptor_set_out={compiled.name}",
            *(str(file) for file in sorted(PROTOS.glob("*.proto"))),
        ]
        if protoc.main(arguments):
            raise RuntimeError("the protos do not compile")
        files = FileDescriptorSet.FromString(Path(compiled.name).read_bytes()).file
    made = DescriptorPool()
    for file in files:
        made.Add(file)
    return made


def descriptor_set(text: str, *options: str) -> bytes:
    """Return the descriptor set of one text, `api.proto`; the default options keep all there is."""
    with tempfile.TemporaryDirectory() as folder:
        source, compiled = Path(folder, "api.proto"), Path(folder, "api.binpb")
        source.write_text(text)
        arguments = [
            "protoc",
            *(f"--proto_path={each}" for each in (folder, *INCLUDE)),
            *(options or ("--include_imports", "--include_source_info")),
            f"--descriptor_set_out={compiled}",
            str(source),
        ]
        if protoc.main(arguments):
            raise RuntimeError("the proto does not compile")
        return compiled.read_bytes()
