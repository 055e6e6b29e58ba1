"""A shard's memory that stays from message to message is the one that is loaded from the state."""

from random import Random

from services.worker import memory as memory_of_shards
from services.worker.engage import engage
from services.worker.memory import DictState, PageFilter, ShardMemory, page_key
from services.worker.state import (
    MEMORY,
    PAGE_MEMORY,
    REVISION_MEMORY,
    REVISIONS,
    REVISIONS_SLACK,
    PageState,
    Revision,
)
from tests.events import START, change
from tests.unit.test_worker_engage import GRACE, ROLLBACK

MESSAGES, CHANGES = 120, 40
RECENT = 256


def messages(seed: int) -> list[list]:
    """Three days of a shard: pages that come back soon, late or never, reverts, logs, repeated ids, late changes."""
    random, number, made = Random(seed), 0, []
    for message in range(MESSAGES):
        changes = []
        for _ in range(CHANGES):
            number += 1
            title = f"Page {random.choice((number, number - 3, number - 2 * RECENT, number % 50))}"
            user = random.choice(("Ada", "Bo", "~2026-1-1"))
            at = START + 3 * 86_400 * message // MESSAGES + random.choice((0, 1, 7, -5_000))
            kind = {"type": "log", "log_type": "protect", "log_action": "protect"} if random.random() < 0.02 else {}
            comment = ROLLBACK.format("Ada") if random.random() < 0.2 else "copy edit"
            changes.append(change(number, title=title, user=user, timestamp=at, comment=comment, **kind))
            if random.random() < 0.03:
                number += 1
                changes.append(change(number, title=title, timestamp=at, meta_id=changes[-1].meta_id))
        made.append(changes)
    return made


def test_what_stays_in_memory_gives_the_rows_and_the_state_that_loading_it_anew_gives(monkeypatch):
    monkeypatch.setattr(memory_of_shards, "RECENT", RECENT)  # so that a third of the pages are read from the state
    kept, anew = DictState(), DictState()
    memory = ShardMemory(kept, "live", GRACE)
    duplicates = reverts = 0
    for changes in messages(1):
        rows = engage(changes, 3, "live", memory)
        memory.write_back()
        loaded = ShardMemory(anew, "live", GRACE)
        assert engage(changes, 3, "live", loaded) == rows
        loaded.write_back()
        assert kept == anew
        duplicates, reverts = duplicates + len(rows.duplicates), reverts + len(rows.reverts)
    assert min(duplicates, reverts) > 50
    pages = sum(key.startswith(b"p") for key in kept)
    assert RECENT < pages < MESSAGES * CHANGES / 2, f"pages of more than {PAGE_MEMORY} s ago are forgotten"


def test_the_filter_forgets_what_has_expired_and_nothing_else(monkeypatch):
    monkeypatch.setattr(PageFilter, "SLOTS", 2**12)  # so that it is swept every 1,024 expired pages, and slots collide
    kept = DictState()
    memory = ShardMemory(kept, "live", GRACE)
    for changes in messages(2):
        engage(changes, 3, "live", memory)
        memory.write_back()
    swept = memory._filter
    remembered = [key[-12:] for key in kept if key.startswith(b"p")]
    assert remembered
    assert all(swept.look(key) != PageFilter.ABSENT for key in remembered)
    assert sum(swept.look(page_key("enwiki", f"Never {n}")) == PageFilter.ABSENT for n in range(1000)) > 300


def test_the_revisions_that_a_page_keeps_are_the_newest_however_they_are_packed():
    page, given = PageState(), []
    for number in range(3 * REVISIONS):
        given.append(Revision(number, f"Editor {number % 7}", "person", START + number, number % 3))
        page.add_revision(given[-1], outdated=START - REVISION_MEMORY)
        assert page.revisions() == given[-REVISIONS:]
        assert page.kept <= REVISIONS + REVISIONS_SLACK
    page.add_revision(Revision(999, "Ada", "bot", START + MEMORY, 0), outdated=START + MEMORY)
    assert [one.rev_id for one in page.revisions()] == [999]


def test_what_is_not_outdated_is_never_forgotten():
    page, random = PageState(), Random(3)
    given = [Revision(n, "Ada", "person", START + random.randrange(9 * MEMORY), 0) for n in range(60)]
    for revision in sorted(given, key=lambda one: one.timestamp):
        outdated = revision.timestamp - REVISION_MEMORY
        page.add_revision(revision, outdated)
        kept = [one.rev_id for one in page.revisions() if one.timestamp >= outdated]
        wanted = [one for one in given if outdated <= one.timestamp <= revision.timestamp]
        assert kept == [one.rev_id for one in sorted(wanted, key=lambda one: one.timestamp)]
    assert page.kept < 40
