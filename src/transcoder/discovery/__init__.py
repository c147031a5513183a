"""Where the endpoints of a backend are: a list, a file that is watched, or DNS.

    source.py     endpoints, and the seam: whatever can be asked for them
    listed.py     those that somebody wrote down, in a program or in a file
    file.py       a file, asked every second
    records.py    what a name server says, as endpoints
    dns.py        the questions to a name server
    following.py  asks a source again and again, and keeps its last good answer

Nothing here knows what is spoken to an endpoint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from transcoder.lazy import lazy

if TYPE_CHECKING:
    from transcoder.discovery.dns import Dns, Srv
    from transcoder.discovery.file import EndpointFile
    from transcoder.discovery.following import Following
    from transcoder.discovery.listed import Listed
    from transcoder.discovery.source import Answer, Endpoint, Source, Unknown

_HOME = {
    "Answer": "discovery.source",
    "Dns": "discovery.dns",
    "Endpoint": "discovery.source",
    "EndpointFile": "discovery.file",
    "Following": "discovery.following",
    "Listed": "discovery.listed",
    "Source": "discovery.source",
    "Srv": "discovery.dns",
    "Unknown": "discovery.source",
}

__all__ = [
    "Answer",
    "Dns",
    "Endpoint",
    "EndpointFile",
    "Following",
    "Listed",
    "Source",
    "Srv",
    "Unknown",
]

__getattr__ = lazy(__name__, _HOME)


def __dir__() -> list[str]:
    return __all__
