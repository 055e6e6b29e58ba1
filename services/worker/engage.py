"""The worker's job on the changes of one shard: deduplicate, detect reverts, follow battles, fold windows.

`engage` is the whole of it, read from top to bottom; it changes the working set in memory and nothing else.
Windows are folded here, in the same stateful step as all else, and not by Quix's windows: that is one state
operation per touched window instead of several per change, two to three times as fast, with a closing rule
that SQL can repeat and state that can be rebuilt from ClickHouse.
"""

from typing import Any, NamedTuple
from uuid import UUID

from services.common.change import Change, is_replayed
from services.worker.battles import count_edit, end, fight, is_battlefield, log_ending, remember_mark
from services.worker.reverts import Revert, is_known_revert, resolve
from services.worker.rows import NO_CLAIM, alert_row, battle_row, duplicate_row, edit_row, front_row, revert_row
from services.worker.state import (
    COUNTED,
    EXEMPT,
    NOTHING,
    REVISIONS,
    UNCOUNTED,
    WINDOW,
    PageState,
    Revision,
    Tally,
    WindowState,
    WorkingSet,
)
from services.worker.summaries import Claim, parse_summary
from services.worker.watch import raise_alert


class Rows(NamedTuple):
    """What follows from one message: rows by table, in the order of columns in rows.py.

    Where one thing has several rows, they stand under its key: the newest is the fullest.
    """

    edits: list[tuple[Any, ...]]
    fronts: dict[tuple[int, str, int, str, str], tuple[Any, ...]]
    reverts: list[tuple[Any, ...]]
    battles: dict[UUID, tuple[Any, ...]]
    alerts: list[tuple[Any, ...]]
    duplicates: list[tuple[Any, ...]]
    dead_letters: list[tuple[Any, ...]]
    ledger: list[tuple[Any, ...]]

    def merge(self, more: "Rows") -> None:
        """Add what follows from a later message."""
        self.edits.extend(more.edits)
        self.fronts.update(more.fronts)
        self.reverts.extend(more.reverts)
        self.battles.update(more.battles)
        self.alerts.extend(more.alerts)
        self.duplicates.extend(more.duplicates)
        self.dead_letters.extend(more.dead_letters)
        self.ledger.extend(more.ledger)


def no_rows() -> Rows:
    """An empty collection."""
    return Rows([], {}, [], {}, [], [], [], [])


def engage(changes: list[Change], shard: int, source: str, memory: WorkingSet) -> Rows:
    """Fold the changes of one shard and source into `memory`; returns the rows to write. Writes nothing itself."""
    rows = no_rows()
    touched: set[tuple[int, str]] = set()
    for change in changes:
        if not _is_new_offset(change, memory):
            continue
        start = change.timestamp - change.timestamp % WINDOW
        late = memory.is_late(start)
        window = None if late else memory.window(start)
        if window is not None and not _is_new_id(change, window):
            rows.duplicates.append(duplicate_row(change))
            continue
        memory.shard.sequence += 1
        memory.shard.watermark = max(memory.shard.watermark, change.timestamp)
        claim = parse_summary(change.wiki, change.comment) if change.type == "edit" else None
        rows.edits.append(edit_row(change, source, shard, memory.shard.sequence, late, claim))
        if change.declared_method and claim is None:
            claim = NO_CLAIM  # a revert all the same, whatever the summary says
        if window is None:
            # its window's ids are gone: whether it came before, accounting.sql asks of `edits`
            rows.duplicates.append(duplicate_row(change))
            continue
        if change.type == "log":
            _stop(change, source, shard, memory, rows)
            continue
        page = memory.page(change.wiki, change.title)
        revert = None
        if claim and not is_known_revert(change, page.revisions):
            revert = resolve(change, claim, page.revisions)
        _remember(change, claim, revert, page)
        if claim and revert:
            rows.reverts.append(revert_row(change, source, shard, memory.shard.sequence, claim, revert))
            _fight(change, claim, revert, page, source, shard, rows)
        for front in _fold(change, revert, window):
            touched.add((start, front))
    memory.expire_pages()
    rows.fronts.update(_front_rows(touched, shard, source, memory))
    return rows


def _is_new_offset(change: Change, memory: WorkingSet) -> bool:
    """In one source partition offsets only grow, and a shard's changes keep their order on the way here.

    A replayed dead letter has left that order: its id alone tells whether it has come before.
    """
    if is_replayed(change.source_topic):
        return True
    origin = f"{change.source_topic}/{change.source_partition}"
    if change.source_offset <= memory.shard.offsets.get(origin, -1):
        return False
    memory.shard.offsets[origin] = change.source_offset
    return True


def _is_new_id(change: Change, window: WindowState) -> bool:
    before = len(window.ids)
    window.ids.add(change.meta_id.bytes)
    return len(window.ids) > before


def _stop(change: Change, source: str, shard: int, memory: WorkingSet, rows: Rows) -> None:
    """A log entry may end the page's battle."""
    ending = log_ending(change)
    if ending and (battle := end(memory.page(change.wiki, change.title), ending)):
        page = memory.page(change.wiki, change.title)
        row = battle_row(battle, page.count, change, source, shard, ending)
        rows.battles[row[0]] = row


def _remember(change: Change, claim: Claim | None, revert: Revert | None, page: PageState) -> None:
    """Add a revision to the page, and to its battle."""
    page.last = max(page.last, change.timestamp)
    count_edit(page, change.user)
    undoes = NOTHING
    if claim:
        undoes = UNCOUNTED if revert is None or revert.self_revert else EXEMPT if claim.exempt else COUNTED
    page.revisions.append(Revision(change.rev_id, change.user, change.actor, change.timestamp, undoes))
    del page.revisions[:-REVISIONS]


def _fight(change: Change, claim: Claim, revert: Revert, page: PageState, source: str, shard: int, rows: Rows) -> None:
    """What a revert of another means for the page: an alert, a battle opened or joined."""
    if revert.self_revert:
        return
    if alert := raise_alert(change, source, page):
        rows.alerts.append(alert_row(change, source, shard, alert))
    if not is_battlefield(change.namespace, change.title):
        return
    mark = remember_mark(page, change, claim, revert)
    if fight(page, mark) and page.battle:
        row = battle_row(page.battle, page.count, change, source, shard, None)
        rows.battles[row[0]] = row


def _fold(change: Change, revert: Revert | None, window: WindowState) -> list[str]:
    """Count a change in its window; returns the fronts ("wiki|actor") that it touched."""
    own = f"{change.wiki}|{change.actor}"
    tally = window.tallies.setdefault(own, Tally())
    tally.edits += 1
    tally.creations += change.type == "new"
    grown = grown_by(change)
    if grown > 0:
        tally.bytes_added += grown
    else:
        tally.bytes_removed -= grown
    if revert is None or revert.self_revert:
        return [own]
    tally.reverts += 1
    if not revert.reverted_actor:
        return [own]
    other = f"{change.wiki}|{revert.reverted_actor}"
    window.tallies.setdefault(other, Tally()).reverted += 1
    return [own, other]


def grown_by(change: Change) -> int:
    """Bytes by which the page grew; 0 where a size is missing, all of it for a new page."""
    if change.length_new is None or (change.length_old is None and change.type != "new"):
        return 0
    return change.length_new - (change.length_old or 0)


def _front_rows(
    touched: set[tuple[int, str]], shard: int, source: str, memory: WorkingSet
) -> dict[tuple[int, str, int, str, str], tuple[Any, ...]]:
    rows = {}
    for start, front in touched:
        wiki, actor = front.split("|")
        tally = memory.window(start).tallies[front]
        rows[start, wiki, shard, actor, source] = front_row(start, wiki, shard, actor, source, tally)
    return rows
