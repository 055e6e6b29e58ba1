"""The HTTP side: serves a log as Wikimedia's EventStreams serves its topics, faults included.

    GET /v2/stream/recentchange   server-sent events; also `/v2/stream/mediawiki.recentchange`, and with a second
                                  stream where that is played: `/v2/stream/recentchange,mediawiki.revision-create`
    GET /status                   what is played and how far it has come, as JSON
    GET /healthz                  200 as long as the process answers
    GET /ready                    200 when what it plays has been read, 503 before

What follows the real service (its library KafkaSSE): `:ok` first; ids that are JSON arrays with one entry per topic;
`Last-Event-ID` by offset or by timestamp, -1 meaning "from now"; only the topics that a `Last-Event-ID` names are
sent; 400 for one that cannot be read, 404 for a topic that is not served; `since` counts only without a
`Last-Event-ID`; 403 for a User-Agent without contact; 429 past two connections from one address; a cut after a while.

What differs: a client without any position begins at the beginning, not "from now", where the playing has an end or
nobody has read of it yet, so that a replay is complete and a game's opening is seen however long the other parts take
to start. And positions in earlier games or recordings are passed over, where the real service would answer 404: it
never forgets a topic, but a simulator that is started again often plays another one.

Both streams tell of one edit right after one another, at every second edit the one first and else the other, since
Wikimedia promises no order.
"""

import asyncio
import re
import time
from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from typing import Literal

import msgspec
import structlog
from aiohttp import web

from services.simulator.clock import Clock, Pace
from services.simulator.declared import declare, is_revision_create, silence
from services.simulator.events import iso_milliseconds, stamp
from services.simulator.faults import REPEATED_AT_MOST, ConnectionFaults, FaultCounts, Faults
from services.simulator.log import Layout, Source

CONNECTIONS_PER_ADDRESS = 2
# Bytes gathered before they are handed to the socket when the client is behind: one system call for some 50 events.
FLUSH_BYTES = 64 * 1024
# A User-Agent names a contact by a mail address, a web page or a user page. https://meta.wikimedia.org/wiki/User-Agent_policy
_CONTACT = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+|https?://[^\s/]+\.|\bUser:\S")
_STREAMS = {"recentchange": 0, "mediawiki.recentchange": 0, "mediawiki.revision-create": 1}  # numbers of streams
_SITES = ("eqiad", "codfw")  # numbered as EQIAD and CODFW of log.py
_SIMULATED = ("wargame-", "replay-")  # how topics of simulators begin
_STREAM_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "private, no-cache, no-store, max-age=0, must-revalidate",
}

log = structlog.get_logger()


@dataclass(frozen=True)
class Play:
    """How a source is played.

    cut_after: minutes after which a connection is ended between two events, 0: never. ids: what an SSE id holds for
    a topic, its next offset or the last event's time + 1 ms (as Wikimedia configures it). declared: also serve the
    second stream, revision-create; of a recording only what it holds of it.
    """

    pace: Pace = 1.0
    cut_after: float = 15.0
    ids: Literal["offset", "timestamp"] = "offset"
    declared: bool = False


@dataclass
class _Tally:
    """What was sent so far, over all connections."""

    sent: int = 0  # entries before this position have each been sent to someone
    written: int = 0  # events written, repetitions included
    faults: FaultCounts = field(default_factory=FaultCounts)


class _Assignment(msgspec.Struct):
    """One entry of a Last-Event-ID. Neither offset nor timestamp: from wherever a new client begins."""

    topic: str
    partition: int = 0
    offset: int | None = None
    timestamp: int | None = None  # milliseconds


class _Refused(Exception):
    """The stream is not given; carries the answer."""

    def __init__(self, status: int, text: str, retry_after: int | None = None) -> None:
        super().__init__(text)
        self.status, self.text, self.retry_after = status, text, retry_after


class _Cut(Exception):
    """The connection is to end without the end of the response, as a proxy ends it."""


class Simulator:
    """Serves one source to any number of addresses; all state is in this process's memory and small."""

    def __init__(self, source: Source, play: Play, faults: Faults) -> None:
        self._source, self._play, self._faults = source, play, faults
        self._layout = Layout(faults.seed, faults.resend_every, faults.swap_every)
        # a topic's number is 2 * stream + site
        self._topics = [
            f"{source.name}.{site}.{stream}"
            for stream in ("mediawiki.recentchange", "mediawiki.revision-create")
            for site in _SITES
        ]
        self._topic_json = [msgspec.json.encode(topic) for topic in self._topics]
        self._ready = asyncio.Event()
        self._clock = Clock(play.pace)
        self._open: Counter[str] = Counter()  # connections by address
        self._attempts = 0
        self._tally = _Tally()

    def application(self) -> web.Application:
        """The routes, for aiohttp to run."""
        app = web.Application()
        app.router.add_get("/v2/stream/{streams}", self._stream)
        app.router.add_get("/status", self._status)
        app.router.add_get("/healthz", self._health)
        app.router.add_get("/ready", self._is_ready)
        return app

    async def prepare(self) -> None:
        """Make the source ready; connections wait for it. Raises what the source's `prepare` raises."""
        await asyncio.to_thread(self._source.prepare)
        self._ready.set()

    # The routes

    async def _health(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _is_ready(self, request: web.Request) -> web.Response:
        ready = self._ready.is_set()
        return web.json_response({"ready": ready}, status=200 if ready else 503)

    async def _status(self, request: web.Request) -> web.Response:
        streams = 2 if self._play.declared else 1  # an entry is an event of each
        entries = self._events() if self._ready.is_set() else None
        return web.json_response(
            {
                "kind": self._source.kind,
                "name": self._source.name,
                "topics": self._topics if self._play.declared else self._topics[:2],
                "ready": self._ready.is_set(),
                "events": None if entries is None else entries * streams,
                "sent": self._tally.sent * streams,
                "finished": entries is not None and self._tally.sent >= entries,
                "empty_lines": self._source.empty_lines,
                "written": self._tally.written,
                "connections": self._open.total(),
                "faults": asdict(self._tally.faults),
            }
        )

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        address = request.remote or ""
        self._attempts += 1
        faults = ConnectionFaults(self._faults, self._attempts, time.monotonic())
        try:
            self._admit(request, address, faults)
            assignments = self._assignments(request, self._topics_of(request.match_info["streams"]))
        except _Refused as refused:
            headers = {"Retry-After": str(refused.retry_after)} if refused.retry_after else None
            log.info("refused a connection", status=refused.status, reason=refused.text)
            return web.json_response({"detail": refused.text}, status=refused.status, headers=headers)
        self._open[address] += 1
        try:
            await self._ready.wait()
            return await self._serve(request, assignments, faults)
        finally:
            self._open[address] -= 1
            if not self._open[address]:
                del self._open[address]

    # Who gets in, and from where

    def _admit(self, request: web.Request, address: str, faults: ConnectionFaults) -> None:
        if not _CONTACT.search(request.headers.get("User-Agent", "")):
            raise _Refused(403, "Set a User-Agent that names you and a contact (mail address or web page).")
        if self._open[address] >= CONNECTIONS_PER_ADDRESS:
            raise _Refused(429, f"Over {CONNECTIONS_PER_ADDRESS} connections from {address}: close one.", 5)
        if faults.refusal is not None:
            code, refusals = str(faults.refusal.status), self._tally.faults.refusals
            refusals[code] = refusals.get(code, 0) + 1
            raise _Refused(faults.refusal.status, "Injected refusal.", faults.refusal.retry_after)

    def _topics_of(self, names: str) -> list[str]:
        """The topics of the streams that a URL names, with commas between them."""
        asked = {_STREAMS.get(name) for name in names.split(",")}
        if None in asked or (1 in asked and not self._play.declared):
            raise _Refused(404, f"There is no stream {names!r} here.")
        return [topic for number, topic in enumerate(self._topics) if number // 2 in asked]

    def _assignments(self, request: web.Request, topics: list[str]) -> list[_Assignment]:
        """Where the client wants to begin, topic by topic."""
        last_event_id = request.headers.get("Last-Event-ID")
        if last_event_id is not None:
            try:
                given = msgspec.json.decode(last_event_id, type=list[_Assignment])
            except msgspec.DecodeError as error:
                raise _Refused(400, f"Last-Event-ID is no JSON array of topic positions: {error}") from None
            ours = [a for a in given if a.topic in topics and a.partition == 0]
            foreign = [a.topic for a in given if a not in ours and not a.topic.startswith(_SIMULATED)]
            if foreign:
                raise _Refused(404, f"Topics {', '.join(foreign)} are not available; there are {topics}.")
            return ours or [_Assignment(topic) for topic in topics]
        since = request.query.get("since")
        if since is None:
            return [_Assignment(topic) for topic in topics]
        try:
            time = int(since) if since.isdecimal() else iso_milliseconds(since)
        except (ValueError, OverflowError):
            raise _Refused(400, "since is neither an ISO 8601 instant nor milliseconds since 1970.") from None
        return [_Assignment(topic, timestamp=time) for topic in topics]

    async def _first_offsets(self, assignments: list[_Assignment]) -> dict[int, int]:
        """For each topic asked for, the first offset to send."""
        first: dict[int, int] = {}
        for assignment in assignments:
            topic = self._topics.index(assignment.topic)
            if assignment.offset is not None and assignment.offset >= 0:
                first[topic] = assignment.offset
            elif assignment.timestamp is not None and assignment.offset is None:
                first[topic] = self._layout.offset_at(topic % 2, await self._position_at(assignment.timestamp))
            elif assignment.offset is None and (self._source.length is not None or not self._tally.sent):
                first[topic] = 0
            else:
                first[topic] = self._layout.offset_at(topic % 2, await self._head())
        return first

    async def _head(self) -> int:
        """The position that counts as "now": by the clock that events are due by, or what was sent so far."""
        now = self._clock.now()
        return self._tally.sent if now is None else max(self._tally.sent, await self._position_at(now))

    async def _position_at(self, time: int) -> int:
        """The first position at or after a time; what lies ahead counts as "now"."""
        now = self._clock.now()
        time = min(time, (self._source.reached if now is None else now) + 1)
        while (line := self._source.find(time)) is None:  # noqa: ASYNC110 - each call is a slice of the search
            await asyncio.sleep(0)
        return self._layout.position_of_line(line, self._source.length)

    def _events(self) -> int | None:
        length = self._source.length
        return None if length is None else self._layout.entries(length)

    # One connection

    async def _serve(
        self, request: web.Request, assignments: list[_Assignment], faults: ConnectionFaults
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers=_STREAM_HEADERS)
        response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(b":ok\n\n")
        self._clock.start(self._source.begins)
        first = await self._first_offsets(assignments)
        framing = _Framing(self._topics, self._play.ids, assignments)
        connection = _Connection(response, framing, faults, self._tally)
        try:
            async with asyncio.timeout(self._play.cut_after * 60 or None):
                await self._send(connection, first)
                await asyncio.Event().wait()  # over: the connection stays open and silent
        except (TimeoutError, _Cut):
            # No last chunk: the client sees a response that breaks off, as behind Wikimedia's proxies.
            if request.transport is not None:
                request.transport.close()
        return response

    async def _send(self, connection: "_Connection", first: dict[int, int]) -> None:
        """Send the entries of the topics asked for in the log's order, each when it is due."""
        starts = [self._layout.position_of(topic % 2, offset) for topic, offset in first.items()]
        begin = min((start for start in starts if start is not None), default=None)
        if begin is None:
            return
        for batch in self._layout.read(self._source, begin):
            for position, line in batch:
                site, offset = self._layout.locate(position)
                for topic in (site, site + 2) if position % 2 else (site + 2, site):
                    if topic not in first or offset < first[topic]:
                        continue
                    data, event_time = stamp(self._told(line, topic // 2), self._topic_json[topic], offset)
                    delay = self._clock.seconds_until(event_time)
                    if delay > 0:
                        await connection.flush()
                        await asyncio.sleep(delay)
                    connection.add(position, topic, offset, event_time, data)
                    if connection.is_full:
                        await connection.flush()
            await connection.flush()
            await asyncio.sleep(0)  # a client that reads fast enough never makes us wait: let others have a turn

    def _told(self, line: bytes, stream: int) -> bytes:
        """What a line is in one of the streams."""
        if is_revision_create(line):
            return line if stream else silence(line, declared=False)
        if not stream:
            return line
        return declare(line) if self._source.kind == "war game" else silence(line, declared=True)


class _Framing:
    """Makes server-sent events of one connection, whose ids tell its place in both topics."""

    def __init__(self, topics: list[str], ids: Literal["offset", "timestamp"], assignments: list[_Assignment]) -> None:
        self._ids = ids
        self._topic_json = [msgspec.json.encode(topic) for topic in topics]
        asked = {assignment.topic: assignment for assignment in assignments}
        # What the client gave is what an id says of a topic until something of it is sent.
        self._marks = [_mark(asked[topic]) if topic in asked else b"" for topic in topics]

    def frame(self, topic: int, offset: int, event_time: int | None, data: bytes) -> bytes:
        """One event; `data` is its JSON, or whatever stands in its place."""
        if self._ids == "offset":
            self._marks[topic] = b'{"topic":%b,"partition":0,"offset":%d}' % (self._topic_json[topic], offset + 1)
        elif event_time is not None:
            place = self._topic_json[topic], event_time + 1
            self._marks[topic] = b'{"topic":%b,"partition":0,"timestamp":%d}' % place
        if b"\r" in data:  # would end the line for an SSE client; between JSON tokens a space means the same
            data = data.replace(b"\r", b" ")
        return b"event: message\nid: [%b]\ndata: %b\n\n" % (b",".join(filter(None, self._marks)), data)


class _Connection:
    """Gathers framed events and hands them to the socket, with the faults that are due."""

    def __init__(
        self, response: web.StreamResponse, framing: _Framing, faults: ConnectionFaults, tally: _Tally
    ) -> None:
        self._response, self._framing, self._faults, self._tally = response, framing, faults, tally
        self._pending = bytearray()
        self._pending_events = 0
        self._next_position = 0
        self._newest: deque[bytes] = deque(maxlen=REPEATED_AT_MOST)

    @property
    def is_full(self) -> bool:
        """Whether enough has gathered to be worth a flush."""
        return len(self._pending) >= FLUSH_BYTES

    def add(self, position: int, topic: int, offset: int, event_time: int | None, data: bytes) -> None:
        """Take one event up, and now and then the newest ones once more."""
        frame = self._framing.frame(topic, offset, event_time, data)
        self._pending += frame
        self._pending_events += 1
        self._next_position = position + 1
        self._newest.append(frame)
        repeated = min(self._faults.repeats(), len(self._newest))
        if repeated:
            self._pending += b"".join(list(self._newest)[-repeated:])
            self._pending_events += repeated
            self._tally.faults.repeated_events += repeated

    async def flush(self) -> None:
        """Write what has gathered; waits while the client does not read. Raises _Cut in the middle of an event."""
        if not self._pending:
            return
        silence = self._faults.silence(time.monotonic())
        if silence:
            self._tally.faults.silences += 1
            await asyncio.sleep(silence)
        cut = self._faults.cut_point(len(self._pending), time.monotonic())
        if cut is not None:
            self._tally.faults.cuts += 1
            await self._response.write(bytes(self._pending[:cut]))
            raise _Cut
        await self._response.write(bytes(self._pending))
        self._tally.written += self._pending_events
        self._tally.sent = max(self._tally.sent, self._next_position)
        self._pending.clear()
        self._pending_events = 0


def _mark(assignment: _Assignment) -> bytes:
    """An entry of an SSE id as the client gave it; -1, "from now", where it gave nothing."""
    entry: dict[str, str | int] = {"topic": assignment.topic, "partition": 0}
    if assignment.offset is None and assignment.timestamp is not None:
        entry["timestamp"] = assignment.timestamp
    else:
        entry["offset"] = -1 if assignment.offset is None else assignment.offset
    return msgspec.json.encode(entry)


async def serve(simulator: Simulator, host: str, port: int, stop: asyncio.Event) -> None:
    """Listen until `stop` is set; port 0 takes a free one. Raises OSError when the port is taken."""
    # handler_cancellation: a client that goes away during a silence must give its place free at once.
    runner = web.AppRunner(simulator.application(), handler_cancellation=True, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        log.info("listening", url=f"http://{host}:{runner.addresses[0][1]}/v2/stream/recentchange")
        stopped = asyncio.create_task(stop.wait())
        preparing = asyncio.create_task(simulator.prepare())
        await asyncio.wait({stopped, preparing}, return_when=asyncio.FIRST_COMPLETED)
        if preparing.done():
            preparing.result()
        await stopped
    finally:
        await runner.cleanup()
