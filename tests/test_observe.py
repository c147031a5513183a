from google.protobuf import type_pb2

from transcoder.observe import counts
from transcoder.protojson import from_json, to_json


def test_counts() -> None:
    """Each document is counted for its type: fast, or decided by json_format."""
    name = "google.protobuf.Field"
    before = counts().get(name, (0, 0, 0, 0))
    field = from_json(b'{"number": 1}', type_pb2.Field)
    from_json(b'{"number": 1.0}', type_pb2.Field)
    to_json(field)

    assert [new - old for new, old in zip(counts()[name], before, strict=True)] == [1, 0, 1, 1]
