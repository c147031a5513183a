import pytest

from transcoder.metadata import checked, request_id, to_headers, to_metadata


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        (b"x-tenant", b"acme", [("x-tenant", "acme")]),
        (b"X-Tenant", b"acme", [("x-tenant", "acme")]),  # metadata keys are lower case
        (b"authorization", b"Bearer t", [("authorization", "Bearer t")]),
        (b"trace-bin", b"AAE", [("trace-bin", b"\x00\x01")]),  # padding may be left out
        (b"trace-bin", b"!!", []),
        (b"connection", b"close", []),
        (b"te", b"trailers", []),
        (b"host", b"example.com", []),
        (b"content-length", b"3", []),
        (b"grpc-timeout", b"1S", []),  # gRPC's own names are not the client's to write
        (b"x-internal", b"true", []),
        (b"X_Internal", b"true", []),  # many servers fold _ and -
        (b"x-name", "é".encode(), []),  # metadata is printable ASCII
        (b"x-name", b"a\x00b", []),
        (b"x name", b"a", []),
        (b":path", b"/", []),
    ],
)
def test_to_metadata(name: bytes, value: bytes, expected: list[tuple[str, str | bytes]]) -> None:
    """A header becomes metadata unless it is the connection's, gRPC's or cannot be carried."""
    assert expected == list(to_metadata([(name, value)]))


def test_repeated_headers() -> None:
    """A header sent twice gives two pairs, in order."""
    pairs = to_metadata([(b"x-a", b"1"), (b"x-b", b"2"), (b"x-a", b"3")])

    assert pairs == (("x-a", "1"), ("x-b", "2"), ("x-a", "3"))


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("x-cost", "3", [(b"x-cost", b"3")]),
        ("X-Cost", "3", [(b"x-cost", b"3")]),
        ("seal-bin", b"\x00", [(b"seal-bin", b"AA==")]),
        ("content-length", "0", []),  # would break the framing of the answer
        ("transfer-encoding", "chunked", []),
        ("connection", "close", []),
        ("grpc-status", "0", []),
        ("x-split", "a\r\nset-cookie: b", []),
        ("x:y", "a", []),
    ],
)
def test_to_headers(key: str, value: str | bytes, expected: list[tuple[bytes, bytes]]) -> None:
    """Metadata becomes a header of the same name unless it could break the answer."""
    assert expected == to_headers([(key, value)])


@pytest.mark.parametrize(
    "pair",
    [
        ("X-Key", "a"),
        ("x key", "a"),
        ("", "a"),
        ("x-a", "a\r\nb"),
        ("x-a", "é"),
        ("x-a", b"a"),
        ("x-a-bin", "a"),
        ("x-a", "a" * 8001),
    ],
)
def test_metadata_that_cannot_be_sent(pair: tuple[str, str | bytes]) -> None:
    """What gRPC would refuse, or never send, is refused where the servicer says it."""
    with pytest.raises(ValueError, match="metadata"):
        checked([pair])


@pytest.mark.parametrize("given", [["a-1"], [b"A.b_c-9"], ["x" * 128]])
def test_request_id_kept(given: list[str | bytes]) -> None:
    """A well-formed id of the client is kept."""
    text = given[0]

    assert request_id(given) == (text.decode() if isinstance(text, bytes) else text)


@pytest.mark.parametrize(
    "given",
    [[], [""], ["x" * 129], ["a b"], [b"\xff"], ["a\r\nb"], ["a", "a"]],
    ids=["none", "empty", "long", "space", "not ASCII", "line break", "two"],
)
def test_request_id_made(given: list[str | bytes]) -> None:
    """Without exactly one well-formed id, a new one is made each time."""
    first, second = request_id(given), request_id(given)

    assert first != second
    assert len(first) == 32
