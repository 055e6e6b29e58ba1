"""What goes wrong on purpose, and when: seeded, so that a drill that failed can be run again.

Two kinds. Faults of the *log* (a change sent again under a second offset, a swap of the datacenter topic) belong
to the order of events and live in `log.Layout`. Faults of the *connection*, here, differ for each connection:
cuts in the middle of an event, repeated events, silence, refusals.
"""

from dataclasses import dataclass, field
from random import Random

# How many of the newest events a repetition sends again at most.
REPEATED_AT_MOST = 20


@dataclass(frozen=True)
class Faults:
    """Which faults to inject; zero switches a fault off."""

    seed: int = 0
    cut_every: float = 0.0  # seconds between cuts in the middle of an event, on average
    duplicate_every: int = 0  # events between repetitions of the newest ones, on average
    resend_every: int = 0  # lines of which one is sent again under a second offset, see log.Layout
    swap_every: int = 0  # events after which the other datacenter's topic carries the stream, see log.Layout
    refuse: float = 0.0  # share of connection attempts answered 429 or 503
    silence_every: float = 0.0  # seconds between silences, on average
    silence_for: float = 5.0  # seconds of one silence


@dataclass(frozen=True)
class Refusal:
    """An HTTP answer in place of the stream."""

    status: int
    retry_after: int | None  # seconds; None: the answer carries no Retry-After


@dataclass
class FaultCounts:
    """What was injected so far, shown in /status."""

    cuts: int = 0
    repeated_events: int = 0
    silences: int = 0
    refusals: dict[str, int] = field(default_factory=dict)  # by status code


class ConnectionFaults:
    """The faults of one connection attempt, drawn from the seed and the number of the attempt.

    Times are in seconds of any one monotonic clock.
    """

    def __init__(self, faults: Faults, attempt: int, now: float) -> None:
        self._faults = faults
        self._random = Random(f"{faults.seed}/{attempt}")
        self.refusal = self._draw_refusal()
        self._cut_at = now + self._around(faults.cut_every)
        self._silent_at = now + self._around(faults.silence_every)
        self._repeat_in = self._events_until_repeat()

    def cut_point(self, size: int, now: float) -> int | None:
        """After how many of `size` bytes to cut the connection; None: not now."""
        if not self._faults.cut_every or now < self._cut_at:
            return None
        return self._random.randrange(1, max(size, 2))

    def silence(self, now: float) -> float:
        """How many seconds to send nothing; 0: not now."""
        if not self._faults.silence_every or now < self._silent_at:
            return 0.0
        self._silent_at = now + self._faults.silence_for + self._around(self._faults.silence_every)
        return self._faults.silence_for

    def repeats(self) -> int:
        """How many of the newest events to send again after this one; call once per event."""
        if not self._faults.duplicate_every:
            return 0
        self._repeat_in -= 1
        if self._repeat_in:
            return 0
        self._repeat_in = self._events_until_repeat()
        return self._random.randint(1, REPEATED_AT_MOST)

    def _draw_refusal(self) -> Refusal | None:
        if self._random.random() >= self._faults.refuse:
            return None
        # A 503 from a proxy often names no time to come back: the client must have a delay of its own.
        return self._random.choice((Refusal(429, 1), Refusal(503, 1), Refusal(503, None)))

    def _around(self, mean: float) -> float:
        return self._random.uniform(0.5, 1.5) * mean

    def _events_until_repeat(self) -> int:
        return self._random.randint(1, max(1, 2 * self._faults.duplicate_every - 1))
