"""How far the broker's logs have come, by what it acknowledges. Pure but for its memory.

In one partition the offsets of acknowledgements only grow, whoever else writes there. Where one does not, the log is
another one: a topic that was made anew, a broker that lost its disk. Kafka itself says nothing of it, for it takes a
producer whose id it does not know at any sequence number; and what the old log held, no worker may have read.
"""

from services.common.change import EDITS_TOPIC

Place = tuple[str, int]  # topic and partition


class Deliveries:
    """What waits for an acknowledgement and since when, and the end of each log as far as it is known."""

    def __init__(self, ends: list[int]) -> None:
        """`ends`: of the partitions of wiki.edits, as the last process knew them."""
        self._ends: dict[Place, int] = {(EDITS_TOPIC, number): end for number, end in enumerate(ends)}
        self._waiting: dict[Place, int] = {}
        self._since: dict[Place, float] = {}  # the newest acknowledgement, or when the first message began to wait

    def least_offset(self, place: Place) -> int:
        """What the next message sent to a place will have at least: behind the log's end comes all that waits."""
        return self._ends.get(place, 0) + self._waiting.get(place, 0)

    def sent(self, place: Place, now: float) -> None:
        """A message was handed over for a place. `now`: seconds of any clock, the same for all calls."""
        waiting = self._waiting.get(place, 0)
        if not waiting:
            self._since[place] = now
        self._waiting[place] = waiting + 1

    def acknowledged(self, place: Place, partition: int, offset: int, now: float) -> str:
        """The broker has it at that offset, negative where it does not tell; what shows that its log is a new one.

        `place` as it was sent, `partition` as the broker has chosen; "": all is well.
        """
        self._waiting[place] -= 1
        self._since[place] = now
        log = (place[0], partition)
        end = self._ends.get(log, 0)
        if 0 <= offset < end:
            return f"offset {offset} of {place[0]}/{partition} was given again, after {end - 1}"
        self._ends[log] = max(end, offset + 1)
        return ""

    def silent_for(self, now: float) -> float:
        """Seconds for which a log with something waiting has acknowledged nothing; 0 where nothing waits."""
        return max((now - self._since[place] for place, count in self._waiting.items() if count), default=0.0)

    def ends(self) -> list[int]:
        """Of each partition of wiki.edits the offset behind what is acknowledged; 0 where that is not known."""
        known = {number: end for (topic, number), end in self._ends.items() if topic == EDITS_TOPIC}
        return [known.get(number, 0) for number in range(max(known, default=-1) + 1)]
