"""`battlefield notify`: battles and breaches of the three-revert rule to ALERT_WEBHOOK_URL, each once.

A process of its own that asks ClickHouse: whatever the receiver does, the stream does not wait for it.

Never twice is the first rule. The table `announcements` is written before each attempt and after it. An attempt that
failed is made again, with backoff or when the receiver says; one without an answer (no reply in time, a cut
connection, a kill in between) may have arrived and is not. So at that edge a message can be missing, never double.
One notifier for one database: two would both tell.
"""

import asyncio
import contextlib
import signal
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import aiohttp
import click
import structlog
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from services.common.clickhouse import do_without_pandas, refusal, writer_client
from services.common.health import answer_health
from services.common.heartbeat import beat
from services.common.logs import set_up_logs
from services.common.reach import NotConnected
from services.common.retry import backoff
from services.common.settings import Settings, get_settings
from services.notifier.memory import Row, attempt_row, begin, outcome_row, to_announce, write
from services.notifier.messages import Incident, Shape, body_of, shape_of
from services.notifier.webhook import BadAddress, Result, check_address, new_session, post

ROLE = "notifier"
POLL_EVERY = 3.0  # seconds
BEAT_EVERY = 1.0  # seconds
# After so long it is no news any more: after a long time away nobody gets a flood of old incidents.
NEWS_FOR = timedelta(hours=1)  # from the incident's own time to the clock
FIRST_DELAY, LONGEST_DELAY = 1.0, 300.0  # seconds between attempts
LAST_ANSWER = 2.0  # seconds that an answer may still take when we are asked to end

log = structlog.get_logger()


class Notifier:
    """The loop; everything runs on one event loop, ClickHouse in a thread."""

    def __init__(self, settings: Settings, url: str, shape: Shape) -> None:
        self._settings = settings
        self._url = url
        self._shape = shape
        self._client: Client | None = None
        self._begun = False
        self._done: set[object] = set()  # ids that need nothing more, however the table looks
        self._unwritten: list[Row] = []
        self._failures = 0  # attempts in a row
        self._pause_until = 0.0  # time.monotonic()
        self._counts: Counter[str] = Counter()
        self._state = "starting"
        self._last_error = ""

    async def run(self, stop: asyncio.Event) -> None:
        """Announce until `stop` is set. Raises NotConnected where ClickHouse refuses, and waiting would not help."""
        beating = asyncio.create_task(self._beat_forever())
        try:
            async with new_session() as session:
                while not stop.is_set():
                    await self._round(session, stop)
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(stop.wait(), POLL_EVERY)
        finally:
            beating.cancel()
            self._state = "stopping"
            self._beat()

    async def _round(self, session: aiohttp.ClientSession, stop: asyncio.Event) -> None:
        try:
            incidents = await asyncio.to_thread(self._pending)
            self._state = "waiting" if time.monotonic() < self._pause_until else "running"
            for incident in incidents:
                if stop.is_set() or time.monotonic() < self._pause_until:
                    return
                await self._announce(session, incident, stop)
        except ClickHouseError as error:
            self._client = None
            why = await asyncio.to_thread(refusal, self._settings, error)
            if why.is_lasting:
                raise NotConnected(str(why), is_lasting=True) from error
            self._note("waiting", str(why))

    def _pending(self) -> list[Incident]:
        client = self._connected()
        if not self._begun:
            begin(client, datetime.now(UTC))
            self._begun = True
        self._write([])
        found = to_announce(client, datetime.now(UTC) - NEWS_FOR)
        return [incident for incident in found if incident.incident_id not in self._done]

    async def _announce(self, session: aiohttp.ClientSession, incident: Incident, stop: asyncio.Event) -> None:
        attempt = incident.attempts + 1
        await asyncio.to_thread(self._announce_attempt, incident, attempt)
        result = await self._send(session, incident, stop)
        self._counts[result.outcome] += 1
        told = log.info if result.outcome == "sent" else log.warning
        told("announced", incident=str(incident.incident_id), kind=incident.kind, **result._asdict())
        if result.outcome == "failed":
            wait = backoff(self._failures, first=FIRST_DELAY, longest=LONGEST_DELAY, least=result.retry_after)
            self._failures += 1
            self._pause_until = time.monotonic() + wait
        else:
            self._failures = 0
            self._done.add(incident.incident_id)
        self._note("waiting" if result.outcome == "failed" else "running", result.detail)
        await asyncio.to_thread(self._write, [outcome_row(incident, attempt, result.outcome, result.detail)])

    async def _send(self, session: aiohttp.ClientSession, incident: Incident, stop: asyncio.Event) -> Result:
        """One attempt; when we are asked to end, an answer gets little time."""
        body = body_of(incident, self._shape)
        sending = asyncio.create_task(post(session, self._url, body, str(incident.incident_id)))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([sending, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        done, _ = await asyncio.wait([sending], timeout=LAST_ANSWER)
        if done:
            return sending.result()
        sending.cancel()
        await asyncio.wait([sending])
        return Result("unanswered", "no answer: ended before")

    def _announce_attempt(self, incident: Incident, attempt: int) -> None:
        """Write that an attempt begins. Raises ClickHouseError, with which it does not begin."""
        try:
            write(self._connected(), [attempt_row(incident, attempt)])
        except ClickHouseError:
            # it may be stored all the same, and would look as if the message might have gone out
            self._unwritten.append(outcome_row(incident, attempt, "failed", "not sent: ClickHouse was away"))
            raise

    def _write(self, rows: list[Row]) -> None:
        """Write rows behind those that could not be written before. Raises ClickHouseError and keeps them."""
        self._unwritten += rows
        if self._unwritten:
            write(self._connected(), self._unwritten)
            self._unwritten = []

    def _connected(self) -> Client:
        if self._client is None:
            self._client = writer_client(self._settings, connect_timeout=3, send_receive_timeout=30)
        return self._client

    def _note(self, state: str, error: str) -> None:
        self._state = state
        if error and error != self._last_error:
            log.warning("waiting", error=error)
        self._last_error = error or self._last_error

    async def _beat_forever(self) -> None:
        while True:
            self._beat()
            await asyncio.sleep(BEAT_EVERY)

    def _beat(self) -> None:
        figures = {outcome: self._counts[outcome] for outcome in ("sent", "failed", "refused", "unanswered")}
        beat(self._settings.data_dir, ROLE, self._state, {**figures, "shape": self._shape}, self._last_error)


async def notify(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT. Raises BadAddress, NotConnected."""
    url = settings.alert_webhook_url.get_secret_value()
    check_address(url)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):  # Windows
            loop.add_signal_handler(number, stop.set)
    await Notifier(settings, url, shape_of(url, settings.alert_webhook_format)).run(stop)


@click.command("notify")
def command() -> None:
    """Tell ALERT_WEBHOOK_URL of battles as they open and of breaches of the three-revert rule, until SIGTERM."""
    settings = get_settings()
    set_up_logs(settings, ROLE)
    do_without_pandas()
    answer_health(settings, ROLE)
    try:
        asyncio.run(notify(settings))
    except BadAddress as error:
        raise click.ClickException(str(error)) from None
