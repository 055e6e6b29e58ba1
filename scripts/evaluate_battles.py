"""Score the battle engine against war games whose truth is known.

    python scripts/evaluate_battles.py [--seeds 20] [--events 60000] [--json]

Plays each seed through the producer's reading and the worker's fold, in one process, and compares the battles that
came out with the wars that were fought. A war counts as found when a battle with three alternations lies on its
page and in its time. A war that the game's end cut off counts where it had its third alternating revert by then.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

import click

from services.common.change import Change, shard_of
from services.producer.events import read_event
from services.simulator.events import stamp
from services.simulator.truth import truth_of
from services.simulator.wargame import WarGame
from services.worker.engage import engage
from services.worker.memory import DictState, ShardMemory
from services.worker.rows import BATTLES

GRACE = 3600  # seconds, as by default
BATCH = 500  # changes folded at once
TOLERANCE = 1  # seconds; begin and end are timestamps of reverts, of whole seconds


class Score(NamedTuple):
    """What one or several games gave."""

    wars: int = 0
    found: int = 0
    invented: int = 0
    announced_twice: int = 0
    fighters: int = 0
    right_side: int = 0
    begin_right: int = 0
    end_right: int = 0
    reverts: int = 0
    edges_right: int = 0  # reverts whose reverted editor is right

    def __add__(self, other: tuple[Any, ...]) -> "Score":
        return Score(*(a + b for a, b in zip(self, other, strict=True)))


def changes_of(game: WarGame, topic: str) -> Iterator[Change]:
    """The accepted changes of a game, in order."""
    offset = 0
    for lines in game.read(0):
        for line in lines:
            stamped, _ = stamp(line, json.dumps(topic).encode(), offset)
            offset += 1
            outcome = read_event(stamped.decode(), 0).outcome
            if isinstance(outcome, Change):
                yield outcome


def play(seed: int, events: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]], dict[int, str]]:
    """Truth, battles as last written, and whom each reverting revision hit by what was detected."""
    stories: list[Any] = []
    game = WarGame(seed, events=events, tell=stories.extend)
    topic = f"{game.name}.codfw.mediawiki.recentchange"
    memories: defaultdict[int, ShardMemory] = defaultdict(lambda: ShardMemory(DictState(), game.name, GRACE))
    waiting: defaultdict[int, list[Change]] = defaultdict(list)
    battles: dict[Any, dict[str, Any]] = {}
    hits: dict[int, str] = {}

    def fold(shard: int) -> None:
        rows = engage(waiting.pop(shard), shard, game.name, memories[shard])
        memories[shard].write_back()
        for row in rows.battles.values():
            battle = dict(zip(BATTLES.columns, row, strict=True))
            battles[battle["battle_id"]] = battle
        hits.update({row[5]: row[8] for row in rows.reverts})

    for change in changes_of(game, topic):
        shard = shard_of(change.wiki, change.title)
        waiting[shard].append(change)
        if len(waiting[shard]) >= BATCH:
            fold(shard)
    for shard in list(waiting):
        fold(shard)
    game.close()
    return [truth_of(story) for story in stories], list(battles.values()), hits


def score(truth: list[dict[str, Any]], battles: list[dict[str, Any]], hits: dict[int, str]) -> Score:
    """Compare."""
    wars = [story for story in truth if story["kind"] == "war" and story["opened"] is not None]
    unmatched = [battle for battle in battles if battle["war"]]
    total = Score(wars=len(wars))
    for war in wars:
        mine = [b for b in unmatched if _is_of(b, war)]
        unmatched = [b for b in unmatched if b not in mine]
        if not mine:
            continue
        battle = mine[0]
        right, fighters = _sides(battle, war)
        last_revert = war["reverts"][-1]["timestamp"]
        end = war["end"] if war["ended_by"] == "protection" else last_revert
        told_end = battle["ended"] or battle["updated"]
        total += Score(
            found=1,
            announced_twice=len(mine) - 1,
            fighters=fighters,
            right_side=right,
            begin_right=abs(battle["opened"] - war["begin"]) <= TOLERANCE,
            end_right=abs(told_end - end) <= TOLERANCE,
        )
    reverts = [revert for story in truth for revert in story["reverts"]]
    edges = sum(hits.get(revert["rev_id"]) == revert["reverted"] for revert in reverts)
    return total + Score(invented=len(unmatched), reverts=len(reverts), edges_right=edges)


def _is_of(battle: dict[str, Any], war: dict[str, Any]) -> bool:
    page = (battle["wiki"], battle["title"]) == (war["wiki"], war["title"])
    return page and war["begin"] - TOLERANCE <= battle["opened"] <= war["reverts"][-1]["timestamp"] + TOLERANCE


def _sides(battle: dict[str, Any], war: dict[str, Any]) -> tuple[int, int]:
    """Fighters on the right side and all fighters of the truth; which colour is whose is free."""
    told = {fighter[0]: fighter[2] for fighter in battle["fighters"]}
    reverting = {revert[who] for revert in war["reverts"] for who in ("reverter", "reverted")}
    sides = [[name for name in side if name in reverting] for side in war["sides"]]
    options = [
        sum(told.get(name) == colour for name, colour in [*((n, a) for n in sides[0]), *((n, b) for n in sides[1])])
        for a, b in (("first", "second"), ("second", "first"))
    ]
    return max(options), len(sides[0]) + len(sides[1])


@click.command()
@click.option("--seeds", default=20, show_default=True, help="How many games: seeds 1 to this.")
@click.option("--events", default=60_000, show_default=True, help="Events of each.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def main(seeds: int, events: int, as_json: bool) -> None:
    """Print how many wars were found, how many invented, and how well they were told."""
    total = Score()
    for seed in range(1, seeds + 1):
        one = score(*play(seed, events))
        total += one
        if not as_json:
            click.echo(f"seed {seed}: {one.found} of {one.wars} wars, {one.invented} invented")
    if as_json:
        click.echo(json.dumps(total._asdict()))
        return
    click.echo(
        f"\n{seeds} games of {events:,} events\n"
        f"wars found        {total.found} of {total.wars}\n"
        f"wars invented     {total.invented}\n"
        f"announced twice   {total.announced_twice}\n"
        f"right side        {total.right_side} of {total.fighters} fighters\n"
        f"begin right       {total.begin_right} of {total.found}\n"
        f"end right         {total.end_right} of {total.found}\n"
        f"reverted editor   {total.edges_right} of {total.reverts} reverts"
    )


if __name__ == "__main__":
    main()
