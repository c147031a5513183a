"""Requests: path variables, query and body to the message of an RPC.

The order of `google/api/http.proto`: the body first, then the path, which overwrites it, then
from the query what neither of them holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from transcoder.budget import Budget, nested_names
from transcoder.errors import InvalidRequest
from transcoder.fields import FieldPath, Setter, setter
from transcoder.http_rule import Binding
from transcoder.json_stream import JsonCutter
from transcoder.marshaler import PROTOBUF, is_any_protobuf
from transcoder.message_stream import Cutter, DelimitedCutter, NoBody, RawCutter
from transcoder.profile import Profile
from transcoder.protojson.cost import LONG, ON_LOOP, json_values
from transcoder.query import QueryBinder
from transcoder.query_string import DEFAULT_LIMITS, Pair, QueryLimits, parameters
from transcoder.request_body import ReadBody, body_reader, is_http_body, serialized_class
from transcoder.system_parameters import (
    SystemParameters,
    names_system,
    system_names,
    system_parameters,
)
from transcoder.update_mask import mask_field, mask_paths, said_fields
from transcoder.values import BadValue
from transcoder.well_known import well_known
from transcoder.wire import PIECE, is_heavy, parse

if TYPE_CHECKING:
    from transcoder.forms import FormBinder
    from transcoder.multipart import FormLimits, Multipart


class RequestDecoder:
    """Makes the request messages of one binding; compiled once.

    Args:
        binding: which fields the path and the body hold.
        message_class: of the request; of any descriptor pool.
        profile: what happens where the specification leaves room.
        limits: of the query.
        forms: take forms too, within these limits.

    Raises (on call):
        InvalidRequest: a value does not fit its field; names the field.
        UnsupportedMedia: the body is of a type that is not taken.

    >>> from google.longrunning import operations_pb2
    >>> from transcoder.http_rule import bindings
    >>> from transcoder.profile import GOOGLE
    >>> service = operations_pb2.DESCRIPTOR.services_by_name["Operations"]
    >>> rule, = bindings(service.methods_by_name["ListOperations"])
    >>> decode = RequestDecoder(rule, operations_pb2.ListOperationsRequest, GOOGLE)
    >>> request = decode(("operations",), b"pageSize=2", b"", "")
    >>> request.name, request.page_size
    ('operations', 2)
    """

    __slots__ = (
        "_body",
        "_descriptor",
        "_form",
        "_is_plain",
        "_is_raw",
        "_limits",
        "_mask",
        "_message_class",
        "_names",
        "_path",
        "_query",
        "_serialized",
        "_system",
        "_weave",
    )

    def __init__(
        self,
        binding: Binding,
        message_class: type[Message],
        profile: Profile,
        *,
        limits: QueryLimits = DEFAULT_LIMITS,
        forms: FormLimits | None = None,
    ) -> None:
        descriptor = binding.rpc.input_type
        bound = {variable.field_path for variable in binding.template.variables}
        self._message_class = message_class
        self._descriptor = descriptor
        self._limits = limits
        self._path = tuple(
            _path_setter(descriptor, variable.name) for variable in binding.template.variables
        )
        self._body = _body_reader(binding, message_class, profile)
        self._serialized = serialized_class(binding.body, descriptor, message_class)
        self._is_raw = _takes_raw(binding, descriptor)
        self._form = None if forms is None else _form_binder(binding, profile, forms)
        self._mask = _patch_mask(binding, descriptor)
        self._system = system_names(descriptor) if profile.system_parameters else frozenset()
        beside = profile.query_beside_body if binding.body == "*" else ""
        self._weave = beside == "bind"
        # Path and query are all there is.
        self._is_plain = self._body is None and self._mask is None and not self._weave
        self._query: QueryBinder | None = None
        if beside != "ignore":
            self._query = QueryBinder(
                descriptor,
                bound=bound | ({tuple(binding.body.split("."))} if binding.body else set()),
                body_only=beside == "reject",
                unknown=profile.unknown_query,
                ignored=profile.ignored_query,
                system=self._system,
                limits=limits,
            )

    def __call__(
        self,
        values: Sequence[str],
        query: bytes,
        body: bytes | Multipart,
        content_type: str,
        form: bytes = b"",
    ) -> Message:
        """Return the request message.

        Args:
            values: of the path variables, decoded, in the order of the template.
            query: as the client sent it, without the question mark.
            body: all of it; a `multipart` that was fed is closed.
            content_type: the header, empty when there is none.
            form: more of the query, of any size; for a rule without a body.
        """
        if self._is_plain and not form:
            return self._of_path_and_query(values, query)
        message: Message
        said: bytes | Sequence[str]
        if self._body is None:
            message, said = self._message_class(), b""
        else:
            message, said = self._read(self._body, body, content_type)
        bind = self._query
        if query and self._weave and bind is not None:
            serialized = body if isinstance(body, bytes) and is_any_protobuf(content_type) else b""
            message = self._woven(message, query, said, bind, serialized)
        for set_, value in zip(self._path, values, strict=True):
            set_(message, value)
        if form and bind is not None:
            self._bind_form(bind, message, form, query)
        elif query and bind is not None and not self._weave:
            bind(message, query)
        if said and self._mask is not None:
            _fill_mask(message, said, *self._mask)
        return message

    def of_path(self, values: Sequence[str]) -> Message:
        """Return the request message of a request that has neither query nor body.

        Args:
            values: as for a call.
        """
        message = self._message_class()
        for set_, value in zip(self._path, values):  # noqa: B905  a match has as many
            set_(message, value)
        return message

    def _of_path_and_query(self, values: Sequence[str], query: bytes) -> Message:
        message = self._message_class()
        for set_, value in zip(self._path, values):  # noqa: B905  a match has as many
            set_(message, value)
        if query and self._query is not None:
            self._query.bind(message, parameters(query, self._limits))
        return message

    def _read(
        self, read: ReadBody, body: bytes | Multipart, content_type: str
    ) -> tuple[Message, bytes | Sequence[str]]:
        """Return the message that the body makes, and what says which fields it names."""
        form = self._form
        if form is not None and form.takes(content_type):
            message = self._message_class()
            return message, form(message, body, content_type)
        # Only a form's decoder gives away a Multipart to feed.
        data = body if isinstance(body, bytes) else b""
        # What is serialized does not say which fields it names, beyond those that it sets.
        said = b"" if is_any_protobuf(content_type) else data
        return read(data, content_type), said

    @property
    def takes_forms(self) -> bool:
        """Whether a body may be a form."""
        return self._form is not None

    @property
    def filled_mask(self) -> str:
        """The update mask that the body fills when the client gives none; empty for none."""
        return "" if self._mask is None else self._mask[0]

    def multipart(self, content_type: str) -> Multipart | None:
        """Return what a multipart body is fed to as it arrives; None to have all of it at once.

        Raises:
            InvalidRequest: the type names no boundary.
        """
        return None if self._form is None else self._form.multipart(content_type)

    def is_heavy(self, body: bytes | Multipart, content_type: str) -> bool:
        """Say whether it would hold the event loop to read a body."""
        # A value takes two bytes, its comma included.
        if not isinstance(body, bytes) or len(body) <= 2 * ON_LOOP or self._is_raw:
            return False
        if is_any_protobuf(content_type):
            return self._serialized is not None and is_heavy(body, self._serialized)
        if self._form is not None and self._form.takes(content_type):
            return False
        # One value may be long, and a long one slow: base64 and masks are judged letter by letter.
        return len(body) > LONG or json_values(body) > ON_LOOP

    def cutter(self, content_type: str, limit: int) -> Cutter:
        """Return what cuts a streamed body into the messages for `of_stream`.

        Args:
            content_type: the header.
            limit: bytes of one message.
        """
        if self._body is None:
            return NoBody()
        if self._is_raw:
            return RawCutter(limit)
        return DelimitedCutter(limit) if is_any_protobuf(content_type) else JsonCutter(limit)

    def of_stream(
        self, told: tuple[Sequence[str], bytes] | None, data: bytes, content_type: str
    ) -> Message:
        """Return one message of a stream.

        Args:
            told: path values and query, which are of the first message; None for the others.
            data: the message's part of the body.
            content_type: the header.
        """
        if is_any_protobuf(content_type):
            # Of the whole body it said that its messages are delimited.
            content_type = PROTOBUF[0]
        if told is not None:
            return self(*told, data, content_type)
        if self._body is None:
            return self._message_class()
        # The type of raw bytes is said once.
        return self._body(data, "" if self._is_raw else content_type)

    def _bind_form(self, bind: QueryBinder, message: Message, form: bytes, query: bytes) -> None:
        pairs = self._form_pairs(form) + parameters(query, self._limits)
        budget = Budget()
        budget.spend(nested_names(key for key, _, _ in pairs))
        bind.bind(message, pairs, budget)

    def _form_pairs(self, form: bytes) -> list[Pair]:
        return parameters(form, replace(self._limits, size=len(form)), "form")

    def _woven(
        self,
        body: Message,
        query: bytes,
        said: bytes | Sequence[str],
        bind: QueryBinder,
        serialized: bytes,
    ) -> Message:
        message = self._message_class()
        pairs = parameters(query, self._limits)
        bind.bind(message, bind.beside(pairs, _said_fields(said, self._descriptor)))
        _clear_what_both_say(message, body)
        if len(serialized) > PIECE:
            # To merge messages takes as long as to read them at once.
            before = self._message_class.SerializePartialToString(message)
            return parse(before + serialized, self._message_class)
        self._message_class.MergeFrom(message, body)
        return message

    def system_parameters(self, query: bytes, form: bytes = b"") -> SystemParameters | None:
        """Return the system parameters of a query; None without any, or where there are none.

        Args:
            query: as the client sent it.
            form: more of it.

        Raises:
            InvalidRequest: a value is none that is answered.
        """
        if not self._system or not (
            (query and names_system(query)) or (form and names_system(form))
        ):
            return None
        # Fields of a form may be long: they were decoded once, when they were bound.
        form = b"&".join(pair for pair in form.split(b"&") if _may_be_system(pair))
        pairs = self._form_pairs(form) + parameters(query, self._limits)
        said = system_parameters(pairs, self._system)
        return None if said == SystemParameters() else said


def _may_be_system(pair: bytes) -> bool:
    return names_system(pair.partition(b"=")[0])


def _body_reader(
    binding: Binding, message_class: type[Message], profile: Profile
) -> ReadBody | None:
    if not binding.body:
        return None
    return body_reader(binding.body, binding.rpc.input_type, message_class, profile)


def _takes_raw(binding: Binding, descriptor: Descriptor) -> bool:
    if binding.body in {"", "*"}:
        return is_http_body(descriptor)
    leaf = FieldPath.resolve(descriptor, binding.body, json_names=False).leaf
    return not leaf.is_repeated and is_http_body(leaf.message_type)


def _form_binder(binding: Binding, profile: Profile, limits: FormLimits) -> FormBinder | None:
    # Forms need a package that not every installation has.
    from transcoder.forms import form_binder  # noqa: PLC0415

    if not binding.body:
        return None
    return form_binder(binding.body, binding.rpc.input_type, profile, limits)


def _path_setter(message: Descriptor, name: str) -> Setter:
    path = FieldPath.resolve(message, name, json_names=False)
    set_ = setter(path)
    if path.leaf.type == FieldDescriptor.TYPE_STRING:
        return set_

    def set_checked(message: Message, text: str) -> None:
        try:
            set_(message, text)
        except BadValue as error:
            raise InvalidRequest(str(error), name) from None

    return set_checked


def _patch_mask(binding: Binding, message: Descriptor) -> tuple[str, Descriptor] | None:
    """Return the mask's name and the body's type, for the rules whose mask we fill."""
    mask = mask_field(message)
    if mask is None or binding.method != "PATCH" or binding.body in {"", "*", mask.name}:
        return None
    leaf = FieldPath.resolve(message, binding.body, json_names=False).leaf
    if leaf.message_type is None or leaf.is_repeated or is_http_body(leaf.message_type):
        return None
    return mask.name, leaf.message_type


def _fill_mask(
    message: Message, said: bytes | Sequence[str], name: str, body_type: Descriptor
) -> None:
    """Fill the update mask from JSON or from a form's paths, when the client gave none."""
    if not type(message).HasField(message, name):
        paths = mask_paths(said, body_type) if isinstance(said, bytes) else said
        if paths:
            getattr(message, name).paths.extend(paths)


def _said_fields(said: bytes | Sequence[str], message: Descriptor) -> set[tuple[str, ...]]:
    """Return the singular fields that JSON or a form's paths say; lists and maps are joined."""
    if isinstance(said, bytes):
        return set() if is_http_body(message) else said_fields(said, message)
    paths = [FieldPath.resolve(message, path) for path in said]
    return {
        path.names
        for path in paths
        if not path.leaf.is_repeated
        and (path.leaf.message_type is None or well_known(path.leaf.message_type) is not None)
    }


def _clear_what_both_say(message: Message, body: Message) -> None:
    """Clear the well-known values that the body says too: a merge would mix their parts."""
    cls = type(body)
    for field, value in cls.ListFields(body):
        if field.message_type is None or field.is_repeated:
            continue
        if well_known(field.message_type) is not None:
            cls.ClearField(message, field.name)
        elif cls.HasField(message, field.name):
            _clear_what_both_say(getattr(message, field.name), value)
