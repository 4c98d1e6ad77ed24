"""Encodes spans as OTLP protobuf: opentelemetry.proto.collector.trace.v1.

Field numbers are those of the .proto files, named beside them. What comes again with the next
request is encoded once.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from struct import Struct

from app.utils.spans import Description, Span, Value

# Wire types: 0 varint, 1 eight bytes, 2 bytes with their length before them, 5 four bytes.
_BYTES = 2
_TRACE_ID, _SPAN_ID = b"\x0a\x10", b"\x12\x08"  # of Span and Span.Link: 16 and 8 bytes
_SCOPE = b"\x0a\x05\x0a\x03app"  # ScopeSpans.scope: name
_TIME = Struct("<BQ")
_TIMES = Struct("<BQBQ")
# SpanFlags: whether the parent is another service's is known, and so it is. Bit 0: sampled.
_FLAGS = Struct("<BBI")
_KNOWN, _REMOTE = 0x101, 0x301
# ExportTraceServiceResponse.partial_success: rejected_spans
_REJECTED = re.compile(rb"\x0a[\x80-\xff]*[\x00-\x7f]\x08([\x80-\xff]*[\x00-\x7f])")


def request(spans: Iterable[bytes], resource: bytes) -> bytes:
    """An ExportTraceServiceRequest with spans of one resource."""
    scope = _SCOPE + b"".join(spans)
    # ExportTraceServiceRequest.resource_spans: resource, scope_spans
    return _field(1, _field(1, resource) + _field(2, scope))


def attributes(number: int, values: Mapping[str, Value]) -> bytes:
    """Attributes, each a KeyValue: field 1 of a Resource, 9 of a Span."""
    return b"".join([_attribute(number, name, value) for name, value in values.items()])


def span(of: Span) -> bytes:
    """A Span, as one of ScopeSpans.spans."""
    parts = [_TRACE_ID, bytes.fromhex(of.trace_id), _SPAN_ID, bytes.fromhex(of.span_id)]
    if of.parent:
        parts += b"\x22\x08", bytes.fromhex(of.parent)  # parent_span_id
    parts += (
        of.is_a.encoded or _encoded(of.is_a),
        bytes((0x30, of.kind)),
        _TIMES.pack(0x39, of.started, 0x41, of.ended),  # start_time_unix_nano, end_time_unix_nano
    )
    if of.attributes:
        parts.append(attributes(9, of.attributes))
    for name, happened in of.events:
        event = _TIME.pack(0x09, happened) + _field(2, name.encode())  # time_unix_nano, name
        parts.append(_field(11, event))
    if of.link:
        trace_id, span_id = map(bytes.fromhex, of.link)
        parts.append(_field(13, _TRACE_ID + trace_id + _SPAN_ID + span_id))
    if of.failure is not None:
        message = of.failure.encode("utf-8", "replace")
        parts.append(_field(15, _field(2, message) + b"\x18\x02"))  # status: message, code ERROR
    parts.append(_FLAGS.pack(0x85, 0x01, _REMOTE if of.remote else _KNOWN))
    return _field(2, b"".join(parts))


def rejected_spans(answer: bytes) -> int:
    """How many spans of a request the collector did not take, by its answer."""
    found = _REJECTED.match(answer)
    digits = found[1] if found else b""
    return sum((digit & 0x7F) << 7 * place for place, digit in enumerate(digits))


def _encoded(of: Description) -> bytes:
    """name, attributes"""
    of.encoded = _field(5, of.name.encode()) + attributes(9, of.attributes)
    return of.encoded


# Typed: True and 1 are the same key otherwise.
@lru_cache(maxsize=4096, typed=True)
def _attribute(number: int, name: str, value: Value) -> bytes:
    """KeyValue: key, value."""
    return _field(number, _field(1, name.encode()) + _field(2, _value(value)))


def _value(value: Value) -> bytes:
    """AnyValue: string_value, bool_value or int_value."""
    if isinstance(value, str):
        return _field(1, value.encode("utf-8", "replace"))
    return (b"\x10" if isinstance(value, bool) else b"\x18") + _varint(value)


def _field(number: int, content: bytes) -> bytes:
    return bytes((number << 3 | _BYTES,)) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; the highest bit says that more follow."""
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)
