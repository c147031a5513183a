"""Why a JSON document is not a message: the first place where it stops to fit, in plain words.

It walks the document beside the descriptor and tells the JSON path and what was expected there;
never the value, never a list of fields. What it finds wrong is refused, whatever json_format
says: docs/json.md lists where the two differ. What it lets pass, json_format decides.
"""

from __future__ import annotations

import json
from typing import Any

from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message

from transcoder.errors import InvalidRequest
from transcoder.protojson.document import parse
from transcoder.protojson.members import Problem
from transcoder.protojson.walk import DEPTH, Walk


def refusal(
    data: bytes,
    message_class: type[Message],
    *,
    ignore_unknown: bool = False,
    pool: DescriptorPool | None = None,
) -> InvalidRequest:
    """Return the error that tells a client why its document was refused."""
    problem = problem_in(data, message_class, ignore_unknown=ignore_unknown, pool=pool)
    if problem is not None:
        return problem
    return InvalidRequest("the JSON does not fit the message")


def problem_in(
    data: bytes,
    message_class: type[Message],
    *,
    ignore_unknown: bool = False,
    pool: DescriptorPool | None = None,
) -> InvalidRequest | None:
    """Return what is wrong with a document, None when there is nothing that can be told.

    Args:
        data: the document.
        message_class: what it should be.
        ignore_unknown: keys that name no field, and unknown names of enum values, are passed over.
        pool: where the types inside `google.protobuf.Any` are looked up.
    """
    try:
        document = parse(data)
    except UnicodeDecodeError as error:
        return InvalidRequest(f"the JSON is not UTF-8: bad byte at offset {error.start}")
    except json.JSONDecodeError as error:
        problem = error.msg[:1].lower() + error.msg[1:]
        return InvalidRequest(f"not JSON: line {error.lineno}, column {error.colno}: {problem}")
    except RecursionError:
        return InvalidRequest(f"not JSON of this message: nested over {DEPTH} levels deep")
    except ValueError:
        return InvalidRequest("not JSON of this message: a number is too long")
    descriptor: Any = message_class.DESCRIPTOR
    try:
        Walk(ignore_unknown=ignore_unknown, pool=pool).message(document, descriptor)
    except Problem as found:
        return InvalidRequest(found.text, found.path)
    return None
