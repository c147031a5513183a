"""What the programs that run servers take, of what docs/deployment.md gives them.

The names are those of the Compose specification, of the API of Kubernetes (apps/v1), of Envoy's v3
API, and of systemd.unit(5), systemd.service(5), systemd.exec(5) and systemd.kill(5). What is not
here is refused: look there whether it is a name before it is written here.
"""

from __future__ import annotations

from typing import Any


def fields(*required: str, **others: Any) -> dict[str, Any]:
    """Return the schema of an object with these fields, and no other.

    Args:
        required: those of `others` that are always there.
        others: the schema of each.
    """
    return named_fields(others, *required)


def named_fields(schemas: dict[str, Any], *required: str) -> dict[str, Any]:
    """Return the same for names that are none of Python's."""
    return {
        "type": "object",
        "required": list(required),
        "properties": schemas,
        "additionalProperties": False,
    }


def extension(name: str, **others: Any) -> dict[str, Any]:
    """Return the schema of a message of Envoy's in an Any, by its name below `envoy.extensions`."""
    kind = {"const": f"type.googleapis.com/envoy.extensions.{name}"}
    return named_fields({"@type": kind, **others}, "@type")


def items(schema: Any) -> dict[str, Any]:
    """Return the schema of a list that is not empty."""
    return {"type": "array", "items": schema, "minItems": 1}


def values(schema: Any) -> dict[str, Any]:
    """Return the schema of an object whose names are the user's."""
    return {"type": "object", "additionalProperties": schema, "minProperties": 1}


def text(pattern: str) -> dict[str, Any]:
    """Return the schema of texts that match all of a pattern."""
    return {"type": "string", "pattern": f"^(?:{pattern})$"}


TEXT = {"type": "string", "minLength": 1}
FLAG = {"type": "boolean"}
COUNT = {"type": "integer", "minimum": 1}
PORT = {"type": "integer", "minimum": 1, "maximum": 65535}
LABEL = text("[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
SECONDS = text(r"\d+(?:\.\d+)?s")

COMPOSE = fields(
    "services",
    services=values(
        fields(
            build=TEXT,
            command={"type": ["string", "array"]},
            # A number that is no text would be one of YAML's, as 22:22 was in base 60.
            environment=values(TEXT),
            image=TEXT,
            ports=items(text(r"\d+:\d+")),
            restart=text("no|always|on-failure|unless-stopped"),
            stop_grace_period=SECONDS,
            stop_signal=TEXT,
        )
    ),
)

_QUANTITY = text(r"\d+(?:\.\d+)?(?:m|k|M|G|T|Ki|Mi|Gi|Ti)?")
_RESOURCES = fields(cpu=_QUANTITY, memory=_QUANTITY)
_PROBE = fields(
    failureThreshold=COUNT,
    httpGet=fields("path", "port", path=text("/.*"), port=text("[a-z0-9-]{1,15}"), scheme=TEXT),
    initialDelaySeconds=COUNT,
    periodSeconds=COUNT,
    successThreshold=COUNT,
    timeoutSeconds=COUNT,
)
_CONTAINER = fields(
    "name",
    "image",
    name=LABEL,
    image=TEXT,
    args=items(TEXT),
    command=items(TEXT),
    env=items(fields("name", name=TEXT, value=TEXT)),
    livenessProbe=_PROBE,
    ports=items(fields("containerPort", containerPort=PORT, name=text("[a-z0-9-]{1,15}"))),
    readinessProbe=_PROBE,
    resources=fields(limits=_RESOURCES, requests=_RESOURCES),
    securityContext=fields(
        allowPrivilegeEscalation=FLAG,
        readOnlyRootFilesystem=FLAG,
        runAsGroup=COUNT,
        runAsNonRoot=FLAG,
        runAsUser=COUNT,
    ),
    startupProbe=_PROBE,
)
_METADATA = fields(annotations=values(TEXT), labels=values(LABEL), name=LABEL, namespace=LABEL)
DEPLOYMENT = fields(
    "apiVersion",
    "kind",
    "metadata",
    "spec",
    apiVersion={"const": "apps/v1"},
    kind={"const": "Deployment"},
    metadata=_METADATA,
    spec=fields(
        "selector",
        "template",
        minReadySeconds=COUNT,
        replicas=COUNT,
        selector=fields(matchLabels=values(LABEL)),
        template=fields(
            "metadata",
            "spec",
            metadata=_METADATA,
            spec=fields(
                "containers", containers=items(_CONTAINER), terminationGracePeriodSeconds=COUNT
            ),
        ),
    ),
)

_ADDRESS = fields(
    "socket_address",
    socket_address=fields("address", "port_value", address=TEXT, port_value=PORT),
)
_CHECK = fields(
    *("timeout", "interval", "unhealthy_threshold", "healthy_threshold"),
    grpc_health_check=fields(service_name=TEXT),
    healthy_threshold=COUNT,
    http_health_check=fields("path", path=text("/.*")),
    interval=SECONDS,
    timeout=SECONDS,
    unhealthy_threshold=COUNT,
)
_ENDPOINTS = fields(lb_endpoints=items(fields(endpoint=fields("address", address=_ADDRESS))))
_PROTOCOL = "upstreams.http.v3.HttpProtocolOptions"
_CLUSTER = fields(
    *("name", "load_assignment"),
    health_checks=items(_CHECK),
    load_assignment=fields("cluster_name", cluster_name=TEXT, endpoints=items(_ENDPOINTS)),
    name=TEXT,
    type=text("EDS|LOGICAL_DNS|ORIGINAL_DST|STATIC|STRICT_DNS"),
    typed_extension_protocol_options=named_fields(
        {
            f"envoy.extensions.{_PROTOCOL}": extension(
                _PROTOCOL,
                explicit_http_config=fields(
                    http_protocol_options=fields(), http2_protocol_options=fields()
                ),
            )
        }
    ),
)
_FILE = fields("filename", filename=text("/.+"))
_SOCKET = fields(
    *("name", "typed_config"),
    name=text("envoy.transport_sockets.tls"),
    typed_config=extension(
        "transport_sockets.tls.v3.DownstreamTlsContext",
        common_tls_context=fields(
            alpn_protocols=items(text("h2|http/1.1")),
            tls_certificates=items(fields(certificate_chain=_FILE, private_key=_FILE)),
        ),
    ),
)
_ROUTE = fields(
    *("match", "route"),
    match=fields("prefix", grpc=fields(), prefix=text("/.*")),
    route=fields("cluster", cluster=TEXT, timeout=SECONDS),
)
_HOST = fields(*("name", "domains"), name=TEXT, domains=items(TEXT), routes=items(_ROUTE))
_ROUTER = fields(
    *("name", "typed_config"),
    name=text("envoy.filters.http.router"),
    typed_config=extension("filters.http.router.v3.Router"),
)
_MANAGER = fields(
    *("name", "typed_config"),
    name=text("envoy.filters.network.http_connection_manager"),
    typed_config=extension(
        "filters.network.http_connection_manager.v3.HttpConnectionManager",
        http_filters=items(_ROUTER),
        route_config=fields("virtual_hosts", virtual_hosts=items(_HOST)),
        stat_prefix=TEXT,
        stream_idle_timeout=SECONDS,
        upgrade_configs=items(fields("upgrade_type", upgrade_type=text("websocket"))),
        use_remote_address=FLAG,
    ),
)
_CHAIN = fields("filters", filters=items(_MANAGER), transport_socket=_SOCKET)
_LISTENER = fields("address", address=_ADDRESS, filter_chains=items(_CHAIN), name=TEXT)
ENVOY = fields(
    "static_resources",
    static_resources=fields(clusters=items(_CLUSTER), listeners=items(_LISTENER)),
)

_UNITS = r"[\w@-]+\.(?:service|socket|target)(?: [\w@-]+\.(?:service|socket|target))*"
UNIT = fields(
    "Unit",
    "Service",
    "Install",
    Unit=fields("Description", After=text(_UNITS), Description=TEXT, Wants=text(_UNITS)),
    Service=fields(
        "ExecStart",
        DynamicUser=text("yes|no"),
        Environment=text(r"\w+=\S+(?: \w+=\S+)*"),
        ExecStart=text(r"/\S+(?: \S+)*"),
        KillMode=text("control-group|mixed|none|process"),
        Restart=text("always|no|on-(?:abnormal|abort|failure|success|watchdog)"),
        TimeoutStopSec=text(r"\d+"),
        Type=text("dbus|exec|forking|idle|notify|notify-reload|oneshot|simple"),
        WorkingDirectory=text(r"/\S*"),
    ),
    Install=fields("WantedBy", WantedBy=text(_UNITS)),
)
