"""What happens on one page over several edits: wars, skirmishes, vandalism and its repair, second thoughts.

A story is planned when it begins (who does what, how long after the step before) and carried out step by step. Which
revision a revert hits, and in what words, follows from the page as it then is. So what a story knows at its end is
the truth about it.
"""

from dataclasses import dataclass, field
from random import Random
from typing import Literal, NamedTuple, TypeAlias

from services.simulator.recentchange import Undone
from services.simulator.world import Page, Wiki

Kind: TypeAlias = Literal["war", "skirmish", "vandalism", "self-revert"]
Action: TypeAlias = Literal["edit", "revert", "protect", "block"]
Form: TypeAlias = Literal["undo", "rollback", "tool", "restore", "bare", "patrol bot", "silent"]
Ending: TypeAlias = Literal["protection", "block", "silence"]

NEUTRAL = -1  # neither side's

# Seconds between the reverts of a war: some are fought within a minute, most over an hour.
_HASTES = ((5.0, 20.0), (30.0, 200.0), (200.0, 1200.0))
_HASTE_WEIGHTS = (0.4, 0.4, 0.2)
# The war that opens a game is fought fast, so that someone who starts a demo sees a battle within half a minute.
_OPENING_HASTE = (4.0, 6.5)
LEAST_WAR_REVERTS = 3  # as a battle is defined: three alternating reverts
MOST_WAR_REVERTS = 18


class Step(NamedTuple):
    """One planned act."""

    after: float  # seconds after the step before
    action: Action
    user: str
    side: int  # 0, 1 or NEUTRAL


class Revision(NamedTuple):
    """One revision of the story's page."""

    rev_id: int
    user: str
    side: int
    length: int


class Revert(NamedTuple):
    """One revert as it truly was."""

    rev_id: int
    timestamp: int
    reverter: str
    reverted: str
    reverted_rev_id: int  # the newest revision that it undid
    form: Form


class Undoing(NamedTuple):
    """A revert about to be saved: what it hits, how the page is afterwards, and the summary."""

    form: Form
    hit: Revision
    length: int
    summary: str
    undone: Undone


@dataclass
class Story:
    """A story and how far it has come."""

    kind: Kind
    wiki: int  # index into world.wikis()
    page: Page
    steps: tuple[Step, ...]
    revisions: list[Revision]  # begins with the page as it was before
    ending: Ending = "silence"
    done: int = 0
    reverts: list[Revert] = field(default_factory=list)
    ended: int | None = None  # seconds; when an administrator ended it

    def copy(self) -> "Story":
        """A copy that can go on independently."""
        return Story(
            self.kind,
            self.wiki,
            self.page,
            self.steps,
            list(self.revisions),
            self.ending,
            self.done,
            list(self.reverts),
            self.ended,
        )


class Cast:
    """Draws the people of a story from a wiki's."""

    def __init__(self, draw: Random, wiki: Wiki, year: int) -> None:
        self._draw, self._wiki, self._year = draw, wiki, year
        self._taken: set[str] = set()

    def editor(self, without_account: float) -> str:
        """Someone who is not yet in the story; `without_account` is the chance that it is a temporary account."""
        while True:
            if self._draw.random() < without_account:
                user = self._wiki.without_account(int(self._draw.random() * 9_000_000), self._year)
            else:
                user = self._wiki.person(int(self._draw.random() * self._wiki.people))
            if user not in self._taken:
                self._taken.add(user)
                return user

    def patrol_bot(self) -> str:
        """A bot that reverts vandalism."""
        bots = self._wiki.names.patrol_bots
        return bots[int(self._draw.random() * len(bots))]


def plan_war(draw: Random, cast: Cast, *, opening: bool) -> tuple[tuple[Step, ...], Ending]:
    """An edit and three or more reverts that alternate between two sides, with an end.

    Now and then someone else edits in between; that does not stop the sides.
    """
    sides = [[cast.editor(0.25) for _ in range(_some(draw, (0.55, 0.3, 0.15)))] for _ in range(2)]
    low, high = _OPENING_HASTE if opening else draw.choices(_HASTES, _HASTE_WEIGHTS)[0]
    reverts = min(LEAST_WAR_REVERTS + int(draw.expovariate(1 / 4.0)), MOST_WAR_REVERTS)
    if opening:
        reverts += 3
    steps = [Step(draw.uniform(0.5, 2.0), "edit", sides[0][0], 0)]
    for number in range(reverts):
        wait = draw.uniform(low, high)
        if not opening and draw.random() < 0.12:
            steps.append(Step(wait, "edit", cast.editor(0.1), NEUTRAL))
            wait = draw.uniform(low, high)
        side = 1 - number % 2
        steps.append(Step(wait, "revert", sides[side][_most_often_first(draw, len(sides[side]))], side))
    ending: Ending = draw.choices(("protection", "block", "silence"), (0.35, 0.3, 0.35))[0]
    if ending != "silence":
        action: Action = "protect" if ending == "protection" else "block"
        steps.append(Step(draw.uniform(2 * low, 2 * high), action, cast.editor(0.0), NEUTRAL))
    return tuple(steps), ending


def plan_skirmish(draw: Random, cast: Cast) -> tuple[Step, ...]:
    """A revert and the answer to it, after which both let it be: two alternations, so no battle."""
    first, second = cast.editor(0.2), cast.editor(0.1)
    low, high = draw.choices(_HASTES, _HASTE_WEIGHTS)[0]
    return (
        Step(1.0, "edit", first, 0),
        Step(draw.uniform(low, high), "revert", second, 1),
        Step(draw.uniform(low, high), "revert", first, 0),
    )


def plan_vandalism(draw: Random, cast: Cast, vandal: str) -> tuple[Step, ...]:
    """One-sided: the vandal damages the page once to three times, patrollers or a bot repair it each time."""
    steps: list[Step] = []
    for _ in range(_some(draw, (0.75, 0.18, 0.07))):
        steps += [Step(draw.uniform(8, 60), "edit", vandal, 0)] * _some(draw, (0.8, 0.2))
        if draw.random() < 0.35:
            steps.append(Step(draw.uniform(7, 15), "revert", cast.patrol_bot(), 1))
        else:
            steps.append(Step(min(8 + draw.expovariate(1 / 120), 3600), "revert", cast.editor(0.03), 1))
    return tuple(steps)


def plan_self_revert(draw: Random, cast: Cast) -> tuple[Step, ...]:
    """An editor takes back an edit of their own."""
    user = cast.editor(0.2)
    return (Step(1.0, "edit", user, 0), Step(draw.uniform(8, 200), "revert", user, 0))


def undo(draw: Random, story: Story, wiki: Wiki, step: Step) -> Undoing:
    """How a step's user reverts, given what the page has come to."""
    page = story.revisions
    top = page[-1]
    # The newest revision that is not neutral: it is the other side's, as reverts alternate.
    index = next(i for i in range(len(page) - 1, -1, -1) if page[i].side != NEUTRAL)
    hit = page[index]
    before = index - 1
    form: Form = "undo" if hit is not top else _form(draw, story.kind, wiki, step.user)
    if form in ("rollback", "tool", "patrol bot"):
        # These undo all of the editor's latest revisions in a row.
        while before > 0 and page[before].user == hit.user:
            before -= 1
    restored = page[before]
    length = max(top.length - (hit.length - restored.length), 0) if form == "undo" else restored.length
    summary = _summary(draw, story.kind, wiki, form, hit, restored)
    rev_ids = [revision.rev_id for revision in page[before + 1 : index + 1]]
    undone = Undone(_METHODS.get(form, "manual"), length == restored.length, restored.rev_id, rev_ids)
    return Undoing(form, hit, length, summary, undone)


# How MediaWiki knows a form; the others save the text of an earlier revision, which it finds by its hash.
_METHODS: dict[Form, Literal["undo", "rollback"]] = {"undo": "undo", "rollback": "rollback"}


def blocked_fighter(story: Story) -> str:
    """Whom an administrator blocks to end a war: who reverted most (the first of them)."""
    counts: dict[str, int] = {}
    for revert in story.reverts:
        counts[revert.reverter] = counts.get(revert.reverter, 0) + 1
    return max(counts, key=lambda user: counts[user])


def _form(draw: Random, kind: Kind, wiki: Wiki, user: str) -> Form:
    forms: tuple[Form, ...] = ("undo", "rollback", "tool", "restore", "bare")
    if user in wiki.names.patrol_bots:
        return "patrol bot" if wiki.language.patrol_bot else "rollback"
    if kind == "self-revert":
        return "undo" if draw.random() < 0.8 else "bare"
    if user.startswith("~") or user.count(".") == 3 or user.count(":") == 7:  # no rollback right without account
        weights = (0.75, 0.0, 0.0, 0.12, 0.13)
    elif kind == "vandalism":
        weights = (0.25, 0.4, 0.25, 0.03, 0.07)
    else:
        weights = (0.5, 0.2, 0.12, 0.1, 0.08)
    form: Form = draw.choices(forms, weights)[0]
    if form == "tool" and not wiki.language.tools:
        return "rollback"
    return "undo" if form == "restore" and not wiki.language.restore else form


def _summary(draw: Random, kind: Kind, wiki: Wiki, form: Form, hit: Revision, restored: Revision) -> str:
    language = wiki.language
    match form:
        case "undo":
            pattern = language.undo
            if draw.random() < 0.4:
                pattern += f" {draw.choice(language.reasons)}"
        case "rollback":
            pattern = language.rollback
        case "tool":
            pattern = draw.choice(language.tools)
        case "restore":
            pattern = language.restore
        case "patrol bot":
            pattern = language.patrol_bot
        case "bare":
            return draw.choice(language.vandalism if kind == "vandalism" else language.bare)
    rev_id = restored.rev_id if form == "restore" else hit.rev_id
    return pattern.format(rev=rev_id, editor=hit.user, author=restored.user)


def _some(draw: Random, weights: tuple[float, ...]) -> int:
    """1, 2, 3, ... with these weights."""
    return draw.choices(range(1, len(weights) + 1), weights)[0]


def _most_often_first(draw: Random, count: int) -> int:
    """An index; the first is the most likely, as most sides have a leader."""
    return int(count * draw.random() ** 1.6)
