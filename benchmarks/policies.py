"""What each policy adds to a request, alone and all together, against the same request without.

    python benchmarks/policies.py

CPU time of a GET of one user through the ASGI application in process, less that of an application
without policies; the median of rounds that take turns, so that the machine's moods hit all alike.
The time of the threads that write logs is counted. Tokens are signed by RS256 with 2,048 bits; a
new one is verified, a known one was verified within the last minute. The last column is what is
added in requests without policies, which says more than microseconds on a machine that others use.
Exit code 1: a gate was missed.

Every request brings a token, an API key, a certificate's name and an origin, whether something
looks at them or not. "The doors" is what stands around the first policy, whichever it is: a part
of each figure, and once of that of all together.

Left out: the server, the network, the gRPC door, refusals, a shared limit (which waits for its
store), bodies that are compressed, traces that are sampled, and what a servicer that reads its
metadata pays for more of them. "A signature" is verified by itself, over and over: between other
things, as in a request, it takes half as much again.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from in_process import receive, request, send
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

from services.user.v1.user_service_pb2 import GetUserRequest, User
from services.user.v1.user_service_pb2_grpc import (
    UserServiceServicer,
    add_UserServiceServicer_to_server,
)
from transcoder import Gateway
from transcoder.calls import IDENTITY
from transcoder.observers import AccessLog, AuditLog, Metrics, Traces
from transcoder.observers.failures import Failures
from transcoder.policies import (
    ApiKeys,
    Authorization,
    CallDetails,
    Compression,
    ConcurrencyLimit,
    Cors,
    Decompression,
    Grant,
    Internal,
    Introspection,
    IpFilter,
    Issuer,
    Jwt,
    MutualTls,
    Now,
    RateLimit,
    RequestId,
    Requirement,
    SecurityHeaders,
    Stage,
)
from transcoder.policies.key_file import create_key
from transcoder.policies.key_set import KeySet

TOKENS = 256
"""Different ones; a policy that remembers fewer of them finds each one new."""
CALLS = 8 * TOKENS
"""Of a round: that a thread is woken and caches are cold is then a part that does not count."""
ISSUER = "https://login.example"
MEMORY = "10000000/second"
WRITTEN = 0.08
"""Seconds after which a log has written what it was told."""


class Passing:
    """Lets every call pass."""

    name = "passing"
    stage = Stage.ADDRESS

    def decide(self, call: CallDetails, now: Now) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class Case:
    """What is switched on, and the microseconds that it may add, if that is bounded."""

    what: str
    policies: Sequence[Any] = ()
    observers: Sequence[Any] = ()
    gate: float | None = None
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class Measured:
    """The costs of a case in microseconds, one for each round."""

    case: Case
    requests: Iterator[dict[str, Any]]
    app: Gateway
    costs: list[float] = field(default_factory=list)


def knowing(key: RSAKey, kept: int) -> Jwt:
    """Return a policy that remembers so many tokens."""
    issuer = Issuer(ISSUER, audiences=["api"], keys=key.as_dict(private=False))
    require = {"services.user.*": Requirement(scopes=["read"])}
    return Jwt(issuer, forward={"sub": "x-user-id"}, require=require, kept=kept)


def together(key: RSAKey) -> list[Case]:
    """Return what is measured together; each with what it may cost."""

    def everything(kept: int, gate: float, what: str) -> Case:
        policies = [RequestId(), RateLimit(MEMORY), knowing(key, kept)]
        return Case(what, policies, [AccessLog("/dev/null"), Metrics()], gate)

    sampled = TracerProvider(sampler=ParentBased(TraceIdRatioBased(0.01)))
    off: dict[str, Any] = {"public": ["services.user.*"], "trusted_proxies": ["10.0.0.0/8"]}
    return [
        Case("policies off, their options given", gate=2.0, options=off),
        Case("id, log, metrics", [RequestId()], [AccessLog("/dev/null"), Metrics()], 15.0),
        Case("traces, 1 % sampled", observers=[Traces(sampled)], gate=20.0),
        everything(TOKENS // 4, 90.0, "id, limit, JWT (new), log, metrics"),
        everything(TOKENS, 45.0, "id, limit, JWT (known), log, metrics"),
    ]


def alone(key: RSAKey, folder: Path, introspection: str) -> list[Case]:
    """Return the policies that are measured by themselves.

    Args:
        key: of the issuer.
        folder: for files.
        introspection: where tokens are asked about; once each, in a minute.
    """
    told: dict[str, Any] = {"client_id": "gate", "client_secret": "secret"}
    asking = Introspection(introspection, loopback=True, **told)
    return [
        Case("the doors", [Passing()]),
        Case("request id", [RequestId()]),
        Case("internal", [Internal()]),
        Case("address", [IpFilter(deny=["10.0.0.0/8"])]),
        Case("rate limit by address", [RateLimit(MEMORY)]),
        Case("concurrency", [ConcurrencyLimit()]),
        Case("security headers", [SecurityHeaders()]),
        Case("CORS", [Cors(["https://app.example"])]),
        Case("compression, too little", [Compression()]),
        Case("decompression, none", [Decompression()]),
        Case("JWT, a new token", [knowing(key, TOKENS // 4)]),
        Case("JWT, a known token", [knowing(key, TOKENS)]),
        Case("introspection, a known token", [asking]),
        Case("API keys", [ApiKeys(folder / "keys.json")]),
        Case("certificates", [MutualTls(["edge.example"])]),
        Case("authorization", [Authorization(allow={"services.user.*": Grant()})]),
        Case("access log", observers=[AccessLog("/dev/null")]),
        Case("audit log", observers=[AuditLog("/dev/null")]),
        Case("metrics", observers=[Metrics()]),
        Case("the last failures, none", observers=[Failures()]),
    ]


class Users(UserServiceServicer):
    """Answers GetUser."""

    user = User(id="1", name="Ada Lovelace", email="ada@example.com")

    async def GetUser(self, request: GetUserRequest, context: Any) -> User:
        """Return one user."""
        return self.user


def gateway(case: Case) -> Gateway:
    """Return the application of a case."""
    app = Gateway(policies=case.policies, observers=case.observers, **case.options)
    add_UserServiceServicer_to_server(Users(), app)  # type: ignore[arg-type]
    app.compile()
    return app


def tokens(key: RSAKey) -> list[str]:
    """Return tokens of different callers."""
    now = int(time.time())
    told = {"iss": ISSUER, "aud": "api", "iat": now, "exp": now + 3600, "scope": "read write"}
    head = {"alg": "RS256", "kid": key.kid}
    return [jwt.encode(head, {**told, "sub": f"user-{n}"}, key) for n in range(TOKENS)]


def requests(told: Sequence[str], api_key: str) -> Iterator[dict[str, Any]]:
    """Return scopes of requests, with one token after another."""
    for token in itertools.cycle(told):
        yield request(
            (b"authorization", b"Bearer " + token.encode()),
            (b"x-api-key", api_key.encode()),
            (b"origin", b"https://app.example"),
            host=b"api.example.com",
            **{IDENTITY: {"x509_subject_alternative_name": [b"edge.example"]}},
        )


async def cost(measured: Measured, calls: int) -> float:
    """Return what one request costs."""
    scopes = list(itertools.islice(measured.requests, calls))
    scopes.reverse()
    begin = time.process_time()
    # A server lets go of a request behind its answer; kept, they would have the collector run.
    while scopes:
        await measured.app(scopes.pop(), receive, send)  # type: ignore[arg-type]
    if measured.case.observers:
        # The threads of logs write a moment later: that is this case's, and not the next one's.
        time.sleep(WRITTEN)  # noqa: ASYNC251  nothing else is to run
    return (time.process_time() - begin) / calls * 1e6


SIGNERS: dict[str, RSAKey | ECKey | OKPKey] = {
    "RS256": RSAKey.generate_key(2048, {"kid": "1"}),
    "ES256": ECKey.generate_key("P-256"),
    "ES384": ECKey.generate_key("P-384"),
    "Ed25519": OKPKey.generate_key("Ed25519"),
}


def signature(algorithm: str) -> Callable[[int], float]:
    """Return what measures a signature by itself."""
    key, data = SIGNERS[algorithm], b"x" * 300
    made = JWSRegistry.algorithms[algorithm].sign(data, key)
    keys = KeySet([key.as_dict(private=False)], [algorithm])
    [verifier] = keys.find(algorithm, key.kid)

    def measure(calls: int) -> float:
        begin = time.process_time()
        for _ in range(calls):
            assert verifier.verifies(data, made)
        return (time.process_time() - begin) / calls * 1e6

    return measure


async def issue(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say of every token that it is active."""
    said = {"active": True, "sub": "ann", "exp": int(time.time()) + 3600}
    body = json.dumps(said).encode()
    with contextlib.suppress(asyncio.IncompleteReadError):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            await reader.readexactly(int(head.partition("content-length: ")[2].split("\r")[0]))
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
    writer.close()


async def measure(rounds: int, folder: Path) -> tuple[list[Measured], dict[str, list[float]]]:
    """Return the costs of all cases, and of signatures by themselves."""
    key = SIGNERS["RS256"]
    assert isinstance(key, RSAKey)
    told = tokens(key)
    api_key = create_key(folder / "keys.json", "billing", [], datetime.now(UTC))
    server = await asyncio.start_server(issue, "127.0.0.1", 0)
    url = "http://{}:{}/".format(*server.sockets[0].getsockname())
    cases = [Case("nothing"), *alone(key, folder, url), *together(key)]
    found = [Measured(case, requests(told, api_key), gateway(case)) for case in cases]
    signing = {algorithm: signature(algorithm) for algorithm in SIGNERS}
    signatures: dict[str, list[float]] = {algorithm: [] for algorithm in SIGNERS}
    for each in found:
        await cost(each, TOKENS)
    for _ in range(rounds):
        for each in found:
            each.costs.append(await cost(each, CALLS))
        for algorithm, costs in signatures.items():
            costs.append(signing[algorithm](TOKENS // 8))
    for each in found:
        await each.app.chain.close()
    server.close()
    # The last connections end before the loop does.
    await asyncio.sleep(0.1)
    return found, signatures


def main() -> int:
    """Print the table; return 1 if a gate was missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15, help="15 by default")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        (floor, *others), signatures = asyncio.run(measure(rounds, Path(folder)))
    print(f"A request through the application, CPU time, median of {rounds} rounds of {CALLS}")
    without = statistics.median(floor.costs)
    print(f"  {'without policies':<38} {without:7.1f} us")
    for algorithm, costs in signatures.items():
        print(f"  {f'a signature of {algorithm}':<38} {statistics.median(costs):7.1f} us")
    missed = False
    for each in others:
        pairs = zip(each.costs, floor.costs, strict=True)
        added = statistics.median(high - low for high, low in pairs)
        gate = each.case.gate
        limit = "" if gate is None else f" (gate {gate:g})"
        if gate is not None and added > gate:
            missed, limit = True, f"{limit[:-1]}, missed)"
        print(f"  {each.case.what:<38} {added:+7.1f} us {added / without:6.2f}{limit}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
