"""Step 0: a proto is compiled, and its service answers REST and gRPC alike."""

from __future__ import annotations

from google.protobuf.json_format import Parse, ParseError

from demo.transcript import Step, Transcript, Words
from services.user.v1.user_service_pb2 import User

_PROTO = "services/user/v1/user_service.proto"
_COMPILE = (
    'mkdir compiled && python -m grpc_tools.protoc -Iproto -I"$SITE"'
    " --descriptor_set_in=validate.binpb --python_out=compiled --grpc_python_out=compiled"
    f" --transcoder_out=compiled {_PROTO} && ls compiled/services/user/v1"
)
_CURL = "curl -K inside.curl https://localhost:8080/v1/users/ada"
_GRPCURL = (
    """grpcurl -cacert ca.pem -cert edge.pem -key edge.key -d '{"id": "ada"}' localhost:50051"""
    " services.user.v1.UserService/GetUser"
)


def _run(told: Transcript) -> None:
    made = told.command(_COMPILE).split()
    wanted = {f"user_service_{kind}.py" for kind in ("pb2", "pb2_grpc", "transcoder")}
    told.check(
        "the proto is compiled: messages, stubs and their registration",
        "proto 已编译：消息、桩代码和注册代码",
        wanted <= set(made),
    )
    rest, grpc = _user(told.command(_CURL)), _user(told.command(_GRPCURL))
    told.check(
        "curl and grpcurl get the same user from one process",
        "curl 和 grpcurl 从同一个进程得到同一个用户",
        rest is not None and rest == grpc,
    )


def _user(text: str) -> User | None:
    try:
        return Parse(text, User())
    except ParseError:
        return None


STEP = Step(
    0,
    Words("One proto, two protocols", "一份 proto，两种协议"),
    ("1. 定义 Proto 文件", "4. 同时 监听gRPC 和 HTTP 请求"),
    "Define a proto, compile it, and listen for gRPC and HTTP at once.",
    ("user",),
    _run,
)
