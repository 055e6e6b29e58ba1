"""The worker's job on the changes of one shard: deduplicate, detect reverts, follow battles, fold windows.

`engage` is the whole of it, read from top to bottom; it changes the shard's memory and nothing else.
Windows are folded here, in the same stateful step as all else, and not by Quix's windows: that is one state
operation per message instead of several per change, with a closing rule that SQL can repeat and state that can be
rebuilt from ClickHouse.
"""

from typing import Any, NamedTuple
from uuid import UUID

from services.common.change import Change, id_bytes, is_replayed
from services.worker.battles import count_edit, end, fight, is_battlefield, log_ending, remember_mark
from services.worker.memory import ShardMemory
from services.worker.reverts import Revert, is_known_revert, resolve
from services.worker.rows import NO_CLAIM, alert_row, battle_row, duplicate_row, edit_row, front_row, revert_row
from services.worker.state import (
    COUNTED,
    EXEMPT,
    MEMORY,
    NOTHING,
    REVISION_MEMORY,
    UNCOUNTED,
    PageState,
    Revision,
)
from services.worker.summaries import Claim, parse_summary
from services.worker.watch import raise_alert
from services.worker.windows import Front, count, counted, only_id, window_start


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


def engage(changes: list[Change], shard: int, source: str, memory: ShardMemory) -> Rows:
    """Fold the changes of one shard and source into `memory`; returns the rows to write. Writes nothing itself."""
    rows = no_rows()
    touched: set[tuple[int, Front]] = set()
    own = memory.shard
    for change in changes:
        if not _is_new_offset(change, own.offsets):
            continue
        start = window_start(change.timestamp)
        window = None if memory.is_late(start) else memory.window(start)
        change_id = id_bytes(change.meta_id)
        if window is not None:
            if change_id in window.ids:
                rows.duplicates.append(duplicate_row(change, change_id))
                continue
            window.ids.add(change_id)
        own.sequence += 1
        own.watermark = max(own.watermark, change.timestamp)
        claim = parse_summary(change.wiki, change.comment) if change.type == "edit" else None
        rows.edits.append(edit_row(change, change_id, source, shard, own.sequence, window is None, claim))
        if change.declared_method and claim is None:
            claim = NO_CLAIM  # a revert all the same, whatever the summary says
        if window is None:
            # its window's ids are gone: whether it came before, accounting.sql asks of `edits`
            rows.duplicates.append(duplicate_row(change, change_id))
            continue
        if change.type == "log":
            memory.journal(only_id(change, change_id))
            _stop(change, source, shard, memory, rows)
            continue
        page = memory.page(change.wiki, change.title)
        revert = None
        if claim and not is_known_revert(change, revisions := page.revisions()):
            revert = resolve(change, claim, revisions)
        _remember(change, claim, revert, page)
        if claim and revert:
            rows.reverts.append(revert_row(change, source, shard, own.sequence, claim, revert))
            _fight(change, claim, revert, page, source, shard, rows)
        one = counted(change, change_id, revert)
        memory.journal(one)
        for front in count(one, window):
            touched.add((start, front))
    memory.expire_pages()
    for start, (wiki, actor) in touched:
        row = front_row(start, wiki, shard, actor, source, memory.window(start).tallies[wiki, actor])
        rows.fronts[start, wiki, shard, actor, source] = row
    return rows


def _is_new_offset(change: Change, offsets: dict[str, int]) -> bool:
    """In one source partition offsets only grow, and a shard's changes keep their order on the way here.

    A replayed dead letter has left that order: its id alone tells whether it has come before.
    """
    if is_replayed(change.source_topic):
        return True
    origin = f"{change.source_topic}/{change.source_partition}"
    if change.source_offset <= offsets.get(origin, -1):
        return False
    offsets[origin] = change.source_offset
    return True


def _stop(change: Change, source: str, shard: int, memory: ShardMemory, rows: Rows) -> None:
    """A log entry may end the page's battle."""
    ending = log_ending(change)
    if ending is None:
        return
    page = memory.page(change.wiki, change.title)
    if battle := end(page, ending):
        row = battle_row(battle, page.count, change, source, shard, ending)
        rows.battles[row[0]] = row


def _remember(change: Change, claim: Claim | None, revert: Revert | None, page: PageState) -> None:
    """Add a revision to the page, and to its battle."""
    page.last = max(page.last, change.timestamp)
    count_edit(page, change.user)
    undoes = NOTHING
    if claim:
        undoes = UNCOUNTED if revert is None or revert.self_revert else EXEMPT if claim.exempt else COUNTED
    outdated = change.timestamp - REVISION_MEMORY
    if page.battle:  # who joins it brings his edits since then
        outdated = min(outdated, page.battle.opened - MEMORY)
    page.add_revision(Revision(change.rev_id, change.user, change.actor, change.timestamp, undoes), outdated)


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
