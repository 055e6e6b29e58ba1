"""The month that queries are measured over, in small: what is in it fits together, and queries can be timed."""

from datetime import UTC, datetime, timedelta

import pytest
from clickhouse_connect.driver.client import Client

from scripts.fill import fill, roll_up
from scripts.query_times import time_all
from services.common.clickhouse import writer_client
from services.common.settings import Settings

EDITS = 6_000


@pytest.fixture
def filled(database: Settings) -> Settings:
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    with writer_client(database) as client:
        fill(client, end, days=1, edits=EDITS)
        roll_up(client, end, days=1)
    return database


def number(client: Client, sql: str) -> int:
    return int(client.query(sql).result_rows[0][0])


def test_queries_are_timed_over_a_filled_day(filled: Settings) -> None:
    with writer_client(filled) as client:
        assert number(client, "SELECT count() FROM edits FINAL") == EDITS
        edits = number(client, "SELECT countIf(type != 'log') FROM edits FINAL")
        late = number(client, "SELECT countIf(type != 'log' AND late) FROM edits FINAL")
        assert number(client, "SELECT sum(edits) FROM fronts FINAL") == edits - late
        assert number(client, "SELECT count() FROM reverts WHERE self_revert != (reverter = reverted)") == 0
        assert number(client, "SELECT count() FROM reverts WHERE self_revert") > 0
        assert number(client, "SELECT sum(edits) FROM fronts_hourly FINAL") == edits
        assert number(client, "SELECT sum(edits) FROM fronts_daily FINAL") == edits

    asked = ["battles", "pages_under_fire", "story_edits", "wikis"]
    timings = list(time_all(filled, asked, rounds=0))

    assert [timing for timing in timings if timing.error] == []
    assert sorted({timing.query for timing in timings}) == asked
    assert {"pages_under_fire", "story_edits", "wikis"} <= {timing.query for timing in timings if timing.rows}
