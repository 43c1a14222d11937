"""`application/vnd.kubernetes.protobuf`: objects as protobuf messages, and back.

    encode(obj) -> bytes                   # an object with apiVersion and kind, in its envelope
    decode(data) -> Object                 # the reverse; normalize the result as a JSON body's
    encode_raw(api_version, kind, obj)     # the message alone: keep it per revision
    envelope(api_version, kind, raw)       # … and wrap it
    encode_list(api_version, list_kind, metadata, raws)   # a list of such messages
    watch_frame(event_type, enveloped)     # one frame of a watch stream
    supported(api_version, kind)           # CustomResources have no protobuf form

`ProtobufError` is a BadRequest. Numbers are in `numbers/`, types come from `api.schema`.
"""

from kubeinstall.api.protobuf.objects import (
    MEDIA_TYPE,
    WATCH_MEDIA_TYPE,
    decode,
    encode,
    encode_list,
    encode_raw,
    envelope,
    supported,
    watch_frame,
)
from kubeinstall.api.protobuf.wire import ProtobufError

__all__ = [
    "MEDIA_TYPE",
    "WATCH_MEDIA_TYPE",
    "ProtobufError",
    "decode",
    "encode",
    "encode_list",
    "encode_raw",
    "envelope",
    "supported",
    "watch_frame",
]
