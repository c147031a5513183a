"""What each policy adds to a request, alone and all together, against the same request without.

    python benchmarks/policies.py

CPU time of a GET of one user through the ASGI application in process, less that of an application
without policies; the median of rounds in which the two take turns, so that the machine's moods hit
both alike. Each case has a process of its own, as gateways have: in one process with all the others
its figures were up to a third higher. The time of the threads that write logs is counted. Tokens
are signed by RS256 with 2,048 bits; a new one is verified, a known one was verified within the last
minute. The second column is the request without policies: where it is not the same in all rows,
others use the machine, and the ratio says more than microseconds.
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
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

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
    """What is switched on."""

    policies: Sequence[Any] = ()
    observers: Sequence[Any] = ()
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Given:
    """What there is for cases.

    Args:
        key: of the issuer.
        folder: for files; `keys.json` in it holds the API key of the requests.
        introspection: where tokens are asked about; once each, in a minute.
    """

    key: RSAKey
    folder: Path
    introspection: str

    def jwt(self, kept: int) -> Jwt:
        """Return a policy that remembers so many tokens."""
        issuer = Issuer(ISSUER, audiences=["api"], keys=self.key.as_dict(private=False))
        require = {"services.user.*": Requirement(scopes=["read"])}
        return Jwt(issuer, forward={"sub": "x-user-id"}, require=require, kept=kept)

    def asking(self) -> Introspection:
        """Return a policy that asks about tokens."""
        told: dict[str, Any] = {"client_id": "gate", "client_secret": "secret"}
        return Introspection(self.introspection, loopback=True, **told)

    def everything(self, kept: int) -> Case:
        """Return what an edge has on, with so many tokens remembered."""
        policies = [RequestId(), RateLimit(MEMORY), self.jwt(kept)]
        return Case(policies, [AccessLog("/dev/null"), Metrics()])


def sampled() -> Traces:
    """Return traces of one call in a hundred."""
    return Traces(TracerProvider(sampler=ParentBased(TraceIdRatioBased(0.01))))


OFF: dict[str, Any] = {"public": ["services.user.*"], "trusted_proxies": ["10.0.0.0/8"]}

CASES: dict[str, Callable[[Given], Case]] = {
    "the doors": lambda _: Case([Passing()]),
    "request id": lambda _: Case([RequestId()]),
    "internal": lambda _: Case([Internal()]),
    "address": lambda _: Case([IpFilter(deny=["10.0.0.0/8"])]),
    "rate limit by address": lambda _: Case([RateLimit(MEMORY)]),
    "concurrency": lambda _: Case([ConcurrencyLimit()]),
    "security headers": lambda _: Case([SecurityHeaders()]),
    "CORS": lambda _: Case([Cors(["https://app.example"])]),
    "compression, too little": lambda _: Case([Compression()]),
    "decompression, none": lambda _: Case([Decompression()]),
    "JWT, a new token": lambda given: Case([given.jwt(TOKENS // 4)]),
    "JWT, a known token": lambda given: Case([given.jwt(TOKENS)]),
    "introspection, a known token": lambda given: Case([given.asking()]),
    "API keys": lambda given: Case([ApiKeys(given.folder / "keys.json")]),
    "certificates": lambda _: Case([MutualTls(["edge.example"])]),
    "authorization": lambda _: Case([Authorization(allow={"services.user.*": Grant()})]),
    "access log": lambda _: Case(observers=[AccessLog("/dev/null")]),
    "audit log": lambda _: Case(observers=[AuditLog("/dev/null")]),
    "metrics": lambda _: Case(observers=[Metrics()]),
    "the last failures, none": lambda _: Case(observers=[Failures()]),
    "policies off, their options given": lambda _: Case(options=OFF),
    "id, log, metrics": lambda _: Case([RequestId()], [AccessLog("/dev/null"), Metrics()]),
    "traces, 1 % sampled": lambda _: Case(observers=[sampled()]),
    "id, limit, JWT (new), log, metrics": lambda given: given.everything(TOKENS // 4),
    "id, limit, JWT (known), log, metrics": lambda given: given.everything(TOKENS),
}

GATES = {
    "policies off, their options given": 2.0,
    "id, log, metrics": 15.0,
    "traces, 1 % sampled": 20.0,
    "id, limit, JWT (new), log, metrics": 90.0,
    "id, limit, JWT (known), log, metrics": 45.0,
}
"""The microseconds that a case may add."""


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


async def cost(
    app: Gateway, sent: Iterator[dict[str, Any]], calls: int, *, logs: bool = False
) -> float:
    """Return what one request costs.

    Args:
        app: what answers.
        sent: the requests.
        calls: how many of them.
        logs: whether threads write of them.
    """
    scopes = list(itertools.islice(sent, calls))
    scopes.reverse()
    begin = time.process_time()
    # A server lets go of a request behind its answer; kept, they would have the collector run.
    while scopes:
        await app(scopes.pop(), receive, send)  # type: ignore[arg-type]
    if logs:
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


class Costs(NamedTuple):
    """What a request costs in microseconds."""

    without: float
    added: float


async def in_turns(what: str, rounds: int, folder: Path) -> Costs:
    """Return what a case costs, and the same without it; medians of rounds."""
    key = SIGNERS["RS256"]
    assert isinstance(key, RSAKey)
    told = tokens(key)
    api_key = create_key(folder / "keys.json", "billing", [], datetime.now(UTC))
    server = await asyncio.start_server(issue, "127.0.0.1", 0)
    url = "http://{}:{}/".format(*server.sockets[0].getsockname())
    case = CASES[what](Given(key, folder, url))
    floor, app = gateway(Case()), gateway(case)
    # Each has its own, so that every token comes equally often.
    plain, sent = requests(told, api_key), requests(told, api_key)
    logs = bool(case.observers)
    await cost(floor, plain, TOKENS)
    await cost(app, sent, TOKENS, logs=logs)
    without, added = [], []
    for _ in range(rounds):
        without.append(await cost(floor, plain, CALLS))
        added.append(await cost(app, sent, CALLS, logs=logs) - without[-1])
    await app.chain.close()
    server.close()
    # The last connections end before the loop does.
    await asyncio.sleep(0.1)
    return Costs(statistics.median(without), statistics.median(added))


def costs(what: str, rounds: int) -> Costs:
    """Return what a case costs, in this process."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(in_turns(what, rounds, Path(folder)))


def signatures(rounds: int) -> dict[str, float]:
    """Return what a signature costs by itself, by algorithm."""
    signing = {algorithm: signature(algorithm) for algorithm in SIGNERS}
    found = [{name: verify(TOKENS // 8) for name, verify in signing.items()} for _ in range(rounds)]
    return {name: statistics.median(each[name] for each in found) for name in signing}


def main() -> int:
    """Print the table; return 1 if a gate was missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("cases", nargs="*", metavar="CASE", help="all of them by default")
    parser.add_argument("--rounds", type=int, default=15, help="15 by default")
    options = parser.parse_args()
    chosen, rounds = options.cases or list(CASES), options.rounds
    for name in set(chosen) - CASES.keys():
        parser.error(f"{name}: there are {'; '.join(CASES)}")
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1) as processes:
        signing = processes.submit(signatures, rounds)
        found = {name: processes.submit(costs, name, rounds) for name in chosen}
        print(f"A request through the application, CPU time, median of {rounds} rounds of {CALLS}")
        for algorithm, each in signing.result().items():
            print(f"  {f'a signature of {algorithm}':<38} {each:7.1f} us")
        print(f"  {'':<38} {'adds':>7}    {'to':>7}    {'ratio':>6}")
        missed = False
        for name, future in found.items():
            without, added = future.result()
            gate = GATES.get(name)
            limit = "" if gate is None else f" (gate {gate:g})"
            if gate is not None and added > gate:
                missed, limit = True, f"{limit[:-1]}, missed)"
            ratio = added / without
            print(f"  {name:<38} {added:+7.1f} us {without:7.1f} us {ratio:6.2f}{limit}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
