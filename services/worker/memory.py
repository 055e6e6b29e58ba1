"""A shard's memory: what the fold works on. Kept in memory from message to message, and in Quix state behind it.

    load        once for each shard that this worker gets: the shard's record, open windows from the journal
    fold        reads pages as it needs them, changes everything in memory alone
    write_back  after each message: what changed, into Quix state

A message that fails half-way leaves the state as it was; the memory is then thrown away and loaded again.
"""

from collections import OrderedDict, deque
from collections.abc import Iterator
from hashlib import blake2b
from heapq import heappop, heappush
from typing import Protocol

import msgspec

from services.worker.state import LAYOUT, PAGE_MEMORY, WINDOW, Chunk, Counted, PageState, ShardState
from services.worker.windows import Window, count

CHUNK = 64  # page keys a chunk; the open chunk is rewritten with every message, so it is kept small
RECENT = 1024  # pages of a shard that are kept in memory: the next edit of a page mostly comes soon


class KeyValue(Protocol):
    """The part of Quix's State that is used here; a dict serves in tests and while seeding."""

    def get_bytes(self, key: bytes) -> bytes | None:
        """The value, or None."""

    def set_bytes(self, key: bytes, value: bytes) -> None:
        """Set the value."""

    def delete(self, key: bytes) -> None:
        """Remove the value; nothing happens where there is none."""


class DictState(dict[bytes, bytes]):
    """State in a dict, for folds that nothing has to survive: evaluations, benchmarks, tests."""

    get_bytes = dict.get
    set_bytes = dict.__setitem__

    def delete(self, key: bytes) -> None:
        """Remove the value."""
        self.pop(key, None)


_pack = msgspec.msgpack.Encoder().encode
_unpack_shard = msgspec.msgpack.Decoder(ShardState).decode
_unpack_entry = msgspec.msgpack.Decoder(list[Counted]).decode
_unpack_page = msgspec.msgpack.Decoder(PageState).decode
_unpack_chunk = msgspec.msgpack.Decoder(Chunk).decode


def page_key(wiki: str, title: str) -> bytes:
    """12 bytes that stand for a page: titles have up to 255, and each key is stored several times."""
    return blake2b(f"{wiki}\0{title}".encode(), digest_size=12).digest()


class PageFilter:
    """Tells of most pages that are not remembered that they are not, without asking the state.

    A slot for each value of 18 bits of the key: with the 50,000 pages a shard has in a day of all Wikipedias, one look
    in six is in vain. Never wrong the other way: whatever is remembered has been `add`ed.
    """

    SLOTS = 2**18  # bytes
    ABSENT, UNTOUCHED, TOUCHED = 0, 1, 2  # what is known of a slot's pages; UNTOUCHED: one, changed in one message only

    def __init__(self) -> None:
        self._slots = bytearray(self.SLOTS)

    def look(self, key: bytes) -> int:
        """ABSENT, UNTOUCHED or TOUCHED."""
        return self._slots[int.from_bytes(key[:4]) % self.SLOTS]

    def add(self, key: bytes, known: int) -> None:
        """Note what is known of a page's slot."""
        self._slots[int.from_bytes(key[:4]) % self.SLOTS] = known


class ShardMemory:
    """The records of one shard and source."""

    def __init__(self, state: KeyValue, source: str, grace: int) -> None:
        """Load it. `grace` is how long windows stay open after their end, seconds of event time."""
        self._state = state
        self._source = source
        self._grace = grace
        stored = state.get_bytes(self._shard_name)
        self._begin(_unpack_shard(stored) if stored else ShardState())
        self._load_windows()
        for key in self._stored_keys():
            self._filter.add(key, PageFilter.TOUCHED)

    def _begin(self, shard: ShardState) -> None:
        self.shard = shard
        self._prefix = f"{LAYOUT}|{self._source}|{shard.generation}|".encode()
        self._windows: dict[int, Window] = {}
        self._starts: list[int] = []  # of these windows, a heap
        self._closing: deque[tuple[int, int]] = deque()  # (number, newest window) of each journal entry, in order
        self._entry: list[Counted] = []  # of the message at hand
        self._filter = PageFilter()
        # as they are in the state, the least recently used first; a dict would search for its first key at each removal
        self._recent: OrderedDict[bytes, PageState] = OrderedDict()
        self._pages: dict[bytes, PageState] = {}  # touched by the message at hand
        self._new_pages: list[bytes] = []
        self._expired: list[bytes] = []
        self._used_chunks: list[int] = []
        self._expired_since_sweep = 0

    def use(self, state: KeyValue) -> None:
        """Go on with the state of the next message: Quix makes a new object for each."""
        self._state = state

    def forget(self) -> None:
        """Begin anew: nothing of what is stored so far is read again."""
        self._begin(ShardState(generation=self.shard.generation + 1))

    # Windows

    def is_late(self, start: int) -> bool:
        """Has the window been closed, `grace` seconds of event time after its end?"""
        return start + WINDOW + self._grace <= self.shard.watermark

    def window(self, start: int) -> Window:
        """The open window that begins at `start`."""
        window = self._windows.get(start)
        if window is None:
            window = self._windows[start] = Window({}, set())
            heappush(self._starts, start)
        return window

    def journal(self, one: Counted) -> None:
        """Note what was counted in an open window."""
        self._entry.append(one)

    def _load_windows(self) -> None:
        for number in range(self.shard.first_entry, self.shard.next_entry):
            stored = self._state.get_bytes(self._name(b"j", number))
            entry = _unpack_entry(stored) if stored else []
            self._closing.append((number, max((one.start for one in entry), default=0)))
            for one in entry:
                if not self.is_late(one.start):
                    window = self.window(one.start)
                    window.ids.add(one.id)
                    count(one, window)

    def _write_journal(self) -> None:
        """Add the message's entry, drop those whose windows have all closed, from the oldest on."""
        shard = self.shard
        if self._entry:
            self._state.set_bytes(self._name(b"j", shard.next_entry), _pack(self._entry))
            self._closing.append((shard.next_entry, max(one.start for one in self._entry)))
            shard.next_entry += 1
            self._entry = []
        while self._closing and self.is_late(self._closing[0][1]):
            number, _ = self._closing.popleft()
            self._state.delete(self._name(b"j", number))
            shard.first_entry = number + 1

    def _close_windows(self) -> None:
        while self._starts and self.is_late(self._starts[0]):
            del self._windows[heappop(self._starts)]

    # Pages

    def page(self, wiki: str, title: str) -> PageState:
        """What is remembered of a page; it is written back."""
        key = page_key(wiki, title)
        page = self._pages.get(key)
        if page is None:
            page = self._pages[key] = self._remembered(key) or self._new_page(key)
        return page

    def _remembered(self, key: bytes) -> PageState | None:
        if self._filter.look(key) == PageFilter.ABSENT:
            return None
        self._filter.add(key, PageFilter.TOUCHED)
        return self._recent.pop(key, None) or self._stored_page(key)

    def _stored_page(self, key: bytes) -> PageState | None:
        stored = self._state.get_bytes(self._name(b"p", key))
        return _unpack_page(stored) if stored else None

    def _new_page(self, key: bytes) -> PageState:
        if self._filter.look(key) == PageFilter.ABSENT:
            self._filter.add(key, PageFilter.UNTOUCHED)
        self._new_pages.append(key)
        return PageState()

    def expire_pages(self) -> None:
        """Forget the pages that have been quiet for PAGE_MEMORY.

        They come up chunk by chunk, in the order in which they were first seen; those that were not quiet queue again.
        """
        quiet_since = self.shard.watermark - PAGE_MEMORY
        for chunk in self._due_chunks(quiet_since):
            again = []
            for key in chunk.pages:
                if self._is_quiet(key, quiet_since):
                    self._expired.append(key)
                else:
                    again.append(key)
            self._new_pages += again

    def _is_quiet(self, key: bytes, quiet_since: int) -> bool:
        page = self._pages.get(key) or self._recent.get(key)
        if page is None:
            if self._filter.look(key) == PageFilter.UNTOUCHED:
                return True  # not changed since its chunk was filled
            page = self._stored_page(key)
        return page is None or page.last < quiet_since

    def _due_chunks(self, quiet_since: int) -> Iterator[Chunk]:
        shard = self.shard
        while shard.first_chunk < shard.next_chunk:
            chunk = self._chunk(shard.first_chunk)
            if chunk.filled >= quiet_since:
                return
            self._used_chunks.append(shard.first_chunk)
            shard.first_chunk += 1
            yield chunk

    def _chunk(self, number: int) -> Chunk:
        stored = self._state.get_bytes(self._name(b"q", number))
        return _unpack_chunk(stored) if stored else Chunk(0, [])

    def _stored_keys(self) -> Iterator[bytes]:
        """The keys of all pages that are remembered."""
        for number in range(self.shard.first_chunk, self.shard.next_chunk):
            yield from self._chunk(number).pages
        yield from self.shard.chunk

    def _forget_expired(self) -> None:
        for key in self._expired:
            self._pages.pop(key, None)
            self._recent.pop(key, None)
            self._state.delete(self._name(b"p", key))
        for number in self._used_chunks:
            self._state.delete(self._name(b"q", number))
        self._expired_since_sweep += len(self._expired)
        self._expired, self._used_chunks = [], []
        if self._expired_since_sweep > PageFilter.SLOTS // 4:
            self._sweep_filter()

    def _sweep_filter(self) -> None:
        """Take out of the filter what has expired, which it cannot do one by one."""
        before, self._filter = self._filter, PageFilter()
        for key in self._stored_keys():
            self._filter.add(key, before.look(key))
        for key in self._new_pages:  # not yet among them
            self._filter.add(key, before.look(key))
        self._expired_since_sweep = 0

    def _write_pages(self) -> None:
        for key, page in self._pages.items():
            self._state.set_bytes(self._name(b"p", key), _pack(page))
        self._recent |= self._pages
        self._pages = {}
        while len(self._recent) > RECENT:
            self._recent.popitem(last=False)

    def _queue_new_pages(self) -> None:
        shard = self.shard
        for key in self._new_pages:
            shard.chunk.append(key)
            if len(shard.chunk) >= CHUNK:
                self._state.set_bytes(self._name(b"q", shard.next_chunk), _pack(Chunk(shard.watermark, shard.chunk)))
                shard.next_chunk += 1
                shard.chunk = []
        self._new_pages = []

    # Into Quix state

    def write_back(self) -> None:
        """Write what the message changed."""
        self._write_journal()
        self._close_windows()
        self._forget_expired()
        self._write_pages()
        self._queue_new_pages()
        self._state.set_bytes(self._shard_name, _pack(self.shard))

    @property
    def _shard_name(self) -> bytes:
        return f"s{LAYOUT}|{self._source}".encode()

    def _name(self, kind: bytes, name: bytes | int) -> bytes:
        return kind + self._prefix + (name if isinstance(name, bytes) else b"%d" % name)
