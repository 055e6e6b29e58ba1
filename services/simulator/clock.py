"""When an event is due."""

import time
from typing import Literal, TypeAlias

# max: as fast as clients read. clock: when the wall clock reaches the event's time. A number: so many times as fast as
# the events' own time, counted from the first connection.
Pace: TypeAlias = float | Literal["max", "clock"]


class Clock:
    """The time of the events, as it passes while they are played. All times in milliseconds since 1970."""

    def __init__(self, pace: Pace) -> None:
        self._factor = pace if isinstance(pace, float) else 1.0
        self._unhurried = pace != "max"
        self._runs_ahead: float | None = 0.0 if pace == "clock" else None  # event time minus wall clock times factor

    def start(self, begins: int) -> None:
        """The first connection is there; the first event has this time. Later calls change nothing."""
        if self._runs_ahead is None:
            self._runs_ahead = begins - _wall() * self._factor

    def now(self) -> int | None:
        """The event time that is due by now; None where no time is kept: at pace `max`, or not yet started."""
        if self._runs_ahead is None or not self._unhurried:
            return None
        return int(_wall() * self._factor + self._runs_ahead)

    def seconds_until(self, event_time: int | None) -> float:
        """How long until an event is due, 0 if it is; one without a time is due with the one before it."""
        now = self.now()
        if now is None or event_time is None:
            return 0.0
        return max(event_time - now, 0) / 1000 / self._factor


def _wall() -> float:
    return time.time() * 1000
