"""What programs print, without what is another one each time that they run."""

from __future__ import annotations

import re

VARIES = (
    re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    re.compile(r"(?<=etag\": \")[\w-]+"),
    re.compile(r"(?<=etag\":\")[\w-]+"),
    re.compile(r"null(?=[,}])"),  # The time of calls that there were none of just then.
    re.compile(r"\d+(?:\.\d+)?(?:e-\d+)?"),
)
"""What is another one each time: ids, times, and how many of something there were."""


def masked(text: str) -> str:
    """Return a text without what is another one each time."""
    for each in VARIES:
        text = each.sub("0", text)
    return re.sub(r"[ \t]+", " ", text)
