"""Figures of a run, gathered in a thread, so that a slow ClickHouse never delays the supervisor."""

import http.client
import logging
import threading
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from services.common.clickhouse import reader_client
from services.common.heartbeat import read_heartbeat
from services.common.queries import run_query
from services.common.settings import Settings
from services.embedded.memory import memory_in_use
from services.embedded.plan import Plan

PERIOD = 1.0  # seconds between samples
ENDLESS_PERIOD = 2.0  # the same where nothing waits for an end: at rest, ClickHouse's answers are a tenth of its work
# Towards its end a finite run is looked at more often, since its duration is measured; but asking must not take the
# time that others need: after a question that took a second there is a pause of five.
LAST_PERIOD = 0.2
COST_FACTOR = 5
QUERY_TIMEOUT = 30  # seconds


class Playing(msgspec.Struct):
    """What the simulator says of itself at /status."""

    name: str = ""  # the `source` of its rows
    events: int | None = None  # None: endless, or not known yet
    sent: int = 0
    empty_lines: int = 0

    @property
    def all_sent(self) -> bool:
        """Whether there is an end, and it was reached."""
        return self.events is not None and self.sent >= self.events


class Account(NamedTuple):
    """The row of clickhouse/queries/accounting.sql."""

    read: int
    kept: int
    refused: int
    dropped: dict[str, int]
    stored: int
    late: int
    first_received: datetime | None
    duplicates: int
    dead_letters: int
    reverts: int
    reverts_with_name: int
    windows: int

    @property
    def balances(self) -> bool:
        """Whether every event that was kept or refused has arrived: stored, as a duplicate or as a dead letter."""
        return self.kept + self.refused == self.stored + self.duplicates + self.dead_letters


@dataclass(frozen=True)
class Figures:
    """One sample. Counts are of this run, but `stored`, `reverts` and `wars`: they are of all that ClickHouse holds."""

    read: int = 0
    rate: float = 0.0  # changes/s
    source_lag: float | None = None  # seconds from the newest change that was read to now
    newest_read: float = 0.0  # `meta.dt` of it, seconds since 1970
    messages_behind: int = 0  # that the workers have not taken from the broker yet
    stored: int = 0
    reverts: int = 0
    wars: int = 0  # being fought: a revert within the last hour, and no end
    newest_event: datetime | None = None
    accounted: int = 0  # events in the ledger that ClickHouse holds
    playing: Playing = field(default_factory=Playing)

    @property
    def freshness(self) -> float | None:
        """Seconds from the newest event in ClickHouse to now."""
        return max(0.0, (datetime.now(UTC) - self.newest_event).total_seconds()) if self.newest_event else None

    @property
    def progress(self) -> tuple[int, ...]:
        """Changes as long as anything at all goes on."""
        return (self.read, self.stored, self.accounted, self.playing.sent, self.messages_behind)


class Finish(NamedTuple):
    """The moment when all was stored."""

    at: float  # seconds since 1970
    account: Account


def is_complete(account: Account, events: int) -> bool:
    """Whether all events of a finite playing were read, and everything read has arrived."""
    return account.read >= events and account.balances


class Meter(threading.Thread):
    """Samples every second or two; `figures` is the newest, `finish` is set when a finite playing is all stored."""

    def __init__(self, plan: Plan, settings: Settings, *, finite: bool) -> None:
        super().__init__(name="meter", daemon=True)
        self._plan = plan
        self._settings = settings
        self._finite = finite
        self._client: Client | None = None
        self._ended = threading.Event()
        self._memory_sampled = 0.0
        self._began = datetime.now(UTC)
        self.figures = Figures()
        self.finish: Finish | None = None
        self.peak_memory = 0  # bytes; of a finite playing alone, whose summary tells it: asking costs 2 % of a core
        self.progressed = time.monotonic()  # when anything was last seen to go on
        self.last_error = ""
        # the driver logs every failed attempt, and all of them fail until the endpoint has started
        logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)

    def end(self) -> None:
        """Take no more samples."""
        self._ended.set()
        self.join(timeout=2)

    def run(self) -> None:
        """The thread's loop."""
        cost = 0.0
        while not self._ended.wait(max(self._period(), COST_FACTOR * cost)):
            began = time.monotonic()
            try:
                self._sample()
            except ClickHouseError as error:
                # it is starting, or starts again: the newest figures stand meanwhile
                self._client, self.last_error = None, str(error)
            cost = time.monotonic() - began

    def _period(self) -> float:
        if not self._finite:
            return ENDLESS_PERIOD
        return LAST_PERIOD if self.figures.playing.all_sent else PERIOD

    def account(self) -> Account:
        """The full account of what plays. Raises ClickHouse's errors."""
        return Account(**self._row("accounting", source=self.figures.playing.name, since=self._began))

    def _sample(self) -> None:
        if self._finite and time.monotonic() - self._memory_sampled >= PERIOD:
            self._memory_sampled = time.monotonic()
            self.peak_memory = max(self.peak_memory, memory_in_use())
        before = self.figures
        playing = self._ask_simulator() or before.playing
        self.figures = replace(before, playing=playing, **self._told_by_heartbeats())
        pulse = self._row("pulse", source=playing.name)
        self.figures = replace(
            self.figures,
            stored=pulse["stored"],
            reverts=pulse["reverts"],
            wars=pulse["wars"],
            newest_event=pulse["newest_event"] if pulse["stored"] else None,
            accounted=pulse["read"],
        )
        if self.figures.progress != before.progress:
            self.progressed = time.monotonic()
        if self._finite and self.finish is None and playing.events is not None and pulse["read"] >= playing.events:
            account = self.account()
            if is_complete(account, playing.events):
                self.finish = Finish(time.time(), account)

    def _row(self, query: str, **parameters: object) -> dict[str, Any]:
        if self._client is None:
            self._client = reader_client(self._settings, connect_timeout=2, send_receive_timeout=QUERY_TIMEOUT)
        return next(iter(run_query(self._client, query, **parameters).named_results()))

    def _ask_simulator(self) -> Playing | None:
        if self._plan.status_address is None:
            return None
        host, path = self._plan.status_address
        connection = http.client.HTTPConnection(host, timeout=2)
        try:
            connection.request("GET", path)
            return msgspec.json.decode(connection.getresponse().read(), type=Playing)
        except (OSError, http.client.HTTPException, msgspec.DecodeError):
            return None
        finally:
            connection.close()

    def _told_by_heartbeats(self) -> dict[str, Any]:
        figures: dict[str, Any] = {}
        if producer := read_heartbeat(self._plan.data_dir, "producer"):
            told = producer.figures
            figures |= {
                "read": told.get("read", 0),
                "rate": told.get("rate", 0.0),
                "source_lag": told.get("lag_s"),
                "newest_read": told.get("newest_dt_ms", 0) / 1000,
            }
        workers = filter(None, (read_heartbeat(self._plan.data_dir, name) for name in self._plan.worker_names))
        figures["messages_behind"] = sum(worker.figures.get("lag") or 0 for worker in workers)
        return figures
