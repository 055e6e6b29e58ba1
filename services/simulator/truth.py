"""What really happened in a war game, as JSON Lines, for scoring detection.

One object per story, written when the story ends; stories that the game's end cuts off follow at the end.

    kind      war, skirmish (one revert and its answer: no battle), vandalism, self-revert
    wiki, title, namespace
    sides     the two sides' fighters, in order of their first act; one-sided stories list vandals, then patrollers
    reverts   [{rev_id, timestamp, reverter, reverted, reverted_rev_id, form}] in order; form: undo, rollback, tool,
              restore (names the restored revision, not the reverted editor), bare (names nobody), patrol bot,
              silent (says nothing of it: only the second stream knows)
    begin     timestamp of the first revert (seconds since 1970), null if there was none
    opened    timestamp of the third alternating revert of a war, else null
    end       timestamp of the protection or block, or of the last revert
    ended_by  protection, block, silence, or "cut off" by the end of the game
"""

from pathlib import Path
from typing import IO, Any

import msgspec

from services.simulator.stories import LEAST_WAR_REVERTS, NEUTRAL, Story
from services.simulator.world import wikis


def truth_of(story: Story) -> dict[str, Any]:
    """A story's line, as an object."""
    acted = dict.fromkeys((revision.user, revision.side) for revision in story.revisions if revision.side != NEUTRAL)
    sides = [[user for user, side in acted if side == which] for which in (0, 1)]
    times = [revert.timestamp for revert in story.reverts]
    opened = times[LEAST_WAR_REVERTS - 1] if story.kind == "war" and len(times) >= LEAST_WAR_REVERTS else None
    return {
        "kind": story.kind,
        "wiki": wikis()[story.wiki].facts.name,
        "title": story.page.title,
        "namespace": story.page.namespace,
        "sides": sides,
        "reverts": [revert._asdict() for revert in story.reverts],
        "begin": times[0] if times else None,
        "opened": opened,
        "end": story.ended or (times[-1] if times else None),
        "ended_by": story.ending if story.done == len(story.steps) else "cut off",
    }


class TruthFile:
    """Writes truth as the game goes on. Raises OSError when the file cannot be written."""

    def __init__(self, path: Path) -> None:
        self._file: IO[bytes] = path.open("wb")

    def write(self, stories: list[Story]) -> None:
        """Add stories; what is written is there for readers at once."""
        for story in stories:
            self._file.write(msgspec.json.encode(truth_of(story)) + b"\n")
        self._file.flush()

    def close(self) -> None:
        """End the file."""
        self._file.close()
