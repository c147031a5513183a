"""One of protoc's built-in generators as a plugin of its own, for buf.

    python -m transcoder.plugin.builtin python|pyi|grpc_python

buf starts a plugin as a program: a CodeGeneratorRequest on standard input, a CodeGeneratorResponse
on standard output. grpcio-tools compiles its generators into its protoc instead.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest, CodeGeneratorResponse
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto, FileDescriptorSet

GENERATORS = ("python", "pyi", "grpc_python")


def respond(generator: str, request: CodeGeneratorRequest) -> CodeGeneratorResponse:
    """Run one generator over the files that the request asks for."""
    features = CodeGeneratorResponse.FEATURE_PROTO3_OPTIONAL
    response = CodeGeneratorResponse(supported_features=features)
    with tempfile.TemporaryDirectory() as folder:
        descriptors, out = Path(folder, "descriptors.binpb"), Path(folder, "out")
        descriptors.write_bytes(_as_written(request.proto_file).SerializeToString())
        out.mkdir()
        command = [sys.executable, "-m", "grpc_tools.protoc"]
        command += [f"--descriptor_set_in={descriptors}", f"--{generator}_out={out}"]
        command += request.file_to_generate
        done = subprocess.run(command, check=False, stdout=sys.stderr)  # noqa: S603  it is protoc
        if done.returncode:
            response.error = f"protoc failed as {generator}, and has said why"
        for path in sorted(out.rglob("*.py*")):
            name = path.relative_to(out).as_posix()
            response.file.add(name=name, content=path.read_text(encoding="utf-8"))
    return response


def _as_written(protos: Iterable[FileDescriptorProto]) -> FileDescriptorSet:
    """Drop the JSON names that buf filled in, for protoc would take them for the author's."""
    files = FileDescriptorSet(file=protos)
    for file in files.file:
        _drop_json_names(file.message_type)
    return files


def _drop_json_names(messages: Iterable[DescriptorProto]) -> None:
    for message in messages:
        for field in message.field:
            if field.json_name == _json_name(field.name):
                field.ClearField("json_name")
        _drop_json_names(message.nested_type)


def _json_name(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


def main() -> None:
    """Answer the one request on standard input."""
    parser = argparse.ArgumentParser("python -m transcoder.plugin.builtin")
    parser.description = "A generator of protoc as a plugin, for buf to start."
    parser.add_argument("generator", choices=GENERATORS)
    generator = parser.parse_args().generator
    request = CodeGeneratorRequest.FromString(sys.stdin.buffer.read())
    sys.stdout.buffer.write(respond(generator, request).SerializeToString())


if __name__ == "__main__":
    main()
