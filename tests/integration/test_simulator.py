"""The simulator as its clients see it: over HTTP, framed, resumed, refused, cut."""

import asyncio
import gzip
import hashlib
import json
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestServer
from click.testing import CliRunner

from services.common.settings import PROJECT_ROOT
from services.simulator.command import command
from services.simulator.faults import Faults
from services.simulator.log import Source
from services.simulator.recording import Recording
from services.simulator.server import Play, Simulator
from services.simulator.wargame import WarGame
from tests.events import revision

CONTACT = {"User-Agent": "wiki-battlefield-tests/1 (tests@example.org)"}
EQIAD, CODFW = "replay-some.eqiad.mediawiki.recentchange", "replay-some.codfw.mediawiki.recentchange"
START = datetime(2024, 12, 7, tzinfo=UTC)

FRAME = re.compile(rb"event: message\nid: ([^\n]*)\ndata: ([^\n]*)\n\n", re.DOTALL)


def change(number: int) -> bytes:
    """A line of a recording, one a second."""
    dt = (START + timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%SZ")
    meta = {
        "id": f"id-{number}",
        "dt": dt,
        "domain": "en.wikipedia.org",
        "topic": "codfw.x",
        "partition": 0,
        "offset": 7,
    }
    return json.dumps({"meta": meta, "type": "edit", "title": f"Page {number}", "wiki": "enwiki"}).encode()


class Stream:
    """What one connection received."""

    def __init__(self) -> None:
        self.raw = b""
        self.broken = False  # ended without the end of the response

    @property
    def frames(self) -> list[tuple[Any, bytes]]:
        return [(json.loads(entry), data) for entry, data in FRAME.findall(self.raw)]

    @property
    def ids(self) -> list[str]:
        return [json.loads(data)["meta"]["id"] for _, data in self.frames]

    @property
    def origins(self) -> list[tuple[str, int]]:
        metas = [json.loads(data)["meta"] for _, data in self.frames]
        return [(meta["topic"].split(".")[1], meta["offset"]) for meta in metas]


class Client:
    """A client of one simulator."""

    def __init__(self, server: TestServer, session: aiohttp.ClientSession) -> None:
        self.server, self.session = server, session

    def get(self, query: str = "", **headers: str) -> Any:
        url = self.server.make_url("/v2/stream/recentchange").update_query(query)
        return self.session.get(url, headers={**CONTACT, **headers})

    async def read(self, events: int, query: str = "", quiet: float = 0.3, **headers: str) -> Stream:
        """Read so many events, or until nothing has come for `quiet` seconds, or the connection ends."""
        stream = Stream()
        async with self.get(query, **headers) as response:
            if response.status != 200:
                return stream  # refused
            with suppress(TimeoutError):
                while stream.raw.count(b"\n\nevent: message") < events or not stream.raw.endswith(b"\n\n"):
                    try:
                        chunk = await asyncio.wait_for(response.content.readany(), quiet)
                    except aiohttp.ClientPayloadError:
                        stream.broken = True
                        break
                    if not chunk:
                        break
                    stream.raw += chunk
        return stream

    async def status(self) -> dict[str, Any]:
        async with self.session.get(self.server.make_url("/status")) as response:
            return dict(await response.json())


Serve = Callable[..., Awaitable[Client]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts simulators on free ports."""
    servers: list[TestServer] = []
    async with aiohttp.ClientSession() as session:

        async def start(
            source: Source,
            pace: Any = "max",
            *,
            cut_after: float = 0.0,
            ids: Any = "offset",
            declared: bool = False,
            **faults: Any,
        ) -> Client:
            simulator = Simulator(source, Play(pace, cut_after, ids, declared), Faults(**faults))
            server = TestServer(simulator.application())
            await server.start_server()
            servers.append(server)
            await simulator.prepare()
            return Client(server, session)

        yield start
    for server in servers:
        await server.close()


@pytest.fixture
def record(tmp_path: Path) -> Callable[[list[bytes]], Recording]:
    """Makes a recording of lines."""

    def make(lines: list[bytes]) -> Recording:
        path = tmp_path / "some.jsonl.gz"
        path.write_bytes(gzip.compress(b"\n".join(lines) + b"\n"))
        return Recording(path)

    return make


@pytest.fixture
def thousand(record: Callable[[list[bytes]], Recording]) -> Recording:
    return record([change(number) for number in range(1_000)])


def read_truth(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def position(offset: int, topic: str = CODFW) -> dict[str, str]:
    return {"Last-Event-ID": json.dumps([{"topic": topic, "partition": 0, "offset": offset}])}


async def test_it_is_ready_when_what_it_plays_has_been_read(record: Callable[[list[bytes]], Recording]) -> None:
    simulator = Simulator(record([b"{}"]), Play("max"), Faults())
    async with TestServer(simulator.application()) as server, aiohttp.ClientSession() as session:

        async def status() -> int:
            async with session.get(server.make_url("/ready")) as response:
                return response.status

        assert await status() == 503
        await simulator.prepare()
        assert await status() == 200


class TestFraming:
    async def test_frames_as_the_real_service(self, serve: Serve, thousand: Recording) -> None:
        client = await serve(thousand)
        async with client.get() as response:
            assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
            raw = await response.content.readexactly(400)
        expected_id = json.dumps(
            [{"topic": EQIAD, "partition": 0, "offset": -1}, {"topic": CODFW, "partition": 0, "offset": 1}],
            separators=(",", ":"),
        )
        assert raw.startswith(b":ok\n\nevent: message\nid: " + expected_id.encode() + b'\ndata: {"meta":')

    async def test_matches_frames_that_wikimedia_sent(
        self, serve: Serve, record: Callable[[list[bytes]], Recording]
    ) -> None:
        recorded = Path(os.environ.get("WIKI_RECORDING", PROJECT_ROOT.parent / "shared/data/x")).parent
        path = recorded / "eventstreams" / "raw-2023-12-07.sse"
        if not path.is_file():
            pytest.skip(f"the frames recorded from Wikimedia are not at {path}")
        raw = path.read_bytes()
        client = await serve(record([data for _, data in FRAME.findall(raw)]), ids="timestamp")
        stream = await client.read(2)

        def neutral(text: bytes) -> bytes:
            """Without what a replay must change: the topic's first part and the offset."""
            return re.sub(rb'"offset":\d+', b'"offset":0', text.replace(b"replay-some.", b""))

        assert neutral(stream.raw) == neutral(raw)

    async def test_sends_what_is_no_event_as_it_is(
        self, serve: Serve, record: Callable[[list[bytes]], Recording]
    ) -> None:
        large = json.dumps({"meta": {"id": "large"}, "comment": "é" * 150_000}).encode()
        lines = [change(0), b"not JSON", b"", b"[1]", b'{"meta":7}', b"  ", large, b"a\rb", change(1)]
        client = await serve(record(lines))
        stream = await client.read(7)
        assert [entry[1]["offset"] for entry, _ in stream.frames] == [1, 2, 3, 4, 5, 6, 7]
        assert [data for _, data in stream.frames][1:4] == [b"not JSON", b"[1]", b'{"meta":7}']
        assert json.loads(stream.frames[4][1])["comment"] == "é" * 150_000
        assert json.loads(stream.frames[4][1])["meta"] == {"id": "large", "topic": CODFW, "partition": 0, "offset": 4}
        assert stream.frames[5][1] == b"a b", "a bare carriage return would end the line"
        assert json.loads(stream.frames[6][1])["meta"]["offset"] == 6
        status = await client.status()
        assert (status["events"], status["empty_lines"], status["finished"]) == (7, 2, True)

    async def test_the_stream_stays_open_and_silent_at_the_end(self, serve: Serve, thousand: Recording) -> None:
        client = await serve(thousand)
        async with client.get() as response:
            while not (await client.status())["finished"]:
                await response.content.readany()
            with suppress(TimeoutError):
                while await asyncio.wait_for(response.content.readany(), 0.3):
                    pass
            assert not response.content.at_eof()
            status = await client.status()
        assert status["kind"] == "recording"
        assert status["name"] == "replay-some"
        assert status["topics"] == [EQIAD, CODFW]
        assert (status["events"], status["sent"], status["connections"]) == (1_000, 1_000, 1)

    async def test_waits_for_a_client_that_does_not_read(self, serve: Serve) -> None:
        client = await serve(WarGame(1))
        async with client.get():
            await asyncio.sleep(0.3)
            early = (await client.status())["written"]
            for _ in range(50):
                await asyncio.sleep(0.1)
                late = (await client.status())["written"]
                if late == early:
                    break
                early = late
            assert late == early
        assert late < 50_000


class TestWhereToBegin:
    async def test_from_the_beginning_without_a_position(self, serve: Serve, thousand: Recording) -> None:
        client = await serve(thousand)
        for _ in range(2):
            assert (await client.read(3)).ids[:3] == ["id-0", "id-1", "id-2"]

    async def test_by_offset_inclusive(self, serve: Serve, thousand: Recording) -> None:
        client = await serve(thousand)
        stream = await client.read(2, **position(700))
        assert stream.ids[:2] == ["id-700", "id-701"]
        assert len(stream.frames[0][0]) == 1, "only the topic asked for"
        assert (await client.read(9, **position(998))).ids == ["id-998", "id-999"]

    async def test_every_id_resumes_without_gap_or_repetition(self, serve: Serve, thousand: Recording) -> None:
        client = await serve(thousand, swap_every=7, resend_every=50)
        whole = (await client.read(1_020)).frames
        assert len(whole) == 1_020
        for number in (0, 5, 6, 7, 13, 14, 500, 1_018):
            entry, _ = whole[number]
            # A topic that was not yet in use is at -1, "from now": a client that knows it was at its start says so.
            known = json.dumps([{**e, "offset": max(e["offset"], 0)} for e in entry])
            resumed = await client.read(1_020, **{"Last-Event-ID": known})
            assert [data for _, data in resumed.frames] == [data for _, data in whole[number + 1 :]]

    async def test_by_timestamp(self, serve: Serve, thousand: Recording) -> None:
        client = await serve(thousand, ids="timestamp")
        first = await client.read(10)
        entry, _ = first.frames[9]
        assert entry == [
            {"topic": EQIAD, "partition": 0, "offset": -1},
            {"topic": CODFW, "partition": 0, "timestamp": int(START.timestamp() + 9) * 1000 + 1},
        ]
        resumed = await client.read(1, **{"Last-Event-ID": json.dumps(entry)})
        assert resumed.ids[0] == "id-10"
        exactly = json.dumps([{"topic": CODFW, "partition": 0, "timestamp": int(START.timestamp() + 9) * 1000}])
        assert (await client.read(1, **{"Last-Event-ID": exactly})).ids[0] == "id-9"

    async def test_since(self, serve: Serve, thousand: Recording) -> None:
        client = await serve(thousand)
        for since in ("2024-12-07T00:05:00Z", "2024-12-07T00:04:59.001", str(int(START.timestamp() + 300) * 1000)):
            assert (await client.read(1, f"since={since}")).ids[0] == "id-300"
        assert (await client.read(1, "since=2020-01-01T00:00:00Z")).ids[0] == "id-0"
        assert (await client.read(1, "since=2024-12-07T00:05:00Z", **position(4))).ids[0] == "id-4", (
            "Last-Event-ID wins"
        )
        async with client.get("since=yesterday") as response:
            assert response.status == 400

    async def test_minus_one_is_from_now(self, serve: Serve, thousand: Recording) -> None:
        client = await serve(thousand)
        await client.read(1_000)
        assert (await client.read(1, **position(-1))).frames == []

    async def test_now_is_by_the_clock_where_a_playing_has_a_pace(self, serve: Serve, thousand: Recording) -> None:
        client = await serve(thousand, pace=200.0)
        first = await client.read(100, quiet=1.0)
        assert first.ids[:100] == [f"id-{n}" for n in range(100)]
        later = await client.read(1, quiet=1.0, **position(-1))
        assert 95 <= int(later.ids[0].removeprefix("id-")) <= 400

    async def test_a_game_by_the_clock_is_live_and_has_a_past(self, serve: Serve) -> None:
        now = int(datetime.now(UTC).timestamp()) * 1000
        client = await serve(WarGame(1, rate=100.0, start=now - 20_000), pace="clock")
        assert (await client.read(5)).origins[:5] == [("codfw", n) for n in range(5)], "the first reader sees it all"
        live = await client.read(5, quiet=1.0)
        times = [json.loads(data)["meta"]["dt"] for _, data in live.frames]
        ages = [datetime.now(UTC) - datetime.fromisoformat(dt) for dt in times]
        assert all(timedelta(0) <= age < timedelta(seconds=5) for age in ages)
        topic = f"wargame-1-{now // 1000 - 20}-rate100.codfw.mediawiki.recentchange"
        past = await client.read(100, **position(0, topic))
        assert past.origins[:100] == [("codfw", n) for n in range(100)]

    @pytest.mark.parametrize("header", ["x", "{}", '[{"topic": 1}]', '[{"offset": 3}]', '[{"topic":"t","offset":"5"}]'])
    async def test_a_position_that_cannot_be_read(self, serve: Serve, thousand: Recording, header: str) -> None:
        client = await serve(thousand)
        async with client.get(**{"Last-Event-ID": header}) as response:
            assert response.status == 400

    async def test_a_topic_that_is_not_served(self, serve: Serve, thousand: Recording) -> None:
        client = await serve(thousand)
        async with client.get(**position(5, "codfw.mediawiki.recentchange")) as response:
            assert response.status == 404
            assert CODFW in await response.text()

    async def test_positions_in_an_earlier_game_are_passed_over(self, serve: Serve, thousand: Recording) -> None:
        client = await serve(thousand)
        earlier = {"topic": "wargame-1-1700000000.codfw.mediawiki.recentchange", "partition": 0, "offset": 5}
        assert (await client.read(1, **{"Last-Event-ID": json.dumps([earlier])})).ids[0] == "id-0"
        now = json.loads(position(8)["Last-Event-ID"])
        assert (await client.read(1, **{"Last-Event-ID": json.dumps([earlier, *now])})).ids[0] == "id-8"


class TestSecondStream:
    BOTH = "/v2/stream/recentchange,mediawiki.revision-create"

    async def read(self, client: Client, **headers: str) -> Stream:
        """Both streams to their end."""
        stream = Stream()
        async with client.session.get(client.server.make_url(self.BOTH), headers={**CONTACT, **headers}) as response:
            assert response.status == 200
            with suppress(TimeoutError):
                while chunk := await asyncio.wait_for(response.content.readany(), 1.0):
                    stream.raw += chunk
        return stream

    async def test_is_refused_where_it_is_not_played(self, serve: Serve, thousand: Recording) -> None:
        client = await serve(thousand)
        async with client.session.get(client.server.make_url(self.BOTH), headers=CONTACT) as response:
            assert response.status == 404

    async def test_tells_of_every_edit_what_it_truly_reverts(self, serve: Serve) -> None:
        stories: list[Any] = []
        client = await serve(WarGame(3, events=3_000, tell=stories.extend, silent=0.5), declared=True)
        events = [json.loads(data) for _, data in (await self.read(client)).frames]
        streams = [event["meta"]["stream"] for event in events]
        assert streams.count("mediawiki.recentchange") == streams.count("mediawiki.revision-create") == 3_000
        edits = {(e["wiki"], e["revision"]["new"]): e for e in events if e.get("type") in ("edit", "new")}
        declared = {(e["database"], e["rev_id"]): e for e in events if "rev_id" in e}
        assert declared.keys() == edits.keys()
        reverts = {key: e["rev_revert_details"] for key, e in declared.items() if e["rev_is_revert"]}
        assert len(reverts) > 10
        for key, details in reverts.items():
            assert details["rev_reverted_revs"][-1] < key[1]
        told = [
            (e.get("wiki") or e.get("database"), e["revision"]["new"] if "revision" in e else e.get("rev_id"))
            for e in events
        ]
        orders = {streams[told.index(key)] for key in edits}
        assert len(orders) == 2, "now the one stream tells first of an edit, now the other"

    async def test_resumes_both_anywhere(self, serve: Serve) -> None:
        client = await serve(WarGame(3, events=400), declared=True, swap_every=60, resend_every=50)
        whole = (await self.read(client)).frames
        for number in (0, 61, 122, 500):
            known = json.dumps([{**e, "offset": max(e["offset"], 0)} for e in whole[number][0]])
            resumed = await self.read(client, **{"Last-Event-ID": known})
            assert [data for _, data in resumed.frames] == [data for _, data in whole[number + 1 :]]

    async def test_the_first_stream_is_the_same_with_it_and_without(self, serve: Serve) -> None:
        lines = [
            (await client.read(400)).raw
            for client in (await serve(WarGame(3, events=400)), await serve(WarGame(3, events=400), declared=True))
        ]
        assert lines[0] == lines[1]

    async def test_a_recording_plays_what_it_holds_of_it(
        self, serve: Serve, record: Callable[[list[bytes]], Recording]
    ) -> None:
        held = json.dumps(revision(7), separators=(",", ":")).encode()
        client = await serve(record([change(0), held]), declared=True)
        told = [json.loads(data) for _, data in (await self.read(client)).frames]
        assert [e["rev_id"] for e in told if "rev_id" in e] == [5_000_007]
        assert [e["meta"]["domain"] for e in told].count("canary") == 2, "each stream is silent on the other's line"


class TestRefusals:
    @pytest.mark.parametrize("agent", ["", "python-requests/2.31", "Python/3.11 aiohttp/3.14", "@", "a@b"])
    async def test_without_a_contact(self, serve: Serve, thousand: Recording, agent: str) -> None:
        client = await serve(thousand)
        async with client.get(**{"User-Agent": agent}) as response:
            assert response.status == 403

    @pytest.mark.parametrize("agent", ["x/1 (https://example.org/x)", "x/1 (me@example.org)", "x (User:Someone)"])
    async def test_with_one(self, serve: Serve, thousand: Recording, agent: str) -> None:
        client = await serve(thousand)
        assert (await client.read(1, **{"User-Agent": agent})).ids[0] == "id-0"

    async def test_the_third_connection_from_an_address(self, serve: Serve, thousand: Recording) -> None:
        client = await serve(thousand)
        async with client.get() as first, client.get() as second:
            assert (first.status, second.status) == (200, 200)
            async with client.get() as third:
                assert third.status == 429
                assert int(third.headers["Retry-After"]) > 0
            first.close()
            async with asyncio.timeout(3):
                while (await client.status())["connections"] > 1:
                    pass
            async with client.get() as again:
                assert again.status == 200, "a place is free as soon as a client has gone, though nothing is sent"

    async def test_injected(self, serve: Serve, thousand: Recording) -> None:
        client = await serve(thousand, refuse=0.5, seed=1)
        answers = []
        for _ in range(30):
            async with client.get() as response:
                answers.append((response.status, response.headers.get("Retry-After")))
        assert {(200, None), (429, "1"), (503, "1"), (503, None)} == set(answers)
        refusals = (await client.status())["faults"]["refusals"]
        assert sum(refusals.values()) == sum(status != 200 for status, _ in answers)


class TestFaults:
    async def test_cut_after_a_while_between_events(self, serve: Serve, thousand: Recording) -> None:
        client = await serve(thousand, cut_after=0.3 / 60)
        stream = await client.read(2_000, quiet=3.0)
        assert stream.broken
        assert len(stream.ids) == 1_000
        assert stream.raw.endswith(b"\n\n")

    async def test_cut_in_the_middle_of_an_event(self, serve: Serve) -> None:
        client = await serve(WarGame(1, rate=1_000.0), pace=1.0, cut_every=0.2, seed=1)
        streams = [await client.read(10_000, quiet=3.0) for _ in range(3)]
        assert all(stream.broken for stream in streams)
        assert any(not stream.raw.endswith(b"\n\n") for stream in streams)
        assert (await client.status())["faults"]["cuts"] == 3

    async def test_a_client_that_resumes_gets_everything_whatever_happens(
        self, serve: Serve, thousand: Recording
    ) -> None:
        client = await serve(
            thousand, pace=700.0, seed=2, cut_every=0.15, duplicate_every=40, resend_every=20, swap_every=90, refuse=0.3
        )
        next_offsets = dict.fromkeys((EQIAD, CODFW), 0)
        received: list[tuple[str, int]] = []
        ids: list[str] = []
        async with asyncio.timeout(15):
            while len(set(received)) < 1_050:
                header = json.dumps([{"topic": t, "partition": 0, "offset": o} for t, o in next_offsets.items()])
                stream = await client.read(5_000, quiet=1.0, **{"Last-Event-ID": header})
                for _, data in stream.frames:
                    meta = json.loads(data)["meta"]
                    received.append((meta["topic"], meta["offset"]))
                    ids.append(meta["id"])
                    next_offsets[meta["topic"]] = max(next_offsets[meta["topic"]], meta["offset"] + 1)
        assert len(received) > 1_050, "events were repeated at their own offsets"
        assert set(ids) == {f"id-{number}" for number in range(1_000)}
        by_id: dict[str, set[tuple[str, int]]] = {}
        for event_id, origin in zip(ids, received, strict=True):
            by_id.setdefault(event_id, set()).add(origin)
        assert sum(len(origins) == 2 for origins in by_id.values()) == 50, "one of twenty at a second offset"
        assert {topic for topic, _ in received} == {EQIAD, CODFW}
        faults = (await client.status())["faults"]
        assert faults["cuts"] > 0
        assert faults["repeated_events"] > 0
        assert faults["refusals"]

    async def test_after_a_swap_the_other_topic_counts_on_its_own(self, serve: Serve, thousand: Recording) -> None:
        client = await serve(thousand, swap_every=3)
        stream = await client.read(1_000)
        assert stream.origins[:8] == [
            *[("codfw", 0), ("codfw", 1), ("codfw", 2)],
            *[("eqiad", 0), ("eqiad", 1), ("eqiad", 2)],
            *[("codfw", 3), ("codfw", 4)],
        ]
        assert stream.ids == [f"id-{n}" for n in range(1_000)]
        entry, _ = stream.frames[4]
        assert [(e["topic"], e["offset"]) for e in entry] == [(EQIAD, 2), (CODFW, 3)]

    async def test_silence(self, serve: Serve, thousand: Recording) -> None:
        client = await serve(thousand, pace=100.0, silence_every=0.2, silence_for=0.6)
        loop = asyncio.get_running_loop()
        longest, last = 0.0, loop.time()
        async with client.get() as response:
            for _ in range(40):
                await response.content.readany()
                longest, last = max(longest, loop.time() - last), loop.time()
        assert longest > 0.5
        assert (await client.status())["faults"]["silences"] > 0


class TestCommand:
    async def start(self, *arguments: str) -> tuple[asyncio.subprocess.Process, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services", "simulate", "--port", "0", *arguments),
            cwd=PROJECT_ROOT,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "LOG_FORMAT": "json", "LOG_LEVEL": "INFO"},
        )
        assert process.stderr is not None
        async with asyncio.timeout(60):
            while line := await process.stderr.readline():
                entry = json.loads(line)
                if entry["event"] == "listening":
                    return process, entry["url"]
        raise AssertionError("it ended")

    async def play(self, truth: Path) -> tuple[str, list[dict[str, Any]]]:
        """The digest of a game's whole stream, and its truth, ending it in order."""
        process, url = await self.start("--speed", "max", "--seed", "3", "--events", "3000", "--truth", str(truth))
        raw = b""
        async with aiohttp.ClientSession(headers=CONTACT) as session, session.get(url) as response:
            while raw.count(b"\n\nevent: ") < 3_000 or not raw.endswith(b"\n\n"):
                raw += await response.content.readany()
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            assert await process.wait() == 0
        return hashlib.sha256(raw).hexdigest(), read_truth(truth)

    async def test_same_seed_same_bytes_and_ends_in_order(self, tmp_path: Path) -> None:
        (first, told), (second, told_again) = await asyncio.gather(
            self.play(tmp_path / "1.jsonl"), self.play(tmp_path / "2.jsonl")
        )
        assert first == second
        assert told == told_again
        assert any(story["kind"] == "war" and len(story["reverts"]) >= 3 for story in told)
        assert any(story["ended_by"] == "cut off" for story in told), "what is still going on is told at the end"

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("--recording", "missing.jsonl"), "Cannot read missing.jsonl"),
            (("--speed", "fast"), "real"),
            (("--start", "tomorrow"), "2026-01-31T12:00:00Z"),
            (("--start", "2020-01-01"), "last 7 days"),
            (("--truth", "/nonexistent/t.jsonl"), "/nonexistent/t.jsonl"),
        ],
    )
    def test_says_what_to_do(self, arguments: tuple[str, ...], message: str) -> None:
        result = CliRunner().invoke(command, ["--port", "0", *arguments])
        assert result.exit_code in (1, 2)
        assert message in result.output

    async def test_a_taken_port(self) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = str(taken.getsockname()[1])
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "services", "simulate", "--port", port),
                cwd=PROJECT_ROOT,
                stderr=asyncio.subprocess.PIPE,
            )
            _, errors = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 1
        assert "choose another --port" in errors.decode()
