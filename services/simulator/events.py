"""The lines that are played: finding an event's time, and giving it the origin that the simulator's log has for it."""

from datetime import UTC, datetime
from typing import Any

import msgspec


class _Envelope(msgspec.Struct, gc=False):
    """An event of which only `meta` is wanted; the rest is checked to be JSON and passed over."""

    meta: msgspec.Raw


_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode
_encode = msgspec.json.encode
_PARTITION = msgspec.Raw(b"0")


def milliseconds(instant: datetime) -> int:
    """An aware datetime as milliseconds since 1970 (exact: no floating point on the way)."""
    since_epoch = instant - datetime(1970, 1, 1, tzinfo=UTC)
    return (since_epoch.days * 86_400 + since_epoch.seconds) * 1000 + since_epoch.microseconds // 1000


def iso_milliseconds(text: str) -> int:
    """An ISO 8601 instant as milliseconds since 1970; without a zone it is UTC. Raises ValueError."""
    instant = datetime.fromisoformat(text)
    return milliseconds(instant if instant.tzinfo else instant.replace(tzinfo=UTC))


def stamp(line: bytes, topic: bytes, offset: int) -> tuple[bytes, int | None]:
    """Set `meta.topic`, `meta.partition` and `meta.offset` of one event; returns it and its time in milliseconds.

    Every other value keeps its bytes, and is not even looked at: a full parse would cost four times as much. `topic`
    is a JSON string. A line that is no JSON object with an object `meta` comes back as it is, without a time, for the
    client to cope with.
    """
    try:
        raw = bytes(_decode_envelope(line).meta)
        meta = _decode_object(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return line, None
    meta["topic"] = msgspec.Raw(topic)
    meta["partition"] = _PARTITION
    meta["offset"] = msgspec.Raw(b"%d" % offset)
    head, _, tail = line.partition(raw)
    if raw in tail:  # the same bytes stand elsewhere too: which of them are `meta` must be found out the long way
        event = _decode_object(line)
        event["meta"] = msgspec.Raw(_encode(meta))
        return _encode(event), _time(meta)
    return b"".join((head, _encode(meta), tail)), _time(meta)


def event_time(line: bytes) -> int | None:
    """`meta.dt` of a line in milliseconds since 1970, or None where it has none that can be read."""
    try:
        return _time(_decode_object(_decode_envelope(line).meta))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _time(meta: dict[str, Any]) -> int | None:
    try:
        return iso_milliseconds(_decode_text(meta["dt"]))
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, ValueError, OverflowError):
        return None
