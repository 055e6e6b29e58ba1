"""The result of an audit as a row of `audits`, which the board's health page shows."""

import msgspec
from clickhouse_connect.driver.client import Client

from services.audit.audit import Report

COLUMNS = (
    *("started", "seconds", "source", "since", "until", "passed"),
    *("changes", "late", "mismatches", "gaps", "unstored", "report"),
)


def store(client: Client, report: Report) -> None:
    """Write the row; the client is the writer's."""
    row = (
        *(report.started, report.seconds, report.source, report.since, report.until, report.passed),
        *(report.changes, report.late, report.mismatches, report.missing_offsets, report.missing_changes),
        msgspec.json.encode(report).decode(),
    )
    client.insert("audits", [row], column_names=COLUMNS, settings={"async_insert": 0})
