"""The war game as a source of lines.

What is kept: the newest 40,000 lines (about 50 MB), and copies of the game's state every 50,000 lines, at most 16 (when
there are more, every second is dropped). A client that resumes within the newest lines is served at once; one that
goes back further waits while the game is played again from the copy before (30,000 lines a second and more); one
that asks for lines that this process has not made yet waits until they are made. So memory is bounded however long
the game runs, and any offset since its start can be had.
"""

import math
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator

from services.simulator.events import event_time
from services.simulator.game import Game
from services.simulator.stories import Story

BLOCK = 500  # lines made at once: some 15 ms of work
_KEPT_BLOCKS = 80
_SNAPSHOT_BLOCKS = 100
_MOST_SNAPSHOTS = 16
# Where a game's own time begins when it does not follow the wall clock, so that a seed gives the same bytes any day.
FIXED_START = 1_767_225_600_000  # 2026-01-01T00:00:00Z
DEFAULT_RATE = 33.0  # changes/s, Wikimedia's average


class WarGame:
    """A game that lasts `events` events, or for ever (None). `tell` receives stories as they end.

    The name has the seed, and the start and rate where they are not the usual ones, since other events under the same
    topic and offset would be taken for ones already seen. So it has `silent`, the share of reverts whose summary says
    nothing of it.
    """

    kind = "war game"
    empty_lines = 0

    def __init__(
        self,
        seed: int,
        rate: float = DEFAULT_RATE,
        start: int = FIXED_START,
        events: int | None = None,
        tell: Callable[[list[Story]], None] = lambda _: None,
        silent: float = 0.0,
    ) -> None:
        self.name = f"wargame-{seed}"
        if start != FIXED_START:
            self.name += f"-{start // 1000}"
        if rate != DEFAULT_RATE:
            self.name += f"-rate{rate:g}".replace(".", "_")
        if silent:
            self.name += f"-silent{silent:g}".replace(".", "_")
        self.length = events
        self.begins = start
        self._tell = tell
        self._game = Game(seed, rate, start, silent)
        self._recent: dict[int, list[bytes]] = {}  # by number of the block
        self._block_times = array("q")  # of each block's first line, milliseconds: 8 bytes per 500 lines
        self._newest = start  # time of the newest line
        self._snapshots: list[tuple[int, Game]] = []  # number of the block that comes next, and the game before it
        self._between_snapshots = _SNAPSHOT_BLOCKS

    @property
    def reached(self) -> int:
        """See Source.reached."""
        return self._newest

    def prepare(self) -> None:
        """Nothing has to be known beforehand."""

    def read(self, first: int) -> Iterator[list[bytes]]:
        """See Source.read."""
        number = first
        again: tuple[int, Game] | None = None  # the game played again, and the block that comes next there
        while self.length is None or number < self.length:
            block, skip = divmod(number, BLOCK)
            if block >= len(self._block_times):
                self._make_block()
            lines = self._recent.get(block)
            if lines is None and block < len(self._block_times):
                if again is None or again[0] > block:
                    again = self._snapshot_before(block)
                at, game = again
                made = game.play(self._size(at))
                again = at + 1, game
                lines = made if at == block else None
            if lines is None:
                yield []
                continue
            yield lines[skip:]
            number += len(lines) - skip

    def find(self, time: int) -> int | None:
        """See Source.find."""
        if time > self._newest and not self._is_over:
            self._make_block()
            return None
        block = max(bisect_left(self._block_times, time) - 1, 0)
        number = block * BLOCK
        for lines in self.read(number):
            for line in lines:
                found = event_time(line)
                if found is not None and found >= time:
                    return number
                number += 1
        return number

    def close(self) -> None:
        """Tell what has not come to its end."""
        self._tell(self._game.open_stories)

    @property
    def _made(self) -> int:
        return min(len(self._block_times) * BLOCK, self.length or math.inf)  # type: ignore[return-value]

    @property
    def _is_over(self) -> bool:
        return self.length is not None and len(self._block_times) * BLOCK >= self.length

    def _size(self, block: int) -> int:
        return BLOCK if self.length is None else min(BLOCK, self.length - block * BLOCK)

    def _make_block(self) -> None:
        block = len(self._block_times)
        if block % self._between_snapshots == 0:
            self._keep_snapshot(block)
        lines = self._game.play(self._size(block))
        self._block_times.append(event_time(lines[0]) or self._newest)
        self._newest = event_time(lines[-1]) or self._newest
        self._recent[block] = lines
        self._recent.pop(block - _KEPT_BLOCKS, None)
        self._tell(self._game.ended)
        self._game.ended = []

    def _keep_snapshot(self, block: int) -> None:
        self._snapshots.append((block, self._game.copy()))
        if len(self._snapshots) > _MOST_SNAPSHOTS:
            self._between_snapshots *= 2
            self._snapshots = [kept for kept in self._snapshots if kept[0] % self._between_snapshots == 0]

    def _snapshot_before(self, block: int) -> tuple[int, Game]:
        index = bisect_left(self._snapshots, block + 1, key=lambda kept: kept[0]) - 1
        at, game = self._snapshots[index]
        return at, game.copy()
