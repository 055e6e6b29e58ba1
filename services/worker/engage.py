"""The worker's job on the changes of one shard: deduplicate, detect reverts, follow battles, fold windows.

`engage` is the whole of it, read from top to bottom; it changes the working set in memory and nothing else.
Windows are folded here, in the same stateful step as all else, and not by Quix's windows: that is one state
operation per touched window instead of several per change, two to three times as fast, with a closing rule
that SQL can repeat and state that can be rebuilt from ClickHouse.
"""

from typing import Any, NamedTuple
from uuid import UUID

from services.common.change import Change, is_replayed
from services.worker.battles import (
    Ending,
    bond,
    count_edit,
    is_battlefield,
    join,
    log_ending,
    mark_of,
    open_battle,
    remember_mark,
    silence_ending,
)
from services.worker.reverts import Revert, resolve
from services.worker.rows import alert_row, battle_row, duplicate_row, edit_row, front_row, revert_row
from services.worker.state import REVISIONS, WINDOW, PageState, Place, Revision, Tally, WindowState, WorkingSet
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
        if window is None:
            continue
        if change.type == "log":
            if ending := log_ending(change):
                _end_battle(memory.page(change.wiki, change.title), ending, source, shard, rows)
            continue
        page = memory.page(change.wiki, change.title)
        _end_battle(page, silence_ending(page, change.timestamp), source, shard, rows)
        revert = resolve(change, claim, page.revisions) if claim else None
        _remember(change, page)
        if claim and revert:
            rows.reverts.append(revert_row(change, source, shard, claim, revert))
            _fight(change, claim, revert, page, source, shard, rows)
        if page.battle and page.place:
            battle = battle_row(page.battle, page.place, source, shard, None)
            rows.battles[battle[0]] = battle
        for front in _fold(change, revert, window):
            touched.add((start, front))
    for page in memory.expire_pages():
        _end_battle(page, silence_ending(page, memory.shard.watermark), source, shard, rows)
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


def _remember(change: Change, page: PageState) -> None:
    """Add a revision to the page, and to its battle."""
    page.last = max(page.last, change.timestamp)
    revision = Revision(change.rev_id, change.user, change.actor, change.timestamp, change.length_new)
    page.revisions.append(revision)
    del page.revisions[:-REVISIONS]
    if page.battle:
        page.battle.version += 1
        count_edit(page.battle, revision)


def _fight(change: Change, claim: Claim, revert: Revert, page: PageState, source: str, shard: int, rows: Rows) -> None:
    """What a revert of another means for the page: an alert, a battle opened or joined."""
    if revert.self_revert:
        return
    mark = mark_of(change, claim, revert, page.marks)
    remember_mark(page, mark)
    alert = raise_alert(change, source, page)
    if alert:
        rows.alerts.append(alert_row(change, source, shard, alert))
    if page.battle:
        join(page.battle, mark)
    elif is_battlefield(change.namespace, change.title):
        page.battle = open_battle(page, mark)
        page.place = Place(change.wiki, change.server_name, change.title, change.namespace) if page.battle else None
    if page.battle:
        bond(page.battle, change.user, claim.restored_user)


def _end_battle(page: PageState, ending: Ending | None, source: str, shard: int, rows: Rows) -> None:
    """Write a battle's last row and forget it, with the reverts that made it: a new battle needs new ones."""
    if ending is None or page.battle is None or page.place is None:
        return
    row = battle_row(page.battle, page.place, source, shard, ending)
    rows.battles[row[0]] = row
    page.battle = page.place = None
    page.marks = []


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
