"""What comes off the broker is read, refused with a reason, or folded; nothing ends the worker."""

from types import SimpleNamespace

import pytest

from services.common.change import encode, shard_of
from services.worker import pipeline
from services.worker.pipeline import (
    engage_or_refuse,
    read_changes,
    read_dead_letter,
    read_ledger_page,
    read_message,
)
from services.worker.rows import DEAD_LETTERS
from services.worker.seed import Place, Seeder
from tests.events import change
from tests.unit.test_worker_engage import GRACE, Memory

SHARD = shard_of("enwiki", "Battle of Nowhere")


PLACE = Place(0, "live", SHARD)


def seeder() -> Seeder:
    """Over an empty ClickHouse."""
    empty = SimpleNamespace(query=lambda *_: SimpleNamespace(result_rows=[(0, None)]))
    return Seeder(lambda: empty, GRACE, changelog=False, on_wait=lambda _: None)


def test_a_message_gives_its_shard_and_its_changes():
    shard, changes, letters = read_message(str(SHARD).encode(), encode([change(1), change(2)]))
    assert (shard, [c.source_offset for c in changes], letters) == (SHARD, [1, 2], [])


@pytest.mark.parametrize("value", [None, b"", b"{", b"17", b"\xff\xfe", b'{"meta_id": 1}', b"null", b"[" * 9999])
def test_what_is_no_list_of_changes_is_refused_whole_with_its_bytes(value):
    _, changes, letters = read_message(str(SHARD).encode(), value)
    assert changes == []
    assert [(letter.reason, letter.raw) for letter in letters] == [("unreadable", value or b"")]


def test_a_bad_change_is_refused_alone_and_the_others_of_its_message_pass():
    good, bad = encode(change(1)), encode(change(2)).replace(b'"enwiki"', b"17")
    changes, letters = read_changes(b"[" + good + b"," + bad + b",5," + encode(change(3)) + b"]")
    assert [c.source_offset for c in changes] == [1, 3]
    assert [letter.raw for letter in letters] == [bad, b"5"]


@pytest.mark.parametrize("value", [2**32, -1])
def test_a_number_that_clickhouse_would_refuse_never_reaches_an_insert(value):
    _, letters = read_changes(encode([change(1, length_new=value)]))
    assert len(letters) == 1


@pytest.mark.parametrize("key", [None, b"", b"no shard", b"\xff", b"99", str((SHARD + 1) % 32).encode()])
def test_a_change_under_another_shards_key_is_refused_with_its_origin(key):
    _, changes, letters = read_message(key, encode([change(7)]))
    assert changes == []
    assert [(letter.reason, letter.source_offset) for letter in letters] == [("wrong_shard", 7)]


def test_a_change_that_cannot_be_folded_is_refused_alone(monkeypatch):
    real = pipeline.engage

    def engage(changes, *rest):
        if any(c.source_offset == 2 for c in changes):
            raise RuntimeError("a fault of ours")
        return real(changes, *rest)

    monkeypatch.setattr(pipeline, "engage", engage)
    rows = engage_or_refuse([change(n) for n in (1, 2, 3)], PLACE, Memory(), seeder())
    assert len(rows.edits) == 2
    (row,) = rows.dead_letters
    letter = dict(zip(DEAD_LETTERS.columns, row, strict=True))
    assert (letter["reason"], letter["source_offset"]) == ("unprocessable", 2)
    assert "a fault of ours" in letter["error"]


@pytest.mark.parametrize("read", [read_dead_letter, read_ledger_page])
@pytest.mark.parametrize("value", [None, b"", b"{", b"[]", b"\xff", b"[" * 9999, b'{"a":' * 9999])
def test_faulty_dead_letters_and_ledger_pages_become_dead_letters(read, value):
    rows = read(value)
    assert len(rows.dead_letters) == 1
    assert rows.ledger == []
