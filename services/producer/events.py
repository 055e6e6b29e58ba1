"""From the bytes of one server-sent event to a change, a declaration, a drop or a dead letter. Pure.

The shapes are Wikimedia's schemas `mediawiki/recentchange` 1.0.1 and, of the optional second stream,
`mediawiki/revision/create` 2.0.0. They require almost nothing, so what we need is required here, and what may be
missing on the wire has a default.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Literal, NamedTuple, TypeAlias

import msgspec
from msgspec import Meta as Bounds

from services.common.change import (
    MOST_DECLARED,
    Change,
    DeadLetter,
    DeclaredMethod,
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

REVISION_CREATE = "mediawiki.revision-create"  # how the second source's topics end
REVISION_CREATE_BEGINS = '{"$schema":"/mediawiki/revision/create/'  # how Wikimedia writes its events

KEPT_TYPES = frozenset({"edit", "new", "log"})

_UUID = "^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"


class Dropped(NamedTuple):
    """A change that is not stored on purpose: counted under its reason."""

    reason: str  # canary, categorize, external, other_type


class Declaration(NamedTuple):
    """What Wikimedia says of one revision. Without a method it knows no revert in it, which does not mean that there
    is none: MediaWiki looks for a manual revert among the page's last 15 revisions only."""

    wiki: str
    rev_id: int
    method: DeclaredMethod
    rev_ids: list[int]  # the reverted revisions, the oldest first, MOST_DECLARED at most

    @property
    def reason(self) -> str:
        """What the ledger counts it under; it is no change, so it is not kept by itself."""
        return "declared_revert" if self.method else "no_revert"


Outcome: TypeAlias = Change | Declaration | Dropped | DeadLetter


class WireMeta(msgspec.Struct, gc=False):
    """`meta`: the event's envelope."""

    id: Annotated[str, Bounds(pattern=_UUID)]
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


class WireRevertDetails(msgspec.Struct, gc=False):
    """`rev_revert_details`: how, and what, a revision reverts."""

    rev_revert_method: Literal["undo", "rollback", "manual"]
    rev_reverted_revs: list[Natural63]


class WireRevisionCreate(msgspec.Struct, gc=False):
    """One revision-create event as it comes: what MediaWiki says of a revision that it has just saved."""

    meta: WireMeta
    database: WikiName
    rev_id: Natural63
    rev_is_revert: bool = False
    rev_revert_details: WireRevertDetails | None = None


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
_decode_revision = msgspec.json.Decoder(WireRevisionCreate).decode
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
    if data.startswith(REVISION_CREATE_BEGINS):
        return _read_revision(data, received, fallback)
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


def _read_revision(data: str, received: int, fallback: Callable[[], Origin | None]) -> Reading:
    try:
        wire = _decode_revision(data)
    except msgspec.MsgspecError as error:
        return _read_faulty(data, received, fallback, error, is_revision=True)
    except (UnicodeEncodeError, RecursionError) as error:
        return _refuse(data, received, fallback(), "not_json", str(error))
    meta, details = wire.meta, wire.rev_revert_details
    origin = Origin(meta.topic, meta.partition, meta.offset)
    dt_ms = int(meta.dt.timestamp() * 1000) if meta.dt else 0
    if meta.domain == "canary":
        return Reading(Dropped("canary"), origin, dt_ms)
    if not wire.rev_is_revert or details is None:
        return Reading(Declaration(wire.database, wire.rev_id, "", []), origin, dt_ms)
    newest = details.rev_reverted_revs[-MOST_DECLARED:]
    return Reading(Declaration(wire.database, wire.rev_id, details.rev_revert_method, newest), origin, dt_ms)


def _to_change(wire: WireChange, received: int) -> Change:
    meta, length, revision = wire.meta, wire.length or _no_length, wire.revision or _no_revision
    return Change(
        meta_id=meta.id.lower(),
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
    data: str,
    received: int,
    fallback: Callable[[], Origin | None],
    error: msgspec.MsgspecError,
    *,
    is_revision: bool = False,
) -> Reading:
    """An event that does not fit: still dropped where its kind is dropped, else a dead letter."""
    if not isinstance(error, msgspec.ValidationError):
        return _refuse(data, received, fallback(), "not_json", str(error))
    try:
        envelope = _decode_envelope(data)
    except (msgspec.MsgspecError, RecursionError):
        return _refuse(data, received, fallback(), "schema", str(error))
    meta = envelope.meta
    if meta.topic.endswith(REVISION_CREATE) and not is_revision:
        return _read_revision(data, received, fallback)  # as it should be, but for the order of its fields
    has_origin = bool(meta.topic) and 0 <= meta.partition < 2**16 and 0 <= meta.offset < 2**63
    origin = Origin(meta.topic, meta.partition, meta.offset) if has_origin else fallback()
    dt_ms = int(meta.dt.timestamp() * 1000) if meta.dt else 0
    if meta.domain == "canary":
        return Reading(Dropped("canary"), origin, dt_ms)
    if envelope.type and (drop := _drop_reason(meta.domain, envelope.type)):
        return Reading(Dropped(drop), origin, dt_ms)
    return _refuse(data, received, origin, "schema", str(error), dt_ms)


def _refuse(data: str, received: int, origin: Origin | None, reason: str, error: str, dt_ms: int = 0) -> Reading:
    raw = data.encode(errors="surrogatepass")
    return Reading(dead_letter(raw, received, origin, reason, error), origin, dt_ms)
