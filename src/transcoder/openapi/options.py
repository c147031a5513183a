"""What the options of a proto say of its documentation, from whatever pool the proto comes.

Options are read from their bytes by the numbers of the extensions: a message that was made before
an extension was known, or in a pool of its own, keeps it as unknown.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any, Final

from google.api import field_behavior_pb2, resource_pb2
from google.protobuf.descriptor import (
    Descriptor,
    EnumDescriptor,
    EnumValueDescriptor,
    FieldDescriptor,
    FileDescriptor,
    MethodDescriptor,
    OneofDescriptor,
    ServiceDescriptor,
)
from google.protobuf.descriptor_pool import Default
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.unknown_fields import UnknownFieldSet

from transcoder.comments import NO_COMMENTS, Comments
from transcoder.openapi.scalars import literal
from transcoder.visibility import labels

_BEHAVIOR: int = field_behavior_pb2.field_behavior.number
_RESOURCE: int = resource_pb2.resource.number
_RESOURCES: int = resource_pb2.resource_definition.number
_REFERENCE: int = resource_pb2.resource_reference.number
_NONE: Final[dict[int, list[Any]]] = {}


class Options:
    """Comments and options of descriptors, for readers who may see some of the labels.

    Args:
        comments: by full name.
        labels: of `google.api` visibility; what is restricted to others is hidden.
    """

    def __init__(
        self, comments: Comments = NO_COMMENTS, labels: Collection[str] = frozenset()
    ) -> None:
        self._comments = comments
        self._labels = frozenset(labels)
        self._values: dict[Any, dict[int, list[Any]]] = {}
        self._hidden: dict[Any, bool] = {}
        self._patterns: dict[FileDescriptor, dict[str, Sequence[str]]] = {}

    def comment(self, descriptor: Any) -> str:
        """Return what the proto says of a descriptor; nothing when there is no comment."""
        return self._comments.get(_full_name(descriptor), "")

    def is_hidden(self, descriptor: Any) -> bool:
        """Say whether something is restricted to other labels, or a field is of such a type."""
        if descriptor is None:
            return False
        hidden = self._hidden.get(descriptor)
        if hidden is None:
            # A type that holds itself does not hide itself.
            self._hidden[descriptor] = False
            hidden = self._hidden[descriptor] = self._is_hidden(descriptor)
        return hidden

    def _is_hidden(self, descriptor: Any) -> bool:
        restricted = labels(descriptor.GetOptions()) if descriptor.has_options else frozenset()
        if restricted and not restricted & self._labels:
            return True
        if isinstance(descriptor, FieldDescriptor):
            message = descriptor.message_type
            if message is not None and message.GetOptions().map_entry:
                return self.is_hidden(message.fields_by_name["value"])
            return self.is_hidden(message) or self.is_hidden(descriptor.enum_type)
        if isinstance(descriptor, MethodDescriptor):
            return self.is_hidden(descriptor.containing_service)
        return not isinstance(descriptor, EnumValueDescriptor) and self.is_hidden(
            getattr(descriptor, "containing_type", None)
        )

    def behaviors(self, field: FieldDescriptor) -> frozenset[str]:
        """Return the names of a field's `google.api.field_behavior`."""
        numbers = self._of(field).get(_BEHAVIOR)
        if not numbers:
            return frozenset()
        flat = [one for each in numbers for one in (each if isinstance(each, bytes) else [each])]
        named = field_behavior_pb2.FieldBehavior.DESCRIPTOR.values_by_number
        return frozenset(named[number].name for number in flat if number in named)

    def is_deprecated(self, descriptor: Any) -> bool:
        """Say whether something is deprecated: itself, or the whole file of a type or a service."""
        if descriptor.has_options and descriptor.GetOptions().deprecated:
            return True
        of_file = isinstance(descriptor, Descriptor | EnumDescriptor | ServiceDescriptor)
        return of_file and self.is_deprecated(descriptor.file)

    def patterns(self, field: FieldDescriptor) -> Sequence[str]:
        """Return the forms of the resource names that a field holds; none when they are not said.

        >>> from google.longrunning import operations_pb2
        >>> request = operations_pb2.GetOperationRequest.DESCRIPTOR
        >>> Options().patterns(request.fields_by_name["name"])
        ()
        """
        reference = resource_pb2.ResourceReference.FromString(self.bytes(field, _REFERENCE))
        if reference.type:
            return self._resources(_file(field)).get(reference.type, ())
        described = self.resource(field.containing_type)
        if field.name == (described.name_field or "name"):
            return tuple(described.pattern)
        return ()

    def reference(self, field: FieldDescriptor) -> resource_pb2.ResourceReference:
        """Return the `google.api.resource_reference` of a field; an empty one for none."""
        return resource_pb2.ResourceReference.FromString(self.bytes(field, _REFERENCE))

    def resource(self, message: Any) -> resource_pb2.ResourceDescriptor:
        """Return the `google.api.resource` of a message; an empty one for none."""
        return resource_pb2.ResourceDescriptor.FromString(self.bytes(message, _RESOURCE))

    def _resources(self, file: FileDescriptor) -> dict[str, Sequence[str]]:
        """Return the patterns of the resources of a file and of all that it imports, by type."""
        found = self._patterns.get(file)
        if found is not None:
            return found
        found = self._patterns[file] = {}
        for needed in file.dependencies:
            found.update(self._resources(needed))
        for data in self._of(file).get(_RESOURCES, ()):
            defined = resource_pb2.ResourceDescriptor.FromString(data)
            found[defined.type] = tuple(defined.pattern)
        for message in file.message_types_by_name.values():
            described = self.resource(message)
            if described.type:
                found[described.type] = tuple(described.pattern)
        return found

    def message(self, descriptor: Any, number: int, name: str) -> Any:
        """Return an option that is a message of a type that need not be known; None for none.

        Args:
            descriptor: whose option.
            number: of the extension.
            name: of the option's type.
        """
        data = self.bytes(descriptor, number)
        if not data:
            return None
        for pool in (_file(descriptor).pool, Default()):
            try:
                kind: type[Message] = GetMessageClass(pool.FindMessageTypeByName(name))
                return kind.FromString(data)
            except (KeyError, DecodeError):
                continue
        return None

    def bytes(self, descriptor: Any, number: int) -> bytes:
        """Return the bytes of an option that is a message; none when it is not set."""
        values = self._of(descriptor).get(number)
        return b"".join(each for each in values if isinstance(each, bytes)) if values else b""

    def _of(self, descriptor: Any) -> dict[int, list[Any]]:
        if not descriptor.has_options:
            return _NONE
        found = self._values.get(descriptor)
        if found is None:
            found = self._values[descriptor] = {}
            fields = UnknownFieldSet(
                Empty.FromString(descriptor.GetOptions().SerializePartialToString())
            )
            for index in range(len(fields)):
                field = fields[index]
                found.setdefault(field.field_number, []).append(field.data)
        return found


_FORM_PART = re.compile(r"\{[^}=]*(?P<deep>=\*\*)?[^}]*\}")


def form_example(form: str) -> str:
    """Return a name of a resource's form.

    >>> form_example("shelves/{shelf}/books/{book}")
    'shelves/1/books/1'
    """
    return _FORM_PART.sub("1", form)


def forms_pattern(forms: Sequence[str]) -> str:
    """Return the regular expression of resource names of some forms; empty if one is `*`, any.

    >>> forms_pattern(["shelves/{shelf}/books/{book}"])
    '^shelves/[^/]+/books/[^/]+$'
    """
    if "*" in forms:
        return ""
    texts = []
    for form in forms:
        literals = map(literal, _FORM_PART.split(form)[::2])
        parts = [".+" if found["deep"] else "[^/]+" for found in _FORM_PART.finditer(form)]
        texts.append(
            "".join(text for pair in zip(literals, [*parts, ""], strict=False) for text in pair)
        )
    return f"^{texts[0]}$" if len(texts) == 1 else f"^(?:{'|'.join(texts)})$"


def _full_name(descriptor: Any) -> str:
    if isinstance(descriptor, EnumValueDescriptor):
        enum: EnumDescriptor = descriptor.type
        return f"{enum.full_name}.{descriptor.name}"
    return str(getattr(descriptor, "full_name", None) or descriptor.name)


def _file(descriptor: Any) -> FileDescriptor:
    if isinstance(descriptor, FileDescriptor):
        return descriptor
    inside = descriptor
    if isinstance(descriptor, EnumValueDescriptor):
        inside = descriptor.type
    elif isinstance(descriptor, MethodDescriptor):
        inside = descriptor.containing_service
    elif isinstance(descriptor, OneofDescriptor):
        inside = descriptor.containing_type
    file: FileDescriptor = inside.file
    return file
