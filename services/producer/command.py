"""`battlefield produce`: EventStreams -> wiki.edits, at least once, in order, with bounded memory."""

import asyncio
import contextlib
import re
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta

import click
import msgspec
import structlog
from aiohttp_sse_client.client import MessageEvent
from clickhouse_connect.driver.exceptions import ClickHouseError
from confluent_kafka import KafkaException

from services.common.change import Change, DeadLetter, Origin, Position, dead_letter
from services.common.clickhouse import do_without_pandas, refusal
from services.common.health import answer_health, end_at_sigterm
from services.common.heartbeat import beat
from services.common.kafka import create_topics
from services.common.logs import set_up_logs
from services.common.settings import Settings, get_settings
from services.producer.batches import TICK, Batch, Batches
from services.producer.broker import Broker, DeliveryFailed, LogLost, log_ends_of
from services.producer.declared import Declarations
from services.producer.events import Declaration, Dropped, read_event
from services.producer.ledger import Entry, Ledger
from services.producer.positions import saved_positions
from services.producer.stream import (
    End,
    MissingContact,
    Unreadable,
    connect_forever,
    last_event_id,
    with_declarations,
)

ROLE = "producer"
YIELD_EVERY = 100  # events; while catching up, data is always there and reading never lets other tasks run by itself
PUBLISH_EVERY = 1.0  # seconds between ledger, position and heartbeat
FLUSH_TIMEOUT = 7.0  # seconds at the end; with all else it stays below the 10 s that a container gets
# How long a change waits for its declaration while the source is away: no longer than it may look stuck.
STANDSTILL = 30.0  # seconds
# Without an acknowledgement for so long, while something waits, the producer is not well, whatever keeps the broker.
SILENCE = 15.0  # seconds; a broker's restart on a good disk is shorter
# And where the broker answers all the time and could take it, waiting does not help: a producer that holds on to a log
# that is no more would look busy for ever. Beyond the 10 s after which librdkafka connects again at the latest.
GIVE_UP = 30.0  # seconds
LOOK_EVERY = 5.0  # seconds
NOT_DELIVERING = "not delivering"
LONGEST_SINCE = timedelta(days=7)  # Wikimedia keeps 7 days for certain

log = structlog.get_logger()


class BadSince(ValueError):
    """A span of time is none like 90m, 6h or 7d, or is longer than the source keeps."""


def parse_span(text: str) -> timedelta:
    """A span such as 90m, 6h or 7d. Raises BadSince."""
    match = re.fullmatch(r"(\d{1,6})([smhd])", text.strip())
    if not match:
        raise BadSince(f"{text!r}: write a span such as 90m, 6h or 7d")
    return timedelta(seconds=int(match[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86_400}[match[2]])


def since_instant(span: str, now: datetime) -> str:
    """The ISO 8601 instant that lies `span` before `now`; "" for an empty span. Raises BadSince."""
    if not span:
        return ""
    back = parse_span(span)
    if back > LONGEST_SINCE:
        raise BadSince(f"{span!r}: Wikimedia keeps 7 days; write 7d at most")
    return (now - back).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def positions_of_id(event_id: str) -> dict[tuple[str, int], int]:
    """The offsets in an SSE id, by topic and partition; empty where it has none or is none of EventStreams'."""
    try:
        entries = msgspec.json.decode(event_id, type=list[dict[str, str | int]])
        return {(str(e["topic"]), int(e["partition"])): int(e["offset"]) for e in entries if "offset" in e}
    except (msgspec.MsgspecError, KeyError, ValueError):
        return {}


class Intake:
    """The producer's loop: read, account, gather, send. Everything runs on one event loop, so nothing is locked."""

    def __init__(self, settings: Settings, broker: Broker, ledger: Ledger) -> None:
        self._settings = settings
        self._broker = broker
        self._ledger = ledger
        self._batches = Batches()
        self._clock = 0.0  # seconds in which events could be read, and of a longer break what is over STANDSTILL
        self._stood_still = 0.0
        self._declarations = Declarations(settings.eventstreams_declared_wait, self._clock)
        wanted = settings.eventstreams_declared == "auto"
        self._both_url = with_declarations(settings.eventstreams_url) if wanted else ""
        self._declared = "asked for" if self._both_url else "off"  # on, or why not
        self._dropped: Counter[str] = Counter()
        self._ends: Counter[str] = Counter()
        self._read = self._kept = self._dead_lettered = self._repeated = 0
        self._newest_dt_ms = max((p.received_until for p in ledger.positions.values()), default=0)
        self._last_origin: Origin | None = None
        self._stepped_over: Origin | None = None
        self._sse_ids = ("", "")  # of the event before and of this one; read only where an event cannot be
        self._last_error = ""
        self._state = "starting"
        self._rate = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Read until `stop` is set, then deliver what was read and save the position.

        Raises DeliveryFailed, LogLost, NotConnected.
        """
        since = since_instant(self._settings.eventstreams_since, datetime.now(UTC))
        stream = connect_forever(self._settings, self._url, self._resume_id, since, self._note_end)
        tasks = [
            asyncio.create_task(self._read_all(stream), name="read"),
            asyncio.create_task(self._tick_forever(), name="tick"),
            asyncio.create_task(self._publish_forever(), name="publish"),
            asyncio.create_task(self._beat_forever(), name="beat"),
            asyncio.create_task(self._watch_forever(), name="watch"),
        ]
        stopping = asyncio.create_task(stop.wait())
        try:
            done, _ = await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopping}:
                task.result()  # none of them ends by itself: this raises what ended it
        finally:
            for task in (stopping, *tasks):
                task.cancel()
            await asyncio.gather(stopping, *tasks, return_exceptions=True)
        await self._finish()

    def _url(self) -> str:
        return self._both_url or self._settings.eventstreams_url

    def _resume_id(self) -> str:
        positions, newest, stepped_over = self._ledger.read_positions, self._newest_dt_ms, self._stepped_over
        return last_event_id(positions, newest, stepped_over, declared=bool(self._both_url))

    async def _read_all(self, stream: AsyncIterator[MessageEvent | Unreadable]) -> None:
        async for event in stream:
            self._state = "running"
            self._read_one(event)
            if self._read % YIELD_EVERY == 0:
                await asyncio.sleep(0)
            # The broker is away or slow: leave the rest with the source instead of in memory. The line holds what
            # says where it came from, the broker's queue all that is sent.
            limit = self._settings.kafka_buffer_changes
            while self._ledger.unacknowledged >= limit or self._broker.queued >= limit:
                self._state = "waiting"
                self._gather(self._declarations.release())
                await asyncio.sleep(TICK / 10)
                self._acknowledge()

    def _read_one(self, event: MessageEvent | Unreadable) -> None:
        if isinstance(event, Unreadable):
            self._step_over(event)
            return
        received = time.time_ns() // 1_000_000
        self._sse_ids = (self._sse_ids[1], event.last_event_id)
        reading = read_event(event.data, received, self._origin_by_ids)
        origin = reading.origin
        if origin is not None and self._ledger.is_repeated(origin):
            self._repeated += 1
            self._last_origin = origin
            return
        self._read += 1
        self._newest_dt_ms = max(self._newest_dt_ms, reading.dt_ms)
        match reading.outcome:
            case Change() as change:
                self._kept += 1
                entry = self._ledger.enter(origin, reading.dt_ms, "kept")  # type: ignore[arg-type] # a change has one
                if self._both_url:
                    self._gather(self._declarations.edit(change, entry, reading.dt_ms, self._clock))
                else:
                    self._gather([(change, entry)])
            case Declaration() as declaration:
                self._declared = "on"
                self._dropped[declaration.reason] += 1
                entry = self._ledger.enter(origin, reading.dt_ms, declaration.reason)  # type: ignore[arg-type] # likewise
                self._gather(self._declarations.declaration(declaration, entry, reading.dt_ms, self._clock))
            case Dropped(reason):
                self._dropped[reason] += 1
                if origin is not None:
                    self._ledger.enter(origin, reading.dt_ms, reason, settled=True)
            case DeadLetter() as letter:
                self._refuse(letter, origin, reading.dt_ms)
        self._last_origin = origin or self._last_origin

    def _gather(self, leaving: Iterable[tuple[Change, Entry]]) -> None:
        for change, entry in leaving:
            for batch in self._batches.add(change, entry):
                self._send(batch)

    def _refuse(self, letter: DeadLetter, origin: Origin | None, dt_ms: int) -> None:
        self._dead_lettered += 1
        self._last_error = f"{letter.reason}: {letter.error}"
        entries = [self._ledger.enter(origin, dt_ms, "dead_lettered")] if origin is not None else []
        self._broker.send_dead_letter(letter, entries)

    def _step_over(self, place: Unreadable) -> None:
        """Account for an unreadable event, so that the next connection begins behind it.

        With two streams nobody can tell in which it stands. So the second one is given up; if it was in that one, it
        does not come again.
        """
        if self._both_url:
            self._read_alone(f"{place.reason}: a line that cannot be read")
            return
        last = self._last_origin
        origin = Origin(last.topic, last.partition, last.offset + 1) if last else None
        if origin is not None and self._ledger.is_repeated(origin):
            self._repeated += 1
            return
        self._read += 1
        letter = dead_letter(place.raw, time.time_ns() // 1_000_000, origin, place.reason, "the line cannot be read")
        self._refuse(letter, origin, self._newest_dt_ms)
        self._last_origin = self._stepped_over = origin

    def _origin_by_ids(self) -> Origin | None:
        """The origin that the newest SSE id tells, where it counts in offsets: the entry that moved, minus one."""
        before, now = map(positions_of_id, self._sse_ids)
        last = self._last_origin
        if now == before and last and now.get((last.topic, last.partition)) == last.offset + 1:
            return last  # the line that a new connection repeats
        moved = [key for key, offset in now.items() if offset > max(before.get(key, 0), 0)]
        return Origin(*moved[0], now[moved[0]] - 1) if len(moved) == 1 else None

    def _send(self, batch: Batch) -> None:
        for letter in self._broker.send(batch):
            self._kept -= 1
            self._dead_lettered += 1
            self._last_error = f"{letter.reason}: {letter.error}"

    async def _tick_forever(self) -> None:
        before = time.monotonic()
        while True:
            now = time.monotonic()
            self._stood_still = 0.0 if self._state == "running" else self._stood_still + now - before
            if self._stood_still == 0.0 or self._stood_still > STANDSTILL:
                self._clock += now - before
            before = now
            self._gather(self._declarations.tick(self._clock))
            for batch in self._batches.tick():
                self._send(batch)
            self._acknowledge()
            await asyncio.sleep(TICK)

    def _acknowledge(self) -> None:
        self._broker.poll()
        self._ledger.advance()

    async def _beat_forever(self) -> None:
        """Apart from publishing, which waits while the broker is away: that is no reason to look dead."""
        read_before, at = self._read, time.monotonic()
        while True:
            await asyncio.sleep(PUBLISH_EVERY)
            now = time.monotonic()
            self._rate = (self._read - read_before) / (now - at)
            read_before, at = self._read, now
            self._beat()

    async def _watch_forever(self) -> None:
        """Raises DeliveryFailed where the broker answers and yet takes nothing."""
        answering = 0.0
        while True:
            await asyncio.sleep(LOOK_EVERY)
            silent = self._broker.silent_for
            # in a thread: it waits for the broker
            answers = silent > SILENCE and await asyncio.to_thread(self._broker.could_take)
            answering = answering + LOOK_EVERY if answers and self._broker.silent_for > SILENCE else 0.0
            if answering >= GIVE_UP:
                raise DeliveryFailed(f"it answers, and has acknowledged nothing for {self._broker.silent_for:.0f} s")

    async def _publish_forever(self) -> None:
        while True:
            await asyncio.sleep(PUBLISH_EVERY)
            pages = self._ledger.take_changed_pages()
            if pages:
                await self._broker.publish(pages, list(self._ledger.positions.values()))

    async def _finish(self) -> None:
        """Deliver what was read. What the broker does not take in time is read again at the next start."""
        self._state = "stopping"
        self._gather(self._declarations.release())
        for batch in self._batches.close_all():
            self._send(batch)
        deadline = time.monotonic() + FLUSH_TIMEOUT
        missing = await self._broker.flush(FLUSH_TIMEOUT)
        self._ledger.advance()
        pages = self._ledger.take_changed_pages()
        if not missing:
            publishing = asyncio.ensure_future(self._broker.publish(pages, list(self._ledger.positions.values())))
            while not publishing.done() and time.monotonic() < deadline:
                self._broker.poll()
                await asyncio.sleep(0.005)
        self._beat()
        log.info("stopped", read=self._read, undelivered=self._ledger.unacknowledged)

    def _note_end(self, end: End) -> bool:
        """Count the end; True where the next attempt is to be made at once, without the second stream."""
        self._state = "waiting"
        self._ends[end.reason] += 1
        self._last_error = f"{end.reason}: {end.detail}"
        if end.reason != "status" or not self._both_url:
            return False
        self._read_alone(end.detail)
        return True

    def _read_alone(self, why: str) -> None:
        """Go on without the second stream: it is an extra, and must never keep the changes from coming."""
        self._gather(self._declarations.release())
        log.warning("reverts are read from summaries alone", url=self._both_url, reason=why)
        self._both_url, self._declared = "", f"off: {why}"

    def _beat(self) -> None:
        newest = self._newest_dt_ms
        silent = self._broker.silent_for
        state = self._state
        if silent > SILENCE:
            state = NOT_DELIVERING
            self._last_error = f"the broker has acknowledged nothing for {silent:.0f} s"
        figures = {
            "read": self._read,
            "kept": self._kept,
            "dropped": dict(self._dropped),
            "dead_lettered": self._dead_lettered,
            "repeated": self._repeated,
            "unacknowledged": self._ledger.unacknowledged,
            "not_acknowledged_s": round(silent, 1),
            "declared": self._declared,
            "declared_waiting": self._declarations.holds,
            "declared_joined": self._declarations.joined,
            "declared_unmatched": self._declarations.unmatched,
            "connections_ended": dict(self._ends),
            "rate": round(self._rate, 1),
            "lag_s": round(time.time() - newest / 1000, 1) if newest else None,
            "newest_dt_ms": newest,
            "position": {f"{t}/{p}": place.offset for (t, p), place in self._ledger.positions.items()},
            "source": self._settings.eventstreams_url,
        }
        beat(self._settings.data_dir, ROLE, state, figures, self._last_error)


async def produce(settings: Settings, positions: list[Position]) -> None:
    """Read on from there until SIGTERM or SIGINT.

    Raises MissingContact, BadSince, DeliveryFailed, LogLost, NotConnected.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):  # Windows
            loop.add_signal_handler(number, stop.set)
    ledger = Ledger()
    ledger.resume_from(positions)
    await Intake(settings, Broker(settings, log_ends_of(positions)), ledger).run(stop)


@click.command("produce")
def command() -> None:
    """Read Wikipedia's changes and put them on the broker, until SIGTERM."""
    settings = get_settings()
    set_up_logs(settings, ROLE)
    do_without_pandas()
    end_at_sigterm()
    answer_health(settings, ROLE)
    beat(settings.data_dir, ROLE, "starting", {})
    try:
        create_topics(settings)
        asyncio.run(produce(settings, saved_positions(settings)))
    except BadSince as error:
        raise click.ClickException(f"EVENTSTREAMS_SINCE={error}") from None
    except MissingContact as error:
        raise click.ClickException(str(error)) from None
    except LogLost as error:
        raise click.ClickException(
            f"The broker at {settings.kafka_bootstrap_servers} has lost its log ({error}). The next start reads again "
            "whatever ClickHouse does not hold: nothing is lost, and there is nothing to do if this is started again."
        ) from error
    except (KafkaException, TimeoutError, DeliveryFailed) as error:
        raise click.ClickException(
            f"The broker at {settings.kafka_bootstrap_servers} failed: {error}\n"
            "Nothing is lost: the next start goes on from the saved position. Check that the broker runs."
        ) from error
    except ClickHouseError as error:
        raise click.ClickException(
            f"The broker holds no position, and ClickHouse cannot be asked for one. {refusal(settings, error)}"
        ) from error
