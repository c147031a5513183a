"""The message types of a running server, of which more are asked for as messages name them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import Descriptor, FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

# What it declares is then known where a server does not describe it.
from google.rpc import error_details_pb2  # noqa: F401

from transcoder.descriptors import assemble
from transcoder.errors import ConfigError, Unprintable
from transcoder.protojson import from_json, to_json

if TYPE_CHECKING:
    from transcoder.descriptors import Descriptors

_ANY: Final = "google.protobuf.Any"
_NAMED = re.compile(rb'"@type"\s*:\s*"[^"]*/([\w.]+)"')


class Types:
    """Reads and prints messages, with what stands in each `google.protobuf.Any`.

    Args:
        descriptors: of the server.
        ask: returns the files that it has for a message's name; raises ConfigError, or returns
            none.
    """

    def __init__(
        self, descriptors: Descriptors, ask: Callable[[str], Iterable[FileDescriptorProto]]
    ) -> None:
        self._pool = descriptors.pool
        self._files = {file.name: file for file in descriptors.source.files}
        self._ask = ask
        self._asked: set[str] = set()

    def find(self, name: str) -> Descriptor | None:
        """Return a message's type by its full name: the server's, or else one that we have."""
        found = self._known(name)
        if found is not None or name in self._asked:
            return found
        self._asked.add(name)
        try:
            more = list(self._ask(name)) or list(_ours(name))
            # Of two versions of a file, the one that the server's own messages were made with.
            self._files = {**{file.name: file for file in more}, **self._files}
            self._pool = assemble(self._files.values(), (), name).pool
        except ConfigError:
            return None
        return self._known(name)

    def from_json(self, text: bytes, wanted: Descriptor) -> Message:
        """Return the message that JSON says.

        Raises:
            InvalidRequest: it says none of that type.
        """
        for name in _NAMED.findall(text):
            self.find(name.decode())
        made: Message = from_json(text, GetMessageClass(wanted), pool=self._pool)
        return made

    def to_json(self, message: Message, *, proto_names: bool = False) -> str:
        """Return a message as JSON, in a line.

        Raises:
            Unprintable: it has no JSON form.
        """
        try:
            text = to_json(message, proto_names=proto_names, pool=self._pool)
        except Unprintable:
            self._learn(message)
            text = to_json(message, proto_names=proto_names, pool=self._pool)
        return text.decode()

    def packed(self, packed: Any) -> tuple[str, Message | None]:
        """Return the type's name and the message of an Any; None where it cannot be read."""
        name = packed.type_url.rpartition("/")[2]
        found = self.find(name)
        try:
            return name, GetMessageClass(found).FromString(packed.value) if found else None
        except DecodeError:
            return name, None

    def _known(self, name: str) -> Descriptor | None:
        try:
            found: Descriptor = self._pool.FindMessageTypeByName(name)
        except KeyError:
            return None
        return found

    def _learn(self, message: Message) -> None:
        """Look up every type that a message names."""
        waiting = [message]
        while waiting:
            each = waiting.pop()
            if each.DESCRIPTOR.full_name == _ANY:
                inner = self.packed(each)[1]
                waiting += [inner] if inner is not None else []
            else:
                waiting += _inside(each)


def _inside(message: Message) -> Iterator[Message]:
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if isinstance(value, Message):
            yield value
        elif field.message_type.GetOptions().map_entry:
            yield from (each for each in value.values() if isinstance(each, Message))
        else:
            yield from value


def _ours(name: str) -> Iterator[FileDescriptorProto]:
    try:
        waiting = [descriptor_pool.Default().FindMessageTypeByName(name).file]
    except KeyError:
        return
    while waiting:
        file: FileDescriptor = waiting.pop()
        yield FileDescriptorProto.FromString(file.serialized_pb)
        waiting += file.dependencies
