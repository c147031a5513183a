"""What the programs that run servers take, of what docs/deployment.md gives them.

The names are those of the Compose specification, of the API of Kubernetes (apps/v1), and of
systemd.unit(5), systemd.service(5), systemd.exec(5) and systemd.kill(5). What is not here is
refused: look there whether it is a name before it is written here.
"""

from __future__ import annotations

from typing import Any


def fields(*required: str, **others: Any) -> dict[str, Any]:
    """Return the schema of an object with these fields, and no other.

    Args:
        required: those of `others` that are always there.
        others: the schema of each.
    """
    return {
        "type": "object",
        "required": list(required),
        "properties": others,
        "additionalProperties": False,
    }


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
