"""Path templates: the language of the paths in `google.api.http`.

    Template  = "/" [ Segments [ ":" LITERAL ] ]
    Segments  = Segment { "/" Segment }
    Segment   = "*" | "**" | LITERAL | Variable
    Variable  = "{" FieldPath [ "=" Segments ] "}"
    FieldPath = IDENT { "." IDENT }
    IDENT     = [A-Za-z_] { [A-Za-z0-9_] }
    LITERAL   = pchar { pchar }             (RFC 3986, section 3.3, "%" HEX HEX included)

The source is the section "Path template syntax" in the comments of `google/api/http.proto`.
What the grammar does not say:

- `*` is exactly one segment of a path, `**` any number of them, zero included. `**` stands at most
  once; unlike in http.proto, more segments may follow it, as real APIs have them:
  `/v1/{parent=projects/*/documents/**}/{collection}`.
- `{name}` is short for `{name=*}`. Variables do not nest, and none is bound twice.
- A variable's value is all text that its segments matched, its own literals included.
- The text behind the last `:` is the verb when the colon stands in the last segment and outside
  braces: `/v1/x:y:z` is the literal `x:y` with the verb `z`. Behind a variable or a wildcard it
  is the *first* colon, since nothing else could follow there: `/v1/{name}:a:b` has the verb `a:b`.
- Literals and verbs are compared with the percent-decoded path. A literal that no path can equal
  (an encoded `/`, a dot segment, what is not UTF-8) is an error.

The parser is a recursive descent straight over the text, one method for each rule above.
"""

from __future__ import annotations

import enum
import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import quote, unquote_to_bytes

from transcoder.errors import TemplateError

_IDENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_WORD = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})*")
_USUAL = re.compile(r"((?:\*|[A-Za-z0-9_-]+)(?:/(?:\*|[A-Za-z0-9_-]+))*)\}")
"""The segments of most variables, up to the brace: read at once, for surfaces have thousands."""
_SUB_DELIMS = "!$&'()*+,;="
DOT_SEGMENTS = (".", "..")


class Kind(enum.Enum):
    """What a segment of a template matches."""

    LITERAL = "literal"
    WILDCARD = "*"
    DEEP_WILDCARD = "**"


@dataclass(frozen=True, slots=True)
class Segment:
    """One step of a template; `text` is a literal's percent-decoded text, or the wildcard."""

    kind: Kind
    text: str


_WILDCARDS = {kind.value: Segment(kind, kind.value) for kind in Kind if kind is not Kind.LITERAL}
_WILDCARD = _WILDCARDS["*"]


@functools.lru_cache(1024)
def _usual(word: str) -> Segment:
    """Return the segment that a wildcard or a literal without anything special makes."""
    return _WILDCARDS.get(word) or Segment(Kind.LITERAL, word)


@dataclass(frozen=True, slots=True)
class Variable:
    """A field of the request that a part of the path is bound to.

    Args:
        field_path: the names on the way to the field.
        start: index of its first segment in the template.
        end: index behind its last one.
        multi: whether it may hold several segments, so that a `/` in it separates.
    """

    field_path: tuple[str, ...]
    start: int
    end: int
    multi: bool

    @property
    def name(self) -> str:
        """The field path as it is written."""
        return ".".join(self.field_path)


@dataclass(frozen=True, slots=True)
class PathTemplate:
    """A parsed template; make one with `PathTemplate.parse`.

    >>> template = PathTemplate.parse("/v1/{name=shelves/*}/books/{book.id}:lend")
    >>> [variable.name for variable in template.variables], template.verb
    (['name', 'book.id'], 'lend')
    >>> template.expand(["shelves/7", "so long"])
    '/v1/shelves/7/books/so%20long:lend'

    Args:
        text: the template as it was written.
        segments: what its path consists of; none for `/`.
        variables: in the order in which they were written.
        verb: percent-decoded, without its colon; empty if there is none.
    """

    text: str
    segments: tuple[Segment, ...]
    variables: tuple[Variable, ...]
    verb: str = ""

    @classmethod
    def parse(cls, text: str) -> PathTemplate:
        """Read a template.

        Raises:
            TemplateError: it is not one; the error has the column.
        """
        return _Parser(text).template()

    def __str__(self) -> str:
        return self.text

    @property
    def deep(self) -> int | None:
        """Where in `segments` the `**` stands, if there is one."""
        for index, segment in enumerate(self.segments):
            if segment.kind is Kind.DEEP_WILDCARD:
                return index
        return None

    def expand(self, values: Sequence[str]) -> str:
        """Return the path that binds these values, one for each variable, percent-encoded.

        Wildcards outside of variables become `-`, and a `**` there becomes nothing. Encoded is
        everything but RFC 3986's unreserved characters, and in a variable of several segments
        the `/` (http.proto). A server that leaves reserved characters of such variables encoded
        binds them so.

        Raises:
            ValueError: a value cannot stand where its variable stands.
        """
        parts: list[str] = []
        position = 0
        for variable, value in zip(self.variables, values, strict=True):
            parts += self._unbound(position, variable.start)
            parts += self._bound(variable, value)
            position = variable.end
        parts += self._unbound(position, len(self.segments))
        verb = ":" + quote(self.verb, safe=_SUB_DELIMS + ":@") if self.verb else ""
        return "/" + "/".join(parts) + verb

    def _unbound(self, start: int, end: int) -> list[str]:
        stand_in = {Kind.WILDCARD: ["-"], Kind.DEEP_WILDCARD: []}
        parts: list[str] = []
        for segment in self.segments[start:end]:
            # An encoded colon can never be taken for the one before a verb.
            encoded = [quote(segment.text, safe=_SUB_DELIMS + "@")]
            parts += stand_in.get(segment.kind, encoded)
        return parts

    def _bound(self, variable: Variable, value: str) -> list[str]:
        own = self.segments[variable.start : variable.end]
        parts = (value.split("/") if value else []) if variable.multi else [value]
        if not _fits(own, parts) or any(not part or part in DOT_SEGMENTS for part in parts):
            pattern = "/".join(segment.text for segment in own)
            raise ValueError(f"{variable.name}: expected text of the form {pattern}, not {value!r}")
        return [quote(part, safe="") for part in parts]


def _fits(segments: Sequence[Segment], parts: Sequence[str]) -> bool:
    spare = len(parts) - len(segments)
    for index, segment in enumerate(segments):
        if segment.kind is Kind.DEEP_WILDCARD:
            tail = segments[index + 1 :]
            return spare >= -1 and _fits(tail, parts[len(parts) - len(tail) :])
        if index >= len(parts):
            return False
        if segment.kind is Kind.LITERAL and segment.text != parts[index]:
            return False
    return spare == 0


class _Parser:
    """The text, how far it is read, and what was found so far."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._segments: list[Segment] = []
        self._variables: list[Variable] = []
        self._deep = False

    def template(self) -> PathTemplate:
        verb = ""
        self._expect("/", "expected '/' at the start")
        if not self._at_end():
            self._segment()
            while self._accept("/"):
                self._segment()
            verb = self._verb()
        return PathTemplate(self._text, tuple(self._segments), tuple(self._variables), verb)

    def _verb(self) -> str:
        if self._at_end():
            return ""
        self._expect(":", "expected '/', ':' or the end")
        word, column = self._word()
        if not word:
            self._fail("expected a verb")
        if not self._at_end():
            self._fail("expected the end behind the verb")
        return self._decoded(word, column)

    def _segment(self) -> None:
        if self._accept("{"):
            self._variable()
            return
        word, start = self._word()
        stars, colon, _ = word.partition(":")
        if colon and stars in _WILDCARDS:
            word = stars
        elif self._at_end():
            word = word.rpartition(":")[0] if colon else word
        self._position = start + len(word)
        self._plain(word, start)

    def _variable(self) -> None:
        start = self._position - 1
        names = [self._ident()]
        while self._accept("."):
            names.append(self._ident())
        first = len(self._segments)
        if self._accept("="):
            self._inner_segments()
        else:
            self._expect("}", "expected '.', '=' or '}'")
            self._segments.append(_WILDCARD)
        last = len(self._segments)
        field_path = tuple(names)
        if any(variable.field_path == field_path for variable in self._variables):
            self._fail(f"{'.'.join(names)} is bound twice", start)
        multi = last - first > 1 or self._segments[first].kind is Kind.DEEP_WILDCARD
        self._variables.append(Variable(field_path, first, last, multi))

    def _inner_segments(self) -> None:
        usual = _USUAL.match(self._text, self._position)
        if usual is not None:
            self._segments += map(_usual, usual[1].split("/"))
            self._position = usual.end()
            return
        self._inner_segment()
        while self._accept("/"):
            self._inner_segment()
        self._expect("}", "expected '/' or '}'")

    def _inner_segment(self) -> None:
        if self._peek() == "{":
            self._fail("a variable cannot stand inside another one")
        word, start = self._word()
        if word.partition(":")[0] in _WILDCARDS and ":" in word:
            self._fail("a verb stands behind the '}'", start + word.index(":"))
        self._plain(word, start)

    def _plain(self, word: str, start: int) -> None:
        if not word:
            self._fail("expected a segment", start)
        wildcard = _WILDCARDS.get(word)
        if wildcard is None:
            self._segments.append(self._literal(word, start))
            return
        if wildcard.kind is Kind.DEEP_WILDCARD:
            if self._deep:
                self._fail("'**' may stand only once", start)
            self._deep = True
        self._segments.append(wildcard)

    def _literal(self, word: str, start: int) -> Segment:
        if not word.strip("*"):
            self._fail("expected '*' or '**'", start)
        text = self._decoded(word, start)
        if text in DOT_SEGMENTS:
            self._fail("a dot segment matches no path", start)
        return Segment(Kind.LITERAL, text)

    def _decoded(self, word: str, start: int) -> str:
        if "%" not in word:
            return word
        try:
            text = unquote_to_bytes(word).decode("utf-8")
        except UnicodeDecodeError:
            self._fail("the percent-encoded bytes are not UTF-8", start)
        if "/" in text or "\0" in text:
            self._fail("an encoded '/' or NUL matches no path", start)
        return text

    def _ident(self) -> str:
        found = _IDENT.match(self._text, self._position)
        if found is None:
            self._fail("expected an identifier")
        self._position = found.end()
        return found.group()

    def _word(self) -> tuple[str, int]:
        """Read what may stand in a literal, wildcards and colons too; return it and its start."""
        start = self._position
        end = _WORD.match(self._text, start).end()  # type: ignore[union-attr]  # It may be empty.
        self._position = end
        stop = self._peek()
        if stop == "%":
            self._fail("expected two hexadecimal digits behind '%'")
        if stop == "{":
            self._fail("expected '/' before '{'")
        if stop not in ("", "/", "}"):
            self._fail(f"{stop!r} cannot stand in a path; percent-encode it")
        return self._text[start:end], start

    def _peek(self) -> str:
        return self._text[self._position : self._position + 1]

    def _at_end(self) -> bool:
        return self._position == len(self._text)

    def _accept(self, char: str) -> bool:
        if self._text.startswith(char, self._position):
            self._position += 1
            return True
        return False

    def _expect(self, char: str, problem: str) -> None:
        if not self._accept(char):
            self._fail(problem)

    def _fail(self, problem: str, position: int | None = None) -> NoReturn:
        column = (self._position if position is None else position) + 1
        raise TemplateError(self._text, column, problem)
