"""The ten-second windows of `fronts`: what a change counts in them. Pure.

`clickhouse/queries/recomputed_fronts.sql` is the same definition in SQL; `audit` compares the two.
"""

from typing import NamedTuple, TypeAlias

from services.common.change import Actor, Change
from services.worker.reverts import Revert
from services.worker.state import WINDOW, Counted

Front: TypeAlias = tuple[str, Actor]  # wiki and actor class


class Tally:
    """The figures of one row of `fronts`."""

    __slots__ = ("bytes_added", "bytes_removed", "creations", "edits", "reverted", "reverts")

    def __init__(self) -> None:
        self.edits = self.creations = self.reverts = self.reverted = self.bytes_added = self.bytes_removed = 0

    @property
    def version(self) -> int:
        """Grows with everything that is folded in."""
        return self.edits + self.reverted


class Window(NamedTuple):
    """An open window of a shard."""

    tallies: dict[Front, Tally]
    # ids of all changes in it: Wikimedia now and then sends one meta.id at two offsets, and a duplicate has
    # its twin's timestamp, so it can only be in the same window
    ids: set[bytes]


def window_start(timestamp: int) -> int:
    """Where the window of an event time begins, seconds."""
    return timestamp - timestamp % WINDOW


def counted(change: Change, change_id: bytes, revert: Revert | None) -> Counted:
    """What `change` counts in its window; a self-revert counts as an edit alone."""
    hit = None if revert is None or revert.self_revert else revert
    return Counted(
        window_start(change.timestamp),
        change_id,
        change.wiki,
        change.actor,
        change.type == "new",
        grown_by(change),
        hit is not None,
        hit.reverted_actor if hit else "",
    )


def only_id(change: Change, change_id: bytes) -> Counted:
    """A log entry counts nothing; its id is remembered like any other's."""
    return Counted(window_start(change.timestamp), change_id)


def grown_by(change: Change) -> int:
    """Bytes by which the page grew; 0 where a size is missing, all of it for a new page."""
    if change.length_new is None or (change.length_old is None and change.type != "new"):
        return 0
    return change.length_new - (change.length_old or 0)


def count(one: Counted, window: Window) -> tuple[Front, ...]:
    """Count a change in its window; returns the fronts that it touched."""
    if not one.wiki:
        return ()
    tallies = window.tallies
    own: Front = (one.wiki, one.actor)
    tally = tallies.get(own)
    if tally is None:
        tally = tallies[own] = Tally()
    tally.edits += 1
    tally.creations += one.creation
    if one.grown > 0:
        tally.bytes_added += one.grown
    else:
        tally.bytes_removed -= one.grown
    if not one.revert:
        return (own,)
    tally.reverts += 1
    if not one.reverted_actor:
        return (own,)
    other: Front = (one.wiki, one.reverted_actor)
    tallies.setdefault(other, Tally()).reverted += 1
    return (own, other)
