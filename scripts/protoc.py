"""Run protoc over every proto of a folder, with all that they import; or make an image for buf.

    python scripts/protoc.py IMAGE [FOLDER]    default folder: proto

Google's protos come from the installed googleapis-common-protos. protovalidate has its rules
compiled only, which protoc reads and buf does not: so buf is given an image.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from protovalidate import ViolationPb


def compile_protos(folder: Path, *options: str) -> None:
    """Run protoc; its options say what to make."""
    protos = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.proto"))
    if not protos:
        return
    rules = FileDescriptorProto.FromString(ViolationPb.desc().file.proto.to_binary())
    with tempfile.NamedTemporaryFile(suffix=".binpb") as compiled:
        Path(compiled.name).write_bytes(FileDescriptorSet(file=[rules]).SerializeToString())
        command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{folder}"]
        command += [f"-I{sysconfig.get_path('purelib')}", f"--descriptor_set_in={compiled.name}"]
        subprocess.run([*command, *options, *protos], check=True)


def write_image(image: Path, folder: Path) -> None:
    """Compile the protos of a folder to an image that needs nothing else."""
    image.parent.mkdir(parents=True, exist_ok=True)
    options = ("--include_imports", "--include_source_info", f"--descriptor_set_out={image}")
    compile_protos(folder, *options)


if __name__ == "__main__":
    written, *folders = map(Path, sys.argv[1:])
    write_image(written, *(folders or [Path("proto")]))
