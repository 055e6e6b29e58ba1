"""Messages: one shard, source order, small while live, full while catching up, never over the broker's limit."""

from services.common.change import Origin, shard_of
from services.producer.batches import CATCHING_UP, LONGEST_SPAN, LONGEST_WAIT, MOST_CHANGES, TICK, Batches
from services.producer.ledger import Entry
from tests.events import START, change


def entry() -> Entry:
    return Entry(Origin("t", 0, 0), 0, "kept", False)


def test_a_live_change_leaves_at_the_next_tick():
    batches = Batches()
    assert batches.add(change(1), entry()) == []
    (batch,) = batches.tick()
    assert [c.source_offset for c in batch.changes] == [1]
    assert batch.shard == shard_of("enwiki", "Battle of Nowhere")
    assert batches.tick() == []


def test_a_full_message_leaves_at_once_in_source_order():
    batches = Batches()
    closed = [b for n in range(MOST_CHANGES) for b in batches.add(change(n), entry())]
    assert len(closed) == 1
    assert [c.source_offset for c in closed[0].changes] == list(range(MOST_CHANGES))
    assert len(closed[0].entries) == MOST_CHANGES


def test_pages_of_different_shards_never_share_a_message():
    batches = Batches()
    for n in range(50):
        batches.add(change(n, title=f"Page {n}"), entry())
    for batch in batches.close_all():
        assert {shard_of(c.wiki, c.title) for c in batch.changes} == {batch.shard}


def test_while_catching_up_messages_fill_but_none_waits_for_ever():
    batches = Batches()
    waited = 0
    batches.add(change(0, title="Quiet"), entry())
    quiet = shard_of("enwiki", "Quiet")
    for n in range(LONGEST_WAIT + 1):
        for k in range(int(CATCHING_UP * TICK) + 20):
            title = f"Busy {k}"
            if shard_of("enwiki", title) != quiet:
                batches.add(change(n, title=title), entry())
        if any(b.shard == quiet for b in batches.tick()):
            break
        waited += 1
    assert 0 < waited <= LONGEST_WAIT


def test_large_texts_and_long_spans_close_a_message():
    batches = Batches()
    batches.add(change(1, comment="x" * 150_000), entry())
    (closed,) = batches.add(change(2, comment="x" * 150_000), entry())
    assert len(closed.changes) == 1
    batches = Batches()
    batches.add(change(1), entry())
    (closed,) = batches.add(change(2, timestamp=START + LONGEST_SPAN + 1), entry())
    assert len(closed.changes) == 1
