from __future__ import annotations

import subprocess
import sys

import pytest
from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest, CodeGeneratorResponse
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto

PROTO = FileDescriptorProto(
    name="a.proto", syntax="proto3", message_type=[DescriptorProto(name="A")]
)


def generate(generator: str, *files: FileDescriptorProto) -> CodeGeneratorResponse:
    """Return what the plugin answers, as buf asks it."""
    request = CodeGeneratorRequest(file_to_generate=["a.proto"], proto_file=files)
    done = subprocess.run(
        [sys.executable, "-m", "transcoder.plugin.builtin", generator],
        input=request.SerializeToString(),
        check=True,
        capture_output=True,
    )
    return CodeGeneratorResponse.FromString(done.stdout)


@pytest.mark.parametrize(
    ("generator", "name"), [("python", "a_pb2.py"), ("pyi", "a_pb2.pyi"), ("grpc_python", "")]
)
def test_generators(generator: str, name: str) -> None:
    """Each writes the file that protoc does; there are no stubs of a file without services."""
    written = [file.name for file in generate(generator, PROTO).file if "grpc" not in file.name]

    assert written == [name] * bool(name)


def test_failure() -> None:
    """What protoc refuses is the answer's error, and not a file less."""
    answer = generate("python")

    assert answer.error == "protoc failed as python, and has said why"


def test_wrong_generator() -> None:
    """What protoc has not built in is refused with what it has."""
    command = [sys.executable, "-m", "transcoder.plugin.builtin", "java"]
    done = subprocess.run(command, input="", check=False, capture_output=True, text=True)

    assert done.returncode == 2
    assert "invalid choice: 'java'" in done.stderr
