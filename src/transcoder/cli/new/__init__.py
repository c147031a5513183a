"""`transcoder new`: a project that serves, to be changed into one's own.

Its files are templates in `project/`, under their own paths: `package` in a path, and `@@{package}`
in a text, is the name of the project's Python package.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from transcoder.cli.source import Unreadable

# Of one letter, words side by side would be one in the generated names.
_NAME = re.compile(r"[a-z][a-z0-9]+(?:[-_][a-z][a-z0-9]+)*")
_LONGEST = 40
_SUFFIX = ".tmpl"


class _Template(string.Template):
    delimiter = "@@"


@click.command()
@click.argument("name")
def new(name: str) -> None:
    """Write a project into the folder NAME: a proto, a service with tests, and what runs it.

    NAME is of small letters, digits and dashes, such as my-shop, whose Python package is my_shop.
    The folder may be there if it is empty. The code of the proto is generated, so that the project
    runs at once: what to type next is printed. The exit code is 2 if nothing can be written.

    \b
    Examples:
      transcoder new greeter
      transcoder new my-shop && cd my-shop && make test
    """
    package = _package(name)
    folder = Path(name)
    try:
        _claim(folder)
        count = _write(folder, package, _values(name, package))
        _generate(folder, package)
    except OSError as error:
        raise Unreadable(f"{error.filename or folder}: {error.strerror}") from None
    click.echo(f"Wrote {count} files to {folder}/ and generated the code of its proto.")
    click.echo("Next, the last one in a second terminal:")
    click.echo(f"  cd {folder}\n  make run\n  curl localhost:8080/v1/hello/World")


def _package(name: str) -> str:
    """Return the name of a project's package.

    Raises:
        Unreadable: it is none, or hides another module.
    """
    import keyword

    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        wanted = "words of two or more small letters and digits, joined by - or _"
        told = f"{name!r} is no name such as my-shop: {wanted}, in up to {_LONGEST} characters"
        raise Unreadable(told)
    package = name.replace("-", "_")
    if keyword.iskeyword(package):
        raise Unreadable(f"{package} is a keyword of Python: choose another name")
    if _is_taken(package):
        raise Unreadable(f"Python has a module {package} here already: choose another name")
    return package


def _is_taken(package: str) -> bool:
    """Say whether Python finds a module of that name; not the project's own folder."""
    import importlib.util

    found = importlib.util.find_spec(package)
    if found is None:
        return False
    folders = {Path(folder).resolve() for folder in found.submodule_search_locations or ()}
    return folders != {Path.cwd() / package}


def _claim(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Unreadable(f"{folder} is there already, and not an empty folder")


def _values(name: str, package: str) -> dict[str, str]:
    from importlib import metadata

    noun = package.removesuffix("_service")
    return {
        "name": name,
        "package": package,
        "service": f"{''.join(word.capitalize() for word in noun.split('_'))}Service",
        "register": f"register_{noun}_service",
        "version": metadata.version("transcoder"),
        "source": _source(),
    }


def _source() -> str:
    """Return what pip installs this transcoder from, for make: a local path, or its version."""
    import json
    from importlib import metadata

    told = metadata.distribution("transcoder").read_text("direct_url.json")
    url: str = json.loads(told)["url"] if told else ""
    version = metadata.version("transcoder")
    return f"transcoder @ {url}" if url.startswith("file:") else f"transcoder=={version}"


def _write(folder: Path, package: str, values: dict[str, str]) -> int:
    from importlib.resources import files

    count = 0
    for parts, template in _templates(files("transcoder.cli.new") / "project"):
        name = "/".join(parts).removesuffix(_SUFFIX).replace("package", package)
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_Template(template).substitute(values), encoding="utf-8")
        count += 1
    return count


def _templates(folder: Any, *outer: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the path and the text of each template, wherever the package's data is."""
    for each in folder.iterdir():
        if each.is_dir():
            yield from _templates(each, *outer, each.name)
        elif each.name.endswith(_SUFFIX):
            yield (*outer, each.name), each.read_text(encoding="utf-8")


def _generate(folder: Path, package: str) -> None:
    """Run the generators that buf.gen.yaml names, as protoc does: buf may not be there yet."""
    import subprocess
    import sys

    import google.api

    ours = Path(sys.executable).with_name("protoc-gen-transcoder")
    command = [sys.executable, "-m", "grpc_tools.protoc", "-Iproto"]
    command += [f"-I{Path(google.api.__path__[0]).parents[1]}"]
    command += [f"--{kind}_out=src" for kind in ("python", "pyi", "grpc_python")]
    command += [f"--plugin=protoc-gen-transcoder={ours}", "--transcoder_out=comments:src"]
    command += [f"{package}/v1/{package}.proto"]
    done = subprocess.run(  # noqa: S603  it is protoc
        command, cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise click.ClickException(f"the proto cannot be compiled: {' '.join(done.stderr.split())}")
