"""Hand-made rows for tests of queries and pages: what a test does not say has a plain default."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from services.common.clickhouse import writer_client
from services.common.settings import Settings

NOON = datetime(2024, 12, 7, 12, 0, tzinfo=UTC)
REPLAY = "replay-real.edits-2024.codfw.mediawiki.recentchange"
WAR_GAME = "wargame-42.eqiad.mediawiki.recentchange"
LIVE = "codfw.mediawiki.recentchange"

HOSTILE = {
    "markup": "<img src=x onerror=alert(1)> <script>alert(2)</script>",
    "markdown": "[click](javascript:alert(3)) **bold** :red[x] $x^2$ `code` :smile:",
    "right to left": "غزة \u202eevil\u202c",
    "emoji": "🏳️‍🌈 👩‍👩‍👧‍👦",
    "255 characters": "Ä" * 255,
    "SQL": "'; DROP TABLE edits; -- {since:DateTime}",
}


def _defaults(table: str, row: dict[str, Any]) -> dict[str, Any]:
    page = {"wiki": "enwiki", "server_name": "en.wikipedia.org", "namespace": 0, "title": "Moon", "timestamp": NOON}
    origin = {"source_topic": REPLAY, "source_partition": 0}
    return {
        "edits": {
            **page,
            **origin,
            "meta_id": uuid.uuid4(),
            "source_offset": 1,
            "type": "edit",
            "user": "Ann",
            "actor": "person",
            "received": row.get("timestamp", NOON) + timedelta(seconds=2),
            # rows are kept for 30 days from when they were stored, not from their event
            "stored": datetime.now(UTC),
            "rev_id": 1,
            "length_old": None,
            "length_new": None,
            "comment": "",
            "log_type": "",
            "log_action": "",
            "late": False,
            "version": 1,
        },
        "fronts": {
            "window_start": NOON,
            "wiki": "enwiki",
            "shard": 1,
            "actor": "person",
            "edits": 1,
            "reverts": 0,
            "reverted": 0,
            "bytes_added": 0,
            "version": 1,
        },
        "reverts": {
            **page,
            "rev_id": 1,
            "reverter": "Ann",
            "reverter_actor": "person",
            "reverted": "Bob",
            "reverted_actor": "person",
            "seconds_to_revert": None,
            "method": "undo",
            "evidence": "summary",
            "comment": "",
            "self_revert": False,
            "version": 1,
        },
        "battles": {
            "battle_id": uuid.uuid4(),
            "wiki": "enwiki",
            "server_name": "en.wikipedia.org",
            "title": "Moon",
            "namespace": 0,
            "page_kind": "content",
            "phase": "war",
            "war": True,
            "opened": NOON - timedelta(minutes=30),
            "declared": NOON - timedelta(minutes=20),
            "updated": NOON - timedelta(minutes=5),
            "ended": None,
            "ended_by": "",
            "alternations": 3,
            "reverts": 3,
            "exempt_claims": 0,
            "edits": 4,
            "intensity": 0,
            "editors": 2,
            "pairs": [("Ann", "Bob", 2)],
            "fighters": [("Ann", "person", "first", 2, 2, 1), ("Bob", "temporary", "second", 3, 1, 2)],
            "version": 1,
        },
        "alerts": {
            "alert_id": uuid.uuid4(),
            "kind": "three_revert_warning",
            "wiki": "enwiki",
            "server_name": "en.wikipedia.org",
            "title": "Moon",
            "namespace": 0,
            "user": "Ann",
            "actor": "person",
            "raised": NOON - timedelta(minutes=5),
            "reverts": 3,
            "exempt_claims": 0,
            "rev_ids": [1, 2, 3],
            "version": 1,
        },
        "ledger": {
            **origin,
            "page": 0,
            "first_offset": 0,
            "last_offset": 999,
            "read": 1000,
            "kept": 1000,
            "dead_lettered": 0,
            "dropped": {},
            "version": 1000,
        },
        "audits": {},
        "dead_letters": {
            **origin,
            "dead_letter_id": str(uuid.uuid4()),
            "received": NOON,
            "reason": "not_json",
            "error": "unexpected end",
            "raw": b"{",
            "raw_size": 1,
            "source_offset": 1,
            "version": 1,
        },
    }[table]


def insert(settings: Settings, table: str, *rows: dict[str, Any]) -> None:
    """Insert rows as the services' account."""
    whole = [{**_defaults(table, row), **row} for row in rows]
    columns = list(whole[0])
    with writer_client(settings) as client:
        client.insert(table, [[row[column] for column in columns] for row in whole], column_names=columns)


def edit(settings: Settings, *rows: dict[str, Any]) -> None:
    """Edits, in `edits` and each in a window of `fronts` of its own."""
    insert(settings, "edits", *rows)
    times = [row.get("timestamp", NOON) for row in rows]
    starts = [time.replace(second=time.second // 10 * 10, microsecond=0) for time in times]
    same = [{key: row[key] for key in ("wiki", "actor") if key in row} for row in rows]
    insert(settings, "fronts", *({"window_start": start, **more} for start, more in zip(starts, same, strict=True)))


def empty(settings: Settings) -> None:
    """Empty the tables; that of the migrations stays."""
    with writer_client(settings) as client:
        filled = """SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'
                    AND total_rows > 0 AND name != 'schema_migrations'"""
        for (table,) in client.query(filled).result_rows:
            client.command(f"TRUNCATE TABLE {table}")
