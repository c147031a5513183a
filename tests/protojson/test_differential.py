"""Both directions against json_format, on messages and documents at random.

`JSON_CASES` sets how many cases there are in all.
"""

from __future__ import annotations

import json
import math
import os
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from json_cases import (
    TYPES,
    canonical,
    json_format_prints,
    json_format_reads,
    message_class,
    protos,
    same,
    some_document,
    some_message,
)
from stricter import is_listed
from transcoder.errors import InvalidRequest
from transcoder.protojson import from_json, to_json

CASES = int(os.environ.get("JSON_CASES", "5000"))
EACH = settings(
    max_examples=math.ceil(CASES / 2 / len(TYPES)),
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
SEEDS = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("name", TYPES)
@EACH
@given(
    seed=SEEDS,
    print_defaults=st.booleans(),
    proto_names=st.booleans(),
    enum_numbers=st.booleans(),
    int64_numbers=st.booleans(),
    indent=st.sampled_from([None, None, 2, 3]),
)
def test_print(
    name: str,
    seed: int,
    *,
    print_defaults: bool,
    proto_names: bool,
    enum_numbers: bool,
    int64_numbers: bool,
    indent: int | None,
) -> None:
    """Whatever json_format prints is printed the same, and what it cannot is a ValueError."""
    message = some_message(Random(seed), name)
    expected = json_format_prints(
        message,
        always_print_fields_with_no_presence=print_defaults,
        preserving_proto_field_name=proto_names,
        use_integers_for_enums=enum_numbers,
        unquote_int64_if_possible=int64_numbers,
    )

    try:
        data = to_json(
            message,
            print_defaults=print_defaults,
            proto_names=proto_names,
            enum_numbers=enum_numbers,
            int64_numbers=int64_numbers,
            indent=indent,
            pool=protos(),
        )
    except ValueError:
        data = None

    assert expected == (None if data is None else canonical(json.loads(data)))


@pytest.mark.parametrize("name", TYPES)
@EACH
@given(seed=SEEDS, ignore_unknown=st.booleans())
def test_read(name: str, seed: int, *, ignore_unknown: bool) -> None:
    """A document gives the message that json_format reads, or is refused as the list has it."""
    data = some_document(Random(seed), name)
    expected = json_format_reads(data, name, ignore_unknown=ignore_unknown)

    read, refusal = None, None
    try:
        read = from_json(data, message_class(name), ignore_unknown=ignore_unknown, pool=protos())
    except InvalidRequest as error:
        refusal = error

    if refusal is not None:
        assert len(refusal.status.message.encode()) <= 512
        assert expected is None or is_listed(refusal, data, ignore_unknown=ignore_unknown)
    else:
        assert expected is not None
        assert read is not None
        assert same(expected, read)
