"""The three-revert watch: an editor's reverts on one page within 24 hours. Pure.

Wikipedia:Edit warring: "An editor must not perform more than three reverts on a single page [...] within a 24-hour
period." "A series of consecutive saved revert edits by one user, with no intervening edits by another user, counts
as one revert." Reverting oneself never counts; reverting obvious vandalism and the like is exempt: such claims are
marked, not believed.

`clickhouse/queries/recomputed_alerts.sql` is the same definition in SQL; `audit` compares the two.
"""

from typing import Literal, NamedTuple, TypeAlias
from uuid import UUID

from services.common.change import Change
from services.worker.battles import stable_id
from services.worker.state import COUNTED, EXEMPT, MEMORY, PAGE_MEMORY, PageState, Revision

WARNING, BREACH = 3, 4  # reverts within 24 h

AlertKind: TypeAlias = Literal["three_revert_warning", "three_revert_breach"]


class Tally(NamedTuple):
    """An editor's reverts of a page within 24 h, each series of consecutive ones as one."""

    reverts: int
    exempt_claims: int  # series that claim an exemption throughout
    rev_ids: list[int]  # the first revert of each series


class Alert(NamedTuple):
    """A warning or a breach, raised once."""

    alert_id: UUID
    kind: AlertKind
    tally: Tally


def three_revert_count(user: str, now: int, revisions: list[Revision]) -> Tally:
    """Count `user`'s reverts in the 24 hours up to `now` (seconds); a revert exactly 24 hours old is out."""
    series: list[list[Revision]] = []
    consecutive = False
    for revision in revisions:
        if revision.user != user:
            consecutive = False
        elif revision.undoes >= COUNTED and now - MEMORY < revision.timestamp <= now:
            if not consecutive:
                series.append([])
            series[-1].append(revision)
            consecutive = True
    exempt = sum(all(revision.undoes == EXEMPT for revision in one) for one in series)
    return Tally(len(series), exempt, [one[0].rev_id for one in series])


def raise_alert(change: Change, source: str, page: PageState) -> Alert | None:
    """The alert that a revert, already remembered, raises: none while the editor was as high within the last day."""
    now = change.timestamp
    tally = three_revert_count(change.user, now, page.revisions())
    if tally.reverts < WARNING:
        return None
    level = min(tally.reverts, BREACH)
    warned, breached = page.watched.get(change.user, (0, 0))
    page.watched = {user: seen for user, seen in page.watched.items() if seen[0] > now - PAGE_MEMORY}
    page.watched[change.user] = (max(warned, now), max(breached, now) if level == BREACH else breached)
    if (breached if level == BREACH else warned) > now - MEMORY:
        return None
    kind: AlertKind = "three_revert_breach" if level == BREACH else "three_revert_warning"
    alert_id = stable_id(kind, source, change.wiki, change.title, change.user, str(change.rev_id))
    return Alert(alert_id, kind, tally)


def describe(alert: Alert, user: str) -> str:
    """The alert in one sentence."""
    claims = f", {alert.tally.exempt_claims} of them claimed as exempt" if alert.tally.exempt_claims else ""
    what = "the rule allows three" if alert.kind == "three_revert_breach" else "one more breaks the three-revert rule"
    return f"{user} made {alert.tally.reverts} reverts within 24 hours{claims}: {what}."
