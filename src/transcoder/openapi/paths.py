"""Path templates as the paths of OpenAPI, whose parameters hold one segment each."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from google.protobuf.descriptor import Descriptor

from transcoder.fields import FieldPath
from transcoder.openapi.openapiv2 import Annotations
from transcoder.openapi.options import Options
from transcoder.path_template import Kind, PathTemplate, Segment, Variable

_LITERAL = "!$&'()*+,;=:@"
_PLACE = re.compile(r"\{[^}]*\}")
_NAMED = re.compile(r"\{\w+\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PathParameter:
    """One parameter of a path.

    Args:
        name: in the path.
        field: what it is, or is a part of; None for a wildcard outside of variables.
        form: of the whole variable, where it holds more than this parameter.
        deep: whether it may hold slashes.
    """

    name: str
    field: FieldPath | None
    form: str = ""
    deep: bool = False


@dataclass(frozen=True, slots=True)
class ExpandedPath:
    """A path of OpenAPI.

    Args:
        text: with a name in each of its places.
        parameters: in the order of the places.
    """

    text: str
    parameters: tuple[PathParameter, ...]

    @property
    def shape(self) -> str:
        """The path without names: OpenAPI has one path of each shape."""
        return _PLACE.sub("{}", self.text)

    def renamed(self, names: Sequence[str]) -> tuple[PathParameter, ...]:
        """Return the parameters under other names."""
        return tuple(
            PathParameter(name=name, field=each.field, form=each.form, deep=each.deep)
            for name, each in zip(names, self.parameters, strict=True)
        )


class Paths:
    """Expands templates.

    Args:
        options: of the protos, for the forms of resource names.
        annotations: for names that the proto gives to parameters.
    """

    def __init__(self, options: Options, annotations: Annotations) -> None:
        self._options = options
        self._annotations = annotations

    def expand(self, template: PathTemplate, message: Descriptor) -> ExpandedPath:
        """Return the path of a template.

        >>> from google.longrunning import operations_pb2
        >>> template = PathTemplate.parse("/v1/{name=shelves/*/books/*}:lend")
        >>> options = Options()
        >>> paths = Paths(options, Annotations(options))
        >>> paths.expand(template, operations_pb2.GetOperationRequest.DESCRIPTOR).text
        '/v1/shelves/{name}/books/{name_1}:lend'
        """
        starts = {variable.start: variable for variable in template.variables}
        parts: list[str] = []
        found: list[PathParameter] = []
        position = 0
        while position < len(template.segments):
            variable = starts.get(position)
            end = position + 1 if variable is None else variable.end
            names = self._names(template, variable, message)
            for segment in template.segments[position:end]:
                if segment.kind is Kind.LITERAL:
                    parts.append(quote(segment.text, safe=_LITERAL))
                    continue
                name = _unused(next(names, "segment"), found)
                deep = segment.kind is Kind.DEEP_WILDCARD
                found.append(self._parameter(name, template, variable, message, deep=deep))
                parts.append(f"{{{name}}}")
            position = end
        verb = f":{quote(template.verb, safe=_LITERAL)}" if template.verb else ""
        return ExpandedPath(f"/{'/'.join(parts)}{verb}", tuple(found))

    def _names(
        self, template: PathTemplate, variable: Variable | None, message: Descriptor
    ) -> Iterator[str]:
        """Yield the names of a variable's parameters: those of a resource's form, or its own."""
        if variable is None:
            return
        path = FieldPath.resolve(message, variable.name, json_names=False)
        name = self._annotations.path_name(path.leaf) or json_path(path)
        segments = template.segments[variable.start : variable.end]
        for form in self._options.patterns(path.leaf) if len(segments) > 1 else ():
            names = _fitting(form, segments)
            if names:
                yield from names
                return
        yield from itertools.repeat(name)

    def _parameter(
        self,
        name: str,
        template: PathTemplate,
        variable: Variable | None,
        message: Descriptor,
        *,
        deep: bool,
    ) -> PathParameter:
        if variable is None:
            return PathParameter(name=name, field=None, deep=deep)
        path = FieldPath.resolve(message, variable.name, json_names=False)
        own = template.segments[variable.start : variable.end]
        form = "/".join(segment.text for segment in own) if len(own) > 1 else ""
        return PathParameter(name=name, field=path, form=form, deep=deep)


def json_path(path: FieldPath) -> str:
    """Return a path of fields in their JSON names, as a query says it.

    >>> from google.protobuf.descriptor_pb2 import FileDescriptorProto
    >>> json_path(FieldPath.resolve(FileDescriptorProto.DESCRIPTOR, "options.go_package"))
    'options.goPackage'
    """
    return ".".join(field.json_name for field in path.fields)


def _fitting(form: str, segments: Sequence[Segment]) -> list[str]:
    """Return the names in a resource's form that a variable's wildcards stand for; or none."""
    parts = form.split("/")
    if len(parts) != len(segments):
        return []
    names = []
    for part, segment in zip(parts, segments, strict=True):
        if segment.kind is Kind.LITERAL:
            if part != segment.text:
                return []
        elif segment.kind is Kind.DEEP_WILDCARD or not _NAMED.fullmatch(part):
            return []
        else:
            names.append(part[1:-1])
    return names


def _unused(name: str, taken: Sequence[PathParameter]) -> str:
    names = {each.name for each in taken}
    if name not in names:
        return name
    numbered = (f"{name}_{number}" for number in itertools.count(1))
    return next(each for each in numbered if each not in names)
