"""How bodies are written that schemathesis knows no way for: as the bytes that were made up."""

import json

import schemathesis


@schemathesis.serializer("application/x-ndjson", "application/x-protobuf", "application/x-thrift", "application/vnd.apache.thrift.binary")
def as_bytes(ctx, value):
    if isinstance(value, (bytes, str)):
        return value
    return json.dumps(value, default=str).encode() + b"\n"
