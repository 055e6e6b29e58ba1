"""What a run shows: what it waits for, then one line of figures. Lines for a log file where there is no terminal."""

import time
from collections.abc import Mapping
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from services.embedded.meter import Figures
from services.embedded.supervisor import Phase, Slot

PLAIN_PERIOD = 10.0  # seconds between lines of figures where there is no terminal
FRAMES_PER_SECOND = 4
# Further behind than this and the source is being caught up with, which has a bar of its own.
CATCHING_UP = 60.0  # seconds
BAR_WIDTH = 40  # characters

_SIGNS = {Phase.READY: "✓", Phase.DONE: "✓", Phase.DOWN: "✗", Phase.WAITING: "·", Phase.ENDING: "·"}


def figures_line(figures: Figures, *, live: bool) -> str:
    """The line of figures: changes in, stored, lag, freshness (`live`: else the event time reached), reverts, wars."""
    words = [f"in {figures.read:,} ({figures.rate:,.0f}/s)", f"stored {figures.stored:,}"]
    words.append(f"lag {figures.messages_behind:,} messages" if figures.messages_behind else "no lag")
    if live:
        words.append(f"freshness {figures.freshness:.1f} s" if figures.freshness is not None else "freshness –")
    elif figures.newest_event:
        words.append(f"at {figures.newest_event:%Y-%m-%d %H:%M:%S}")
    words.append(f"reverts {figures.reverts:,}")
    words.append(f"battles {figures.wars:,}")
    return " · ".join(words)


def caught_up_share(figures: Figures, begin: float | None, now: float) -> float | None:
    """How much of the time from `begin` to now has been read, 0 to 1; None when it is as good as all."""
    if begin is None or not figures.newest_read or now - figures.newest_read < CATCHING_UP:
        return None
    return max(0.0, min(1.0, (figures.newest_read - begin) / (now - begin)))


def waiting_line(slot: Slot, slots: Mapping[str, Slot], now: float) -> str:
    """One part while not all are ready."""
    part, seconds = slot.part, now - slot.since
    match slot.phase:
        case Phase.READY | Phase.DONE:
            return part.name
        case Phase.STARTING:
            return f"{part.name}: starting, {seconds:.0f} s"
        case Phase.DOWN:
            return f"{part.name}: starts again in {max(0.0, slot.retry_at - now):.0f} s"
        case Phase.ENDING:
            return f"{part.name}: ends, to start anew"
        case _:
            missing = [name for name in part.needs if not slots[name].is_up]
            return f"{part.name}: waits for {' and '.join(missing)}"


class Screen:
    """Shows a run on a console; a context manager, for it redraws its last lines on a terminal."""

    def __init__(self, console: Console, *, live: bool) -> None:
        self._console = console
        self._live = live
        self._display = Live(console=console, refresh_per_second=FRAMES_PER_SECOND, transient=True)
        self._spinner = Spinner("dots")
        self._told: set[str] = set()
        self._told_at = 0.0
        self._catching_up_from: float | None = None

    def __enter__(self) -> "Screen":
        if self._console.is_terminal:
            self._display.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._display.stop()

    def say(self, text: str) -> None:
        """A line that stays."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def show_start(self, slots: Mapping[str, Slot], now: float) -> None:
        """What is waited for."""
        if not self._console.is_terminal:
            for name, slot in slots.items():
                if slot.is_up and name not in self._told:
                    self._told.add(name)
                    self.say(f"{name} is ready")
            return
        rows = Table.grid(padding=(0, 1))
        for slot in slots.values():
            sign: RenderableType = self._spinner if slot.phase is Phase.STARTING else _SIGNS[slot.phase]
            rows.add_row(sign, Text(waiting_line(slot, slots, now)))
        self._display.update(rows)

    def show_figures(self, figures: Figures) -> None:
        """The line of figures, and a bar while the source is being caught up with."""
        now = time.time()
        if self._catching_up_from is None and figures.newest_read:
            self._catching_up_from = figures.newest_read
        share = caught_up_share(figures, self._catching_up_from, now) if self._live else None
        line = figures_line(figures, live=self._live)
        if not self._console.is_terminal:
            if now - self._told_at >= PLAIN_PERIOD:
                self._told_at = now
                self.say(line if share is None else f"filling in, {share:.0%} · {line}")
        elif share is None:
            self._display.update(Text(line))
        else:
            bar = Table.grid(padding=(0, 1))
            bar.add_row("filling in", ProgressBar(total=1.0, completed=share, width=BAR_WIDTH), f"{share:.0%}")
            self._display.update(Group(bar, Text(line)))
