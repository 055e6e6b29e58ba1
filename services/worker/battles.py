"""Edit wars as incidents: opened, joined, ended. Pure.

A revert answers an earlier one on the page if it hits that one's author within a day. A undoes B, B undoes A: a battle
is brewing. A, or an ally of A, undoes B once more: three alternations, and it is war. A battle has one id from its
first revert on, and lives as long as no day passes without an answer, unless the page is protected or deleted before.
(A block of a fighter is logged on another page, so in another shard: ClickHouse joins it, and tells silence too.)

`clickhouse/queries/recomputed_battles.sql` is the same definition in SQL; `audit` compares the two.
"""

from hashlib import sha256
from typing import Literal, NamedTuple, TypeAlias
from uuid import UUID

from services.common.change import Change
from services.worker.reverts import Revert
from services.worker.state import MARKS, MEMORY, PAGE_MEMORY, Battle, Editor, Mark, PageState
from services.worker.summaries import Claim

BREWING, WAR = 2, 3  # alternations
SILENCE = MEMORY  # seconds without an answer that end a battle
MOST_FIGHTERS = 200  # that are told apart in a battle; a page mobbed by more keeps its state bounded

Side: TypeAlias = Literal["first", "second", ""]
EndedBy: TypeAlias = Literal["protection", "deletion"]
PageKind: TypeAlias = Literal["content", "talk", "project"]

# Pages where reverting is routine: noticeboards archive and restore reports, sandboxes are reset. Words of their
# titles in the largest wikis' languages, whole or as parts of compounds, in lower case.
ROUTINE = (
    *("sandbox", "sandkasten", "spielwiese", "bac à sable", "zona de prueba", "pruebas", "pagina delle prove"),
    *("песочница", "サンドボックス", "沙盒", "brudnopis", "testes", "zandbak", "sandlåda", "пісочниця", "ملعب"),
    *("صفحه تمرین", "bak pasir", "연습장", "hiekkalaatikko", "pískoviště", "homokozó", "noticeboard", "incidents"),
    *("vandalism", "administrator intervention", "request for page protection", "requests for page protection"),
    *("anfragen", "teahouse", "help desk", "reference desk", "for deletion", "löschkandidaten", "village pump"),
)


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
    if namespace == 0:
        return True
    lower = title.lower()
    return namespace not in (2, 3) and not any(word in lower for word in ROUTINE)


def page_kind(namespace: int) -> PageKind:
    """MediaWiki's odd namespaces are talk pages; 4 is the project's own."""
    return "talk" if namespace % 2 else "project" if namespace == 4 else "content"


def remember_mark(page: PageState, change: Change, claim: Claim, revert: Revert) -> Mark:
    """Add a revert of another's edit, with its place in the chain of reverts before it; forget the oldest ones."""
    longest = max((m.alternations for m in _answered(page.marks, revert.reverted, change.timestamp)), default=0)
    mark = Mark(
        rev_id=change.rev_id,
        number=page.count,
        timestamp=change.timestamp,
        reverter=change.user,
        reverter_actor=change.actor,
        reverted=revert.reverted,
        reverted_actor=revert.reverted_actor,
        restored=claim.restored_user,
        exempt=claim.exempt != "",
        alternations=longest + 1,
    )
    page.marks.append(mark)
    # PAGE_MEMORY and not MEMORY: what comes out of order may still ask for one
    while page.marks[0].timestamp <= mark.timestamp - PAGE_MEMORY:
        del page.marks[0]
    del page.marks[:-MARKS]
    return mark


def fight(page: PageState, mark: Mark) -> bool:
    """What a revert, already remembered, means for the page's battle; True if it opens it or is of it."""
    battle = page.battle
    if battle and mark.timestamp <= battle.updated + SILENCE:
        if mark.alternations < BREWING and not _both_fight(battle, mark):
            return False
    elif mark.alternations >= BREWING:
        battle = page.battle = _open(page, mark)
    else:
        return False
    _join(battle, mark, page)
    return True


def log_ending(change: Change) -> Ending | None:
    """The ending that a log entry on the page means: protection or deletion stops the fighting."""
    if change.log_type in ("protect", "stable") and change.log_action in ("protect", "modify", "config"):
        return Ending("protection", change.timestamp)
    if change.log_type == "delete" and change.log_action == "delete":
        return Ending("deletion", change.timestamp)
    return None


def end(page: PageState, ending: Ending) -> Battle | None:
    """End the page's battle; returns it unless silence has done so before. What comes then answers nothing before."""
    battle, page.battle = page.battle, None
    page.marks = []
    return battle if battle and ending.at <= battle.updated + SILENCE else None


def count_edit(page: PageState, user: str) -> None:
    """Count an edit of the page; those of fighters are part of the battle."""
    page.count += 1
    if page.battle and user in page.battle.fighters:
        page.battle.fighters[user].edits += 1


def _answered(marks: list[Mark], reverted: str, now: int) -> list[Mark]:
    """The marks that a revert of `reverted` answers."""
    return [m for m in marks if m.reverter == reverted != "" and m.timestamp > now - MEMORY]


def _open(page: PageState, opening: Mark) -> Battle:
    """The battle that begins with the first revert that `opening` answers, without `opening` itself."""
    root = _answered(page.marks, opening.reverted, opening.timestamp)[0]
    battle = Battle(root.rev_id, root.number, root.timestamp)
    began = page.marks.index(root)
    _join(battle, root, page)
    for earlier in page.marks[began + 1 : -1]:
        if _both_fight(battle, earlier):
            _join(battle, earlier, page)
    return battle


def _both_fight(battle: Battle, mark: Mark) -> bool:
    return mark.reverter in battle.fighters and mark.reverted in battle.fighters


def _join(battle: Battle, mark: Mark, page: PageState) -> None:
    battle.reverts += 1
    battle.exempt += mark.exempt
    fighters = battle.fighters
    for name, actor in ((mark.reverter, mark.reverter_actor), (mark.reverted, mark.reverted_actor)):
        if name and name not in fighters and len(fighters) < MOST_FIGHTERS:
            since = battle.opened - MEMORY
            edits = sum(r.user == name and r.timestamp > since for r in page.revisions())
            fighters[name] = Editor(actor or "person", edits)
    if mark.reverter in fighters:
        fighters[mark.reverter].reverts += 1
        if mark.restored in fighters and mark.restored != mark.reverter:
            _link(battle.bonds, mark.reverter, mark.restored)
    if mark.reverted in fighters:
        fighters[mark.reverted].reverted += 1
    if _both_fight(battle, mark):
        _link(battle.hits, mark.reverter, mark.reverted)
    if mark.alternations >= BREWING:
        battle.updated = max(battle.updated, mark.timestamp)
        battle.alternations = max(battle.alternations, mark.alternations)
        if battle.alternations >= WAR and not battle.declared:
            battle.declared = mark.timestamp


def battle_id(source: str, wiki: str, title: str, root: int) -> UUID:
    """The same after any replay."""
    return stable_id("battle", source, wiki, title, str(root))


def mutual_pairs(battle: Battle) -> list[Pair]:
    """Editors who reverted each other, the heaviest first; the weight is min(N_d, N_r) of the measure M."""
    hits = battle.hits
    pairs = [
        Pair(a, b, min(battle.fighters[a].edits, battle.fighters[b].edits))
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
    ties: dict[str, dict[str, int]] = {name: {} for name in battle.fighters}
    for links, weight in ((battle.hits, -2), (battle.bonds, 1)):
        for a, others in links.items():
            for b, count in others.items():
                ties[a][b] = ties[a].get(b, 0) + weight * count
                ties[b][a] = ties[b].get(a, 0) + weight * count
    placed: dict[str, int] = {}
    while len(placed) < len(ties):
        pull = {
            name: sum(weight * placed[other] for other, weight in ties[name].items() if other in placed)
            for name in ties
            if name not in placed
        }
        name = max(pull, key=lambda n: abs(pull[n]))  # the first of equals: order of their entry
        placed[name] = 1 if pull[name] >= 0 else -1
    return {name: "first" if colour > 0 else "second" for name, colour in placed.items()}


def stable_id(*parts: str) -> UUID:
    """An id that the same parts give at every replay, and in SQL."""
    return UUID(bytes=sha256("\0".join(parts).encode()).digest()[:16])


def _link(links: dict[str, dict[str, int]], a: str, b: str) -> None:
    links.setdefault(a, {})
    links[a][b] = links[a].get(b, 0) + 1
