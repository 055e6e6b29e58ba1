"""Random streams of changes through the worker's own fold, and its rows in ClickHouse.

Everything that makes recomputing hard is frequent here: reverts in all forms, declared and claimed, of oneself too,
changes out of order and late, one id at two offsets, repeated offsets, two datacenters, pages of several shards, more
changes of a page than it remembers.
"""

from collections import defaultdict
from random import Random
from typing import Any
from uuid import UUID
from zlib import crc32

from services.common.change import Change, actor_of, shard_of, source_of
from services.common.clickhouse import writer_client
from services.common.settings import Settings
from services.worker.engage import Rows, engage, no_rows
from services.worker.memory import ShardMemory
from services.worker.rows import ALERTS, BATTLES, DUPLICATES, EDITS, FRONTS, REVERTS
from services.worker.sink import insert
from tests.unit.test_worker_engage import Memory

START = 1_790_000_000  # 2026-09-21T14:13:20Z
GRACE = 3600
TOPICS = ("eqiad.mediawiki.recentchange", "codfw.mediawiki.recentchange", "replay-x.codfw.mediawiki.recentchange")
USERS = ("Ada", "Bo", "Cleo", "ExampleBot", "~2026-12-3", "192.0.2.7", "2001:DB8:0:0:0:0:0:1", "~２０２６-1", "")
BOTS = frozenset({"ExampleBot"})


def random_changes(seed: int, count: int, *, seconds: int) -> list[Change]:
    """`count` changes spread over `seconds` of event time, in the order in which they arrive."""
    random = Random(seed)
    offsets = dict.fromkeys(TOPICS, 0)
    pages: dict[str, list[tuple[int, str]]] = defaultdict(list)
    changes: list[Change] = []
    for number in range(count):
        if changes and random.random() < 0.03:
            changes.append(_again(random, changes[-20:], offsets))
            continue
        topic = random.choice(TOPICS)
        offsets[topic] += random.choice((1, 1, 1, 2))
        # one page has so many changes that it forgets some of the day's
        title = random.choice(("Busy", "Busy", "Busy", *(f"Page {n}" for n in range(12))))
        user = random.choice(USERS)
        type_ = random.choices(("edit", "new", "log"), (20, 1, 1))[0]
        revisions = pages[title]
        timestamp = START + seconds * number // count - random.choices((0, 40, 2_000, 9_000), (10, 5, 2, 1))[0]
        changes.append(
            Change(
                meta_id=str(UUID(int=random.getrandbits(128))),
                source_topic=topic,
                source_partition=0,
                source_offset=offsets[topic],
                wiki=random.choice(("enwiki", "enwiki", "dewiki")),
                server_name="en.wikipedia.org",
                namespace=(0, 0, 1, 4)[crc32(title.encode()) % 4],
                title=title,
                type=type_,
                user=user,
                actor=actor_of(user, user in BOTS),
                comment=_summary(random, revisions),
                timestamp=timestamp,
                received=timestamp * 1000 + 1_500,
                rev_id=0 if type_ == "log" else 1_000 + number,
                old_rev_id=revisions[-1][0] if revisions and type_ == "edit" else 0,
                length_old=random.choice((None, 0, 900, 5_000)) if type_ == "edit" else None,
                length_new=random.choice((None, 0, 1_000, 4_000)) if type_ != "log" else None,
                log_type=random.choice(("protect", "delete", "move")) if type_ == "log" else "",
                log_action=random.choice(("protect", "delete")) if type_ == "log" else "",
                **_declaration(random, revisions, type_),
            )
        )
        if type_ != "log":
            revisions.append((1_000 + number, user))
    return changes


def _summary(random: Random, revisions: list[tuple[int, str]]) -> str:
    rev_id, user = random.choice(revisions[-200:] or [(7, "Nobody")])
    link = f"[[Special:Contributions/{user}|{user}]] ([[User talk:{user}|talk]])"
    return random.choices(
        (
            "copy edit",
            f"Undid revision {rev_id} by {link}",
            f"Undid revision {rev_id} by a hidden user",
            f"Reverted edits by {link} to last version by Cleo",
            "rv",
            "rvv [[WP:BLP]] vandalism",
            "Reverted edits by [[Special:Contributions/Unknown person|Unknown person]]",
        ),
        (30, 4, 2, 6, 3, 1, 1),
    )[0]


def _declaration(random: Random, revisions: list[tuple[int, str]], type_: str) -> dict[str, Any]:
    """What Wikimedia declares: of few edits, of those with a summary that claims a revert and of others alike."""
    if type_ == "log" or random.random() > 0.15:
        return {}
    some = random.randrange(4)
    reverted = [rev_id for rev_id, _ in revisions[-random.choice((3, 20, 200)) :][:some]]
    return {"declared_method": random.choice(("undo", "rollback", "manual")), "declared_rev_ids": reverted}


def _again(random: Random, recent: list[Change], offsets: dict[str, int]) -> Change:
    """A change that comes twice: at its own offset, or with its id at another."""
    if random.random() < 0.5:
        return random.choice(recent)
    twin = random.choice(recent)  # its window may be closed by now
    offsets[twin.source_topic] += 1
    return Change(
        **{f: getattr(twin, f) for f in twin.__struct_fields__} | {"source_offset": offsets[twin.source_topic]}
    )


def fold(changes: list[Change], *, seed: int = 0, memories: dict[int, Memory] | None = None) -> list[Rows]:
    """What the worker writes: one item for each message, in messages of random length.

    `memories` is the state that it goes on with, by shard.
    """
    random = Random(seed)
    memories = defaultdict(Memory) if memories is None else memories
    written = []
    while changes:
        message, changes = changes[: (size := random.randint(1, 200))], changes[size:]
        groups: dict[tuple[int, str], list[Change]] = defaultdict(list)
        for change in message:
            groups[shard_of(change.wiki, change.title), source_of(change.source_topic)].append(change)
        for (shard, source), group in groups.items():
            working = ShardMemory(memories[shard], source, GRACE)
            written.append(engage(group, shard, source, working))
            working.write_back()
    return written


def store(settings: Settings, written: list[Rows], *, checkpoints: int = 3) -> None:
    """Write rows as the worker does: those of several messages at once."""
    size = len(written) // checkpoints + 1
    with writer_client(settings) as client:
        for start in range(0, len(written), size):
            rows = no_rows()
            for more in written[start : start + size]:
                rows.merge(more)
            for table, values in (
                (FRONTS, list(rows.fronts.values())),
                (REVERTS, rows.reverts),
                (BATTLES, list(rows.battles.values())),
                (ALERTS, rows.alerts),
                (DUPLICATES, rows.duplicates),
                (EDITS, rows.edits),
            ):
                if values:
                    insert(client, table, values)
