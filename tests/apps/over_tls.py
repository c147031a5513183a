"""A server over TLS that describes its services, and the authority of its certificate."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager

import grpc
import trustme
from google.longrunning import operations_pb2_grpc
from grpc_reflection.v1alpha import reflection

CA = trustme.CA()
CLIENT = CA.issue_cert("developer@example.com")
HERE = CA.issue_cert("127.0.0.1")


@contextmanager
def over_tls(*, mutual: bool = False) -> Iterator[str]:
    """Serve operations at 127.0.0.1 to clients that trust `CA`; the target is handed back.

    Args:
        mutual: only to those that show a certificate of `CA`.
    """
    server = grpc.server(futures.ThreadPoolExecutor(2))
    servicer = operations_pb2_grpc.OperationsServicer()
    operations_pb2_grpc.add_OperationsServicer_to_server(servicer, server)  # type: ignore[no-untyped-call]
    names = ["google.longrunning.Operations", reflection.SERVICE_NAME]
    reflection.enable_server_reflection(names, server)
    pair = HERE.private_key_pem.bytes(), HERE.cert_chain_pems[0].bytes()
    credentials = grpc.ssl_server_credentials(
        [pair], CA.cert_pem.bytes() if mutual else None, mutual
    )
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()
