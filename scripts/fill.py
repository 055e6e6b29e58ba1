# ruff: noqa: E501 - statements with a column a line read better whole
"""Fill a data directory with a month of made-up edits at Wikimedia's rate, to measure queries over it.

    python -m scripts.fill --data-dir /tmp/month [--edits 90000000] [--days 30]

The rows are made in ClickHouse from numbers, so nothing of this is a stream: neither producer nor worker had a part in
it, and `battlefield audit` would find as much. What counts for a query is as in life: 300 wikis and their pages with few
that are busy and many that are not, day and night, people, bots and temporary accounts, 3 % reverts, windows by shard,
roll-ups, battles. Then: `python -m scripts.query_times --data-dir /tmp/month`.
"""

import argparse
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import OperationalError

from services.common.clickhouse import reader_client, writer_client
from services.common.migrations import apply_migrations
from services.common.settings import PROJECT_ROOT, Settings
from services.embedded.ports import free_port

HOUR = 3600
STEP = 6 * HOUR  # of one INSERT
KNOWN = ("wikidatawiki", "commonswiki", "enwiki", "dewiki", "frwiki", "eswiki", "ruwiki", "jawiki", "itwiki", "zhwiki")
WIKIS = (*KNOWN, *(f"{a}{b}wiki" for a in "bcdefghkmnoprst" for b in "abcdefghiklmnopqrstu"))[:300]
LIMITS = {"max_partitions_per_insert_block": 1000}
SOURCE = "wargame-fill"
TOPIC = f"{SOURCE}.codfw.mediawiki.recentchange"

# `u(n)` is a number from 0 to 1, the same for the same change and n. Few of many patrol: the busiest sixtieth reverts.
_EDITS = """
INSERT INTO edits (
    meta_id, source, source_topic, source_partition, source_offset, wiki, server_name, namespace, title, type, user,
    actor, comment, timestamp, received, rev_id, old_rev_id, length_old, length_new, minor, log_type, log_action,
    log_params, shard, sequence, late, claim_method, claim_user, claim_rev_id, claim_form, claim_exempt, stored, version)
WITH
    (salt -> (cityHash64(place, salt) % 1000000007) / 1000000007) AS u,
    {wikis:Array(String)} AS names,
    u(22) < 0.04 AS log
SELECT
    reinterpretAsUUID(sipHash128(place)) AS meta_id,
    {source:String} AS source, {topic:String} AS source_topic, 0 AS source_partition, place * 2 AS source_offset,
    names[toUInt32(floor(pow(length(names) + 1, u(1))))] AS wiki,
    concat(substring(wiki, 1, length(wiki) - 4), '.wikipedia.org') AS server_name,
    [0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 10, 14][1 + toUInt32(u(2) * 12)] AS namespace,
    if(log, concat('User:', user), concat('Page ', toString(toUInt64(8000000 * pow(u(3), 3))))) AS title,
    multiIf(log, 'log', u(4) < 0.08, 'new', 'edit') AS type,
    multiIf(
        actor = 'bot', concat('Bot ', toString(toUInt64(600 * pow(u(6), 3)))),
        actor = 'temporary', concat('~2026-', toString(10000 + toUInt64(u(6) * 80000)), '-', toString(toUInt64(u(7) * 99))),
        concat('Editor ', toString(toUInt64(1000000 * pow(u(6), 3))))) AS user,
    multiIf(u(5) < 0.25, 'bot', u(5) < 0.35, 'temporary', 'person') AS actor,
    multiIf(claim_method = '', concat('/* Section ', toString(toUInt32(u(8) * 5000)), ' */ words ', toString(toUInt32(u(9) * 1e9))),
        concat('Undid revision ', toString(claim_rev_id), ' by [[Special:Contributions/', claim_user, '|', claim_user, ']]')) AS comment,
    toDateTime({since:UInt32} + toUInt32(floor((place - {first:UInt64}) * {seconds:UInt32} / {rows:UInt64})), 'UTC') AS timestamp,
    toDateTime64(timestamp, 3, 'UTC') + toIntervalMillisecond(500 + toUInt32(u(10) * 4000)) AS received,
    if(log, 0, 1000000000 + place) AS rev_id,
    if(type = 'edit', 1000000000 + place - toUInt64(u(11) * 100000), 0) AS old_rev_id,
    if(type = 'edit', toUInt32(100000 * u(12)), NULL) AS length_old,
    if(log, NULL, greatest(0, toInt64(ifNull(length_old, 0)) + toInt64(2000 * pow(u(13), 3) - 300 * u(14)))) AS length_new,
    u(15) < 0.3 AS minor,
    if(log, ['block', 'protect', 'delete', 'move', 'upload'][1 + toUInt32(u(16) * 5)], '') AS log_type,
    log_type AS log_action, if(log, '{}', '') AS log_params,
    CRC32(concat(wiki, '\\0', title)) % 32 AS shard,
    place AS sequence,
    u(17) < 0.001 AS late,
    if(type = 'edit' AND u(6) < 0.25 AND u(18) < 0.13, ['undo', 'rollback', 'manual', 'restore'][1 + toUInt32(4 * pow(u(19), 2))], '') AS claim_method,
    if(claim_method = '', '', concat('~2026-', toString(10000 + toUInt64(u(20) * 80000)), '-1')) AS claim_user,
    if(claim_method = 'undo', old_rev_id, 0) AS claim_rev_id,
    if(claim_method = '', '', 'standard') AS claim_form,
    if(claim_method != '' AND u(21) < 0.1, 'vandalism', '') AS claim_exempt,
    timestamp + 3 AS stored, 1 AS version
FROM (SELECT {first:UInt64} + number AS place FROM numbers({rows:UInt64}))
"""

_REVERTS = """
INSERT INTO reverts (
    wiki, server_name, title, namespace, timestamp, rev_id, reverter, reverter_actor, reverted, reverted_actor,
    reverted_rev_id, seconds_to_revert, method, evidence, target, self_revert, comment, shard, source, stored, version)
SELECT
    wiki, server_name, title, namespace, timestamp, rev_id, user, actor,
    multiIf(sequence % 12 = 0, user, sequence % 3 = 0, concat('Editor ', toString(sequence % 1000)), claim_user) AS hit,
    multiIf(hit = user, actor, sequence % 3 = 0, 'person', 'temporary'), old_rev_id,
    if(sequence % 5 = 0, NULL, toUInt32(exp(12.0 * (cityHash64(sequence) % 1000) / 1000))),
    claim_method, 'summary', 'named', hit = user, comment, shard, source, stored, 1
FROM edits
WHERE claim_method != '' AND NOT late AND {span}
"""

_FRONTS = """
INSERT INTO fronts (
    window_start, wiki, shard, actor, source, edits, creations, reverts, reverted, bytes_added, bytes_removed, stored,
    version)
SELECT
    toStartOfInterval(timestamp, INTERVAL 10 SECOND) AS window_start, wiki, shard, actor, source,
    count() AS edits, countIf(type = 'new'), countIf(claim_method != ''), intDiv(countIf(claim_method != ''), 2) AS reverted,
    sum(greatest(0, toInt64(ifNull(length_new, 0)) - toInt64(ifNull(length_old, 0)))),
    sum(greatest(0, toInt64(ifNull(length_old, 0)) - toInt64(ifNull(length_new, 0)))),
    max(stored) AS stored, edits + reverted
FROM edits
WHERE type != 'log' AND NOT late AND {span}
GROUP BY window_start, wiki, shard, actor, source
"""

# a day at a time, behind all else; ClickHouse itself would do the newest hours alone
_ROLLUPS = {
    "fronts_hourly": "SELECT * FROM computed_fronts_hourly WHERE hour >= {since} AND hour < {until}",
    "fronts_daily": "SELECT * FROM computed_fronts_daily WHERE day >= {since} AND day < {until}",
}

_BATTLES = """
INSERT INTO battles (
    battle_id, source, wiki, server_name, title, namespace, page_kind, phase, war, opened, declared, updated, ended,
    ended_by, alternations, reverts, exempt_claims, edits, intensity, editors, pairs, fighters, shard, stored, version)
WITH (salt -> (cityHash64(rev_id, salt) % 1000000007) / 1000000007) AS u
SELECT
    generateUUIDv4(rev_id), source, wiki, server_name, title, namespace, 'content' AS page_kind,
    if(war, 'war', 'brewing') AS phase, u(1) < 0.5 AS war, timestamp AS opened,
    if(war, timestamp + 900, NULL) AS declared, least(timestamp + 900 + toUInt32(u(2) * 20000), toDateTime({end})) AS updated,
    if(u(3) < 0.2, updated + 60, NULL) AS ended, if(isNull(ended), '', 'protection') AS ended_by,
    3 + toUInt32(u(4) * 6) AS alternations, alternations + toUInt32(u(5) * 9) AS reverts, toUInt32(u(6) * 2), reverts * 3 AS edits,
    toUInt32(u(7) * 100) AS intensity, 3 AS editors,
    [(reverter, reverted, 4), (reverter, 'Third', 2)] AS pairs,
    [(reverter, reverter_actor, 'first', 9, 4, 3), (reverted, reverted_actor, 'second', 9, 3, 4), ('Third', 'person', 'second', 4, 2, 1)] AS fighters,
    shard, updated AS stored, edits AS version
FROM reverts
WHERE NOT self_revert AND cityHash64(rev_id) % 60 = 0 AND {span}
"""

_ALERTS = """
INSERT INTO alerts (
    alert_id, kind, source, wiki, server_name, title, namespace, user, actor, raised, reverts, exempt_claims, rev_ids,
    detail, shard, stored, version)
SELECT
    generateUUIDv4(rev_id), if(rev_id % 3 = 0, 'three_revert_breach', 'three_revert_warning') AS kind, source, wiki,
    server_name, title, namespace, reverter, reverter_actor, timestamp, if(rev_id % 3 = 0, 4, 3), 0,
    [rev_id - 3, rev_id - 2, rev_id - 1, rev_id], 'made up', shard, stored, 1
FROM reverts
WHERE NOT self_revert AND cityHash64(rev_id, 1) % 250 = 0 AND {span}
"""

_LEDGER = """
INSERT INTO ledger (
    source_topic, source_partition, page, first_offset, last_offset, read, kept, dead_lettered, dropped, stored, version)
SELECT {topic:String}, 0, page, page * 1000, page * 1000 + 999, 1000, 500, 0, map('categorize', 470, 'canary', 30),
    toDateTime({since:UInt32} + toUInt32((page - {page:UInt64}) * {seconds:UInt32} / {pages:UInt64}), 'UTC'), 1000
FROM (SELECT {page:UInt64} + number AS page FROM numbers({pages:UInt64}))
"""

_DEAD_LETTERS = """
INSERT INTO dead_letters (
    dead_letter_id, received, reason, error, raw, raw_size, source_topic, source_partition, source_offset, stored, version)
SELECT toString(sipHash64(page, {since:UInt32})), toDateTime64({since:UInt32}, 3, 'UTC'), 'schema', 'made up',
    repeat('x', 600), 600, {topic:String}, 0, page, toDateTime({since:UInt32}, 'UTC'), 1
FROM (SELECT number AS page FROM numbers(intDiv({rows:UInt64}, 10000)))
"""


@contextmanager
def endpoint(data_dir: Path, memory_mb: int = 1000) -> Iterator[Settings]:
    """Settings of an embedded ClickHouse over a data directory, while it is entered."""
    port = free_port()
    environment = os.environ | {
        "DATA_DIR": str(data_dir),
        "CLICKHOUSE_PORT": str(port),
        "EMBEDDED_MEMORY_MB": str(memory_mb),
    }
    command = [sys.executable, "-m", "services", "serve-clickhouse"]
    with subprocess.Popen(command, cwd=PROJECT_ROOT, env=environment) as process:
        settings = Settings(data_dir=data_dir, clickhouse_host="127.0.0.1", clickhouse_port=port)
        try:
            _wait(settings, process)
            yield settings
        finally:
            process.terminate()


def _wait(settings: Settings, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            reader_client(settings, query_retries=0).close()
            return
        except OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("The ClickHouse endpoint does not start; its words stand above.") from None
            time.sleep(0.2)


def share(hour: int) -> float:
    """How busy an hour of the day is (UTC), 1 on average: Europe's evening is the peak, its night the trough."""
    return 1 + 0.35 * math.sin((hour - 11) * math.pi / 12)


def spans(end: datetime, days: int, edits: int) -> Iterator[tuple[int, int]]:
    """Each INSERT's first second and number of edits."""
    begin = int(end.timestamp()) - days * 24 * HOUR
    steps = list(range(begin, int(end.timestamp()), STEP))
    weights = [sum(share((step + n * HOUR) // HOUR % 24) for n in range(STEP // HOUR)) for step in steps]
    for step, weight in zip(steps, weights, strict=True):
        yield step, round(edits * weight / sum(weights))


def fill(client: Client, end: datetime, days: int, edits: int) -> None:
    """Write all tables. Raises clickhouse-connect's errors."""
    first = 0
    began = time.monotonic()
    filled = int(client.query("SELECT toUnixTimestamp(max(timestamp)) FROM edits").first_row[0])  # type: ignore[index]
    for since, rows in spans(end, days, edits):
        if since + STEP - HOUR <= filled:  # by an earlier call that was cut off; the last step is made again
            first += rows
            continue
        values = {
            "since": since, "seconds": STEP, "first": first, "rows": rows, "wikis": list(WIKIS), "source": SOURCE,
            "topic": TOPIC, "page": first * 2 // 1000, "pages": rows * 2 // 1000,
        }  # fmt: skip
        span = (
            f"timestamp >= {since} AND timestamp < {since + STEP} AND toStartOfHour(timestamp) >= toDateTime({since})"
        )
        for statement in (_EDITS, _REVERTS, _FRONTS, _BATTLES, _ALERTS, _LEDGER, _DEAD_LETTERS):
            if "{span}" in statement:
                client.command(statement.format(span=span, end=int(end.timestamp()) - 1), settings=LIMITS)
            else:
                client.command(statement, parameters=values, settings=LIMITS)
        first += rows
        done = first / edits
        print(
            f"\r{first:>12,} edits, {done:4.0%}, {time.monotonic() - began:,.0f} s", end="", flush=True, file=sys.stderr
        )
    print(file=sys.stderr)


def roll_up(client: Client, end: datetime, days: int) -> None:
    """Write the roll-ups of what was filled. Raises clickhouse-connect's errors."""
    for table, definition in _ROLLUPS.items():
        columns = ", ".join(row[0] for row in client.query(f"DESCRIBE computed_{table}").result_rows)
        first = int(end.timestamp()) - days * 24 * HOUR
        for since in range(first - first % (24 * HOUR), int(end.timestamp()), 24 * HOUR):
            rows = definition.format(since=since, until=since + 24 * HOUR)
            client.command(f"INSERT INTO {table} ({columns}) {rows}", settings=LIMITS)


def main() -> None:
    """Fill a data directory, or go on with one: then name the same end again."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--edits", type=int, default=90_000_000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--end", type=datetime.fromisoformat, help="The last event's time. [default: the full hour]")
    arguments = parser.parse_args()
    end = arguments.end or datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    with endpoint(arguments.data_dir.resolve(), memory_mb=3000) as settings:
        apply_migrations(settings)
        with writer_client(settings, send_receive_timeout=1800) as client:
            fill(client, end, arguments.days, arguments.edits)
            roll_up(client, end, arguments.days)


if __name__ == "__main__":
    main()
