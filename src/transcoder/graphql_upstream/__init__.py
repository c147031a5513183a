"""GraphQL backends: what REST routes ask of them.

document.py    a document, and what of it a route answers with
source.py      where the value of a variable comes from
variables.py   a request, as the values of variables
values.py      text and JSON, as values of GraphQL's types
faults.py      GraphQL's errors, as google.rpc.Status
answer.py      the backend's reply, as the answer
operation.py   a request's way
backend.py     kept connections to the backend

It needs the extra `graphql`.
"""

from __future__ import annotations

from transcoder.graphql_upstream.backend import GraphQl
from transcoder.graphql_upstream.operation import Operation

__all__ = ["GraphQl", "Operation"]
