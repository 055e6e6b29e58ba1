"""When a war game at real speed began. It is kept, so that a game goes on over restarts, as the live stream would."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from services.embedded.plan import Play

FILE = "wargame.json"
# Played before the board is looked at, so that it is not empty; caught up with within seconds.
HISTORY = timedelta(minutes=10)
# An older game is not taken up again: everything since its last run would have to be caught up with first.
LONGEST_AGE = timedelta(hours=1)


def with_start(play: Play, data_dir: Path, now: datetime) -> Play:
    """The play with the instant at which its game begins: that of the game in `data_dir` while it is young and the
    same, else a new one, which is written there.

    At other speeds than real a game begins at the simulator's own fixed instant, so that it can be repeated.
    """
    if play.speed != "real":
        return play
    start = _kept_start(play, data_dir)
    if start is None or not now - LONGEST_AGE <= start <= now:
        start = now - HISTORY if play.events is None else now
    play = play._replace(start=start.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    (data_dir / FILE).write_text(json.dumps({"seed": play.seed, "rate": play.rate, "start": play.start}))
    return play


def _kept_start(play: Play, data_dir: Path) -> datetime | None:
    try:
        kept = json.loads((data_dir / FILE).read_text())
        same = (kept["seed"], kept["rate"]) == (play.seed, play.rate)
        return datetime.fromisoformat(kept["start"]) if same else None
    except (OSError, ValueError, KeyError, TypeError):  # none yet, or damaged: a new game begins
        return None
