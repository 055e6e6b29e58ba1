"""The log that a simulator serves: which event stands at which offset of which topic.

Wikimedia's stream is two Kafka topics, one per datacenter, of which one is in use. A *source* gives numbered lines;
`Layout` says, by arithmetic alone, where in the two topics each line stands - so any offset can be resumed from
without a record of what was sent. Words: a *line* is the source's, an *entry* is the log's (a line sent again is two
entries), a *position* counts entries over both topics, an *offset* counts entries of one topic.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

EQIAD, CODFW = 0, 1  # the order in which the ids of the real service name them


class Source(Protocol):
    """Lines to play, numbered from 0."""

    @property
    def kind(self) -> str:
        """`recording` or `war game`."""

    @property
    def name(self) -> str:
        """The first part of the topics' names: `replay-...` or `wargame-...`."""

    @property
    def length(self) -> int | None:
        """How many lines there are; None: endless. Valid after `prepare`."""

    @property
    def empty_lines(self) -> int:
        """How many lines were empty and so have no number. Valid after `prepare`."""

    @property
    def begins(self) -> int:
        """The time of the first line, milliseconds since 1970. Valid after `prepare`."""

    @property
    def reached(self) -> int:
        """The time of the newest line that is there, milliseconds since 1970. Valid after `prepare`."""

    def prepare(self) -> None:
        """Whatever must be known before anything is read; called once, in a thread of its own."""

    def read(self, first: int) -> Iterator[Sequence[bytes]]:
        """The lines from number `first` on, in batches that each take milliseconds to make.

        An empty batch means "still on the way to `first`": the caller may do something else in between.
        """

    def find(self, time: int) -> int | None:
        """The number of the first line at or after `time` (milliseconds), or the end where there is none yet.

        None: not known yet, ask again; each call works for some milliseconds.
        """


@dataclass(frozen=True)
class Layout:
    """Where lines stand in the two topics.

    resend_every: of each so many lines one, drawn by seed, is sent a second time later among them, as Wikimedia
    itself does now and then: one `meta.id` at two offsets. swap_every: after each so many entries the other
    datacenter's topic goes on, with offsets of its own. 0: never.
    """

    seed: int = 0
    resend_every: int = 0
    swap_every: int = 0

    def entries(self, lines: int) -> int:
        """How many entries so many lines make. The last, partial block of lines has no repetition."""
        return lines + lines // self.resend_every if self.resend_every else lines

    def position_of_line(self, line: int, length: int | None) -> int:
        """Where a line of a source of `length` lines stands first (`line` may be its end)."""
        if not self.resend_every:
            return line
        block, index = divmod(line, self.resend_every)
        _, after = self._repetition(block, length)
        return block * (self.resend_every + 1) + index + (index > after)

    def locate(self, position: int) -> tuple[int, int]:
        """The topic (EQIAD or CODFW) and the offset of an entry."""
        if not self.swap_every:
            return CODFW, position
        stretch, index = divmod(position, self.swap_every)
        return (EQIAD if stretch % 2 else CODFW), stretch // 2 * self.swap_every + index

    def position_of(self, topic: int, offset: int) -> int | None:
        """Where an offset of a topic stands; None: the topic is never in use."""
        if not self.swap_every:
            return offset if topic == CODFW else None
        stretch, index = divmod(offset, self.swap_every)
        return (2 * stretch + (topic == EQIAD)) * self.swap_every + index

    def offset_at(self, topic: int, position: int) -> int:
        """How many entries of a topic stand before a position: the offset that is next there."""
        if not self.swap_every:
            return position if topic == CODFW else 0
        stretch, index = divmod(position, self.swap_every)
        whole = (stretch + (topic == CODFW)) // 2
        return whole * self.swap_every + (index if (stretch % 2 == 1) == (topic == EQIAD) else 0)

    def read(self, source: Source, position: int) -> Iterator[list[tuple[int, bytes]]]:
        """The entries from a position on as (position, line), batched as `Source.read` does."""
        every = self.resend_every
        if not every:
            for lines in source.read(position):
                yield list(enumerate(lines, position))
                position += len(lines)
            return
        # Begin with the whole block: the line to be sent again may stand before `position`.
        block = position // (every + 1)
        number, at = block * every, block * (every + 1)
        again, picked, after = b"", 0, 0
        for lines in source.read(number):
            batch = []
            for line in lines:
                block, index = divmod(number, every)
                if index == 0:
                    picked, after = self._repetition(block, source.length)
                batch.append((at, line))
                at += 1
                if index == picked:
                    again = line
                if index == after:
                    batch.append((at, again))
                    at += 1
                number += 1
            yield [entry for entry in batch if entry[0] >= position]

    def _repetition(self, block: int, length: int | None) -> tuple[int, int]:
        """Which line of a block is sent again, and after which line; both count from 0 in the block."""
        if length is not None and (block + 1) * self.resend_every > length:
            return self.resend_every, self.resend_every  # a partial block: beyond its lines, so never
        draw = Random(f"{self.seed}/again/{block}")
        picked = draw.randrange(self.resend_every)
        return picked, draw.randrange(picked, self.resend_every)
