"""A gateway before the user service, which is another process: what a console has to show."""

from __future__ import annotations

import os

from google.longrunning import operations_pb2
from google.protobuf.descriptor_pool import Default

from services.user.v1 import user_service_pb2
from transcoder import Channel, CircuitBreaker, Gateway, Health, Tls
from transcoder.policies import ConcurrencyLimit, IpFilter, RateLimit, RequestId

GATE = "gate.example"
"""What the gateway is called, in its certificate too."""

DELETE = "services.user.v1.UserService.DeleteUser"
NOWHERE = "127.0.0.1:1"


def gate() -> Gateway:
    """Return the gateway; the environment says where the user service is, and what is shown it."""
    folder = os.environ["FLEET"]
    tls = Tls(
        ca=f"{folder}/ca.pem",
        certificate=f"{folder}/gate.pem",
        key=f"{folder}/gate.key",
    )
    gateway = Gateway(
        policies=[
            RequestId(),
            IpFilter(deny=["192.0.2.1"]),
            ConcurrencyLimit(100),
            RateLimit("100000/second"),
        ],
        overrides={DELETE: {"ip-filter": IpFilter(deny=["127.0.0.1"])}},
        health=Health(tolerates=["upstream:google.longrunning.Operations"]),
        pool=Default(),
    )
    users = user_service_pb2.DESCRIPTOR.services_by_name["UserService"]
    operations = operations_pb2.DESCRIPTOR.services_by_name["Operations"]
    gateway.route(users, CircuitBreaker(Channel(os.environ["USERS"], tls=tls)))
    gateway.route(operations, CircuitBreaker(Channel(NOWHERE), by="method"))
    return gateway
