"""Remote write as bytes, from the published protocol: version 1 and version 2.

Written with the wire format alone, so that the tests share no code with the server or with a generated client.
"""

import struct

import cramjam
import requests


def varint(n):
    n &= (1 << 64) - 1
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def zigzag(n):
    return varint((n << 1) ^ (n >> 63))


def field(number, payload):
    """A length-delimited field."""
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def number(tag, value):
    """A varint field."""
    return varint(tag << 3) + varint(value)


def double(tag, value):
    return varint(tag << 3 | 1) + struct.pack("<d", value)


def snappy(body):
    return bytes(cramjam.snappy.compress_raw(body))


def v1(series, metadata=()):
    """series: [(labels dict, [(t_ms, value)])]; metadata: [(type number, family, help, unit)]."""
    out = bytearray()
    for labels, samples in series:
        ts = bytearray()
        for name in sorted(labels):
            ts += field(1, field(1, name.encode()) + field(2, labels[name].encode()))
        for t, value in samples:
            ts += field(2, double(1, value) + number(2, t))
        out += field(1, bytes(ts))
    for kind, family, help_text, unit in metadata:
        out += field(3, number(1, kind) + field(2, family.encode()) + field(4, help_text.encode()) + field(5, unit.encode()))
    return bytes(out)


class Symbols:
    """The symbol table of version 2; the first is always empty."""

    def __init__(self):
        self.index = {"": 0}

    def of(self, text):
        return self.index.setdefault(text, len(self.index))


def v2(series):
    """series: [dict(labels=, samples=[(t, v)], histograms=[bytes], exemplars=[(labels, v, t)], metadata=(type, help, unit))]."""
    symbols, body = Symbols(), bytearray()
    for one in series:
        refs = b"".join(varint(symbols.of(x)) for name in sorted(one["labels"]) for x in (name, one["labels"][name]))
        ts = bytearray(field(1, refs))
        for t, value in one.get("samples", ()):
            ts += field(2, double(1, value) + number(2, t))
        for histogram in one.get("histograms", ()):
            ts += field(3, histogram)
        for labels, value, t in one.get("exemplars", ()):
            refs = b"".join(varint(symbols.of(x)) for name in sorted(labels) for x in (name, labels[name]))
            ts += field(4, field(1, refs) + double(2, value) + number(3, t))
        if metadata := one.get("metadata"):
            kind, help_text, unit = metadata
            ts += field(5, number(1, kind) + number(3, symbols.of(help_text)) + number(4, symbols.of(unit)))
        body += field(5, bytes(ts))
    table = b"".join(field(4, text.encode()) for text in symbols.index)
    return table + bytes(body)


def histogram(t_ms, count, total, schema, zero_threshold=0.0, zero_count=0, spans=(), deltas=()):
    """A native histogram with integer counts: field numbers are the same in both versions."""
    out = number(1, count) + double(3, total) + varint(4 << 3) + zigzag(schema) + double(5, zero_threshold)
    out += number(6, zero_count)
    for offset, length in spans:
        out += field(11, varint(1 << 3) + zigzag(offset) + number(2, length))
    out += field(12, b"".join(zigzag(d) for d in deltas))
    return out + number(15, t_ms)


V1 = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf", "X-Prometheus-Remote-Write-Version": "0.1.0"}
V2 = {
    "Content-Encoding": "snappy",
    "Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request",
    "X-Prometheus-Remote-Write-Version": "2.0.0",
}


def send_v1(server, series, metadata=(), **kwargs):
    return requests.post(server.url + "/api/v1/write", data=snappy(v1(series, metadata)), headers=V1, timeout=30, **kwargs)


def send_v2(server, series, **kwargs):
    return requests.post(server.url + "/api/v1/write", data=snappy(v2(series)), headers=V2, timeout=30, **kwargs)
