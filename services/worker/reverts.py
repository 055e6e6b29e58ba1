"""Who reverted whom: what Wikimedia declares or a summary claims, resolved against the page's recent revisions. Pure.

Wikimedia names every reverted revision, a summary at most one or its editor. So where a declared one is remembered, its
editor is the one who was reverted, whatever the summary says; the summary tells where none is.

`clickhouse/queries/recomputed_reverts.sql` is the same definition in SQL; `audit` compares the two.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

from services.common.change import Actor, Change, actor_of
from services.worker.state import MEMORY, NOTHING, Revision
from services.worker.summaries import Claim

# How the reverted editor is known: by name in the summary, by the revision that it names, or as the editor of
# the revision that this edit replaced.
Target: TypeAlias = Literal["named", "revision", "inferred", "unknown"]


class Revert(NamedTuple):
    """A revert, resolved."""

    reverted: str  # "" where nobody can be named
    reverted_actor: Actor | Literal[""]
    reverted_rev_id: int  # 0 where it is not known
    seconds_to_revert: int | None
    target: Target
    self_revert: bool


def resolve(change: Change, claim: Claim, revisions: Sequence[Revision]) -> Revert:
    """Find whom and what `change` reverts; `revisions` are the page's remembered ones, oldest first."""
    known = [r for r in revisions if r.timestamp > change.timestamp - MEMORY]
    if change.declared_rev_ids:
        hit = _find_declared(change, known)
        reverted = hit.user if hit else claim.user
        reverted_rev_id = hit.rev_id if hit else change.declared_rev_ids[-1]
        target: Target = "named" if claim.user and reverted == claim.user else "revision" if hit else "unknown"
    else:
        hit, target = _find(change, claim, known)
        reverted = claim.user or (hit.user if hit else "")
        reverted_rev_id = claim.rev_id or (hit.rev_id if hit else 0)
    return Revert(
        reverted=reverted,
        reverted_actor=hit.actor if hit and hit.user == reverted else actor_of(reverted, False) if reverted else "",
        reverted_rev_id=reverted_rev_id,
        seconds_to_revert=max(change.timestamp - hit.timestamp, 0) if hit else None,
        target=target,
        self_revert=reverted != "" and reverted == change.user,
    )


def is_known_revert(change: Change, revisions: Sequence[Revision]) -> bool:
    """Has the page this revision already, as a revert? Now and then one comes as two changes; it counts once."""
    return any(r.rev_id == change.rev_id and r.undoes != NOTHING for r in revisions)


def _find_declared(change: Change, known: list[Revision]) -> Revision | None:
    """The newest remembered revision that was declared as reverted: another's, else the reverter's own."""
    hits = [r for r in reversed(known) if r.rev_id in change.declared_rev_ids]
    return next((r for r in hits if r.user != change.user), hits[0] if hits else None)


def _find(change: Change, claim: Claim, known: list[Revision]) -> tuple[Revision | None, Target]:
    """The reverted revision where it is remembered, and how its editor is known."""
    if claim.rev_id:
        hit = next((r for r in reversed(known) if r.rev_id == claim.rev_id), None)
        return hit, "named" if claim.user else "revision" if hit else "unknown"
    if claim.user:  # a rollback: the newest of that editor's revisions is the one on top
        return next((r for r in reversed(known) if r.user == claim.user), None), "named"
    hit = next((r for r in reversed(known) if r.rev_id == change.old_rev_id), None)
    return hit, "inferred" if hit else "unknown"
