"""The producer as a process, between a stream that misbehaves and a broker that goes away."""

import json
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

from services.common.change import shard_of
from services.common.heartbeat import read_heartbeat
from services.producer.stream import LINE_LIMIT
from tests.events import TOPIC, event_json
from tests.integration.conftest import Stack, simulator

STEP = 10  # events a connection of the script delivers

Ending = Callable[[socket.socket, int], None]


def frame(offset: int, **changed: Any) -> bytes:
    """One event as Wikimedia frames it; titles spread over all shards."""
    position = json.dumps([{"topic": TOPIC, "partition": 0, "offset": offset + 1}])
    data = event_json(offset, title=f"Page {offset}", **changed)
    return f"event: message\nid: {position}\ndata: {data}\n\n".encode()


def chunk(data: bytes) -> bytes:
    """A piece of a chunked response."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def ended(client: socket.socket, _next: int) -> None:
    """The server ends the response between two events."""
    client.sendall(b"0\r\n\r\n")


def ended_inside_an_event(client: socket.socket, next_offset: int) -> None:
    """And in the middle of one."""
    client.sendall(chunk(frame(next_offset)[:150]) + b"0\r\n\r\n")


def aborted(client: socket.socket, next_offset: int) -> None:
    """The connection is gone without the end of the response."""
    client.sendall(chunk(frame(next_offset)[:150]))


def silent(client: socket.socket, _next: int) -> None:
    """Nothing comes any more; returns when the client has given up."""
    client.settimeout(20)
    client.recv(1)


def too_long(client: socket.socket, next_offset: int) -> None:
    """The next event is a line that nobody can read."""
    client.sendall(chunk(frame(next_offset, comment="x" * LINE_LIMIT)))
    silent(client, next_offset)


def not_utf8(client: socket.socket, next_offset: int) -> None:
    """The next event is no text."""
    client.sendall(chunk(frame(next_offset, comment="@").replace(b"@", b"\xff")))
    silent(client, next_offset)


class Script:
    """A stream of numbered events whose connections end, one after the other, as they are told to.

    A connection that is refused is a status line with headers, each other one delivers STEP events first, or as many
    as stand before its ending.
    """

    def __init__(self, connections: list[str | Ending | tuple[int, Ending]]) -> None:
        self.connections = connections
        self.asked: list[tuple[float, int]] = []  # when, and the first offset asked for (-1: none)
        self.unreadable: set[int] = set()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/v2/stream/recentchange"
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> "Script":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def _serve(self) -> None:
        for connection in self.connections:
            client, _ = self._socket.accept()
            with closing(client):
                first = self._first_offset(client)
                self.asked.append((time.monotonic(), first))
                if isinstance(connection, str):
                    client.sendall(f"HTTP/1.1 {connection}\r\nContent-Length: 0\r\n\r\n".encode())
                    continue
                head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
                events, ending = connection if isinstance(connection, tuple) else (STEP, connection)
                begin = max(first, 0)
                end = begin + events
                client.sendall(head + chunk(b":ok\n\n") + b"".join(chunk(frame(n)) for n in range(begin, end)))
                if ending in (too_long, not_utf8):
                    self.unreadable.add(end)
                ending(client, end)

    def _first_offset(self, client: socket.socket) -> int:
        request = b""
        while b"\r\n\r\n" not in request:
            request += client.recv(65536)
        for line in request.split(b"\r\n"):
            name, _, value = line.partition(b": ")
            if name.lower() == b"last-event-id":
                return next(e["offset"] for e in json.loads(value) if e["topic"] == TOPIC)
        return -1


def test_each_kind_of_end_is_told_apart_and_no_event_is_lost(stack: Stack) -> None:
    script = Script(
        [
            *("503 Service Unavailable", "429 Too Many Requests\r\nRetry-After: 2"),
            *(ended, ended_inside_an_event, aborted, silent, too_long, not_utf8, ended, "403 Forbidden"),
        ]
    )
    with script:
        producer = stack.start(
            "produce", eventstreams_url=script.url, eventstreams_read_timeout=1.0, eventstreams_declared="off"
        )
        stack.wait_for(lambda: stack.figures("producer").get("connections_ended", {}).get("refused"))
        assert stack.stop(producer) == 0, "a refused producer waits half a minute, but not with its end"
    told = stack.figures("producer")
    assert told["connections_ended"] == {
        "server_error": 1, "rate_limited": 1, "cut": 2, "half_event": 1, "aborted": 1, "silence": 1,
        "line_too_long": 1, "not_utf8": 1, "refused": 1,
    }  # fmt: skip
    assert "EVENTSTREAMS_CONTACT" in told["error"]
    moments = [moment for moment, _ in script.asked]
    assert moments[2] - moments[1] >= 2, "the server's Retry-After was not honoured"

    last = script.asked[-1][1]  # a connection begins with the last event of the one before
    offsets = [change.source_offset for partition in stack.changes_on_the_broker() for change in partition]
    assert len(script.unreadable) == 2
    assert sorted(offsets) == sorted(set(range(last + 1)) - script.unreadable)
    assert told["read"] == last + 1
    assert (told["kept"], told["dead_lettered"]) == (last - 1, 2)


def test_the_position_outlives_sigterm_and_kill_9(stack: Stack) -> None:
    events = 6000
    faults = ("--cut-every", "1", "--duplicate-every", "300", "--swap-every", "1500", "--refuse", "0.2")
    game = ("--seed", "3", "--events", str(events), "--speed", "20", *faults)
    with simulator(stack, *game) as (url, status):
        for number in (signal.SIGKILL, signal.SIGTERM):
            producer = stack.start("produce", eventstreams_url=url)
            stack.wait_for(lambda: stack.is_at_work(producer, "producer"))  # noqa: B023 - called at once
            time.sleep(1.5)  # positions are saved once a second
            stack.stop(producer, number)
        producer = stack.start("produce", eventstreams_url=url)
        stack.wait_for(lambda: stack.is_at_work(producer, "producer") and status()["finished"])
        stack.wait_for(lambda: not stack.figures("producer")["unacknowledged"])
        assert stack.stop(producer) == 0
        assert stack.figures("producer")["read"] < events - 1000, "it began anew instead of at its position"
        assert stack.figures("producer")["declared"].startswith("off: 404"), "this game has no second stream"

    assert len(accepted_by_a_worker(stack)) == sent_changes(seed=3, events=events)


def test_two_producers_at_once_by_mistake_lose_nothing_and_overtake_nothing(stack: Stack) -> None:
    events = 2000
    faults = ("--cut-every", "1", "--duplicate-every", "300", "--swap-every", "700")
    with simulator(stack, "--seed", "5", "--events", str(events), "--speed", "20", *faults) as (url, status):
        # each with a heartbeat of its own; the position on the broker is both's
        here, other = stack.settings.data_dir, stack.settings.data_dir / "other"
        producers = [stack.start("produce", eventstreams_url=url, data_dir=place) for place in (here, other)]

        def positions() -> list[dict[str, int]]:
            beats = [read_heartbeat(place, "producer") for place in (here, other)]
            return [beat.figures.get("position", {}) if beat else {} for beat in beats]

        stack.wait_for(lambda: status()["finished"])
        stack.wait_for(lambda: positions()[0] == positions()[1] and not stack.figures("producer")["unacknowledged"])
        for producer in producers:
            assert stack.stop(producer) == 0
    accepted = accepted_by_a_worker(stack)
    assert len(accepted) == sent_changes(seed=5, events=events)
    assert sum(map(len, stack.changes_on_the_broker())) > 1.5 * len(accepted), "one of the two did nothing"


def accepted_by_a_worker(stack: Stack) -> set[tuple[str, int]]:
    """Topics and offsets of the changes on the broker, of which a worker would drop none but repetitions."""
    newest: dict[tuple[int, str], int] = {}
    accepted: set[tuple[str, int]] = set()
    for change in (change for partition in stack.changes_on_the_broker() for change in partition):
        # whatever is at or below a shard's highest offset is a repetition
        place = (shard_of(change.wiki, change.title), change.source_topic)
        if change.source_offset > newest.get(place, -1):
            newest[place] = change.source_offset
            accepted.add((change.source_topic, change.source_offset))
        else:
            assert (change.source_topic, change.source_offset) in accepted, "overtaken: the worker would drop it"
    return accepted


def sent_changes(seed: int, events: int) -> int:
    """How many changes a game has that are kept."""
    from scripts.drill import sent_changes as sent

    return len(sent(None, seed, events))


def test_a_broker_that_is_away_stops_the_reading_and_not_the_producer(stack: Stack) -> None:
    with simulator(stack, "--speed", "max", "--seed", "4") as (url, _):
        producer = stack.start("produce", eventstreams_url=url, kafka_buffer_changes=1000)
        stack.wait_for(lambda: stack.figures("producer").get("kept", 0) > 2000)
        stack.broker.send_signal(signal.SIGSTOP)
        try:
            stack.wait_for(lambda: stack.figures("producer")["state"] == "waiting", 15)
            time.sleep(1.5)
            before = stack.figures("producer")
            time.sleep(1.5)
            after = stack.figures("producer")
            assert after["read"] == before["read"], "it reads on without a broker"
            assert 1000 <= after["unacknowledged"] <= 1100
        finally:
            stack.broker.send_signal(signal.SIGCONT)
        stack.wait_for(lambda: stack.figures("producer")["read"] > after["read"] + 1000)
        stack.broker.send_signal(signal.SIGSTOP)
        try:
            began = time.monotonic()
            assert stack.stop(producer) == 0
            assert time.monotonic() - began < 10
        finally:
            stack.broker.send_signal(signal.SIGCONT)


def test_a_line_that_cannot_be_read_right_behind_the_saved_position_is_stepped_over(stack: Stack) -> None:
    """All that the new process has read then is the change that the resumed stream repeats."""
    with Script([(1000, silent), (1, too_long), (STEP, silent)]) as script:
        producer = stack.start("produce", eventstreams_url=script.url, eventstreams_declared="off")
        stack.wait_for(lambda: stack.figures("producer").get("read") == 1000)
        assert stack.stop(producer) == 0
        producer = stack.start("produce", eventstreams_url=script.url, eventstreams_declared="off")
        stack.wait_for(lambda: stack.is_at_work(producer, "producer") and stack.figures("producer")["read"] == 1 + STEP)
        assert stack.stop(producer) == 0
    assert [first for _, first in script.asked] == [-1, 999, 1001]
    offsets = [change.source_offset for partition in stack.changes_on_the_broker() for change in partition]
    assert sorted(offsets) == [*range(1000), *range(1001, 1001 + STEP)]
