"""The position never passes an unacknowledged change, and every offset is accounted for once."""

from services.common.change import Origin, Position
from services.producer.ledger import Ledger

TOPIC = "codfw.mediawiki.recentchange"


def at(offset: int, topic: str = TOPIC) -> Origin:
    return Origin(topic, 0, offset)


def test_the_position_waits_for_the_oldest_unacknowledged_change():
    ledger = Ledger()
    first, second = (ledger.enter(at(n), n, "kept") for n in (10, 11))
    second.settled = True
    ledger.advance()
    assert ledger.positions == {}
    assert ledger.unacknowledged == 2
    first.settled = True
    ledger.advance()
    assert ledger.positions[TOPIC, 0].offset == 11
    assert ledger.unacknowledged == 0


def test_a_drop_is_settled_but_does_not_overtake_what_waits_before_it():
    ledger = Ledger()
    kept = ledger.enter(at(0), 0, "kept")
    ledger.enter(at(1), 1, "canary", settled=True)
    ledger.advance()
    assert ledger.take_changed_pages() == []
    kept.settled = True
    ledger.advance()
    (page,) = ledger.take_changed_pages()
    assert (page.read, page.kept, page.dropped) == (2, 1, {"canary": 1})


def test_pages_of_a_thousand_offsets_add_up_and_a_gap_shows():
    ledger = Ledger()
    for offset in [*range(995, 1005), 1007]:
        ledger.enter(at(offset), offset, "dead_lettered", settled=True)
    ledger.advance()
    old, new = ledger.take_changed_pages()
    assert (old.page, old.first_offset, old.last_offset, old.read, old.dead_lettered) == (0, 995, 999, 5, 5)
    assert (new.page, new.first_offset, new.last_offset, new.read) == (1, 1000, 1007, 6)
    assert new.read < new.last_offset - new.first_offset + 1


def test_an_open_page_goes_on_and_only_changed_pages_are_given():
    ledger = Ledger()
    ledger.enter(at(0), 0, "kept", settled=True)
    ledger.advance()
    assert len(ledger.take_changed_pages()) == 1
    assert ledger.take_changed_pages() == []
    ledger.enter(at(1), 0, "kept", settled=True)
    ledger.advance()
    (page,) = ledger.take_changed_pages()
    assert page.read == 2


def test_datacenter_topics_have_positions_of_their_own():
    ledger = Ledger()
    ledger.enter(at(500), 1, "kept", settled=True)
    ledger.enter(at(3, "eqiad.mediawiki.recentchange"), 2, "kept", settled=True)
    ledger.advance()
    assert {key[0]: p.offset for key, p in ledger.positions.items()} == {TOPIC: 500, "eqiad.mediawiki.recentchange": 3}


def test_a_restart_reads_the_open_page_again_from_its_beginning():
    ledger = Ledger()
    ledger.resume_from([Position(TOPIC, 0, 2_345, 99)])
    assert ledger.read_positions == {(TOPIC, 0): 1_999}
    assert ledger.is_repeated(at(1_999))
    assert not ledger.is_repeated(at(2_000))
    whole = Ledger()
    whole.resume_from([Position(TOPIC, 0, 2_999, 99)])
    assert whole.read_positions == {(TOPIC, 0): 2_999}
