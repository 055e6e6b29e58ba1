"""The rows that the worker writes: column names and types per table, as the migrations make them."""

from typing import Any, NamedTuple

from services.common.change import Change, DeadLetter, LedgerPage
from services.worker.battles import Ending, battle_id, intensity, mutual_pairs, page_kind, sides
from services.worker.reverts import Revert
from services.worker.state import Battle
from services.worker.summaries import Claim
from services.worker.watch import Alert, describe
from services.worker.windows import Tally


class Table(NamedTuple):
    """A table's columns as the worker writes them."""

    name: str
    columns: tuple[str, ...]
    types: tuple[str, ...]


def _table(name: str, **columns: str) -> Table:
    return Table(name, tuple(columns), tuple(columns.values()))


_WORD = "LowCardinality(String)"

EDITS = _table(
    "edits",
    meta_id="UUID",
    source=_WORD,
    source_topic=_WORD,
    source_partition="UInt16",
    source_offset="Int64",
    wiki=_WORD,
    server_name=_WORD,
    namespace="Int32",
    title="String",
    type=_WORD,
    user="String",
    actor=_WORD,
    comment="String",
    timestamp="DateTime('UTC')",
    received="DateTime64(3, 'UTC')",
    rev_id="UInt64",
    old_rev_id="UInt64",
    length_old="Nullable(UInt32)",
    length_new="Nullable(UInt32)",
    minor="Bool",
    log_type=_WORD,
    log_action=_WORD,
    log_params="String",
    shard="UInt8",
    sequence="UInt64",
    late="Bool",
    claim_method=_WORD,
    claim_user="String",
    claim_rev_id="UInt64",
    claim_restored_user="String",
    claim_form=_WORD,
    claim_exempt=_WORD,
    declared_method=_WORD,
    declared_rev_ids="Array(UInt64)",
    version="UInt64",
)
FRONTS = _table(
    "fronts",
    window_start="DateTime('UTC')",
    wiki=_WORD,
    shard="UInt8",
    actor=_WORD,
    source=_WORD,
    edits="UInt32",
    creations="UInt32",
    reverts="UInt32",
    reverted="UInt32",
    bytes_added="UInt64",
    bytes_removed="UInt64",
    version="UInt64",
)
REVERTS = _table(
    "reverts",
    wiki=_WORD,
    server_name=_WORD,
    title="String",
    namespace="Int32",
    timestamp="DateTime('UTC')",
    rev_id="UInt64",
    reverter="String",
    reverter_actor=_WORD,
    reverted="String",
    reverted_actor=_WORD,
    reverted_rev_id="UInt64",
    seconds_to_revert="Nullable(UInt32)",
    method=_WORD,
    evidence=_WORD,
    target=_WORD,
    self_revert="Bool",
    exempt=_WORD,
    restored="String",
    comment="String",
    shard="UInt8",
    source=_WORD,
    sequence="UInt64",
    version="UInt64",
)
DUPLICATES = _table(
    "duplicates",
    source_topic=_WORD,
    source_partition="UInt16",
    source_offset="Int64",
    wiki=_WORD,
    meta_id="UUID",
    timestamp="DateTime('UTC')",
    version="UInt64",
)
DEAD_LETTERS = _table(
    "dead_letters",
    dead_letter_id="String",
    received="DateTime64(3, 'UTC')",
    reason=_WORD,
    error="String",
    raw="String",
    raw_size="UInt64",
    source_topic=_WORD,
    source_partition="UInt16",
    source_offset="Int64",
    version="UInt64",
)
LEDGER = _table(
    "ledger",
    source_topic=_WORD,
    source_partition="UInt16",
    page="Int64",
    first_offset="Int64",
    last_offset="Int64",
    read="UInt32",
    kept="UInt32",
    dead_lettered="UInt32",
    dropped="Map(LowCardinality(String), UInt64)",
    version="UInt64",
)

BATTLES = _table(
    "battles",
    battle_id="UUID",
    source=_WORD,
    wiki=_WORD,
    server_name=_WORD,
    title="String",
    namespace="Int32",
    page_kind=_WORD,
    phase=_WORD,
    war="Bool",
    opened="DateTime('UTC')",
    declared="Nullable(DateTime('UTC'))",
    updated="DateTime('UTC')",
    ended="Nullable(DateTime('UTC'))",
    ended_by=_WORD,
    alternations="UInt32",
    reverts="UInt32",
    exempt_claims="UInt32",
    edits="UInt32",
    intensity="UInt64",
    editors="UInt32",
    pairs="Array(Tuple(a String, b String, weight UInt32))",
    fighters="Array(Tuple(name String, actor String, side String, edits UInt32, reverts UInt32, reverted UInt32))",
    shard="UInt8",
    version="UInt64",
)
ALERTS = _table(
    "alerts",
    alert_id="UUID",
    kind=_WORD,
    source=_WORD,
    wiki=_WORD,
    server_name=_WORD,
    title="String",
    namespace="Int32",
    user="String",
    actor=_WORD,
    raised="DateTime('UTC')",
    reverts="UInt32",
    exempt_claims="UInt32",
    rev_ids="Array(UInt64)",
    detail="String",
    shard="UInt8",
    version="UInt64",
)

# `edits` are written after these: what they hold is what counts as stored (producer and worker resume from it), so
# whatever follows from an edit must be there before the edit is. `ledger` comes after `edits` for the same reason: an
# account may never run ahead of the rows it accounts for.
CONSEQUENCES = (FRONTS, REVERTS, BATTLES, ALERTS, DUPLICATES, DEAD_LETTERS)

NO_CLAIM = Claim("", "", 0, "", "", "")  # type: ignore[arg-type] # how "no claim" is stored


def edit_row(
    change: Change, change_id: bytes, source: str, shard: int, sequence: int, late: bool, claim: Claim | None
) -> tuple[Any, ...]:
    """A row of EDITS."""
    said = claim or NO_CLAIM
    return (
        change_id.hex(),
        source,
        change.source_topic,
        change.source_partition,
        change.source_offset,
        change.wiki,
        change.server_name,
        change.namespace,
        change.title,
        change.type,
        change.user,
        change.actor,
        change.comment,
        change.timestamp,
        change.received / 1000,
        change.rev_id,
        change.old_rev_id,
        change.length_old,
        change.length_new,
        change.minor,
        change.log_type,
        change.log_action,
        change.log_params,
        shard,
        sequence,
        late,
        said.method,
        said.user,
        said.rev_id,
        said.restored_user,
        said.form,
        said.exempt,
        change.declared_method,
        change.declared_rev_ids,
        # a twin whose window has closed is not recognised any more: it must not take the first one's place
        0 if late else 1,
    )


def front_row(start: int, wiki: str, shard: int, actor: str, source: str, tally: Tally) -> tuple[Any, ...]:
    """A row of FRONTS."""
    return (
        start,
        wiki,
        shard,
        actor,
        source,
        tally.edits,
        tally.creations,
        tally.reverts,
        tally.reverted,
        tally.bytes_added,
        tally.bytes_removed,
        tally.version,
    )


def revert_row(change: Change, source: str, shard: int, sequence: int, claim: Claim, revert: Revert) -> tuple[Any, ...]:
    """A row of REVERTS."""
    return (
        change.wiki,
        change.server_name,
        change.title,
        change.namespace,
        change.timestamp,
        change.rev_id,
        change.user,
        change.actor,
        revert.reverted,
        revert.reverted_actor,
        revert.reverted_rev_id,
        revert.seconds_to_revert,
        change.declared_method or claim.method,
        "declared" if change.declared_method else "summary",
        revert.target,
        revert.self_revert,
        claim.exempt,
        claim.restored_user,
        change.comment,
        shard,
        source,
        sequence,
        2 if change.declared_method else 1,
    )


def battle_row(
    battle: Battle, count: int, change: Change, source: str, shard: int, ending: Ending | None
) -> tuple[Any, ...]:
    """A row of BATTLES, as the battle stands after `change`, when its page has had `count` changes."""
    pairs = mutual_pairs(battle)
    side = sides(battle)
    return (
        battle_id(source, change.wiki, change.title, battle.root),
        source,
        change.wiki,
        change.server_name,
        change.title,
        change.namespace,
        page_kind(change.namespace),
        "ended" if ending else "war" if battle.declared else "brewing",
        battle.declared > 0,
        battle.opened,
        battle.declared or None,
        battle.updated,
        ending.at if ending else None,
        ending.by if ending else "",
        battle.alternations,
        battle.reverts,
        battle.exempt,
        count - battle.number + 1,
        intensity(pairs),
        len({name for pair in pairs for name in (pair.a, pair.b)}),
        [tuple(pair) for pair in pairs],
        [(name, e.actor, side[name], e.edits, e.reverts, e.reverted) for name, e in battle.fighters.items()],
        shard,
        battle.reverts + (ending is not None),
    )


def alert_row(change: Change, source: str, shard: int, alert: Alert) -> tuple[Any, ...]:
    """A row of ALERTS."""
    return (
        alert.alert_id,
        alert.kind,
        source,
        change.wiki,
        change.server_name,
        change.title,
        change.namespace,
        change.user,
        change.actor,
        change.timestamp,
        alert.tally.reverts,
        alert.tally.exempt_claims,
        alert.tally.rev_ids,
        describe(alert, change.user),
        shard,
        1,
    )


def duplicate_row(change: Change, change_id: bytes) -> tuple[Any, ...]:
    """A row of DUPLICATES."""
    return (
        change.source_topic,
        change.source_partition,
        change.source_offset,
        change.wiki,
        change_id.hex(),
        change.timestamp,
        1,
    )


def dead_letter_row(letter: DeadLetter) -> tuple[Any, ...]:
    """A row of DEAD_LETTERS."""
    return (
        letter.dead_letter_id,
        letter.received,
        letter.reason,
        letter.error,
        letter.raw,
        letter.raw_size,
        letter.source_topic,
        letter.source_partition,
        letter.source_offset,
        1,
    )


def ledger_row(page: LedgerPage) -> tuple[Any, ...]:
    """A row of LEDGER."""
    return (
        page.source_topic,
        page.source_partition,
        page.page,
        page.first_offset,
        page.last_offset,
        page.read,
        page.kept,
        page.dead_lettered,
        page.dropped,
        page.read,
    )
