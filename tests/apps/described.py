"""OpenAPI documents of protos that a test writes, and the rules that every document keeps."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from compiled import descriptor_set
from cost import untraced
from transcoder import GOOGLE, Profile, Transcoder
from transcoder.comments import comments_of
from transcoder.openapi import document, to_json
from validated import rules_file

HEAD = """
syntax = "proto3";
package api.v1;
import "google/api/annotations.proto";
import "google/api/client.proto";
import "google/api/field_behavior.proto";
import "google/api/httpbody.proto";
import "google/api/resource.proto";
import "google/api/visibility.proto";
import "google/protobuf/any.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/empty.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
import "openapiv2.proto";
"""
GET = '{get: "/v1/asks"}'
POST = '{post: "/v1/asks" body: "*"}'


def method(rule: str, request: str = "Ask", reply: str = "Ask", options: str = "") -> str:
    """Return a service with one method, `Do`."""
    return (
        f"service Asks {{ rpc Do({request}) returns ({reply}) "
        f"{{ option (google.api.http) = {rule}; {options} }} }}"
    )


def transcoder_of(
    text: str, *, profile: Profile = GOOGLE, package: str = "api.v1", **options: Any
) -> Transcoder:
    """Return a transcoder of all services of a text behind `HEAD`."""
    return _transcoder(_files(text, package), profile, options)


def described(
    text: str, *, profile: Profile = GOOGLE, unbound: bool = False, **options: Any
) -> dict[str, Any]:
    """Return the valid document of all services of a text behind `HEAD`, with its comments."""
    files = _files(text)
    transcoder = _transcoder(files, profile, {"unbound": unbound})
    made = document(transcoder, **{"comments": comments_of(files.file), **options})
    check(made)
    return made


def operation(text: str, **options: Any) -> dict[str, Any]:
    """Return the first operation of a text."""
    path = next(iter(described(text, **options)["paths"].values()))
    found: dict[str, Any] = next(iter(path.values()))
    return found


def request_schema(text: str, **options: Any) -> Any:
    """Return the schema of `Ask` as the body of a POST."""
    made = described(f"{text}\n{method(POST, reply='google.protobuf.Empty')}", **options)
    return made["components"]["schemas"]["api.v1.Ask"]


def answer_schema(text: str, **options: Any) -> Any:
    """Return the schema of `Ask` as the answer to a GET."""
    made = described(f"{text}\n{method(GET, 'google.protobuf.Empty')}", **options)
    return made["components"]["schemas"]["api.v1.Ask"]


def _files(text: str, package: str = "api.v1") -> FileDescriptorSet:
    head = HEAD.replace("api.v1", package)
    if "buf.validate" not in text:
        return FileDescriptorSet.FromString(descriptor_set(head + text))
    text = f'{head}import "buf/validate/validate.proto";\n{text}'
    with tempfile.NamedTemporaryFile() as rules:
        Path(rules.name).write_bytes(FileDescriptorSet(file=[rules_file()]).SerializeToString())
        options = (f"--descriptor_set_in={rules.name}", "--include_imports")
        return FileDescriptorSet.FromString(descriptor_set(text, *options))


def _transcoder(files: FileDescriptorSet, profile: Profile, options: Any) -> Transcoder:
    pool = DescriptorPool()
    for file in files.file:
        pool.Add(file)
    services = pool.FindFileByName("api.proto").services_by_name.values()
    return Transcoder(services, profile=profile, **options)


def check(made: dict[str, Any]) -> None:
    """Check that a document is one, and that all its examples fit their schemas."""
    tree = json.loads(to_json(made))
    with untraced():
        problems = [error.message for error in OpenAPIV31SpecValidator(tree).iter_errors()]
        assert not problems, problems
        for schema in shown(tree):
            checked = validator(tree, schema)
            for example in schema["examples"]:
                misfits = [error.message for error in checked.iter_errors(example)]
                assert not misfits, (schema, misfits)


def shown(tree: Any) -> Iterator[dict[str, Any]]:
    """Yield the schemas that have examples."""
    if isinstance(tree, dict):
        if isinstance(tree.get("examples"), list):
            yield tree
        for value in tree.values():
            yield from shown(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from shown(value)


def validator(made: Any, schema: Any) -> Draft202012Validator:
    """Return the validator of a schema of a document."""
    registry: Registry[Any] = Registry().with_resource(
        "urn:made", DRAFT202012.create_resource(made)
    )
    return Draft202012Validator(
        _absolute(schema), registry=registry, format_checker=FormatChecker()
    )


def _absolute(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {
            key: f"urn:made{value}" if key == "$ref" else _absolute(value)
            for key, value in tree.items()
        }
    return [_absolute(each) for each in tree] if isinstance(tree, list) else tree
