from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.api import annotations_pb2, http_pb2
from google.protobuf import descriptor_pb2, json_format
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from compiled import INCLUDE, descriptor_set
from transcoder.descriptors import (
    Descriptors,
    Place,
    assemble,
    import_descriptors,
    read_descriptors,
)
from transcoder.errors import ConfigError
from transcoder.http_rule import bindings

API = """\
syntax = "proto3";
package api.v1;
import "google/api/annotations.proto";
message Book { string name = 1; }
service Second {
  rpc Get(Book) returns (Book) {
    option (google.api.http) = {
      get: "/v1/{name}"
      additional_bindings {
        get: "/v2/{name}"
      }
    };
  }
  rpc Put(Book) returns (Book) {
    option (google.api.http).put = "/v1/{name}";
    option (google.api.http).body = "*";
  }
}
service First {
  rpc None(Book) returns (Book);
}
"""


def places(descriptors: Descriptors) -> list[str]:
    """Where the bindings of the service's methods are, and their declarations."""
    get, put = descriptors.services[0].methods
    source = descriptors.source
    return [
        str(place)
        for place in (
            source.binding(get, 0),
            source.binding(get, 1),
            source.binding(put),
            source.method(put),
        )
    ]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an image of buf, binary and JSON."""
    folder = tmp_path_factory.mktemp("image")
    (folder / "own").mkdir()
    (folder / "own" / "api.proto").write_text(API)
    google = INCLUDE[-1] / "google" / "api"
    for name in ("annotations", "http"):
        (folder / "imported/google/api").mkdir(parents=True, exist_ok=True)
        shutil.copy(google / f"{name}.proto", folder / "imported/google/api")
    (folder / "buf.yaml").write_text("version: v2\nmodules: [{path: own}, {path: imported}]\n")
    buf = str(Path(sys.executable).with_name("buf"))
    for name in ("image.binpb", "image.json"):
        subprocess.run([buf, "build", "own", "-o", name], cwd=folder, check=True)
    return folder


def test_descriptor_set() -> None:
    """A descriptor set gives its services in the order of their declaration, ready to bind."""
    descriptors = read_descriptors(descriptor_set(API), "api.binpb")

    assert [each.full_name for each in descriptors.services] == ["api.v1.Second", "api.v1.First"]
    get = descriptors.services[0].methods_by_name["Get"]
    assert [each.template.text for each in bindings(get)] == ["/v1/{name}", "/v2/{name}"]


def test_places_of_protoc() -> None:
    """Places of protoc tell where an option begins, not where in it a binding does."""
    descriptors = read_descriptors(descriptor_set(API), "api.binpb")

    assert places(descriptors) == [
        "api.proto:7:5",
        "api.proto:7:5",
        "api.proto:15:5",
        "api.proto:14:3",
    ]


@pytest.mark.parametrize("name", ["image.binpb", "image.json"])
def test_image(image: Path, name: str) -> None:
    """An image of buf also tells where each binding is."""
    descriptors = read_descriptors((image / name).read_bytes(), name)

    assert [each.full_name for each in descriptors.services] == ["api.v1.Second", "api.v1.First"]
    assert places(descriptors) == [
        "api.proto:8:7",
        "api.proto:9:7",
        "api.proto:15:5",
        "api.proto:14:3",
    ]


@pytest.mark.parametrize("as_json", [False, True])
def test_imported_services_of_an_image(image: Path, *, as_json: bool) -> None:
    """Services of files that an image only imports are not transcoded."""
    tree = json.loads((image / "image.json").read_text())
    for file in tree["file"]:
        file["bufExtension"] = {"isImport": True}
    data = json.dumps(tree).encode()
    if not as_json:
        files = FileDescriptorSet.FromString((image / "image.binpb").read_bytes())
        for each in files.file:
            # Field 8042 again, with is_import set; of two the parts are merged by who reads both.
            each.MergeFromString(b"\xd2\xf6\x03\x02\x08\x01")
        data = files.SerializeToString()

    assert read_descriptors(data, "image").services == ()


def test_imported_services_of_a_descriptor_set() -> None:
    """Services of files that others of the set import are left out, until they are chosen."""
    text = API.replace("package", 'import "google/cloud/location/locations.proto";\npackage', 1)
    data = descriptor_set(text)
    as_json = in_json(*FileDescriptorSet.FromString(data).file)
    locations = "google.cloud.location.Locations"

    for read in (read_descriptors(data, "x"), read_descriptors(as_json, "x")):
        assert [each.full_name for each in read.services] == ["api.v1.Second", "api.v1.First"]
        assert read.imported == (locations,)
        chosen = read.choose([locations, "api.v1.First", locations])
        assert [each.full_name for each in chosen.services] == [locations, "api.v1.First"]
        assert chosen.imported == ()


def test_own_files_of_an_image_that_import_each_other(image: Path) -> None:
    """What an image marks as its own is its own, whatever imports it."""
    files = FileDescriptorSet.FromString((image / "image.binpb").read_bytes())
    files.file.add(name="b.proto", dependency=["api.proto"])

    assert len(read_descriptors(files.SerializeToString(), "image").services) == 2


def test_choose_nothing_known() -> None:
    """A service that is not there is told with the nearest name."""
    descriptors = read_descriptors(descriptor_set(API), "api.binpb")

    with pytest.raises(ConfigError) as refused:
        descriptors.choose(["api.v1.Frist"])

    assert str(refused.value) == "no service is named api.v1.Frist; did you mean api.v1.First?"


def test_no_source_info() -> None:
    """Without source info a place is the file."""
    descriptors = read_descriptors(descriptor_set(API, "--include_imports"), "api.binpb")

    assert places(descriptors) == ["api.proto"] * 4


def without(data: bytes, name: str) -> bytes:
    """A descriptor set without one of its files."""
    files = FileDescriptorSet.FromString(data).file
    return FileDescriptorSet(file=[f for f in files if f.name != name]).SerializeToString()


def in_json(*files: FileDescriptorProto) -> bytes:
    return json_format.MessageToJson(FileDescriptorSet(file=files)).encode()


FILE = FileDescriptorProto(name="a.proto", package="a", syntax="proto3")
NO_SET = (
    "; write one with `protoc --include_imports --include_source_info --descriptor_set_out=FILE` "
    "or `buf build --output FILE`"
)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", f"x is no descriptor set: it holds no files{NO_SET}"),
        (
            b'syntax = "proto3";',  # the source instead of what was compiled
            (
                "x is no descriptor set: Error parsing message with type "
                f"'google.protobuf.FileDescriptorSet': Wire format was corrupt{NO_SET}"
            ),
        ),
        (b'{"file": [{}]}', f"x is no descriptor set: it holds no files{NO_SET}"),
        (b'{"file": 3}', f"x is no descriptor set: 'int' object is not iterable{NO_SET}"),
        (
            descriptor_set(API, "--include_source_info"),
            (
                "x: api.proto imports google/api/annotations.proto, which is not there: "
                "build it with --include_imports"
            ),
        ),
        (
            without(descriptor_set(API), "google/api/http.proto"),
            (
                "x: google/api/annotations.proto imports google/api/http.proto, "
                "which is not there: build it with --include_imports"
            ),
        ),
        (
            in_json(FileDescriptorProto(name="a.proto", dependency=["a.proto"])),
            "x: a.proto imports itself",
        ),
        (
            in_json(FILE, FileDescriptorProto(name="a.proto", package="b")),
            "x: a.proto is there twice, each time different",
        ),
        (
            in_json(FileDescriptorProto(name="a.proto", syntax="proto9")),
            ("x: a.proto: Couldn't build proto file into descriptor pool: Invalid syntax 'proto9'"),
        ),
    ],
)
def test_refuses(data: bytes, problem: str) -> None:
    """Broken input is told in one line that says what to do."""
    with pytest.raises(ConfigError) as refused:
        read_descriptors(data, "x")

    assert str(refused.value) == problem


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"file":[[]]}', b'{"file":[{"name":1}]}'])
def test_refuses_json(data: bytes) -> None:
    """JSON that is no image is refused as other bytes are."""
    with pytest.raises(ConfigError, match=r"^x is no descriptor set: "):
        read_descriptors(data, "x")


def test_reflection_replies() -> None:
    """Files come in any order, and one may come twice."""
    files = []
    for module in (annotations_pb2, http_pb2, descriptor_pb2, annotations_pb2):
        module.DESCRIPTOR.CopyToProto(file := FileDescriptorProto())
        files.append(file)
    own = FileDescriptorSet.FromString(descriptor_set(API)).file[-1]
    descriptors = assemble([own, *files], ["api.v1.First"], "localhost:50051")

    assert [each.full_name for each in descriptors.services] == ["api.v1.First"]


@pytest.mark.parametrize("name", ["google.longrunning.operations_pb2", "google.longrunning"])
def test_module(name: str) -> None:
    """A generated module gives its services, a package those of all its generated modules."""
    descriptors = import_descriptors(name)

    assert [each.full_name for each in descriptors.services] == ["google.longrunning.Operations"]
    get = descriptors.services[0].methods_by_name["GetOperation"]
    assert descriptors.source.binding(get) == Place("google/longrunning/operations.proto")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path of modules."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_package_without_init(folder: Path) -> None:
    """A package is searched whether it has an `__init__.py` or not, its subpackages too."""
    (folder / "spam/v1").mkdir(parents=True)
    serialized = repr(FileDescriptorProto(name="spam/v1/spam.proto").SerializeToString())
    (folder / "spam/v1/spam_pb2.py").write_text(
        "from google.protobuf import descriptor_pool\n"
        f"DESCRIPTOR = descriptor_pool.Default().AddSerializedFile({serialized})\n"
    )

    assert import_descriptors("spam").services == ()


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("eggs.v1", None, "no module is named eggs.v1; is the folder that holds it on PYTHONPATH?"),
        (
            "eggs",
            "import bacon",
            "eggs cannot be imported: ModuleNotFoundError: No module named 'bacon'",
        ),
        ("eggs", "1 / 0", "eggs cannot be imported: ZeroDivisionError: division by zero"),
        (
            "eggs",
            "",
            ("eggs holds no generated code: name a module that ends in _pb2, or a package of them"),
        ),
    ],
)
def test_refuses_module(folder: Path, name: str, text: str | None, problem: str) -> None:
    """A module that gives nothing is told in one line."""
    if text is not None:
        (folder / f"{name}.py").write_text(text)
    with pytest.raises(ConfigError) as refused:
        import_descriptors(name)

    assert str(refused.value) == problem
