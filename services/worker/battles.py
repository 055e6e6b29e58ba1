"""Edit wars as incidents: opened, joined, ended. Pure.

An alternation is a revert that hits the author of an earlier revert on the page within a day. A undoes B, B undoes
A: a battle is brewing. A, or an ally of A, undoes B once more: three alternations between two sides, and it is
war. A battle has one id from its first revert to its end, which is a protection or deletion of the page, or a day
without a revert. (A block of a fighter is logged on another page, so in another shard: ClickHouse joins it.)
"""

import re
from hashlib import blake2b
from typing import Literal, NamedTuple, TypeAlias
from uuid import UUID

from services.common.change import Change
from services.worker.reverts import Revert
from services.worker.state import MARKS, MEMORY, Battle, Editor, Mark, PageState, Revision
from services.worker.summaries import Claim

BREWING, WAR = 2, 3  # alternations
SILENCE = MEMORY  # seconds without a revert that end a battle
MOST_EDITORS = 200  # a battle's editors that are told apart; a page mobbed by more keeps its state bounded

Side: TypeAlias = Literal["first", "second", ""]
EndedBy: TypeAlias = Literal["", "protection", "deletion", "silence"]
PageKind: TypeAlias = Literal["content", "talk", "project"]

# Pages where reverting is routine: noticeboards archive and restore reports, sandboxes are reset. Words of their
# titles in the largest wikis' languages, whole or as parts of compounds.
_ROUTINE = (
    *("sandbox", "sandkasten", "spielwiese", "bac à sable", "zona de prueba", "pruebas", "pagina delle prove"),
    *("песочница", "サンドボックス", "沙盒", "brudnopis", "testes", "zandbak", "sandlåda", "пісочниця", "ملعب"),
    *("صفحه تمرین", "bak pasir", "연습장", "hiekkalaatikko", "pískoviště", "homokozó", "noticeboard", "incidents"),
    *("vandalism", "administrator intervention", "request for page protection", "requests for page protection"),
    *("anfragen", "teahouse", "help desk", "reference desk", "for deletion", "löschkandidaten", "village pump"),
)
_NO_BATTLEFIELD = re.compile("|".join(map(re.escape, _ROUTINE)), re.IGNORECASE)


class Ending(NamedTuple):
    """How and when a battle ended."""

    by: EndedBy
    at: int  # seconds


class Pair(NamedTuple):
    """Two editors who reverted each other."""

    a: str
    b: str
    weight: int  # the lesser of their numbers of edits


def is_battlefield(namespace: int, title: str) -> bool:
    """Can a war be fought here? Not in users' own space, nor where reverting is routine."""
    return namespace not in (2, 3) and not (namespace != 0 and _NO_BATTLEFIELD.search(title))


def page_kind(namespace: int) -> PageKind:
    """MediaWiki's odd namespaces are talk pages; 4 is the project's own."""
    return "talk" if namespace % 2 else "project" if namespace == 4 else "content"


def mark_of(change: Change, claim: Claim, revert: Revert, marks: list[Mark]) -> Mark:
    """The mark of a revert by another's edit, with its place in the chain of reverts before it."""
    answered = [m for m in marks if m.reverter == revert.reverted != "" and m.timestamp > change.timestamp - MEMORY]
    longest = max(answered, key=lambda m: m.alternations, default=None)
    return Mark(
        rev_id=change.rev_id,
        timestamp=change.timestamp,
        reverter=change.user,
        reverted=revert.reverted,
        exempt=claim.exempt != "",
        alternations=longest.alternations + 1 if longest else 1,
        root=longest.root if longest else change.rev_id,
    )


def remember_mark(page: PageState, mark: Mark) -> None:
    """Add a revert to the page's, and forget those of more than a day ago."""
    page.marks = [m for m in page.marks if m.timestamp > mark.timestamp - MEMORY]
    page.marks.append(mark)
    del page.marks[:-MARKS]


def silence_ending(page: PageState, now: int) -> Ending | None:
    """The ending of the page's battle when there has been no revert for a day."""
    battle = page.battle
    return Ending("silence", battle.updated) if battle and now > battle.updated + SILENCE else None


def log_ending(change: Change) -> Ending | None:
    """The ending that a log entry on the page means: protection or deletion stops the fighting."""
    if change.log_type in ("protect", "stable") and change.log_action in ("protect", "modify", "config"):
        return Ending("protection", change.timestamp)
    if change.log_type == "delete" and change.log_action == "delete":
        return Ending("deletion", change.timestamp)
    return None


def open_battle(page: PageState, mark: Mark) -> Battle | None:
    """The battle that `mark`, already remembered, opens; None while it answers nobody."""
    if mark.alternations < BREWING:
        return None
    root = next((m for m in page.marks if m.root == mark.root and m.rev_id == mark.root), mark)
    battle = Battle(mark.root, root.timestamp, root.timestamp)
    for revision in page.revisions:
        if revision.timestamp > root.timestamp - MEMORY:
            count_edit(battle, revision)
    # the edits before the first revert tell how much the fighters edited, but are not of the battle
    battle.edits = sum(r.timestamp >= root.timestamp for r in page.revisions)
    for earlier in page.marks:
        if earlier.timestamp >= root.timestamp:
            join(battle, earlier)
    return battle


def count_edit(battle: Battle, revision: Revision) -> None:
    """Count an edit of the page."""
    battle.edits += 1
    editor = _editor(battle, revision.user)
    editor.actor = revision.actor
    editor.edits += 1


def join(battle: Battle, mark: Mark) -> None:
    """Add a revert to a battle if it is of it: if it answers one, or one of its two editors fights already."""
    fighters = set(fighters_of(battle))
    if mark.reverted == "" or (
        mark.rev_id != battle.root and mark.alternations < BREWING and not {mark.reverter, mark.reverted} & fighters
    ):
        return
    _link(battle.hits, mark.reverter, mark.reverted)
    _editor(battle, mark.reverter).reverts += 1
    _editor(battle, mark.reverted).reverted += 1
    battle.reverts += 1
    battle.exempt += mark.exempt
    battle.updated = max(battle.updated, mark.timestamp)
    battle.alternations = max(battle.alternations, mark.alternations)
    if battle.alternations >= WAR and not battle.declared:
        battle.declared = mark.timestamp


def bond(battle: Battle, reverter: str, restored: str) -> None:
    """Remember that one editor restored another's version: they are on one side."""
    if restored and restored != reverter:
        _link(battle.bonds, reverter, restored)


def battle_id(source: str, wiki: str, title: str, root: int) -> UUID:
    """The same after any replay."""
    return stable_id("battle", source, wiki, title, str(root))


def mutual_pairs(battle: Battle) -> list[Pair]:
    """Editors who reverted each other, the heaviest first; the weight is min(N_d, N_r) of the measure M."""
    hits = battle.hits
    pairs = [
        Pair(a, b, min(_edits(battle, a), _edits(battle, b)))
        for a, victims in hits.items()
        for b in victims
        if a < b and a in hits.get(b, ())
    ]
    return sorted(pairs, key=lambda p: (-p.weight, p.a, p.b))


def intensity(pairs: list[Pair]) -> int:
    """M = E * sum of the weights without the top pair; E: editors in mutual reverts.

    Sumi, Yasseri, Rung, Kornai, Kertész, "Edit wars in Wikipedia", 2011. Leaving out the top pair keeps a quarrel of
    two from counting as a controversy: then M is 0.
    """
    return len({name for p in pairs for name in (p.a, p.b)}) * sum(p.weight for p in pairs[1:])


def sides(battle: Battle) -> dict[str, Side]:
    """Which side each fighter is on, by colouring the graph of reverts with two colours.

    Who reverts whom is against him; who restores whose version is with him, at half the weight, since a
    patroller restores whatever stood there before. The reverter of the opening revert is on the first side.
    Where the graph has odd cycles, each fighter goes where most of his weight says.
    """
    fighters = fighters_of(battle)
    ties: dict[str, dict[str, int]] = {name: {} for name in fighters}
    for links, weight in ((battle.hits, -2), (battle.bonds, 1)):
        for a, others in links.items():
            for b, count in others.items():
                if a in ties and b in ties:
                    ties[a][b] = ties[a].get(b, 0) + weight * count
                    ties[b][a] = ties[b].get(a, 0) + weight * count
    placed: dict[str, int] = {}
    while len(placed) < len(fighters):
        pull = {
            name: sum(weight * placed[other] for other, weight in ties[name].items() if other in placed)
            for name in fighters
            if name not in placed
        }
        name = max(pull, key=lambda n: abs(pull[n]))  # the first of equals: reading order of the reverts
        placed[name] = 1 if pull[name] >= 0 else -1
    return {name: "first" if colour > 0 else "second" for name, colour in placed.items()}


def fighters_of(battle: Battle) -> list[str]:
    """Who reverted or was reverted in it, in the order of their entry."""
    return list(dict.fromkeys(name for a, victims in battle.hits.items() for name in (a, *victims)))


def stable_id(*parts: str) -> UUID:
    """An id that the same parts give at every replay."""
    return UUID(bytes=blake2b("\0".join(parts).encode(), digest_size=16).digest())


def _editor(battle: Battle, name: str) -> Editor:
    editor = battle.editors.get(name)
    if editor is None:
        editor = Editor("person")
        if len(battle.editors) < MOST_EDITORS:
            battle.editors[name] = editor
    return editor


def _edits(battle: Battle, name: str) -> int:
    return battle.editors[name].edits if name in battle.editors else 0


def _link(links: dict[str, dict[str, int]], a: str, b: str) -> None:
    links.setdefault(a, {})
    links[a][b] = links[a].get(b, 0) + 1
