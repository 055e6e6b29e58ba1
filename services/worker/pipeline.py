"""The dataflow, top to bottom.

    wiki.edits        -> read -> engage (stateful) -> sink -> edits, fronts, reverts, battles, alerts, duplicates
    wiki.deadletters  -> read -------------------- -> sink -> dead_letters
    wiki.ledger       -> read -------------------- -> sink -> ledger

A message that cannot be read or processed becomes a dead letter by itself; the others pass, and the worker goes on.
Where messages are missing on the broker it ends (continuity.py).
"""

import time
from collections.abc import Callable
from itertools import groupby
from typing import Any

import msgspec
import structlog
from quixstreams import Application, State, message_context
from quixstreams.sinks import BaseSink

from services.common.change import (
    DEAD_LETTERS_TOPIC,
    EDITS_TOPIC,
    LEDGER_TOPIC,
    UNREADABLE,
    Change,
    DeadLetter,
    Origin,
    dead_letter,
    decode_changes,
    decode_dead_letter,
    decode_ledger_page,
    encode,
    is_wiki_name,
    shard_of,
    source_of,
)
from services.worker.continuity import Continuity, belongs_here
from services.worker.engage import Rows, engage, no_rows
from services.worker.memory import KeyValue
from services.worker.rows import dead_letter_row, ledger_row
from services.worker.seed import Place, Seeder

log = structlog.get_logger()

_decode_change = msgspec.json.Decoder(Change).decode
_decode_parts = msgspec.json.Decoder(list[msgspec.Raw]).decode


def build(app: Application, sink: BaseSink, seeder: Seeder, continuity: Continuity) -> None:
    """Declare the dataflow on `app`."""
    # as bytes: a deserializer of Quix's that fails ends the worker
    topic = {"key_deserializer": "bytes", "value_deserializer": "bytes"}

    def nothing_lost(_: Any) -> None:
        context = message_context()
        continuity.follow(context.topic, context.partition, context.offset)

    edits = app.dataframe(app.topic(EDITS_TOPIC, **topic))  # type: ignore[arg-type] # literals of a union
    edits = edits.update(nothing_lost).filter(belongs_here, metadata=True)
    edits.apply(fight(seeder), stateful=True, metadata=True).sink(sink)

    letters = app.dataframe(app.topic(DEAD_LETTERS_TOPIC, **topic))  # type: ignore[arg-type]
    letters.update(nothing_lost).apply(read_dead_letter).sink(sink)

    pages = app.dataframe(app.topic(LEDGER_TOPIC, **topic))  # type: ignore[arg-type]
    pages.update(nothing_lost).apply(read_ledger_page).sink(sink)


def fight(seeder: Seeder) -> Callable[[bytes, Any, int, Any, State[Any, Any]], Rows]:
    """The step of `wiki.edits`: one message in, the rows that follow from it out."""

    def step(value: bytes, key: Any, timestamp: int, headers: Any, state: State[Any, Any]) -> Rows:  # noqa: ARG001 - Quix's order
        shard, changes, letters = read_message(key, value)
        rows = no_rows()
        rows.dead_letters.extend(dead_letter_row(letter) for letter in letters)
        context = message_context()
        seeder.follow(context.partition, context.offset)
        for source, group in groupby(changes, key=lambda change: source_of(change.source_topic)):
            place = Place(context.partition, source, shard)
            rows.merge(engage_or_refuse(list(group), place, state, seeder))
        return rows

    return step


def engage_or_refuse(changes: list[Change], place: Place, state: KeyValue, seeder: Seeder) -> Rows:
    """Fold changes; where one cannot be, fold the others one by one and refuse that one."""
    memory = seeder.memory(state, place)
    try:
        rows = engage(changes, place.shard, place.source, memory)
    except Exception as error:
        seeder.drop(place)
        if len(changes) > 1:
            rows = no_rows()
            for change in changes:
                rows.merge(engage_or_refuse([change], place, state, seeder))
            return rows
        log.exception("a change cannot be processed")
        return no_rows()._replace(dead_letters=[dead_letter_row(_refused(changes[0], "unprocessable", repr(error)))])
    memory.write_back()
    seeder.note(place)
    return rows


def read_message(key: bytes | None, value: bytes | None) -> tuple[int, list[Change], list[DeadLetter]]:
    """Shard and changes of a message of wiki.edits, and dead letters for what cannot be used of it.

    A change under another shard's key would meet another shard's state, so it is refused.
    """
    shard = int(key) if key and key.isdigit() else -1
    changes, letters = read_changes(value or b"")
    mine = [change for change in changes if shard_of(change.wiki, change.title) == shard]
    if len(mine) < len(changes):
        others = [change for change in changes if shard_of(change.wiki, change.title) != shard]
        letters += [_refused(change, "wrong_shard", f"it came under the key {key!r}") for change in others]
    return shard, mine, letters


def read_changes(value: bytes) -> tuple[list[Change], list[DeadLetter]]:
    """The changes of a message, and dead letters for those that are none."""
    try:
        changes = decode_changes(value)
        for wiki in {change.wiki for change in changes}:
            _require_wiki_name(wiki)
        return changes, []
    except UNREADABLE as error:
        fault = str(error)
    try:
        parts = _decode_parts(value)
    except UNREADABLE:
        return [], [_unreadable(value, fault)]
    changes = []
    letters: list[DeadLetter] = []
    for part in parts:
        try:
            change = _decode_change(part)
            _require_wiki_name(change.wiki)
            changes.append(change)
        except UNREADABLE as error:
            letters.append(_unreadable(bytes(part), str(error)))
    return changes, letters


def _require_wiki_name(wiki: str) -> None:
    if not is_wiki_name(wiki):
        raise msgspec.ValidationError(f"{wiki!r} is no wiki's database name")


def read_dead_letter(value: bytes | None) -> Rows:
    """A row of dead_letters; a dead letter that cannot be read is one itself."""
    try:
        letter = decode_dead_letter(value or b"")
    except UNREADABLE as error:
        letter = _unreadable(value or b"", str(error))
    return no_rows()._replace(dead_letters=[dead_letter_row(letter)])


def read_ledger_page(value: bytes | None) -> Rows:
    """A row of ledger."""
    try:
        return no_rows()._replace(ledger=[ledger_row(decode_ledger_page(value or b""))])
    except UNREADABLE as error:
        return no_rows()._replace(dead_letters=[dead_letter_row(_unreadable(value or b"", str(error)))])


def _unreadable(raw: bytes, error: str) -> DeadLetter:
    return dead_letter(raw, time.time_ns() // 1_000_000, None, "unreadable", error)


def _refused(change: Change, reason: str, error: str) -> DeadLetter:
    origin = Origin(change.source_topic, change.source_partition, change.source_offset)
    return dead_letter(encode(change), change.received, origin, reason, error)
