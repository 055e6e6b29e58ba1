"""From the bytes of one server-sent event to a change, a drop or a dead letter. Pure.

The shape is Wikimedia's schema `mediawiki/recentchange` 1.0.1: it requires almost nothing, so what we need is
required here, and what may be missing on the wire has a default.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, NamedTuple, TypeAlias
from uuid import UUID

import msgspec
from msgspec import Meta as Bounds

from services.common.change import (
    Change,
    DeadLetter,
    Int32,
    Natural63,
    Origin,
    UInt16,
    UInt32,
    WikiName,
    actor_of,
    dead_letter,
)

MESSAGE_LIMIT = 900_000  # bytes of one change; brokers refuse messages over 1 MB by default
EARLIEST = 979_516_800  # 2001-01-15, Wikipedia's first day
# How far an event may be dated after its own arrival at Wikimedia. One event from the far future would move the
# watermark there and make everything that follows late.
AHEAD_LIMIT = 600  # seconds

KEPT_TYPES = frozenset({"edit", "new", "log"})


class Dropped(NamedTuple):
    """A change that is not stored on purpose: counted under its reason."""

    reason: str  # canary, categorize, external, other_type


Outcome: TypeAlias = Change | Dropped | DeadLetter


class WireMeta(msgspec.Struct, gc=False):
    """`meta`: the event's envelope."""

    id: UUID
    topic: Annotated[str, Bounds(min_length=1, max_length=249)]  # Kafka's own limit for topic names
    partition: UInt16
    offset: Natural63
    dt: datetime | None = None
    domain: str = ""


class WireLength(msgspec.Struct, gc=False):
    """`length`: page size in bytes; a new page has no old one."""

    old: UInt32 | None = None
    new: UInt32 | None = None


class WireRevision(msgspec.Struct, gc=False):
    """`revision`: revision ids; a new page has no old one."""

    old: Natural63 | None = None
    new: Natural63 | None = None


class WireChange(msgspec.Struct, gc=False):
    """One recentchange event as it comes; fields that we do not use are skipped by the decoder."""

    meta: WireMeta
    type: str
    wiki: WikiName
    title: str
    timestamp: int
    namespace: Int32 = 0
    user: str = ""  # may be redacted away
    comment: str = ""
    bot: bool = False
    minor: bool = False
    server_name: str = ""
    length: WireLength | None = None
    revision: WireRevision | None = None
    log_type: str | None = None
    log_action: str | None = None
    log_params: msgspec.Raw = msgspec.Raw(b"")  # an object, an array or a string


class WireEnvelope(msgspec.Struct, gc=False):
    """The little that decides whether an event is dropped, read where the whole does not fit WireChange."""

    class Meta(msgspec.Struct, gc=False):
        """The envelope of a faulty event."""

        domain: str = ""
        topic: str = ""
        partition: int = 0
        offset: int = -1
        dt: datetime | None = None

    meta: Meta
    type: str = ""


_decode = msgspec.json.Decoder(WireChange).decode
_decode_envelope = msgspec.json.Decoder(WireEnvelope).decode
_no_length = WireLength()
_no_revision = WireRevision()


class Reading(NamedTuple):
    """One event, read."""

    outcome: Outcome
    origin: Origin | None  # None: the event does not say
    dt_ms: int  # `meta.dt`, milliseconds since 1970; 0 where it does not say


def read_event(data: str, received: int, fallback: Callable[[], Origin | None] = lambda: None) -> Reading:
    """Read the `data` of one event that arrived at `received` (ms since 1970).

    `fallback` tells the origin that the SSE id names; it is asked only for an event that cannot be read itself.
    """
    try:
        wire = _decode(data)
    except msgspec.MsgspecError as error:
        return _read_faulty(data, received, fallback, error)
    except (UnicodeEncodeError, RecursionError) as error:  # a lone surrogate; brackets in brackets without end
        return _refuse(data, received, fallback(), "not_json", str(error))
    meta = wire.meta
    origin = Origin(meta.topic, meta.partition, meta.offset)
    # when Wikimedia received it; where it does not say, it cannot be later than now
    dt_ms = int(meta.dt.timestamp() * 1000) if meta.dt else min(received, wire.timestamp * 1000)
    drop = _drop_reason(meta.domain, wire.type)
    if drop:
        return Reading(Dropped(drop), origin, dt_ms)
    if not EARLIEST <= wire.timestamp < 2**32:
        return _refuse(data, received, origin, "timestamp_range", f"timestamp {wire.timestamp}", dt_ms)
    if wire.timestamp > dt_ms // 1000 + AHEAD_LIMIT:
        fault = f"{wire.timestamp} is long after {dt_ms // 1000}"
        return _refuse(data, received, origin, "timestamp_ahead", fault, dt_ms)
    if len(data) * 4 > MESSAGE_LIMIT and len(data.encode()) > MESSAGE_LIMIT:
        return _refuse(data, received, origin, "too_large", f"more than {MESSAGE_LIMIT} bytes", dt_ms)
    return Reading(_to_change(wire, received), origin, dt_ms)


def _to_change(wire: WireChange, received: int) -> Change:
    meta, length, revision = wire.meta, wire.length or _no_length, wire.revision or _no_revision
    return Change(
        meta_id=meta.id,
        source_topic=meta.topic,
        source_partition=meta.partition,
        source_offset=meta.offset,
        wiki=wire.wiki,
        server_name=wire.server_name or meta.domain,
        namespace=wire.namespace,
        title=wire.title,
        type=wire.type,
        user=wire.user,
        actor=actor_of(wire.user, wire.bot),
        comment=wire.comment,
        timestamp=wire.timestamp,
        received=received,
        rev_id=revision.new or 0,
        old_rev_id=revision.old or 0,
        length_old=length.old,
        length_new=length.new,
        minor=wire.minor,
        log_type=wire.log_type or "",
        log_action=wire.log_action or "",
        log_params=bytes(wire.log_params).decode() if wire.type == "log" else "",
    )


def _drop_reason(domain: str, type_: str) -> str:
    if domain == "canary":  # Wikimedia's own heartbeats
        return "canary"
    if type_ in KEPT_TYPES:
        return ""
    return type_ if type_ in ("categorize", "external") else "other_type"


def _read_faulty(
    data: str, received: int, fallback: Callable[[], Origin | None], error: msgspec.MsgspecError
) -> Reading:
    """An event that does not fit: still dropped where its kind is dropped, else a dead letter."""
    if not isinstance(error, msgspec.ValidationError):
        return _refuse(data, received, fallback(), "not_json", str(error))
    try:
        envelope = _decode_envelope(data)
    except (msgspec.MsgspecError, RecursionError):
        return _refuse(data, received, fallback(), "schema", str(error))
    meta = envelope.meta
    has_origin = bool(meta.topic) and 0 <= meta.partition < 2**16 and 0 <= meta.offset < 2**63
    origin = Origin(meta.topic, meta.partition, meta.offset) if has_origin else fallback()
    dt_ms = int(meta.dt.timestamp() * 1000) if meta.dt else 0
    if envelope.type and (drop := _drop_reason(meta.domain, envelope.type)):
        return Reading(Dropped(drop), origin, dt_ms)
    return _refuse(data, received, origin, "schema", str(error), dt_ms)


def _refuse(data: str, received: int, origin: Origin | None, reason: str, error: str, dt_ms: int = 0) -> Reading:
    raw = data.encode(errors="surrogatepass")
    return Reading(dead_letter(raw, received, origin, reason, error), origin, dt_ms)
