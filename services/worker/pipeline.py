"""The dataflow, top to bottom.

    wiki.edits        -> read -> engage (stateful) -> sink -> edits, fronts, reverts, battles, alerts, duplicates
    wiki.deadletters  -> read -------------------- -> sink -> dead_letters
    wiki.ledger       -> read -------------------- -> sink -> ledger

A message that cannot be read or processed becomes a dead letter by itself; the others pass, and the worker goes on.
"""

import time
from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Any

import msgspec
import structlog
from quixstreams import Application, State
from quixstreams.sinks import BaseSink

from services.common.change import (
    DEAD_LETTERS_TOPIC,
    EDITS_TOPIC,
    LEDGER_TOPIC,
    Change,
    DeadLetter,
    Origin,
    dead_letter,
    decode_changes,
    decode_dead_letter,
    decode_ledger_page,
    encode,
    source_of,
)
from services.worker.engage import Rows, engage, no_rows
from services.worker.rows import dead_letter_row, ledger_row
from services.worker.seed import Seeder
from services.worker.state import KeyValue, WorkingSet

log = structlog.get_logger()

_decode_change = msgspec.json.Decoder(Change).decode
_decode_parts = msgspec.json.Decoder(list[msgspec.Raw]).decode


def build(app: Application, sink: BaseSink, seeder: Seeder, grace: int) -> None:
    """Declare the dataflow on `app`."""
    topic = {"key_deserializer": "str", "value_deserializer": "bytes"}

    edits = app.dataframe(app.topic(EDITS_TOPIC, **topic))  # type: ignore[arg-type] # literals of a union
    edits.apply(fight(seeder, grace), stateful=True, metadata=True).sink(sink)

    letters = app.dataframe(app.topic(DEAD_LETTERS_TOPIC, **topic))  # type: ignore[arg-type]
    letters.apply(read_dead_letter).sink(sink)

    pages = app.dataframe(app.topic(LEDGER_TOPIC, **topic))  # type: ignore[arg-type]
    pages.apply(read_ledger_page).sink(sink)


def fight(seeder: Seeder, grace: int) -> Callable[[bytes, Any, int, Any, State[Any, Any]], Rows]:
    """The step of `wiki.edits`: one message in, the rows that follow from it out."""

    def step(value: bytes, key: Any, timestamp: int, headers: Any, state: State[Any, Any]) -> Rows:  # noqa: ARG001 - Quix's order
        changes, letters = read_message(value)
        rows = no_rows()
        rows.dead_letters.extend(dead_letter_row(letter) for letter in letters)
        for source, group in groupby(changes, key=lambda change: source_of(change.source_topic)):
            seeder.ensure_current(state, source, int(key))
            rows.merge(engage_or_refuse(list(group), int(key), source, state, seeder, grace))
        return rows

    return step


def engage_or_refuse(
    changes: list[Change], shard: int, source: str, state: KeyValue, seeder: Seeder, grace: int
) -> Rows:
    """Fold changes; where one cannot be, fold the others one by one and refuse that one."""
    memory = WorkingSet(state, source, grace)
    try:
        rows = engage(changes, shard, source, memory)
    except Exception as error:
        if len(changes) > 1:
            rows = no_rows()
            for change in changes:
                rows.merge(engage_or_refuse([change], shard, source, state, seeder, grace))
            return rows
        log.exception("a change cannot be processed")
        change = changes[0]
        origin = Origin(change.source_topic, change.source_partition, change.source_offset)
        letter = dead_letter(encode(change), change.received, origin, "unprocessable", repr(error))
        return no_rows()._replace(dead_letters=[dead_letter_row(letter)])
    memory.write_back()
    seeder.note(source, shard, memory.shard.sequence)
    return rows


def read_message(value: bytes) -> tuple[list[Change], list[DeadLetter]]:
    """The changes of a message of wiki.edits, and dead letters for those that are none."""
    try:
        return decode_changes(value), []
    except (msgspec.MsgspecError, UnicodeError) as error:
        return _read_parts(value, error)


def _read_parts(value: bytes, error: Exception) -> tuple[list[Change], list[DeadLetter]]:
    received = time.time_ns() // 1_000_000
    try:
        parts: Iterable[msgspec.Raw] = _decode_parts(value)
    except (msgspec.MsgspecError, UnicodeError):
        return [], [dead_letter(value, received, None, "unreadable", str(error))]
    changes: list[Change] = []
    letters: list[DeadLetter] = []
    for part in parts:
        try:
            changes.append(_decode_change(part))
        except (msgspec.MsgspecError, UnicodeError) as fault:
            letters.append(dead_letter(bytes(part), received, None, "unreadable", str(fault)))
    return changes, letters


def read_dead_letter(value: bytes) -> Rows:
    """A row of dead_letters; a dead letter that cannot be read is one itself."""
    try:
        letter = decode_dead_letter(value)
    except (msgspec.MsgspecError, UnicodeError) as error:
        letter = dead_letter(value, time.time_ns() // 1_000_000, None, "unreadable", str(error))
    return no_rows()._replace(dead_letters=[dead_letter_row(letter)])


def read_ledger_page(value: bytes) -> Rows:
    """A row of ledger."""
    try:
        return no_rows()._replace(ledger=[ledger_row(decode_ledger_page(value))])
    except (msgspec.MsgspecError, UnicodeError) as error:
        letter = dead_letter(value, time.time_ns() // 1_000_000, None, "unreadable", str(error))
        return no_rows()._replace(dead_letters=[dead_letter_row(letter)])
