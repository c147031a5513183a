"""Why a request goes where it goes, as JSON has it and as a page shows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from transcoder.console.html import text
from transcoder.explain import Explanation, explain
from transcoder.transcoder import Transcoder

LONGEST: Final = 16 << 10
"""Bytes of a body; what is beyond is cut."""


def plain(transcoder: Transcoder, question: Mapping[str, str]) -> dict[str, Any]:
    """Return what becomes of a request.

    Args:
        transcoder: that would take it.
        question: the fields of `look.Question`.
    """
    body = question["body"].encode("utf-8", "replace")[:LONGEST]
    target = question["target"].encode("ascii", "backslashreplace").decode()
    found = explain(transcoder, question["method"], target, body, question["content_type"])
    return _plain(found)


def _plain(found: Explanation) -> dict[str, Any]:
    route, error = found.route, found.error
    return {
        "route": None if route is None else [route.name, f"{route.method} {route.template}"],
        "bound": [
            [each.origin, each.name, each.value, each.field, each.note] for each in found.bound
        ],
        "request": found.request,
        "error": ""
        if error is None
        else f"{error.http} {error.status.code.name}: {error.status.message}",
        "allow": list(found.allow),
        "candidates": [
            [f"{each.route.method} {each.route.template}", each.route.name, each.stopped]
            for each in found.candidates
        ],
    }


def shown(told: Mapping[str, Any]) -> str:
    """Return it as HTML."""
    return "".join(_parts(told))


def _parts(told: Mapping[str, Any]) -> Iterator[str]:
    if problem := told.get("problem"):
        yield f'<p class="bad">{text(problem)}</p>'
        return
    if told["error"]:
        yield f'<p class="bad">{text(told["error"])}</p>'
    if told["allow"]:
        yield f"<p>204 with Allow: {text(', '.join(told['allow']))}</p>"
    if told["route"]:
        name, route = told["route"]
        yield f"<p><strong>{text(name)}</strong> <code>{text(route)}</code></p>"
    if told["bound"]:
        rows = "".join(f"<tr>{_cells(each)}</tr>" for each in told["bound"])
        heads = "".join(f"<th>{each}</th>" for each in ("from", "name", "value", "field", ""))
        yield f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
    if told["request"]:
        yield f"<h3>The message</h3><pre>{text(told['request'], lines=True)}</pre>"
    if told["candidates"]:
        title = "Others" if told["route"] else "The nearest routes"
        rows = "".join(f"<tr>{_cells(each)}</tr>" for each in told["candidates"])
        yield f"<h3>{title}</h3><table><tbody>{rows}</tbody></table>"


def _cells(values: list[str]) -> str:
    return "".join(f"<td>{text(each)}</td>" for each in values)
