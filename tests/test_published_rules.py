"""Rules of Google's services, as their protos publish them, load and route."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import pytest
from google.api import annotations_pb2
from google.api.http_pb2 import HttpRule
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from google.protobuf.descriptor_pool import DescriptorPool

from transcoder.check import check
from transcoder.descriptors import Descriptors, SourceInfo
from transcoder.path_template import Kind, PathTemplate
from transcoder.profile import GOOGLE, GRPC_GATEWAY, Profile
from transcoder.transcoder import Transcoder

# Each line is a method, a binding and its body; a method's further lines are additional bindings.

FIRESTORE = """
GetDocument GET /v1/{name=projects/*/databases/*/documents/*/**}
ListDocuments GET /v1/{parent=projects/*/databases/*/documents/*/**}/{collection_id}
ListDocuments GET /v1/{parent=projects/*/databases/*/documents}/{collection_id}
UpdateDocument PATCH /v1/{document.name=projects/*/databases/*/documents/*/**} document
DeleteDocument DELETE /v1/{name=projects/*/databases/*/documents/*/**}
BatchGetDocuments POST /v1/{database=projects/*/databases/*}/documents:batchGet *
BeginTransaction POST /v1/{database=projects/*/databases/*}/documents:beginTransaction *
Commit POST /v1/{database=projects/*/databases/*}/documents:commit *
Rollback POST /v1/{database=projects/*/databases/*}/documents:rollback *
RunQuery POST /v1/{parent=projects/*/databases/*/documents}:runQuery *
RunQuery POST /v1/{parent=projects/*/databases/*/documents/*/**}:runQuery *
RunAggregationQuery POST /v1/{parent=projects/*/databases/*/documents}:runAggregationQuery *
RunAggregationQuery POST /v1/{parent=projects/*/databases/*/documents/*/**}:runAggregationQuery *
PartitionQuery POST /v1/{parent=projects/*/databases/*/documents}:partitionQuery *
PartitionQuery POST /v1/{parent=projects/*/databases/*/documents/*/**}:partitionQuery *
Write POST /v1/{database=projects/*/databases/*}/documents:write *
Listen POST /v1/{database=projects/*/databases/*}/documents:listen *
ListCollectionIds POST /v1/{parent=projects/*/databases/*/documents}:listCollectionIds *
ListCollectionIds POST /v1/{parent=projects/*/databases/*/documents/*/**}:listCollectionIds *
BatchWrite POST /v1/{database=projects/*/databases/*}/documents:batchWrite *
CreateDocument POST /v1/{parent=projects/*/databases/*/documents/**}/{collection_id} document
"""

PUBLISHER = """
CreateTopic PUT /v1/{name=projects/*/topics/*} *
UpdateTopic PATCH /v1/{topic.name=projects/*/topics/*} *
Publish POST /v1/{topic=projects/*/topics/*}:publish *
GetTopic GET /v1/{topic=projects/*/topics/*}
ListTopics GET /v1/{project=projects/*}/topics
ListTopicSubscriptions GET /v1/{topic=projects/*/topics/*}/subscriptions
ListTopicSnapshots GET /v1/{topic=projects/*/topics/*}/snapshots
DeleteTopic DELETE /v1/{topic=projects/*/topics/*}
DetachSubscription POST /v1/{subscription=projects/*/subscriptions/*}:detach
CreateSubscription PUT /v1/{name=projects/*/subscriptions/*} *
GetSubscription GET /v1/{subscription=projects/*/subscriptions/*}
UpdateSubscription PATCH /v1/{subscription.name=projects/*/subscriptions/*} *
ListSubscriptions GET /v1/{project=projects/*}/subscriptions
ModifyAckDeadline POST /v1/{subscription=projects/*/subscriptions/*}:modifyAckDeadline *
Pull POST /v1/{subscription=projects/*/subscriptions/*}:pull *
Seek POST /v1/{subscription=projects/*/subscriptions/*}:seek *
GetIamPolicy GET /v1/{resource=projects/*/topics/*}:getIamPolicy
GetIamPolicy GET /v1/{resource=projects/*/subscriptions/*}:getIamPolicy
SetIamPolicy POST /v1/{resource=projects/*/topics/*}:setIamPolicy *
SetIamPolicy POST /v1/{resource=projects/*/subscriptions/*}:setIamPolicy *
"""

IAM_POLICY = """
SetIamPolicy POST /v1/{resource=**}:setIamPolicy *
GetIamPolicy POST /v1/{resource=**}:getIamPolicy *
TestIamPermissions POST /v1/{resource=**}:testIamPermissions *
"""

OWNERS = ("projects", "organizations", "folders", "billingAccounts")

LOGGING = "\n".join(
    [
        "DeleteLog DELETE /v2/{log_name=*/*/logs/*}",
        *(f"DeleteLog DELETE /v2/{{log_name={owner}/*/logs/*}}" for owner in OWNERS),
        "ListLogEntries POST /v2/entries:list *",
        "WriteLogEntries POST /v2/entries:write *",
        "TailLogEntries POST /v2/entries:tail *",
        "ListMonitoredResourceDescriptors GET /v2/monitoredResourceDescriptors",
        "ListLogs GET /v2/{parent=*/*}/logs",
        *(f"ListLogs GET /v2/{{parent={owner}/*}}/logs" for owner in OWNERS),
        "ListBuckets GET /v2/{parent=*/*/locations/*}/buckets",
        *(f"ListBuckets GET /v2/{{parent={owner}/*/locations/*}}/buckets" for owner in OWNERS),
        "CreateBucketAsync POST /v2/{parent=*/*/locations/*}/buckets:createAsync bucket",
        "GetSink GET /v2/{sink_name=*/*/sinks/*}",
        *(f"GetSink GET /v2/{{sink_name={owner}/*/sinks/*}}" for owner in OWNERS),
        "UpdateSink PUT /v2/{sink_name=*/*/sinks/*} sink",
        *(f"UpdateSink PUT /v2/{{sink_name={owner}/*/sinks/*}} sink" for owner in OWNERS),
        *(f"UpdateSink PATCH /v2/{{sink_name={owner}/*/sinks/*}} sink" for owner in OWNERS),
    ]
)

CLOUD_BUILD = """
CreateBuild POST /v1/projects/{project_id}/builds build
CreateBuild POST /v1/{parent=projects/*/locations/*}/builds build
GetBuild GET /v1/projects/{project_id}/builds/{id}
GetBuild GET /v1/{name=projects/*/locations/*/builds/*}
ListBuilds GET /v1/projects/{project_id}/builds
ListBuilds GET /v1/{parent=projects/*/locations/*}/builds
CancelBuild POST /v1/projects/{project_id}/builds/{id}:cancel *
CancelBuild POST /v1/{name=projects/*/locations/*/builds/*}:cancel *
ApproveBuild POST /v1/{name=projects/*/builds/*}:approve *
ApproveBuild POST /v1/{name=projects/*/locations/*/builds/*}:approve *
UpdateBuildTrigger PATCH /v1/projects/{project_id}/triggers/{trigger_id} trigger
UpdateBuildTrigger PATCH /v1/{trigger.resource_name=projects/*/locations/*/triggers/*} trigger
RunBuildTrigger POST /v1/projects/{project_id}/triggers/{trigger_id}:run source
RunBuildTrigger POST /v1/{name=projects/*/locations/*/triggers/*}:run *
ReceiveTriggerWebhook POST /v1/projects/{project_id}/triggers/{trigger}:webhook body
ReceiveTriggerWebhook POST /v1/{name=projects/*/locations/*/triggers/*}:webhook body
"""

SPANNER = """
CreateSession POST /v1/{database=projects/*/instances/*/databases/*}/sessions *
BatchCreateSessions POST /v1/{database=projects/*/instances/*/databases/*}/sessions:batchCreate *
GetSession GET /v1/{name=projects/*/instances/*/databases/*/sessions/*}
ListSessions GET /v1/{database=projects/*/instances/*/databases/*}/sessions
DeleteSession DELETE /v1/{name=projects/*/instances/*/databases/*/sessions/*}
ExecuteSql POST /v1/{session=projects/*/instances/*/databases/*/sessions/*}:executeSql *
Read POST /v1/{session=projects/*/instances/*/databases/*/sessions/*}:read *
StreamingRead POST /v1/{session=projects/*/instances/*/databases/*/sessions/*}:streamingRead *
Commit POST /v1/{session=projects/*/instances/*/databases/*/sessions/*}:commit *
"""

COMPUTE = """
AggregatedList GET /compute/v1/projects/{project}/aggregated/instances
BulkInsert POST /compute/v1/projects/{project}/zones/{zone}/instances/bulkInsert resource
Delete DELETE /compute/v1/projects/{project}/zones/{zone}/instances/{instance}
Get GET /compute/v1/projects/{project}/zones/{zone}/instances/{instance}
GetIamPolicy GET /compute/v1/projects/{project}/zones/{zone}/instances/{resource}/getIamPolicy
Insert POST /compute/v1/projects/{project}/zones/{zone}/instances instance_resource
SetLabels POST /compute/v1/projects/{project}/zones/{zone}/instances/{instance}/setLabels resource
"""

STREAMS = {"Write", "Listen", "TailLogEntries"}

Fields: TypeAlias = "dict[str, Fields | None]"
"""Names of fields; one with fields of its own is a message."""


def lines(table: str) -> list[list[str]]:
    return [[*line.split(), ""][:4] for line in table.strip().splitlines()]


def rule(rows: Sequence[Sequence[str]]) -> HttpRule:
    """The rule of one method."""
    made = [HttpRule(body=body) for *_, body in rows]
    for each, (_, method, path, _) in zip(made, rows, strict=True):
        setattr(each, method.lower(), path)
    made[0].additional_bindings.extend(made[1:])
    return made[0]


def fields(rows: Sequence[Sequence[str]]) -> Fields:
    """The fields that the bindings of one method name."""
    found: Fields = {}
    for _, _, path, body in rows:
        if body not in {"", "*"}:
            found.setdefault(body, {})
        for variable in PathTemplate.parse(path).variables:
            inside = found
            for name in variable.field_path[:-1]:
                below = inside.setdefault(name, {})
                assert below is not None
                inside = below
            inside.setdefault(variable.field_path[-1], None)
    return found


def message(name: str, found: Fields) -> DescriptorProto:
    made = DescriptorProto(name=name)
    for number, (each, inside) in enumerate(found.items(), 1):
        field = made.field.add(name=each, number=number, label=FieldDescriptorProto.LABEL_OPTIONAL)
        if inside is None:
            field.type = FieldDescriptorProto.TYPE_STRING
        else:
            made.nested_type.append(message(each.title(), inside))
            field.type = FieldDescriptorProto.TYPE_MESSAGE
            field.type_name = each.title()
    return made


@functools.cache
def published(table: str) -> Descriptors:
    """A service with the methods of a table, and messages that have the fields they need."""
    file = FileDescriptorProto(name="api.proto", package="api", syntax="proto3")
    service = file.service.add(name="Service")
    file.message_type.add(name="Reply")
    rows = lines(table)
    http: Any = annotations_pb2.http
    for name in dict.fromkeys(row[0] for row in rows):
        own = [row for row in rows if row[0] == name]
        file.message_type.append(message(f"{name}Request", fields(own)))
        rpc = service.method.add(
            name=name, input_type=f"{name}Request", output_type="Reply", server_streaming=False
        )
        rpc.client_streaming = rpc.server_streaming = name in STREAMS
        rpc.options.Extensions[http].CopyFrom(rule(own))
    pool = DescriptorPool()
    pool.Add(file)
    found = pool.FindServiceByName("api.Service")
    return Descriptors(pool=pool, services=(found,), source=SourceInfo([file]))


def requests(tables: Iterable[str]) -> Iterable[tuple[str, str, str, str]]:
    """A request for each binding, and the method it is for."""
    for table in tables:
        for name, method, text, _ in lines(table):
            template = PathTemplate.parse(text)
            parts = [
                {Kind.LITERAL: each.text, Kind.WILDCARD: "x-1"}.get(each.kind, "y-1/y-2")
                for each in template.segments
            ]
            verb = f":{template.verb}" if template.verb else ""
            yield table, method, f"/{'/'.join(parts)}{verb}", name


TABLES = [FIRESTORE, PUBLISHER, IAM_POLICY, LOGGING, CLOUD_BUILD, SPANNER, COMPUTE]
# A document has the paths of a collection in one: the most specific rule, which lists, answers.
HIDDEN = {("GetDocument", "GET")}


@pytest.mark.parametrize("table", TABLES)
def test_loads(table: str) -> None:
    """Published rules are no problem; a route that never answers is noted."""
    told = check(published(table))

    assert not any(problem.fatal for problem in told)
    assert all("api.Service.GetDocument (GET " in problem.message for problem in told)


@pytest.mark.parametrize(("table", "method", "path", "name"), [*requests(TABLES)])
def test_routes(table: str, method: str, path: str, name: str) -> None:
    """A request of each binding goes to its method."""
    match = Transcoder(published(table).services).match(method, path)

    expected = "ListDocuments" if (name, method) in HIDDEN else name
    assert match.route.name == f"api.Service.{expected}"


@pytest.mark.parametrize(
    ("request_", "name"),
    [
        ("GET /v1/projects/p/databases/(default)/documents/users", "ListDocuments"),
        # A document's path is a collection's too, by the published templates.
        ("GET /v1/projects/p/databases/(default)/documents/users/a", "ListDocuments"),
        ("GET /v1/projects/p/databases/(default)/documents/users/a/posts", "ListDocuments"),
        ("DELETE /v1/projects/p/databases/(default)/documents/users/a", "DeleteDocument"),
        ("POST /v1/projects/p/databases/(default)/documents/users", "CreateDocument"),
        ("POST /v1/projects/p/databases/(default)/documents:write", "Write"),
        ("POST /v1/projects/p/databases/(default)/documents:listen", "Listen"),
        ("POST /v1/projects/p/databases/(default)/documents:runQuery", "RunQuery"),
        ("POST /v1/projects/p/databases/(default)/documents/users/a:runQuery", "RunQuery"),
    ],
)
def test_firestore(request_: str, name: str) -> None:
    """Requests that Firestore's clients send go to their methods."""
    match = Transcoder(published(FIRESTORE).services).match(*request_.split(" "))

    assert match.route.name == f"api.Service.{name}"


@pytest.mark.parametrize("profile", [GOOGLE, GRPC_GATEWAY])
def test_firestore_documents_and_collections(profile: Profile) -> None:
    """In no profile a document is got by the published rule: a list takes all its paths."""
    transcoder = Transcoder(published(FIRESTORE).services, profile=profile)
    documents = "/v1/projects/p/databases/d/documents"
    paths = [f"{documents}{'/x' * depth}" for depth in range(1, 6)]

    assert {transcoder.match("GET", path).route.name for path in paths} == {
        "api.Service.ListDocuments"
    }


def test_firestore_rules_of_a_fixed_depth() -> None:
    """A rule of a fixed depth in place of the published one gets documents, and lists go on."""
    documents = "projects/*/databases/*/documents"
    rule = HttpRule(get=f"/v1/{{name={documents}/*/*}}")
    rule.additional_bindings.add(get=f"/v1/{{name={documents}/*/*/*/*}}")
    rules = {"api.Service.GetDocument": rule}
    transcoder = Transcoder(published(FIRESTORE).services, rules=rules)
    path = "/v1/projects/p/databases/d/documents"
    found = []
    for name in ("users", "ann", "pets", "rex", "toys"):
        path += f"/{name}"
        found.append(transcoder.match("GET", path).route.name.removeprefix("api.Service."))

    assert found == [
        "ListDocuments",
        "GetDocument",
        "ListDocuments",
        "GetDocument",
        "ListDocuments",
    ]


def test_a_stream_binds_its_path() -> None:
    """The variables of a stream's path are bound, to the one message there is."""
    transcoder = Transcoder(published(FIRESTORE).services)
    match = transcoder.match("POST", "/v1/projects/p/databases/d/documents:write")
    request: Any = transcoder.request(match, b"", b"{}", "application/json")

    assert request.database == "projects/p/databases/d"
