import datetime

from buf.validate import validate_pb2 as _validate_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.api import field_info_pb2 as _field_info_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Charge(_message.Message):
    __slots__ = ("id", "amount_cents", "card_number", "card_last_digits", "state", "create_time")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[Charge.State]
        STATE_SUCCEEDED: _ClassVar[Charge.State]
        STATE_DECLINED: _ClassVar[Charge.State]
        STATE_REFUNDED: _ClassVar[Charge.State]
    STATE_UNSPECIFIED: Charge.State
    STATE_SUCCEEDED: Charge.State
    STATE_DECLINED: Charge.State
    STATE_REFUNDED: Charge.State
    ID_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_CENTS_FIELD_NUMBER: _ClassVar[int]
    CARD_NUMBER_FIELD_NUMBER: _ClassVar[int]
    CARD_LAST_DIGITS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    id: str
    amount_cents: int
    card_number: str
    card_last_digits: str
    state: Charge.State
    create_time: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., amount_cents: _Optional[int] = ..., card_number: _Optional[str] = ..., card_last_digits: _Optional[str] = ..., state: _Optional[_Union[Charge.State, str]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CreateChargeRequest(_message.Message):
    __slots__ = ("charge", "request_id")
    CHARGE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    charge: Charge
    request_id: str
    def __init__(self, charge: _Optional[_Union[Charge, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class GetChargeRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class RefundChargeRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...
