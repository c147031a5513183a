"""An admin port, as a test asks it."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

LOCAL = "127.0.0.1:0"


def asked(target: str, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Return what an admin port answers."""
    request = urllib.request.Request(f"http://{target}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read()


def scraped(text: bytes) -> dict[tuple[str, ...], float]:
    """Return the values of a scrape, by name and labels."""
    parse: Any = text_string_to_metric_families
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in parse(text.decode())
        for sample in family.samples
    }
