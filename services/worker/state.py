"""What the worker remembers of a shard: in memory while it works, in Quix state so that it survives.

Layout, all under the message key (the shard), msgpack, each source by itself so that a replay of 2024 cannot
expire the live stream's pages (4: LAYOUT; g: generation, counted up when a shard is seeded anew):
    s4|<source>               ShardState
    j4|<source>|g|<number>    what one message counted in open windows
    p4|<source>|g|<page key>  PageState of a page changed within PAGE_MEMORY
    q4|<source>|g|<number>    a chunk of page keys, in the order in which the pages come up for expiry

A state operation costs as much as all else that is done for a change, so there are few. Open windows live in memory and
are made again from the journal: one record a message, deleted when its windows have closed. (A record a window would be
read, written and deleted for nearly every change: most windows of a shard hold one or two.) A page is read only where
`PageFilter` cannot rule out that it is there: most changes are the first of their page in a day.

Expiry is by event time and by ourselves, not by Quix's TTL: that one is swept by the newest event of the whole
partition, whatever source it came from, and `audit` must be able to say in SQL what the worker still knew.
"""

from typing import Literal

import msgspec

from services.common.change import Actor

# Counted up when a record's fields change. State of another layout is not read but seeded anew.
LAYOUT = 4
WINDOW = 10  # seconds
MEMORY = 86_400  # seconds; a revision older than this is unknown to the worker: the three-revert rule's own span
# Revisions a page remembers, all of the last day on all but the most embattled pages: the three-revert rule asks
# who edited in between, and an edit war's intensity how much each fighter edited.
REVISIONS = 128
# And no longer than anything looks back: a battle counts its fighters' edits from a day before its first revert, which
# may be a day old when the battle opens (while there is one, `engage` keeps them from then on). A page that is edited
# daily would else be a longer record each day. A worker that starts over what ClickHouse holds knows no more (seed.py).
REVISION_MEMORY = 2 * (MEMORY + 7200)  # seconds
# A page's revisions are taken apart and put together again where so many are too many, or the oldest so much too old.
# Doing it for each change cost a sixth of the worker's time.
REVISIONS_SLACK, MEMORY_SLACK = 32, MEMORY // 2
MARKS = 64  # reverts a page remembers, likewise
# A page is dropped this long after its last change: MEMORY and the longest span of a message (1 h either way).
PAGE_MEMORY = MEMORY + 7200  # seconds


class ShardState(msgspec.Struct, array_like=True):
    """A shard's own record."""

    sequence: int = 0  # changes accepted so far
    watermark: int = 0  # newest event time seen, seconds
    offsets: dict[str, int] = {}  # highest source offset seen, by "topic/partition"
    first_entry: int = 0  # number of the journal's oldest entry
    next_entry: int = 0  # number that its next one will get
    chunk: list[bytes] = []  # page keys of the open chunk
    first_chunk: int = 0  # number of the oldest full chunk
    next_chunk: int = 0  # number that the open chunk will get
    generation: int = 0  # part of the other records' names; outdated ones are left behind, not read


class Chunk(msgspec.Struct, array_like=True):
    """Page keys that come up for expiry together."""

    filled: int  # watermark when it was full
    pages: list[bytes]


class Counted(msgspec.Struct, array_like=True, gc=False):
    """What one change counted in its window: an item of a journal entry."""

    start: int  # of the window
    id: bytes  # the change's meta.id
    wiki: str = ""  # "": it counts nothing, its id alone is remembered
    actor: Actor = "person"
    creation: bool = False
    grown: int = 0  # bytes
    revert: bool = False  # of another's edit
    reverted_actor: Actor | Literal[""] = ""


# What a revision undoes.
NOTHING = 0
UNCOUNTED = 1  # the editor's own edit
COUNTED = 2  # another's
EXEMPT = 3  # another's, with a claim of exemption from the three-revert rule


class Revision(msgspec.Struct, array_like=True, gc=False):
    """One of a page's recent revisions."""

    rev_id: int
    user: str
    actor: Actor
    timestamp: int
    undoes: int = 0  # NOTHING, UNCOUNTED, COUNTED or EXEMPT


class Mark(msgspec.Struct, array_like=True, gc=False):
    """A revert that a page remembers; self-reverts leave none."""

    rev_id: int
    number: int  # which of the page's changes it is
    timestamp: int
    reverter: str
    reverter_actor: Actor
    reverted: str  # "" where nobody can be named
    reverted_actor: Actor | Literal[""]
    restored: str  # whose version came back, "" where that is not said
    exempt: bool  # claims an exemption from the three-revert rule
    alternations: int  # 1, or one more than the longest chain whose last revert's author it hits


class Editor(msgspec.Struct, array_like=True, gc=False):
    """One fighter's part in a battle."""

    actor: Actor  # when he joined
    edits: int = 0
    reverts: int = 0
    reverted: int = 0


class Battle(msgspec.Struct, array_like=True):
    """The newest battle of a page; it may be over by silence."""

    root: int  # rev_id of the revert that began it
    number: int  # which of the page's changes that was
    opened: int  # seconds, as are the next two
    updated: int = 0  # the newest revert that answers one
    declared: int = 0  # 0: brewing
    alternations: int = 0
    reverts: int = 0
    exempt: int = 0
    fighters: dict[str, Editor] = {}  # in the order of their entry
    hits: dict[str, dict[str, int]] = {}  # reverter -> reverted -> how often
    bonds: dict[str, dict[str, int]] = {}  # reverter -> whose version was restored -> how often


_pack_revision = msgspec.msgpack.Encoder().encode
_unpack_revisions = msgspec.msgpack.Decoder(list[Revision]).decode


class PageState(msgspec.Struct, array_like=True, gc=False):
    """A page's recent past."""

    last: int = 0  # newest event time, seconds
    count: int = 0  # changes so far
    # Recent revisions as they are stored, one after the other, the oldest first: most changes only add one to them.
    packed: bytes = b""
    kept: int = 0  # how many these are, REVISIONS + REVISIONS_SLACK at most
    oldest: int = 0  # event time of the first
    marks: list[Mark] = []  # oldest first, MARKS at most, since the page was last protected or deleted
    battle: Battle | None = None
    # editor -> when he last had three reverts within a day, and when four
    watched: dict[str, tuple[int, int]] = {}

    def revisions(self) -> list[Revision]:
        """The REVISIONS newest ones, oldest first. They are unpacked for this: ask once."""
        array_of_32_bits = b"\xdd" + self.kept.to_bytes(4)  # https://github.com/msgpack/msgpack/blob/master/spec.md
        return _unpack_revisions(array_of_32_bits + self.packed)[-REVISIONS:]

    def add_revision(self, revision: Revision, outdated: int) -> None:
        """Remember a revision; those from before `outdated`, in seconds, may be forgotten."""
        if not self.kept:
            self.oldest = revision.timestamp
        self.packed += _pack_revision(revision)
        self.kept += 1
        if self.kept > REVISIONS + REVISIONS_SLACK or self.oldest < outdated - MEMORY_SLACK:
            revisions = [one for one in self.revisions() if one.timestamp >= outdated]
            self.packed = b"".join(map(_pack_revision, revisions))
            self.kept = len(revisions)
            self.oldest = revisions[0].timestamp if revisions else 0
