"""How long to wait before asking a server again: what it says itself, else a capped, jittered doubling."""

import math
import random
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_WISH = 3600.0  # seconds; no server's Retry-After counts for more


def backoff(
    attempt: int, *, first: float, longest: float, least: float = 0.0, draw: Callable[[], float] = random.random
) -> float:
    """Seconds to wait before the next attempt (0 is the first retry): full jitter below a doubling, capped bound.

    "Exponential Backoff And Jitter", AWS Architecture Blog, 2015. `least` is the server's own wish.
    """
    bound = min(longest, first * 2 ** min(attempt, 20))
    return float(least + bound * draw())


def retry_after_seconds(header: str) -> float:
    """Retry-After as seconds: a number or an HTTP date (RFC 9110, 10.2.3); 0 where there is none, an hour at most."""
    if not header:
        return 0.0
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds()
        except (TypeError, ValueError):  # TypeError: a date that names no zone
            return 0.0
    return 0.0 if math.isnan(seconds) else min(max(seconds, 0.0), LONGEST_WISH)
