"""The parts of the simulator that need no network: stamping, the log's layout, recordings, the clock, faults."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.simulator import clock as clock_module
from services.simulator import recording as recording_module
from services.simulator.clock import Clock
from services.simulator.events import event_time, iso_milliseconds, stamp
from services.simulator.faults import ConnectionFaults, Faults
from services.simulator.log import CODFW, EQIAD, Layout
from services.simulator.recording import Recording, UnreadableRecording

TOPIC = b'"replay-x.codfw.mediawiki.recentchange"'


class TestStamp:
    def test_sets_the_origin_and_keeps_every_other_byte(self) -> None:
        line = (
            b'{"$schema": "x", "big": 123456789012345678901234567890, "f": 1.50, "u": "\\u00e9 \xc3\xa9",'
            b' "meta": {"dt": "2024-12-07T00:12:33.500Z", "topic": "old", "partition": 3, "offset": 9, "k": [1, 2]},'
            b' "tail": {"a" : 1.0}}'
        )
        data, time = stamp(line, TOPIC, 2**40)
        head, tail = line.split(b'{"dt"')[0], line.split(b"[1, 2]}")[1]
        assert data.startswith(head)
        assert data.endswith(tail)
        assert json.loads(data)["meta"] == {
            "dt": "2024-12-07T00:12:33.500Z",
            "topic": "replay-x.codfw.mediawiki.recentchange",
            "partition": 0,
            "offset": 2**40,
            "k": [1, 2],
        }
        assert time == 1733530353500

    def test_finds_meta_although_the_same_bytes_stand_elsewhere(self) -> None:
        for line in (b'{"a":{"id":"1"},"meta":{"id":"1"}}', b'{"meta":{"id":"1"},"a":{"id":"1"}}'):
            event = json.loads(stamp(line, TOPIC, 5)[0])
            assert event["a"] == {"id": "1"}
            assert event["meta"]["offset"] == 5

    def test_the_last_of_two_metas_counts_as_for_every_parser(self) -> None:
        event = json.loads(stamp(b'{"meta":{"id":"1"},"meta":{"id":"2"}}', TOPIC, 5)[0])
        assert event["meta"]["id"] == "2"
        assert event["meta"]["offset"] == 5

    @pytest.mark.parametrize(
        "line",
        [
            b"not JSON",
            b"{",
            b'{"meta": {"dt": "2024-12-07T00:00:00Z"}, "a": tru}',
            b'{"meta": {"dt": "2024-12-07T00:00:00Z"}} {}',
            b'{"meta": []}',
            b'{"meta": "x"}',
            b'{"a": 1}',
            b"[]",
            b"null",
            b"\xff\xfe",
        ],
    )
    def test_leaves_everything_else_as_it_is(self, line: bytes) -> None:
        assert stamp(line, TOPIC, 1) == (line, None)
        assert event_time(line) is None

    @pytest.mark.parametrize("dt", ["7", '"yesterday"', "null", '"9999-99-99"'])
    def test_stamps_an_event_whose_time_cannot_be_read(self, dt: str) -> None:
        data, time = stamp(b'{"meta":{"dt":%b}}' % dt.encode(), TOPIC, 1)
        assert json.loads(data)["meta"]["offset"] == 1
        assert time is None

    def test_reads_both_forms_of_instants_that_the_stream_has_used(self) -> None:
        assert iso_milliseconds("2023-12-07T20:30:00Z") == 1701981000000
        assert iso_milliseconds("2026-09-23T07:26:08.564Z") == 1790148368564
        assert iso_milliseconds("2023-12-07T20:30:00") == 1701981000000


class Lines:
    """A source of so many lines, `0`, `1`, `2`, ..., in batches of 7."""

    kind, name, empty_lines, begins, reached = "recording", "replay-lines", 0, 0, 2**62

    def __init__(self, length: int) -> None:
        self.length = length

    def prepare(self) -> None: ...

    def find(self, time: int) -> int:
        return min(time, self.length)

    def read(self, first: int) -> Iterator[list[bytes]]:
        for start in range(first, self.length, 7):
            yield [b"%d" % number for number in range(start, min(start + 7, self.length))]


class TestLayout:
    @pytest.mark.parametrize("swap_every", [0, 1, 3, 50])
    def test_positions_and_offsets_are_each_others_inverse(self, swap_every: int) -> None:
        layout = Layout(swap_every=swap_every)
        seen = {EQIAD: 0, CODFW: 0}
        for position in range(200):
            topic, offset = layout.locate(position)
            assert offset == seen[topic], "offsets of a topic count up by one"
            assert layout.position_of(topic, offset) == position
            assert [layout.offset_at(t, position) for t in (EQIAD, CODFW)] == [seen[EQIAD], seen[CODFW]]
            seen[topic] += 1
        assert (seen[EQIAD] > 0) == bool(swap_every)

    def test_the_other_topic_is_never_in_use_without_swaps(self) -> None:
        assert Layout().position_of(EQIAD, 0) is None

    @pytest.mark.parametrize("length", [0, 1, 9, 10, 11, 25, 100])
    def test_one_of_each_block_of_lines_is_sent_again_later(self, length: int) -> None:
        source, layout = Lines(length), Layout(seed=3, resend_every=10)
        whole = [entry for batch in layout.read(source, 0) for entry in batch]
        assert [position for position, _ in whole] == list(range(layout.entries(length)))
        numbers = [int(line) for _, line in whole]
        assert sorted(set(numbers)) == list(range(length))
        assert len(numbers) - length == length // 10
        for line in range(length):
            assert numbers.index(line) == layout.position_of_line(line, length)
        for start in range(0, len(whole), 3):
            assert [e for batch in layout.read(source, start) for e in batch] == whole[start:], "from any position"

    def test_the_seed_chooses_what_is_sent_again(self) -> None:
        def sent(seed: int) -> list[bytes]:
            return [line for batch in Layout(seed=seed, resend_every=10).read(Lines(100), 0) for _, line in batch]

        assert sent(1) == sent(1)
        assert sent(1) != sent(2)


def lines_of(recording: Recording, first: int = 0) -> list[bytes]:
    return [line for batch in recording.read(first) for line in batch]


def prepared(path: Path) -> Recording:
    recording = Recording(path)
    recording.prepare()
    return recording


class TestRecording:
    def events(self, count: int) -> list[bytes]:
        return [
            b'{"meta":{"dt":"2024-12-07T%02d:%02d:%02dZ"},"pad":"%b"}'
            % (i // 3600, i // 60 % 60, i % 60, b"p" * (i % 90))
            for i in range(count)
        ]

    @pytest.fixture(params=["plain", "gzip", "two gzip members"])
    def path(self, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        # Small, so that a small file has many checkpoints, lines over chunk ends, and members within chunks.
        monkeypatch.setattr(recording_module, "CHUNK", 100)
        monkeypatch.setattr(recording_module, "CHECKPOINT_TEXT", 2_000)
        text = b"\n".join(self.events(1_000)) + b"\n"
        match request.param:
            case "plain":
                path, data = tmp_path / "a b.jsonl", text
            case "gzip":
                path, data = tmp_path / "a b.jsonl.gz", gzip.compress(text)
            case _:
                path, data = tmp_path / "a b.jsonl.gz", gzip.compress(text[:5_001]) + gzip.compress(text[5_001:])
        path.write_bytes(data)
        return path

    def test_reads_from_any_line(self, path: Path) -> None:
        recording = prepared(path)
        assert recording.name == "replay-a-b"
        assert recording.length == 1_000
        assert recording.begins == iso_milliseconds("2024-12-07T00:00:00Z")
        for first in (0, 1, 17, 500, 998, 999, 1_000, 1_001):
            assert lines_of(recording, first) == self.events(1_000)[first:]

    def test_finds_the_first_line_at_or_after_a_time(self, path: Path) -> None:
        recording = prepared(path)
        start = recording.begins
        for seconds, line in ((-100, 0), (0, 0), (1, 1), (333, 333), (999, 999), (5_000, 1_000)):
            assert recording.find(start + seconds * 1000) == line
        assert recording.find(start + 332_001) == 333

    def test_skips_and_counts_empty_lines_and_takes_windows_line_ends(self, tmp_path: Path) -> None:
        path = tmp_path / "x.jsonl"
        path.write_bytes(b'\n{"a":1}\r\n\r\n  \t\n{"b":2}\r\n\nlast without end')
        recording = prepared(path)
        assert lines_of(recording) == [b'{"a":1}', b'{"b":2}', b"last without end"]
        assert (recording.length, recording.empty_lines) == (3, 4)

    def test_an_empty_file_is_a_recording_without_lines(self, tmp_path: Path) -> None:
        for name, data in (("x.jsonl", b""), ("x.jsonl.gz", gzip.compress(b""))):
            path = tmp_path / name
            path.write_bytes(data)
            recording = prepared(path)
            assert (recording.length, lines_of(recording), recording.find(5)) == (0, [], 0)

    def test_says_what_is_wrong_with_a_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        good = gzip.compress(b'{"a":1}\n' * 1_000)
        cases = {
            "cut.jsonl.gz": (good[:-9], "ends in the middle"),
            "damaged.jsonl.gz": (good[:20] + b"\xff" * 8 + good[28:], "damaged"),
            "plain.jsonl.gz": (b'{"a":1}\n', "is not gzip"),
            "endless.jsonl": (b"x" * 300_000, "line over"),
        }
        monkeypatch.setattr(recording_module, "LONGEST_LINE", 100_000)
        for name, (data, message) in cases.items():
            (tmp_path / name).write_bytes(data)
            with pytest.raises(UnreadableRecording, match=message):
                prepared(tmp_path / name)
        with pytest.raises(UnreadableRecording, match="No such file"):
            Recording(tmp_path / "missing.jsonl")


class TestClock:
    @pytest.fixture
    def wall(self, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        wall = [1_000_000.0]
        monkeypatch.setattr(clock_module, "_wall", lambda: wall[0])
        return wall

    def test_a_factor_counts_from_the_first_connection(self, wall: list[float]) -> None:
        clock = Clock(10.0)
        assert clock.now() is None
        clock.start(5_000)
        assert clock.now() == 5_000
        assert clock.seconds_until(15_000) == 1.0
        wall[0] += 400
        clock.start(7_000)
        assert clock.now() == 9_000
        assert clock.seconds_until(8_000) == 0.0

    def test_the_wall_clock(self, wall: list[float]) -> None:
        clock = Clock("clock")
        clock.start(5)
        assert clock.now() == 1_000_000
        assert clock.seconds_until(1_002_500) == 2.5

    def test_max_never_waits(self, wall: list[float]) -> None:
        clock = Clock("max")
        clock.start(5)
        assert clock.now() is None
        assert clock.seconds_until(10**15) == 0.0


class TestFaults:
    def test_nothing_goes_wrong_unasked(self) -> None:
        faults = ConnectionFaults(Faults(), 1, now=0.0)
        assert faults.refusal is None
        assert faults.cut_point(100, now=1e9) is None
        assert faults.silence(now=1e9) == 0.0
        assert not any(faults.repeats() for _ in range(1_000))

    def test_the_seed_repeats_them(self) -> None:
        def history(seed: int, attempt: int) -> list[object]:
            wanted = Faults(seed, cut_every=3.0, duplicate_every=20, refuse=0.5, silence_every=2.0, silence_for=1.0)
            faults = ConnectionFaults(wanted, attempt, now=0.0)
            return [
                faults.refusal,
                [faults.repeats() for _ in range(500)],
                [faults.silence(now=t / 10) for t in range(100)],
                [faults.cut_point(1_000, now=t / 10) for t in range(100)],
            ]

        assert history(1, 1) == history(1, 1)
        assert history(1, 1) != history(1, 2)
        assert history(1, 1) != history(2, 1)

    def test_they_come_as_often_as_asked(self) -> None:
        faults = [ConnectionFaults(Faults(refuse=0.3), attempt, now=0.0) for attempt in range(1_000)]
        assert 230 < sum(f.refusal is not None for f in faults) < 370
        assert {f.refusal.status for f in faults if f.refusal} == {429, 503}
        repeating = ConnectionFaults(Faults(duplicate_every=50), 1, now=0.0)
        assert 120 < sum(repeating.repeats() > 0 for _ in range(10_000)) < 300
        cuts = [ConnectionFaults(Faults(cut_every=4.0), attempt, now=0.0) for attempt in range(200)]
        assert all(c.cut_point(10, now=1.9) is None for c in cuts)
        points = [c.cut_point(10, now=6.1) for c in cuts]
        assert all(p is not None and 1 <= p < 10 for p in points), "in the middle, never at the end"
        assert len(set(points)) == 9
