"""The world in which the story happens: a folder, its files, and processes that serve."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterable
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from protovalidate import ViolationPb

from demo.identities import Issuer, write_certificates
from demo.ports import Ports
from demo.processes import PATIENCE, Process, await_ready

HERE = Path(__file__).parent
ROOT = HERE.parent

_FILES = ("edge.yaml", "business-a.yaml", "business-b.yaml", "outside.curl", "inside.curl")
_ALL = "--tls-certificate {0}.pem --tls-key {0}.key --tls-ca ca.pem --admin-name {0}"


def _service(name: str, http: int, grpc: int, admin: int, more: str) -> str:
    ports = f"--http 127.0.0.1:{http} --grpc 127.0.0.1:{grpc} --admin 127.0.0.1:{admin}"
    return f"python -m services.{name} {ports} {_ALL.format(name)} {more}"


def _order(replica: str, http: int, grpc: int, admin: int) -> str:
    files = f"--database sqlite:///order.db --access-log order-{replica}.log"
    others = "--inventory localhost:50052 --payment localhost:50053 --caller business-a"
    return _service("order", http, grpc, admin, f"{files} --replica {replica} {others}")


COMMANDS = {
    "inventory": _service(
        "inventory",
        8081,
        50052,
        9905,
        "--database sqlite:///inventory.db --access-log inventory.log",
    ),
    "payment": _service(
        "payment", 8082, 50053, 9906, "--database sqlite:///payment.db --access-log payment.log"
    ),
    "order-v1": _order("v1", 8083, 50054, 9907),
    "order-v2": _order("v2", 8084, 50055, 9908),
    "user": (
        "transcoder serve services.user.app:create_app --http 127.0.0.1:8080"
        " --grpc 127.0.0.1:50051 --admin 127.0.0.1:9904 --admin-name user"
        " --tls-certificate user.pem --tls-key user.key --tls-client-ca ca.pem"
    ),
    "business-a": "transcoder gateway business-a.yaml",
    "business-b": "transcoder gateway business-b.yaml",
    "edge": "transcoder gateway edge.yaml",
}
"""How each process is started, by its name."""

PORTS = (
    *("8080", "8081", "8082", "8083", "8084", "8443", "8444", "8445"),
    *("50051", "50052", "50053", "50054", "50055", "50443", "50444", "50445"),
    *("9901", "9902", "9903", "9904", "9905", "9906", "9907", "9908"),
)
"""The ports that files and commands name."""

EVERYTHING = tuple(COMMANDS)

_LAST = 5
_STOCK = 1_000_000
_SEEDS = {
    "inventory": (
        "curl -sS --fail --cacert ca.pem --cert warehouse.pem --key warehouse.key -X PATCH"
        f""" --json '{{"unitPriceCents": 1990, "stock": {_STOCK}}}'"""
        " 'https://localhost:8081/v1/items/lamp?allow_missing=true'"
    ),
    "user": (
        "curl -K inside.curl --fail 'https://localhost:8080/v1/users?user_id=ada'"
        """ --json '{"name": "Ada Lovelace", "email": "ada@example.com"}'"""
    ),
}
"""What is there when the story begins, by the process that keeps it."""


class World:
    """A folder with all that the story needs, and the processes that it has started.

    Args:
        folder: an empty one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = Ports.found(PORTS)
        write_certificates(folder)
        issuer = Issuer(time.time())
        issuer.write_keys(folder / "keys.json")
        for name in _FILES:
            (folder / name).write_text(self.ports.real((HERE / name).read_text()))
        (folder / "proto").symlink_to(ROOT / "proto")
        # protovalidate has its rules compiled only.
        rules = FileDescriptorProto.FromString(ViolationPb.desc().file.proto.to_binary())
        (folder / "validate.binpb").write_bytes(FileDescriptorSet(file=[rules]).SerializeToString())
        self.variables = {
            **issuer.tokens(),
            "SITE": sysconfig.get_path("purelib"),
            "PYTHONPATH": str(ROOT),
            "COLUMNS": "140",
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        }
        self.environment = {**os.environ, **self.variables, "USER_DATABASE": "sqlite:///user.db"}
        exports = "".join(f"export {name}={shlex.quote(text)}\n" for name, text in self._told())
        (folder / "environment").write_text(exports)
        self._processes: dict[str, Process] = {}

    def start(self, names: Iterable[str]) -> None:
        """Start those processes that do not run yet, and wait until they serve.

        Raises:
            demo.processes.ProcessError: one of them does not.
        """
        started = []
        for name in names:
            if name not in self._processes or not self._processes[name].runs:
                command = self.ports.real(COMMANDS[name])
                started.append(Process(name, command, self.folder, self.environment))
        new = [process.name for process in started if process.name not in self._processes]
        self._processes |= {process.name: process for process in started}
        await_ready(started)
        for name in new:
            if name in _SEEDS:
                self.run(_SEEDS[name]).check_returncode()

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the shell in the folder, with ports as they are written."""
        return subprocess.run(
            ["/bin/sh", "-c", self.ports.real(command)],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=2 * PATIENCE,
        )

    @property
    def running(self) -> list[str]:
        """The names of the processes that run."""
        return [name for name, process in self._processes.items() if process.runs]

    def process(self, name: str) -> Process:
        """Return a process that was started."""
        return self._processes[name]

    @property
    def last_words(self) -> dict[str, str]:
        """The last lines that processes have written, those that have ended too."""
        said = {name: process.said.splitlines() for name, process in self._processes.items()}
        return {name: "\n".join(lines[-_LAST:]) for name, lines in said.items()}

    def lines(self, name: str) -> list[str]:
        """Return the lines of a file in the folder; none if it is not there."""
        file = self.folder / name
        return file.read_text(errors="replace").splitlines() if file.exists() else []

    def end(self) -> None:
        """End all processes."""
        for process in self._processes.values():
            process.end()

    def _told(self) -> list[tuple[str, str]]:
        return sorted(self.variables.items())
