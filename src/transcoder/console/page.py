"""The console as a page."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Final

from transcoder import page_assets
from transcoder.console import explained, html, tables
from transcoder.console.look import Question
from transcoder.console.view import View

PATH: Final = "/console"
EXPLAIN: Final = "/console/explain"

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")


@functools.cache
def _assets() -> tuple[str, str, str]:
    package = "transcoder.console"
    text, script = (page_assets.read(package, f"console.{kind}") for kind in ("html", "js"))
    return text, page_assets.style(package, "console.css"), script


def policy() -> str:
    """Return the Content-Security-Policy of the console's pages."""
    _, style, script = _assets()
    return page_assets.policy(script, style, forms="'self'")


def _page(title: str, body: str) -> bytes:
    text, style, script = _assets()
    given = {"TITLE": html.text(title), "STYLE": style, "SCRIPT": script, "BODY": body}
    before, *rest = text.split("%")
    parts = [given.get(part, part) for part in rest]
    return "".join([before, *parts]).encode("utf-8", "replace")


def console(view: View) -> bytes:
    """Return the console."""
    sections = (
        _header(view),
        _problems(view.ready),
        _section("Who calls whom", tables.topology(view)),
        _section("Routes", tables.routes(view.history)),
        _section("Backends", tables.backends(view)),
        _section("Failures", tables.failures(view.look.failures)),
        _section("Limits", tables.limits(view.look)),
    )
    form = _section("Why does a request go where it goes?", _form(Question()))
    return _page(f"{view.name}: console", f'<div id="live">{"".join(sections)}</div>{form}')


def explanation(name: str, question: Question, told: Mapping[str, Any] | None) -> bytes:
    """Return the page that explains a request.

    Args:
        name: of the process.
        question: what is asked.
        told: the answer, as `explained.plain` has it; None where nothing was asked.
    """
    found = "" if told is None else f"<section>{explained.shown(told)}</section>"
    head = f'<header><h1>{html.text(name)}</h1><a href="{PATH}">console</a></header>'
    title = "Why does a request go where it goes?"
    return _page(f"{name}: explain", head + _section(title, _form(question)) + found)


def _section(title: str, inside: str) -> str:
    return f"<section><h2>{title}</h2>{inside}</section>" if inside else ""


def _header(view: View) -> str:
    status = html.text(str(view.ready["status"]))
    workers = [str(each["worker"]) for each in view.ready.get("workers", ())]
    links = "".join(
        f'<a href="{PATH}{f"?worker={worker}" if worker else ""}"'
        f"{' aria-current=page' if worker == view.worker else ''}>"
        f"{f'worker {worker}' if worker else 'all workers'}</a>"
        for worker in ["", *workers]
    )
    nav = f"<nav>{links}</nav>" if workers else ""
    return (
        f'<header><h1>{html.text(view.name)}</h1><span class="state {status}">{status}</span>'
        f"{nav}</header>"
    )


def _problems(ready: Mapping[str, Any]) -> str:
    """Return what is amiss, of all processes."""
    told: list[tuple[str, str]] = []
    for each in ready.get("workers", [ready]):
        where = f"worker {each['worker']}: " if "worker" in each else ""
        if "problem" in each:
            told.append((where, each["problem"]))
        told += [
            (f"{where}{check['name']}: ", check["problem"])
            for check in each.get("checks", ())
            if check.get("problem")
        ]
    return "".join(f'<p class="bad">{html.text(where + what)}</p>' for where, what in told)


def _form(question: Question) -> str:
    names = _METHODS if question.method in _METHODS else (*_METHODS, question.method)
    options = "".join(
        f"<option{' selected' if name == question.method else ''}>{html.text(name)}</option>"
        for name in names
    )
    return (
        f'<form action="{EXPLAIN}">'
        f'<label for="method">Method</label><select id="method" name="method">{options}</select>'
        '<label for="target">Path and query</label><input class="code" id="target" name="target" '
        f'required placeholder="/v1/users/42?x=1" value="{html.text(question.target)}">'
        '<label for="body">Body</label><textarea id="body" name="body" rows="3">'
        # The first line break of a text area is none of its text.
        f"\n{html.text(question.body, lines=True)}</textarea>"
        '<label for="content_type">Its type</label><input id="content_type" name="content_type" '
        f'value="{html.text(question.content_type)}">'
        "<button>Explain</button></form>"
    )
