"""A recording: a file with one recentchange event per line, plain or gzip, of any size.

Nothing of it is kept in memory but a checkpoint every few megabytes of text. For gzip a checkpoint is a copy of the
decompressor itself (its 32 KB window), so that reading can go on in the middle of the file: a client that resumes
waits for a few megabytes to be skipped, not for the file from its start.
"""

import re
import time
import zlib
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import structlog

from services.simulator.events import event_time

# Compressed bytes read at once. gzip shrinks at most a thousandfold, so this also bounds what one read can unfold to.
CHUNK = 64 * 1024
# Text between two checkpoints: skipping it takes about 20 ms; 10 GB of text make 2,500 checkpoints of 50 KB.
CHECKPOINT_TEXT = 4 * 1024 * 1024
# A line longer than this is no event; without a bound a file without line ends would be read into memory.
LONGEST_LINE = 16 * 1024 * 1024
PROGRESS_SECONDS = 5.0

log = structlog.get_logger()


class UnreadableRecording(Exception):
    """The file cannot be played; the message says what to do."""


class _Plain:
    """Text as it stands in the file."""

    whole = True

    def feed(self, data: bytes) -> bytes:
        return data

    def copy(self) -> Self:
        return self


class _Gzip:
    """Text of a gzip file, which may consist of several members one after another (as `cat a.gz b.gz` makes)."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(wbits=31)
        self._fed = False

    @property
    def whole(self) -> bool:
        """Whether what was fed so far ends with the end of a member."""
        return self._member.eof or not self._fed

    def feed(self, data: bytes) -> bytes:
        text = bytearray()
        while data:
            if self._member.eof:
                self._member = zlib.decompressobj(wbits=31)
            text += self._member.decompress(data)
            self._fed = True
            data = self._member.unused_data
        return bytes(text)

    def copy(self) -> "_Gzip":
        twin = _Gzip()
        twin._member, twin._fed = self._member.copy(), self._fed
        return twin


@dataclass
class _Checkpoint:
    """A place where reading can begin."""

    line: int  # number of the line that begins with `rest`
    at: int  # next byte of the file
    rest: bytes  # text already read of that line
    decoder: _Plain | _Gzip
    time: int  # `meta.dt` of the first line from here on that has one, milliseconds


class Recording:
    """A file as a source of lines. Empty lines are counted and skipped; every other line has a number, whatever it is.

    Raises UnreadableRecording when the file is not there or not gzip though named so, and in `prepare` when it is
    damaged or cut short.
    """

    kind = "recording"

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = f"replay-{_topic_name(path)}"
        self.length: int | None = 0
        self.empty_lines = 0
        self.begins = 0
        self.reached = 2**62  # all of it is there
        self._checkpoints: list[_Checkpoint] = []
        try:
            with path.open("rb") as file:
                self._gzip = file.read(2) == b"\x1f\x8b"
        except OSError as error:
            raise UnreadableRecording(
                f"Cannot read {path}: {error.strerror}. Give a .jsonl or .jsonl.gz file."
            ) from None
        if path.suffix == ".gz" and not self._gzip:
            raise UnreadableRecording(f"{path} is named .gz but is not gzip: rename it, or fetch it again.")

    def prepare(self) -> None:
        """Read the file once: count its lines and set the checkpoints (about 300 MB of text a second)."""
        began = told = time.monotonic()
        size = max(self._path.stat().st_size, 1)
        lines = text_since_checkpoint = 0
        start = _Checkpoint(0, 0, b"", self._decoder(), 0)
        pending = [start]  # checkpoints whose time is still to be found
        for batch, here in self._walk(start):
            for line in batch if pending else ():
                found = event_time(line)
                if found is not None:
                    for checkpoint in pending:
                        checkpoint.time = found
                    pending.clear()
                    break
            filled = sum(1 for line in batch if line and not line.isspace())
            lines += filled
            self.empty_lines += len(batch) - filled
            text_since_checkpoint += sum(map(len, batch))
            if text_since_checkpoint >= CHECKPOINT_TEXT:
                text_since_checkpoint = 0
                checkpoint = _Checkpoint(lines, here.at, here.rest, here.decoder.copy(), 0)
                self._checkpoints.append(checkpoint)
                pending.append(checkpoint)
            if time.monotonic() - told > PROGRESS_SECONDS:
                told = time.monotonic()
                log.info("reading the recording", lines=lines, share=f"{here.at / size:.0%}")
        for checkpoint in pending:  # nothing but unreadable lines follows
            checkpoint.time = max((c.time for c in self._checkpoints), default=0)
        self._checkpoints.insert(0, start)
        self.length = lines
        self.begins = start.time
        log.info(
            "recording ready", lines=lines, empty_lines=self.empty_lines, seconds=round(time.monotonic() - began, 2)
        )

    def read(self, first: int) -> Iterator[list[bytes]]:
        """See Source.read."""
        index = bisect_left(self._checkpoints, first + 1, key=lambda c: c.line) - 1
        checkpoint = self._checkpoints[index]
        number = checkpoint.line
        for batch, _ in self._walk(checkpoint):
            lines = [line.rstrip(b"\r") for line in batch if line and not line.isspace()]
            yield lines[max(first - number, 0) :]
            number += len(lines)

    def find(self, time: int) -> int:
        """See Source.find. The file counts as ordered by `meta.dt`, as the stream is but for a few milliseconds."""
        index = max(bisect_left(self._checkpoints, time, key=lambda c: c.time) - 1, 0)
        number = self._checkpoints[index].line
        for batch in self.read(number):
            for line in batch:
                found = event_time(line)
                if found is not None and found >= time:
                    return number
                number += 1
        return number

    def _walk(self, start: _Checkpoint) -> Iterator[tuple[list[bytes], _Checkpoint]]:
        """The complete lines of each chunk from a checkpoint on, with the place reached (its `line` is not kept up)."""
        here = _Checkpoint(start.line, start.at, start.rest, start.decoder.copy(), start.time)
        with self._path.open("rb") as file:
            file.seek(start.at)
            while chunk := file.read(CHUNK):
                try:
                    text = here.decoder.feed(chunk)
                except zlib.error as error:
                    raise UnreadableRecording(f"{self._path} is damaged ({error}): fetch it again.") from None
                here.at += len(chunk)
                *lines, here.rest = (here.rest + text).split(b"\n")
                if len(here.rest) > LONGEST_LINE:
                    raise UnreadableRecording(f"{self._path} has a line over {LONGEST_LINE} bytes.")
                yield lines, here
        if not here.decoder.whole:
            raise UnreadableRecording(f"{self._path} ends in the middle: check it with `gzip -t` and fetch it again.")
        if here.rest:
            last, here.rest = here.rest, b""
            yield [last], here

    def _decoder(self) -> _Plain | _Gzip:
        return _Gzip() if self._gzip else _Plain()


def _topic_name(path: Path) -> str:
    """The file's name without its endings, in characters that every Kafka tool takes."""
    name = path.name.removesuffix(".gz").removesuffix(".jsonl").removesuffix(".json")
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:80] or "recording"
