from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcoder.marshaler import (
    Offers,
    accept_of,
    is_delimited,
    is_json,
    is_protobuf,
    is_utf8,
    media_type,
    offers,
)

UNARY = Offers(("application/json", "application/x-protobuf", "application/protobuf"))
DELIMITED = "application/x-protobuf; delimited=true"
STREAM = Offers(
    (
        "application/json",
        "application/x-ndjson",
        "application/jsonl",
        "text/event-stream",
        DELIMITED,
    )
)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("application/json", "application/json"),
        ("Application/JSON", "application/json"),
        ("text/event-stream", "text/event-stream"),
        ("text/*", "text/event-stream"),
        ("application/x-ndjson;q=0.5, application/json;q=0.4", "application/x-ndjson"),
        ("application/x-ndjson;q=0.5, application/json", "application/json"),
        ("application/x-ndjson ; q=1.000,application/json;q=0.999", "application/x-ndjson"),
        # What the client names goes before what a wildcard lets in …
        ("*/*, text/event-stream", "text/event-stream"),
        ("text/event-stream, application/*", "text/event-stream"),
        # … and what it named first before the rest.
        ("application/jsonl, application/json", "application/jsonl"),
        ("application/json, text/event-stream", "application/json"),
        # The most exact range says the quality, whatever others say.
        ("*/*, application/json;q=0", "application/x-ndjson"),
        ("application/json;q=0.1, application/*;q=0.9, text/*;q=0.3", "application/x-ndjson"),
        ("application/*;q=0, */*;q=0.1", "text/event-stream"),
        ("application/json;q=0", None),
        ("text/html", None),
        ("text/html, image/*;q=0.2", None),
        # A suffix is JSON, but less so than JSON; it refuses nothing.
        ("application/vnd.api+json", "application/json"),
        ("Application/Problem+JSON, text/event-stream", "text/event-stream"),
        ("application/geo+json;q=0", None),
        ("application/geo+json;q=0, */*", "application/json"),
        ("application/json;q=0, application/geo+json", None),
        # Parameters, of which only those count that change the bytes.
        ("application/json; charset=utf-8", "application/json"),
        ('application/json; charset="UTF-8"', "application/json"),
        ("application/json; charset=utf-16", None),
        ("application/json; odata=verbose; q=0.5", "application/json"),
        ('application/json; a="x,y;q=0"', "application/json"),
        ('application/json; a="\\"", text/html', "application/json"),
        ("application/x-protobuf", DELIMITED),
        ("application/x-protobuf;delimited=true", DELIMITED),
        ("application/x-protobuf; Delimited=TRUE; q=0.2", DELIMITED),
        ("application/x-protobuf;delimited=false", None),
        ("application/x-protobuf;q=0.1, application/x-protobuf;delimited=true;q=0", None),
        # What browsers and old clients send.
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "application/json"),
        ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", "application/json"),
        # What cannot be read is passed over; when nothing is left, there is no Accept.
        ("application/json;q=2, text/event-stream", "text/event-stream"),
        ("application/json;q=x, text/event-stream;q=0.1", "text/event-stream"),
        ("application/json;q, text/event-stream;q=0.1", "text/event-stream"),
        ("/json, text/event-stream;q=0.1", "text/event-stream"),
        (",, ,", "application/json"),
        ("junk", "application/json"),
        ("\x00\xff", "application/json"),
        ('"', "application/json"),
        ("application/json/x", "application/json"),
    ],
)
def test_chosen(accept: str, expected: str | None) -> None:
    """The type that is accepted most is chosen among those that are offered."""
    assert expected == STREAM.choose(accept)
    assert expected == STREAM.choose(accept), "the second time it is known"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("application/protobuf", "application/protobuf"),
        ("application/x-protobuf, */*", "application/x-protobuf"),
        ("application/x-protobuf; delimited=true", None),
    ],
)
def test_one_message(accept: str, expected: str | None) -> None:
    """Who wants messages behind their lengths is not content with one that has none."""
    assert expected == UNARY.choose(accept)


@pytest.mark.parametrize("accept", ["", "*/*", "text/html", "application/json;q=0"])
def test_no_offers(accept: str) -> None:
    """An answer that says its own type is acceptable to all."""
    assert Offers(()).choose(accept) == ""


def test_many_texts() -> None:
    """However many texts are sent, each has its own outcome."""
    answer = Offers(("application/json", "text/event-stream"))
    for number in range(1000):
        assert answer.choose(f"text/event-stream;q=0.{number}1, */*;q=0.0") == "text/event-stream"
    assert answer.choose("*/*") == "application/json"


def test_long_text() -> None:
    """A text that is too long to be kept is read all the same."""
    assert STREAM.choose("x/y," * 5000 + "text/event-stream") == "text/event-stream"


def test_shared() -> None:
    """Methods that offer the same share what was learned."""
    assert offers("application/json", "text/plain") is offers("application/json", "text/plain")


RANGES = st.builds(
    "{}{}".format,
    st.sampled_from(["*/*", "application/*", "text/*", *STREAM.types, "image/png", "a/b+json"]),
    st.sampled_from(["", ";q=0", ";q=0.1", ";q=0.5", "; q=1", ";x=y"]),
)


@given(st.lists(RANGES, min_size=1, max_size=6))
def test_refused_is_not_chosen(ranges: list[str]) -> None:
    """A type whose own range has the quality 0 alone is never the answer."""
    refused = {entry.removesuffix(";q=0") for entry in ranges if entry.endswith(";q=0")}
    others = {entry.rpartition(";")[0] for entry in ranges if not entry.endswith(";q=0")}
    chosen = STREAM.choose(",".join(ranges))

    assert chosen not in refused - others - set(ranges)


@given(st.lists(RANGES, min_size=1, max_size=6), RANGES)
def test_an_accepted_type_stays_accepted(ranges: list[str], more: str) -> None:
    """One more range that refuses nothing does not make an answer unacceptable."""
    if not more.endswith(";q=0") and STREAM.choose(",".join(ranges)) is not None:
        assert STREAM.choose(",".join([*ranges, more])) is not None


@given(st.text(alphabet='*/;,="\\ qaj.01+\t\xff', max_size=60))
def test_any_text(accept: str) -> None:
    """Whatever is sent, the outcome is an offer or none."""
    assert STREAM.choose(accept) in {*STREAM.types, None}


@given(st.lists(RANGES, max_size=4), st.lists(RANGES, max_size=4))
def test_lines(first: list[str], second: list[str]) -> None:
    """Several headers are one list (RFC 9110, section 5.3)."""
    lines = [",".join(first).encode(), ",".join(second).encode()]
    joined = accept_of([(b"accept", line) for line in lines])

    assert STREAM.choose(joined) == STREAM.choose(",".join([*first, *second]))


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], ""),
        ([(b"host", b"x")], ""),
        ([(b"host", b"x"), (b"accept", b"a/b\xff")], "a/b\xff"),
        ([(b"accept", b"a/b"), (b"accept", b"c/d")], "a/b, c/d"),
    ],
)
def test_accept_of(headers: list[tuple[bytes, bytes]], expected: str) -> None:
    """The values of all headers are joined."""
    assert expected == accept_of(headers)


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/json", True),
        ("Application/JSON ; Charset=UTF-8", True),
        ('application/json;charset="utf8"', True),
        ("application/json;charset=us-ascii", True),  # a part of UTF-8
        ("application/json;charset = utf-8", True),
        ("application/json;x=charset", True),
        ("application/json;xcharset=latin1", True),  # another parameter
        ("application/json;", True),
        ("application/json; junk", True),
        ("application/json; junk; charset=latin1", False),
        ("application/json;charset=utf-16", False),
        ("application/vnd.api+json", True),
        ("text/x.y+json", True),
        ("application/json+x", False),
        ("text/json", False),
        ("application/jsonl", False),
        ("", False),
        ("+json", False),
    ],
)
def test_is_json(content_type: str, expected: bool) -> None:  # noqa: FBT001  a row of the table
    """JSON is taken in UTF-8, under its own name or with its suffix."""
    assert is_json(content_type) is expected


@pytest.mark.parametrize(
    ("content_type", "one", "delimited"),
    [
        ("application/x-protobuf", True, False),
        ("Application/Protobuf", True, False),
        ("application/x-protobuf; proto=a.B", True, False),
        ("application/x-protobuf; delimited=false", True, False),
        ("application/x-protobuf; delimited=true", False, True),
        ('application/protobuf;delimited="TRUE"', False, True),
        ("application/protobuf+json", False, False),  # JSON, by its suffix
        ("application/octet-stream", False, False),
    ],
)
def test_is_protobuf(content_type: str, one: bool, delimited: bool) -> None:  # noqa: FBT001  rows
    """A Content-Type tells one serialized message from many behind their lengths."""
    assert (is_protobuf(content_type), is_delimited(content_type)) == (one, delimited)


@given(st.text(alphabet='a/;,="\\ chrsetuf-8\t\xff', max_size=40))
def test_any_content_type(content_type: str) -> None:
    """Whatever is sent as a Content-Type is judged without an error."""
    judged = is_utf8(content_type), is_json(content_type), is_protobuf(content_type)

    assert all(isinstance(each, bool) for each in judged)
    assert media_type(content_type) == media_type(content_type).strip().lower()


def test_nothing_is_refused() -> None:
    """Where a client is not refused, it gets what it would get without Accept."""
    lenient = offers("application/json", "text/event-stream", refuse=False)

    assert lenient.choose("text/html") == "application/json"
    assert lenient.choose("application/json;q=0") == "application/json"
    assert lenient.choose("text/event-stream") == "text/event-stream"
