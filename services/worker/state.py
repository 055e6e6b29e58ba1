"""What the worker remembers, and how it is kept in Quix state: one small record per shard, window and page.

Layout, all under the message key (the shard), msgpack, each source by itself so that a replay of 2024 cannot
expire the live stream's pages (2: LAYOUT; g: generation, counted up when a shard is seeded anew):
    s2|<source>               ShardState
    w2|<source>|g|<start>     WindowState of an open window
    p2|<source>|g|<page key>  PageState of a page changed within PAGE_MEMORY
    q2|<source>|g|<number>    a chunk of page keys, in the order in which the pages come up for expiry

Expiry is by event time and by ourselves, not by Quix's TTL: that one is swept by the newest event of the whole
partition, whatever source it came from, and `audit` must be able to say in SQL what the worker still knew.
"""

from collections.abc import Iterator
from hashlib import blake2b
from typing import Literal, Protocol

import msgspec

from services.common.change import Actor

# Counted up when a record's fields change. State of another layout is not read but seeded anew.
LAYOUT = 2
WINDOW = 10  # seconds
MEMORY = 86_400  # seconds; a revision older than this is unknown to the worker: the three-revert rule's own span
# Revisions a page remembers, all of the last day on all but the most embattled pages: the three-revert rule asks
# who edited in between, and an edit war's intensity how much each fighter edited.
REVISIONS = 128
MARKS = 64  # reverts a page remembers, likewise
# A page is dropped this long after its last change: MEMORY and the longest span of a message (1 h either way).
PAGE_MEMORY = MEMORY + 7200  # seconds
CHUNK = 64  # page keys a chunk; the open chunk is rewritten with every message, so it is kept small


class KeyValue(Protocol):
    """The part of Quix's State that is used here; a dict serves in tests and while seeding."""

    def get_bytes(self, key: str) -> bytes | None:
        """The value, or None."""

    def set_bytes(self, key: str, value: bytes) -> None:
        """Set the value."""

    def delete(self, key: str) -> None:
        """Remove the value; nothing happens where there is none."""


class ShardState(msgspec.Struct, array_like=True):
    """A shard's own record."""

    sequence: int = 0  # changes accepted so far
    watermark: int = 0  # newest event time seen, seconds
    offsets: dict[str, int] = {}  # highest source offset seen, by "topic/partition"
    windows: list[int] = []  # starts of the open windows, ascending
    chunk: list[bytes] = []  # page keys of the open chunk
    first_chunk: int = 0  # number of the oldest full chunk
    next_chunk: int = 0  # number that the open chunk will get
    generation: int = 0  # part of the other records' names; outdated ones are left behind, not read


class Chunk(msgspec.Struct, array_like=True):
    """Page keys that come up for expiry together."""

    filled: int  # watermark when it was full
    pages: list[bytes]


class Tally(msgspec.Struct, array_like=True):
    """The figures of one row of `fronts`."""

    edits: int = 0
    creations: int = 0
    reverts: int = 0
    reverted: int = 0
    bytes_added: int = 0
    bytes_removed: int = 0

    @property
    def version(self) -> int:
        """Grows with everything that is folded in."""
        return self.edits + self.reverted


class WindowState(msgspec.Struct, array_like=True):
    """An open window of a shard."""

    tallies: dict[str, Tally] = {}  # by "wiki|actor"
    # ids of all changes in it: Wikimedia now and then sends one meta.id at two offsets, and a duplicate has
    # its twin's timestamp, so it can only be in the same window
    ids: set[bytes] = set()


# What a revision undoes.
NOTHING = 0
UNCOUNTED = 1  # the editor's own edit
COUNTED = 2  # another's
EXEMPT = 3  # another's, with a claim of exemption from the three-revert rule


class Revision(msgspec.Struct, array_like=True):
    """One of a page's recent revisions."""

    rev_id: int
    user: str
    actor: Actor
    timestamp: int
    undoes: int = 0  # NOTHING, UNCOUNTED, COUNTED or EXEMPT


class Mark(msgspec.Struct, array_like=True):
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


class Editor(msgspec.Struct, array_like=True):
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


class PageState(msgspec.Struct, array_like=True):
    """A page's recent past."""

    last: int = 0  # newest event time, seconds
    count: int = 0  # changes so far
    revisions: list[Revision] = []  # oldest first, REVISIONS at most
    marks: list[Mark] = []  # oldest first, MARKS at most, since the page was last protected or deleted
    battle: Battle | None = None
    # editor -> when he last had three reverts within a day, and when four
    watched: dict[str, tuple[int, int]] = {}


_pack = msgspec.msgpack.Encoder().encode
_unpack_shard = msgspec.msgpack.Decoder(ShardState).decode
_unpack_window = msgspec.msgpack.Decoder(WindowState).decode
_unpack_page = msgspec.msgpack.Decoder(PageState).decode
_unpack_chunk = msgspec.msgpack.Decoder(Chunk).decode


def page_key(wiki: str, title: str) -> bytes:
    """12 bytes that stand for a page: titles have up to 255, and each key is stored several times."""
    return blake2b(f"{wiki}\0{title}".encode(), digest_size=12).digest()


class WorkingSet:
    """The records of one source that a message touches: read once, changed in memory, written back at the end.

    A message that fails half-way leaves the state as it was.
    """

    def __init__(self, state: KeyValue, source: str, grace: int) -> None:
        self._state = state
        self._source = source
        self._grace = grace
        self._windows: dict[int, WindowState] = {}
        self._pages: dict[bytes, PageState] = {}
        self._new_pages: list[bytes] = []
        self._expired: list[bytes] = []
        self._used_chunks: list[int] = []
        stored = state.get_bytes(f"s{LAYOUT}|{source}")
        self.shard = _unpack_shard(stored) if stored else ShardState()

    def is_late(self, window_start: int) -> bool:
        """Has the window been closed, `grace` seconds of event time after its end?"""
        return window_start + WINDOW + self._grace <= self.shard.watermark

    def window(self, start: int) -> WindowState:
        """The open window that begins at `start`."""
        window = self._windows.get(start)
        if window is None:
            stored = self._state.get_bytes(self._name("w", start))
            window = self._windows[start] = _unpack_window(stored) if stored else WindowState()
        return window

    def page(self, wiki: str, title: str) -> PageState:
        """What is remembered of a page."""
        key = page_key(wiki, title)
        page = self._pages.get(key)
        if page is None:
            stored = self._state.get_bytes(self._name("p", key.hex()))
            if stored:
                page = _unpack_page(stored)
            else:
                page = PageState()
                self._new_pages.append(key)
            self._pages[key] = page
        return page

    def forget(self) -> None:
        """Begin anew: nothing of what is stored so far is read again."""
        self.shard = ShardState(generation=self.shard.generation + 1)

    def write_back(self) -> None:
        """Write what was touched; forget closed windows."""
        shard = self.shard
        open_windows = set(shard.windows) | set(self._windows)
        for start in sorted(open_windows):
            if self.is_late(start):
                self._state.delete(self._name("w", start))
                open_windows.discard(start)
            elif start in self._windows:
                self._state.set_bytes(self._name("w", start), _pack(self._windows[start]))
        shard.windows = sorted(open_windows)
        for key in self._expired:
            self._pages.pop(key, None)
            self._state.delete(self._name("p", key.hex()))
        for number in self._used_chunks:
            self._state.delete(self._name("q", number))
        for key, page in self._pages.items():
            self._state.set_bytes(self._name("p", key.hex()), _pack(page))
        self._queue(self._new_pages)
        self._state.set_bytes(f"s{LAYOUT}|{self._source}", _pack(shard))

    def _queue(self, keys: list[bytes]) -> None:
        shard = self.shard
        for key in keys:
            shard.chunk.append(key)
            if len(shard.chunk) >= CHUNK:
                chunk = Chunk(shard.watermark, shard.chunk)
                self._state.set_bytes(self._name("q", shard.next_chunk), _pack(chunk))
                shard.next_chunk += 1
                shard.chunk = []

    def expire_pages(self) -> None:
        """Forget the pages that have been quiet for PAGE_MEMORY.

        They come up chunk by chunk, in the order in which they were first seen; those that were not quiet queue again.
        """
        quiet_since = self.shard.watermark - PAGE_MEMORY
        for number, chunk in self._due_chunks(quiet_since):
            again = []
            for key in chunk.pages:
                stored = self._state.get_bytes(self._name("p", key.hex()))
                page = self._pages.get(key) or (_unpack_page(stored) if stored else None)
                if page is None or page.last >= quiet_since:
                    again.append(key)
                    continue
                self._expired.append(key)
            self._used_chunks.append(number)
            self._new_pages += again

    def _due_chunks(self, quiet_since: int) -> Iterator[tuple[int, Chunk]]:
        shard = self.shard
        while shard.first_chunk < shard.next_chunk:
            stored = self._state.get_bytes(self._name("q", shard.first_chunk))
            chunk = _unpack_chunk(stored) if stored else Chunk(0, [])
            if chunk.filled >= quiet_since:
                return
            shard.first_chunk += 1
            yield shard.first_chunk - 1, chunk

    def _name(self, kind: str, name: str | int) -> str:
        return f"{kind}{LAYOUT}|{self._source}|{self.shard.generation}|{name}"
