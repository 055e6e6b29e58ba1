"""What was announced: the table `announcements`, so that no restart tells anything twice."""

from datetime import datetime
from uuid import UUID

from clickhouse_connect.driver.client import Client

from services.common.queries import run_query
from services.notifier.messages import Incident

_COLUMNS = {
    "incident_id": "UUID",
    "kind": "LowCardinality(String)",
    "outcome": "LowCardinality(String)",
    "attempts": "UInt32",
    "detail": "String",
    "moment": "DateTime('UTC')",
    "version": "UInt64",
}
_BEGUN = UUID(int=0)

Row = tuple[UUID, str, str, int, str, datetime, int]


def attempt_row(incident: Incident, attempt: int) -> Row:
    """The row before an attempt (1 is the first). Where it stays, nobody knows whether the message arrived."""
    return (incident.incident_id, incident.kind, "sending", attempt, "", incident.moment, 2 * attempt)


def outcome_row(incident: Incident, attempt: int, outcome: str, detail: str) -> Row:
    """The row after it."""
    return (incident.incident_id, incident.kind, outcome, attempt, detail, incident.moment, 2 * attempt + 1)


def begin(client: Client, now: datetime) -> None:
    """Remember that announcing begins now, unless it began before: what is older is nobody's news."""
    if not client.query("SELECT incident_id FROM announcements WHERE outcome = 'begun'").result_rows:
        write(client, [(_BEGUN, "begun", "begun", 0, "", now, 1)])


def write(client: Client, rows: list[Row]) -> None:
    """Write rows; they are stored when this returns."""
    client.insert(
        "announcements",
        rows,
        column_names=list(_COLUMNS),
        column_type_names=list(_COLUMNS.values()),
        settings={"async_insert": 0},
    )


def to_announce(client: Client, since: datetime) -> list[Incident]:
    """What is still to be announced, oldest first."""
    rows = run_query(client, "incidents_to_announce", since=since).named_results()
    return [Incident(**row) for row in rows]
