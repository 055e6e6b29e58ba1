"""The messages on the broker: the contract between producer and worker.

Topics
    wiki.edits        key: shard ("0".."31"); value: JSON array of `Change`, all of one shard, in source order;
                      header LOG_END: the least offset that it can have in the log it was sent to
    wiki.deadletters  key: dead letter id; value: JSON object `DeadLetter`
    wiki.ledger       key: "topic/partition/page"; value: JSON object `LedgerPage`
    wiki.positions    compacted; key: "topic/partition"; value: JSON object `Position`
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from typing import Annotated, Literal, NamedTuple, TypeAlias
from zlib import crc32

import msgspec
from msgspec import Meta

EDITS_TOPIC = "wiki.edits"
DEAD_LETTERS_TOPIC = "wiki.deadletters"
LEDGER_TOPIC = "wiki.ledger"
POSITIONS_TOPIC = "wiki.positions"

SHARDS = 32

LOG_END = "log-end"  # a header's name

_REPLAYED = ".replayed"

RAW_LIMIT = 64 * 1024  # bytes of a dead letter that are kept: enough to see what it was, bounded for a hostile source

Actor: TypeAlias = Literal["person", "bot", "temporary"]

# Names that MediaWiki gives to people who edit without an account: `~2026-12345-67`, and IP addresses on
# wikis that have not switched. An account name can be neither: MediaWiki refuses both forms.
_TEMPORARY = re.compile(r"~\d{4}-|\d{1,3}(?:\.\d{1,3}){3}$|(?=.*:)[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}$")


# The bounds are those of the ClickHouse columns: a value beyond them would fail the insert of a whole batch.
UInt16: TypeAlias = Annotated[int, Meta(ge=0, lt=2**16)]
UInt32: TypeAlias = Annotated[int, Meta(ge=0, lt=2**32)]
Int32: TypeAlias = Annotated[int, Meta(ge=-(2**31), lt=2**31)]
Natural63: TypeAlias = Annotated[int, Meta(ge=0, le=2**63 - 1)]  # msgspec takes bounds that fit 64 bits alone
# MediaWiki's database names; a hostile source must not fill LowCardinality dictionaries with free text
_WIKI_NAME = r"^[a-z0-9_-]{1,64}$"
WikiName: TypeAlias = Annotated[str, Meta(pattern=_WIKI_NAME)]


# How Wikimedia says that a revision reverts others (schema mediawiki/revision/create: rev_revert_method).
DeclaredMethod: TypeAlias = Literal["", "undo", "rollback", "manual"]
MOST_DECLARED = 128  # reverted revisions that a change carries, the newest; a page remembers no more


class Origin(NamedTuple):
    """Where a change stands in the source's own log."""

    topic: str
    partition: int
    offset: int


class Change(msgspec.Struct, omit_defaults=True, gc=False):
    """One accepted change. Fields are named as the columns of `battlefield.edits`."""

    meta_id: Annotated[str, Meta(min_length=36, max_length=36)]  # a UUID; see `id_bytes`
    source_topic: str
    source_partition: UInt16
    source_offset: Natural63
    wiki: str  # see `is_wiki_name`
    server_name: str
    namespace: Int32
    title: str
    type: str
    user: str  # "" where it was redacted
    actor: Actor
    comment: str
    timestamp: UInt32  # event time, seconds since 1970, UTC
    received: Natural63  # when the producer read it, milliseconds since 1970, UTC
    rev_id: Natural63 = 0  # 0: none (log entries)
    old_rev_id: Natural63 = 0
    length_old: UInt32 | None = None  # bytes
    length_new: UInt32 | None = None
    minor: bool = False
    log_type: str = ""
    log_action: str = ""
    log_params: str = ""  # JSON as it came
    # what Wikimedia declares of the revision in its second stream, joined by the producer; "": no revert that it knows
    declared_method: DeclaredMethod = ""
    declared_rev_ids: Annotated[list[Natural63], Meta(max_length=MOST_DECLARED)] = []  # reverted, the oldest first


class DeadLetter(msgspec.Struct, omit_defaults=True):
    """Something that could not be used, with the reason."""

    dead_letter_id: str  # stable over replays: a hash of origin and raw bytes
    received: int  # milliseconds
    reason: str  # a code, see docs/architecture.md
    error: str  # for people
    raw: bytes  # as it came, cut at 64 KiB (base64 in JSON)
    raw_size: int  # before the cut, bytes
    source_topic: str = ""
    source_partition: int = 0
    source_offset: int = -1


class LedgerPage(msgspec.Struct):
    """What the producer read of one page of 1,000 source offsets, all of it acknowledged by the broker.

    `read == last_offset - first_offset + 1` unless the source itself left a gap.
    """

    source_topic: str
    source_partition: int
    page: int  # source_offset // 1000
    first_offset: int
    last_offset: int
    read: int
    kept: int
    dead_lettered: int
    dropped: dict[str, int]  # by reason


class Position(msgspec.Struct):
    """The highest source offset up to which the broker has acknowledged everything without a gap."""

    source_topic: str
    source_partition: int
    offset: int
    received_until: int  # `meta.dt` of that change, milliseconds
    # how far each partition of wiki.edits had come when this was saved: a shorter log is not the one that this is of
    log_ends: list[int] = []


def dead_letter(raw: bytes, received: int, origin: Origin | None, reason: str, error: str) -> DeadLetter:
    """A dead letter whose id is the same whenever the same bytes come from the same place."""
    place = origin or Origin("", 0, -1)
    digest = blake2b(f"{place.topic}/{place.partition}/{place.offset}/".encode() + raw, digest_size=16)
    return DeadLetter(
        dead_letter_id=digest.hexdigest(),
        received=received,
        reason=reason,
        error=error,
        raw=raw[:RAW_LIMIT],
        raw_size=len(raw),
        source_topic=place.topic,
        source_partition=place.partition,
        source_offset=place.offset,
    )


# What decoding raises for bytes that are none of ours; RecursionError for JSON nested a thousand levels deep.
UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)

encode = msgspec.json.Encoder().encode
decode_changes = msgspec.json.Decoder(list[Change]).decode
decode_dead_letter = msgspec.json.Decoder(DeadLetter).decode
decode_ledger_page = msgspec.json.Decoder(LedgerPage).decode
decode_position = msgspec.json.Decoder(Position).decode


def log_end_header(least: int) -> tuple[str, bytes]:
    """The header LOG_END."""
    return LOG_END, str(least).encode()


def is_of_another_log(headers: Iterable[tuple[str, str | bytes | None]] | None, offset: int) -> bool:
    """Whether a message of wiki.edits was sent to another log than the one that has it at that offset.

    That log is no more (a disk that was lost, a topic made anew), and with it what had come before this message: taken
    for one of the new log it would put all that out of reach, for a shard leaves out what is older than its newest.
    Its producer ends as soon as it sees the offset, and the next one sends all of it again, in order.
    """
    return any(name == LOG_END and _number(value) > offset for name, value in headers or ())


def _number(value: str | bytes | None) -> int:
    """A header's number; -1 for what is none: it says nothing then."""
    return int(value) if isinstance(value, bytes) and value.isdigit() and len(value) < 20 else -1


def source_of(source_topic: str) -> str:
    """What plays, from the origin's topic: "live", "replay-<name>" or "wargame-<seed>".

    The datacenter prefix is left out: Wikimedia swaps it (`eqiad.`, `codfw.`) without it being another source.
    """
    player, _, _ = source_topic.partition(".")
    return player if player.startswith(("replay-", "wargame-")) else "live"


def replayed_topic(source_topic: str) -> str:
    """The topic as of which a dead letter of `source_topic` comes again. It is no log: its offsets are in no order."""
    return source_topic if is_replayed(source_topic) else source_topic + _REPLAYED


def is_replayed(source_topic: str) -> bool:
    """Is it such a topic? In SQL: `endsWith(source_topic, '.replayed')`."""
    return source_topic.endswith(_REPLAYED)


@lru_cache(maxsize=4_096)  # Wikimedia has about 1,000; to check each change's anew would cost half its decoding
def is_wiki_name(wiki: str) -> bool:
    """Is it a database name of MediaWiki's?"""
    return re.search(_WIKI_NAME, wiki) is not None


def id_bytes(meta_id: str) -> bytes:
    """The 16 bytes of a UUID. Raises ValueError where it is none."""
    found = bytes.fromhex(meta_id.replace("-", ""))
    if len(found) != 16:
        raise ValueError(f"{meta_id!r} is no UUID")
    return found


def shard_of(wiki: str, title: str) -> int:
    """The shard of a page, 0 to 31. In SQL: `CRC32(concat(wiki, '\\0', title)) % 32`."""
    return crc32(f"{wiki}\0{title}".encode()) % SHARDS


def actor_of(user: str, bot: bool) -> Actor:
    """The actor class of an editor: the bot flag first, then the form of the name."""
    if bot:
        return "bot"
    return "temporary" if _TEMPORARY.match(user) else "person"
