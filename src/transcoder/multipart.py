"""`multipart/form-data` (RFC 7578), parsed as it arrives.

What a file holds beyond a size waits in a temporary file without a name: it is gone when it is
closed, and when the process ends.
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from transcoder.budget import NODES
from transcoder.errors import NAME_LIMIT, InvalidRequest, PayloadTooLarge, UnsupportedMedia
from transcoder.marshaler import is_json, media_type

try:
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import MultipartParser, parse_options_header
except ImportError as error:
    raise ImportError("python-multipart is missing: install transcoder[forms]") from error

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_silent = logging.getLogger(f"{__name__}.parser")
# The parser warns of what the client is told anyway.
_silent.setLevel(logging.CRITICAL + 1)

_OPTIONS = 16
"""Options in a header of a part: clients send two, and each takes its time to read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FormLimits:
    """What a form may hold; a gateway's limit of the body holds besides.

    Args:
        size: bytes in all.
        fields: how many, but for files.
        field_size: bytes of one field's text.
        files: how many; a part with a file name is one, or with a type other than plain text
            and JSON.
        memory: bytes of one file that are kept in memory while it arrives; a larger one waits
            in a temporary file.
        nodes: JSON values, paths of field masks and nested names, in all; see `transcoder.budget`.
    """

    size: int = 1 << 20
    fields: int = 1000
    field_size: int = 1 << 16
    files: int = 16
    memory: int = 1 << 16
    nodes: int = NODES


Kind = Literal["text", "json", "file"]


class Part:
    """One part of a body.

    Args:
        name: of the field.
        content_type: as it was sent; empty when it was not.
        kind: what it holds; a file that holds JSON is a file.
        memory: bytes that are kept in memory.
    """

    __slots__ = ("_content", "content_type", "kind", "name", "size")

    def __init__(self, name: str, content_type: str, *, kind: Kind, memory: int) -> None:
        self.name = name
        self.content_type = content_type
        self.kind = kind
        self.size = 0
        # A size of 0 would stand for no limit.
        self._content = tempfile.SpooledTemporaryFile(max_size=max(memory, 1))  # noqa: SIM115

    def write(self, data: bytes) -> None:
        """Add what arrived."""
        self.size += len(data)
        self._content.write(data)

    def read(self) -> bytes:
        """Return all that arrived."""
        self._content.seek(0)
        return self._content.read()

    def close(self) -> None:
        """Forget it."""
        self._content.close()


class Multipart:
    r"""A body that arrives: feed it, end it, take its parts; close it whatever happens.

    Args:
        content_type: with the boundary.
        limits: of the form.

    Raises:
        InvalidRequest: not multipart, or over a limit; names the part where there is one.
        PayloadTooLarge: over the limit of all.
        UnsupportedMedia: a part's bytes are encoded.

    >>> form = Multipart("multipart/form-data; boundary=x", FormLimits())
    >>> with contextlib.closing(form):
    ...     form.feed(b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--')
    ...     form.end()
    ...     [(part.name, part.read()) for part in form.parts]
    [('a', b'1')]
    """

    def __init__(self, content_type: str, limits: FormLimits) -> None:
        self.parts: list[Part] = []
        self._limits = limits
        self._size = 0
        self._files = 0
        self._ended = False
        self._header = b""
        self._value = b""
        self._headers: dict[bytes, bytes] = {}
        self._part: Part | None = None
        self._unsent = False
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        if not boundary:
            raise InvalidRequest("expected multipart/form-data with a boundary", "content-type")
        with _told():
            self._parser = MultipartParser(boundary, self._callbacks())
        self._parser.logger = _silent

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body."""
        self._size += len(data)
        if self._size > self._limits.size:
            raise PayloadTooLarge(self._limits.size)
        with _told():
            self._parser.write(data)

    def end(self) -> None:
        """Say that no more bytes come."""
        if not self._ended:
            raise InvalidRequest("the multipart body ends before its closing boundary")

    def spools(self, size: int) -> bool:
        """Say whether feeding so many bytes may write to disk, and so take its time."""
        part = self._part
        if part is None or part.kind == "text":
            return False
        return part.size + size > self._limits.memory

    def close(self) -> None:
        """Forget all parts."""
        for part in self.parts:
            part.close()

    def _callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._on_part_begin,
            "on_header_field": self._on_header_field,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers_finished,
            "on_part_data": self._on_part_data,
            "on_part_end": self._on_part_end,
            "on_end": self._on_end,
        }

    def _on_part_begin(self) -> None:
        self._headers = {}

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        name = self._header.lower()
        if name in self._headers:
            raise InvalidRequest("a part of the multipart body says a header twice")
        if self._value.count(b";") > _OPTIONS:
            raise InvalidRequest(f"a part's header has over {_OPTIONS} options")
        self._headers[name] = self._value.strip()
        self._header = self._value = b""

    def _on_headers_finished(self) -> None:
        kind, options = parse_options_header(self._headers.get(b"content-disposition"))
        name = _text(options.get(b"name", b""))
        if kind != b"form-data" or not name:
            raise InvalidRequest("a part of the multipart body has no name")
        encoding = self._headers.get(b"content-transfer-encoding", b"binary").lower()
        if encoding not in {b"7bit", b"8bit", b"binary"}:
            raise UnsupportedMedia(f"{name[:NAME_LIMIT]}: send the part's bytes as they are")
        content_type = self._headers.get(b"content-type", b"").decode("latin-1")
        self._open(name, content_type, options.get(b"filename"))

    def _open(self, name: str, content_type: str, file_name: bytes | None) -> None:
        kind = _kind(content_type, file_name)
        self._files += kind == "file"
        limits = self._limits
        if self._files > limits.files:
            raise InvalidRequest(f"over {limits.files} files", name[:NAME_LIMIT])
        if len(self.parts) - self._files >= limits.fields:
            raise InvalidRequest(f"over {limits.fields} fields", name[:NAME_LIMIT])
        memory = limits.field_size if kind == "text" else limits.memory
        self._part = Part(name, content_type, kind=kind, memory=memory)
        self._unsent = file_name == b""
        self.parts.append(self._part)

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        part = self.parts[-1]
        if part.kind == "text" and part.size + end - start > self._limits.field_size:
            problem = f"over the limit of {self._limits.field_size} bytes"
            raise InvalidRequest(problem, part.name[:NAME_LIMIT])
        part.write(data[start:end])

    def _on_part_end(self) -> None:
        # Browsers send a file input without a file as an empty file without a name.
        if self._part is not None and self._unsent and not self._part.size:
            self.parts.pop().close()
            self._files -= 1
        self._part = None

    def _on_end(self) -> None:
        self._ended = True


def _kind(content_type: str, file_name: bytes | None) -> Kind:
    # A browser says the type of each file that it sends: one that holds JSON is a file.
    if file_name is not None:
        return "file"
    if media_type(content_type) in {"", "text/plain"}:
        return "text"
    return "json" if is_json(content_type) else "file"


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Tell of the parser's errors; its own texts repeat what was sent."""
    try:
        yield
    except FormParserError:
        raise InvalidRequest("the multipart body is malformed") from None


def _text(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        raise InvalidRequest("a part of the multipart body has a name that is not UTF-8") from None
