from __future__ import annotations

import pytest

from transcoder.errors import ConfigError
from transcoder.graphql_upstream.source import Source


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("path.user.id", Source("path", "user.id")),
        ("query.page_size", Source("query", "page_size")),
        ("body", Source("body")),
        ("body.a.b", Source("body", "a.b")),
        ("metadata.x-user-id", Source("metadata", "x-user-id")),
    ],
)
def test_parse(text: str, source: Source) -> None:
    """A source says where in a request a value is."""
    assert Source.parse(text) == source


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("id", "path.NAME, query.NAME, body, body.NAME or metadata.KEY is expected"),
        ("", "path.NAME"),
        ("qeury.a", "did you mean query"),
        ("path", "a name is expected behind path"),
        ("path.", "a name is expected behind path"),
        ("body.", "a name is expected behind body"),
        ("body..a", "a name is expected behind body"),
        ("metadata.X-User", "a key of metadata is expected"),
        ("metadata.trace-bin", "a key of metadata is expected"),
    ],
)
def test_mistakes(text: str, told: str) -> None:
    """What is none is refused."""
    with pytest.raises(ConfigError, match=told):
        Source.parse(text)
