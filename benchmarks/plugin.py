"""How long protoc waits for protoc-gen-transcoder with 500 methods.

    python benchmarks/plugin.py

Wall time of the console script in a new process, from a request of 50 files with ten methods each
to its answer, median of the rounds; every third method has an additional binding, and all have
comments. Left out: protoc's own parsing, which takes place once for all plugins.

Gate: 2 s.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import google.api
import grpc_tools
from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest, CodeGeneratorResponse
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc

GATE = 2.0
ROUNDS = 7
FILES, METHODS = 50, 10
PLUGIN = Path(sys.executable).with_name("protoc-gen-transcoder")


def proto(number: int) -> str:
    """Return a file with a service."""
    return (
        f'syntax = "proto3";\npackage api.v{number};\nimport "google/api/annotations.proto";\n'
        "message Book { string name = 1; Book next = 2; int32 pages = 3; }\n// Books.\n"
        f"service BookService {{\n{''.join(method(number, each) for each in range(METHODS))}}}\n"
    )


def method(number: int, index: int) -> str:
    """Return a method with its rule."""
    rule = (
        f'get: "/v{number}/shelves{index}/{{name=*/books/*}}"',
        f'post: "/v{number}/shelves{index}/{{name}}:lend" body: "*"',
        (
            f'patch: "/v{number}/shelves{index}/{{next.name}}" body: "next" '
            f'additional_bindings {{ put: "/v{number}/books{index}/{{name=**}}" body: "next" }}'
        ),
    )[index % 3]
    return (
        f"// Does what number {index} does,\n// and nothing else.\n"
        f"rpc Method{index}(Book) returns (Book) {{ option (google.api.http) = {{ {rule} }}; }}\n"
    )


def request() -> bytes:
    """Return what protoc sends."""
    names = [f"api{number}.proto" for number in range(FILES)]
    include = [Path(google.api.__path__[0]).parents[1], Path(grpc_tools.__path__[0]) / "_proto"]
    with tempfile.TemporaryDirectory() as folder:
        for number, name in enumerate(names):
            Path(folder, name).write_text(proto(number))
        compiled = Path(folder, "api.binpb")
        arguments = [
            *("protoc", *(f"-I{path}" for path in (folder, *include)), "--include_imports"),
            *("--include_source_info", f"--descriptor_set_out={compiled}", *names),
        ]
        assert protoc.main(arguments) == 0
        files = FileDescriptorSet.FromString(compiled.read_bytes()).file
    return CodeGeneratorRequest(file_to_generate=names, proto_file=files).SerializeToString()


def wall(*command: str | Path, sent: bytes = b"") -> tuple[float, bytes]:
    """Return the seconds that a command takes, and what it prints."""
    start = time.perf_counter()
    done = subprocess.run(command, input=sent, check=True, stdout=subprocess.PIPE)
    return time.perf_counter() - start, done.stdout


def main() -> int:
    """Print the figures; 1 if the gate is missed."""
    sent = request()
    response = CodeGeneratorResponse.FromString(wall(PLUGIN, sent=sent)[1])
    assert len(response.file) == FILES, response.error
    taken = statistics.median(wall(PLUGIN, sent=sent)[0] for _ in range(ROUNDS))
    nothing = statistics.median(wall(sys.executable, "-c", "")[0] for _ in range(ROUNDS))
    print(f"{FILES * METHODS} methods         {taken:5.2f} s   (gate {GATE:.0f} s)")
    print(f"python -c ''        {nothing:5.2f} s")
    return int(taken > GATE)


if __name__ == "__main__":
    sys.exit(main())
