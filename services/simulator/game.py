"""The war game itself: a sequence of events that its seed, rate and start determine to the byte.

Everyday changes come at random moments (a Poisson process) on random pages; stories (stories.py) run beside them.
The game's state is small and can be copied, so that it can be played again from the middle: page memory is bounded,
and pages and people are functions of numbers (world.py).
"""

import heapq
from bisect import bisect
from datetime import UTC, datetime
from functools import lru_cache
from itertools import accumulate
from random import Random
from typing import TypeAlias

from services.simulator.recentchange import Moment, RevertLine, canary, categorize, edit, log_entry
from services.simulator.stories import (
    NEUTRAL,
    Cast,
    Ending,
    Kind,
    Revert,
    Revision,
    Step,
    Story,
    blocked_fighter,
    plan_self_revert,
    plan_skirmish,
    plan_vandalism,
    plan_war,
    undo,
)
from services.simulator.world import (
    ARTICLE,
    CATEGORY,
    FILE,
    PROJECT,
    TALK,
    TEMPLATE,
    USER,
    USER_TALK,
    Page,
    Wiki,
    everyday_page,
    story_page,
    wikis,
)

# Shares of the types of events as captured on the live stream, where about half were categorize.
_TYPES = ("categorize", "edit", "new", "log")
_SHARES = list(accumulate((0.56, 0.36, 0.025, 0.055)))
_WIKIDATA_SHARES = list(accumulate((0.0, 0.90, 0.06, 0.04)))
# Namespaces of edits, from 42,951 real ones.
_NAMESPACES = (ARTICLE, PROJECT, USER, TALK, USER_TALK, CATEGORY, TEMPLATE, FILE)
_NAMESPACE_SHARES = list(accumulate((0.68, 0.115, 0.088, 0.042, 0.027, 0.02, 0.018, 0.01)))
_LOGS: tuple[tuple[str, str], ...] = (
    ("newusers", "create"),
    ("thanks", "thank"),
    ("upload", "upload"),
    ("patrol", "patrol"),
    ("move", "move"),
    ("delete", "delete"),
    ("abusefilter", "hit"),
    ("block", "block"),
    ("protect", "protect"),
)
_LOG_SHARES = list(accumulate((0.36, 0.14, 0.1, 0.1, 0.08, 0.08, 0.08, 0.04, 0.02)))

CANARY_EVERY = 900.0  # seconds, as Wikimedia's own
# Seconds between the beginnings of wars, on average: some ten are on at any time, and a demo soon has a second one.
WAR_EVERY = 60.0
SKIRMISH_EVERY = 120.0
# Chances that an everyday edit is the first of a story. They make about 3 % of edits reverts, as on enwiki.
_VANDALISM = 0.02
_VANDAL_SPREE = 0.12  # of vandals, who then damage several pages
_SELF_REVERT = 0.003
_STORY_EVENTS = 0.022  # share that stories add to everyday changes, taken off their rate
# Pages whose last revision is remembered: twice this many at most.
_REMEMBERED = 10_000
_FIRST_WAR_AT = 1.0  # seconds

_PageKey: TypeAlias = tuple[int, int, int]  # wiki, namespace, number


class Game:
    """A war game at some moment. `play` carries it on; `copy` keeps the moment.

    seed: any integer. rate: changes per second of the game's time, on average. start: milliseconds since 1970.
    silent: share of the reverts whose summary says nothing of it; all else stays the same.
    """

    def __init__(self, seed: int, rate: float, start: int, silent: float = 0.0) -> None:
        self.ended: list[Story] = []  # stories that came to their end since someone last took them away
        self._seed, self._silent = seed, silent
        self._draw = Random(f"war game {seed}")
        self._rate = rate * (1 - _STORY_EVENTS)
        self._start = start
        self._year = datetime.fromtimestamp(start / 1000, UTC).year
        self._time = 0.0  # seconds of play
        self._next_everyday = self._draw.expovariate(self._rate)
        self._next_war = _FIRST_WAR_AT
        self._next_skirmish = self._draw.expovariate(1 / SKIRMISH_EVERY)
        self._next_canary = CANARY_EVERY / 2
        self._stories: list[tuple[float, int, Story]] = []  # a heap by the time of the next step
        # Stories begun: tells stories of the same moment apart, and gives each a page of its own.
        self._told = self._draw.randrange(2_000)
        # Per wiki the ids used last. Wikidata's are past 32 bits, as they are.
        self._rev_ids = [int(3_600_000_000 * wiki.facts.share**0.5) for wiki in wikis()]
        self._rc_ids = [int(5_500_000_000 * wiki.facts.share**0.5) for wiki in wikis()]
        self._log_ids = [int(400_000_000 * wiki.facts.share**0.5) for wiki in wikis()]
        # Last revision and length of recently edited pages, in two generations: when the young one is full it becomes
        # the old one, which is never written to and so can be shared by copies.
        self._young: dict[_PageKey, tuple[int, int]] = {}
        self._old: dict[_PageKey, tuple[int, int]] = {}

    @property
    def open_stories(self) -> list[Story]:
        """The stories that are still going on."""
        return [story for _, _, story in sorted(self._stories)]

    def copy(self) -> "Game":
        """The same moment of the same game, to be played on independently."""
        twin = object.__new__(Game)
        twin.__dict__.update(self.__dict__)
        twin._draw = Random()
        twin._draw.setstate(self._draw.getstate())
        twin._stories = [(time, order, story.copy()) for time, order, story in self._stories]
        twin._rev_ids, twin._rc_ids, twin._log_ids = list(self._rev_ids), list(self._rc_ids), list(self._log_ids)
        twin._young = dict(self._young)
        twin.ended = []
        return twin

    def play(self, events: int) -> list[bytes]:
        """The next so many events as JSON, in the order and with the times (`meta.dt`) of the stream."""
        return [self._next() for _ in range(events)]

    def _next(self) -> bytes:
        next_story = self._stories[0][0] if self._stories else float("inf")
        due = min(next_story, self._next_everyday, self._next_canary)
        while min(self._next_war, self._next_skirmish) <= due:
            self._begin_conflict()
            due = min(due, self._stories[0][0])
        self._time = due
        if due == self._next_canary:
            self._next_canary += CANARY_EVERY
            return canary(self._moment(0.5))
        if due == self._next_everyday:
            self._next_everyday += self._draw.expovariate(self._rate)
            return self._everyday()
        _, order, story = heapq.heappop(self._stories)
        line = self._carry_on(story)
        if story.done < len(story.steps):
            heapq.heappush(self._stories, (due + story.steps[story.done].after, order, story))
        else:
            self.ended.append(story)
        return line

    # Everyday changes

    def _everyday(self) -> bytes:
        random = self._draw.random
        index = bisect(_wiki_shares(), random())
        wiki = wikis()[index]
        shares = _WIKIDATA_SHARES if wiki.facts.name == "wikidatawiki" else _SHARES
        kind = _TYPES[bisect(shares, random(), 0, len(_TYPES) - 1)]
        who = random()
        bot = who < wiki.facts.bots
        if bot:
            user = wiki.bot(int(random() ** 2 * 40))
        elif who < wiki.facts.bots + wiki.facts.temporary:
            user = wiki.without_account(int(random() * 9_000_000), self._year)
        else:
            user = wiki.person(int(random() ** 2 * wiki.people))
        if kind == "categorize":
            return self._categorize(index, wiki, user, bot)
        if kind == "log":
            return self._log(index, wiki, user)
        return self._edit(index, wiki, user, bot, created=kind == "new")

    def _categorize(self, index: int, wiki: Wiki, user: str, bot: bool) -> bytes:
        random = self._draw.random
        page = _page(index, ARTICLE, everyday_page(int(random() ** 3 * wiki.articles)))
        category = _page(index, CATEGORY, int(random() ** 2 * 4_000))
        pattern = wiki.language.added if random() < 0.7 else wiki.language.removed
        self._rc_ids[index] += 1
        return categorize(
            wiki,
            category,
            self._moment(self._lag()),
            rc_id=self._rc_ids[index],
            user=user,
            bot=bot,
            comment=pattern.format(page=page.title),
            rev_id=self._rev_ids[index],
        )

    def _edit(self, index: int, wiki: Wiki, user: str, bot: bool, *, created: bool) -> bytes:
        random = self._draw.random
        namespace = _NAMESPACES[bisect(_NAMESPACE_SHARES, random(), 0, len(_NAMESPACES) - 1)]
        if namespace == ARTICLE and wiki.facts.name == "commonswiki":
            namespace = FILE
        number = int(random() ** 3 * wiki.articles)
        if created:
            number += wiki.articles  # a page that nobody has edited yet
        number = everyday_page(number)
        page = _page(index, namespace, number)
        key = (index, namespace, number)
        rev_id = self._next_rev_id(index)
        known = self._young.get(key) or self._old.get(key)
        created = created and known is None
        if created:
            old_rev_id = old_length = None
            length = 200 + int(self._draw.expovariate(1 / 2500))
            comment = wiki.language.created.format(page=page.title)
        else:
            old_rev_id, old_length = known or self._invent_revision(rev_id)
            change = int(self._draw.expovariate(1 / 180)) - (40 if random() < 0.9 else 900)
            length = max(old_length + change, 0)
            comment = self._comment(wiki, page, bot)
        self._remember(key, rev_id, length)
        if not (bot or created) and namespace == ARTICLE and wiki.is_wikipedia:
            self._maybe_begin_story(index, wiki)
        self._rc_ids[index] += 1
        return edit(
            wiki,
            page,
            self._moment(self._lag()),
            rc_id=self._rc_ids[index],
            user=user,
            bot=bot,
            minor=random() < 0.22,
            comment=comment,
            rev_id=rev_id,
            old_rev_id=old_rev_id,
            length=length,
            old_length=old_length,
        )

    def _comment(self, wiki: Wiki, page: Page, bot: bool) -> str:
        random = self._draw.random
        if bot and not wiki.facts.comments:
            pattern = self._pick(wiki.language.bot_comments)
            return pattern.format(page=page.title, editor=wiki.person(int(random() * wiki.people)))
        form = random()
        if form < 0.22:
            return ""
        comment = self._pick(wiki.comments)
        if form < 0.5:
            return f"/* {self._pick(wiki.language.sections)} */ {comment}"
        return comment

    def _log(self, index: int, wiki: Wiki, user: str) -> bytes:
        random = self._draw.random
        log_type, log_action = _LOGS[bisect(_LOG_SHARES, random(), 0, len(_LOGS) - 1)]
        other = wiki.person(int(random() * wiki.people))
        number = everyday_page(int(random() ** 3 * wiki.articles))
        page = _page(index, ARTICLE, number)
        params: dict[str, object] | list[object] = []
        match log_type:
            case "newusers":
                page = wiki.user_page(user)
                params = {"userid": 40_000_000 + number}
            case "thanks" | "block":
                page = wiki.user_page(other)
                if log_type == "block":
                    params = {"duration": "31 hours", "flags": "nocreate", "sitewide": True}
            case "upload":
                page = _page(index, FILE, number)
                params = {"img_sha1": f"{self._draw.getrandbits(150):x}", "img_timestamp": "20260101000000"}
            case "patrol":
                params = {"curid": self._rev_ids[index], "previd": self._rev_ids[index] - 7, "auto": 1}
            case "move":
                params = {"target": f"{page.title} (2)", "noredir": "0"}
            case "abusefilter":
                params = {"action": "edit", "filter": "61", "actions": "tag", "log": self._log_ids[index]}
            case "protect":
                params = _protection()
        return self._log_line(index, page, user, log_type, log_action, params, "", self._lag())

    # Stories

    def _maybe_begin_story(self, index: int, wiki: Wiki) -> None:
        chance = self._draw.random()
        if chance < _VANDALISM:
            vandal = Cast(self._draw, wiki, self._year).editor(0.7)
            pages = 3 if self._draw.random() < _VANDAL_SPREE else 1
            for _ in range(pages):
                cast = Cast(self._draw, wiki, self._year)
                self._begin("vandalism", index, plan_vandalism(self._draw, cast, vandal))
        elif chance < _VANDALISM + _SELF_REVERT:
            steps = plan_self_revert(self._draw, Cast(self._draw, wiki, self._year))
            self._begin("self-revert", index, steps)

    def _begin_conflict(self) -> None:
        """Begin the war or the skirmish that is due next."""
        opening = self._next_war == _FIRST_WAR_AT
        index = 0 if opening else self._wikipedia()
        wiki = wikis()[index]
        cast = Cast(self._draw, wiki, self._year)
        if self._next_war <= self._next_skirmish:
            self._time = self._next_war
            self._next_war += self._draw.expovariate(1 / WAR_EVERY)
            steps, ending = plan_war(self._draw, cast, opening=opening)
            self._begin("war", index, steps, ending)
        else:
            self._time = self._next_skirmish
            self._next_skirmish += self._draw.expovariate(1 / SKIRMISH_EVERY)
            self._begin("skirmish", index, plan_skirmish(self._draw, cast))

    def _begin(self, kind: Kind, index: int, steps: tuple[Step, ...], ending: Ending = "silence") -> None:
        """Begin a story now, on a page of its own that someone last edited long ago."""
        rev_id = self._rev_ids[index] - self._draw.randrange(1_000, 1_000_000)
        before = Revision(rev_id, wikis()[index].person(self._told), NEUTRAL, self._draw.randrange(3_000, 60_000))
        story = Story(kind, index, _page(index, ARTICLE, story_page(self._told)), steps, [before], ending)
        heapq.heappush(self._stories, (self._time + steps[0].after, self._told, story))
        self._told += 1

    def _carry_on(self, story: Story) -> bytes:
        """Carry out the next step of a story."""
        step = story.steps[story.done]
        story.done += 1
        wiki = wikis()[story.wiki]
        # Less spread than everyday changes have: reverts that are seconds apart must not change places.
        lag = self._draw.uniform(0.5, 2.0)
        match step.action:
            case "protect":
                story.ended = self._saved(lag)
                comment = wiki.language.protected.format(page=story.page.title)
                return self._log_line(
                    story.wiki, story.page, step.user, "protect", "protect", _protection(), comment, lag
                )
            case "block":
                story.ended = self._saved(lag)
                page = wiki.user_page(blocked_fighter(story))
                params: dict[str, object] = {"duration": "24 hours", "flags": "nocreate", "sitewide": True}
                return self._log_line(story.wiki, page, step.user, "block", "block", params, "[[WP:3RR]]", lag)
            case "revert":
                undoing = undo(self._draw, story, wiki, step)
                length, comment = undoing.length, undoing.summary
            case "edit":
                length = max(story.revisions[-1].length + self._draw.randrange(-900, 1_200), 100)
                comment = self._comment(wiki, story.page, bot=False)
        moment = self._moment(lag)
        rev_id = self._next_rev_id(story.wiki)
        if step.action == "revert":
            form = undoing.form
            if self._silent:
                own = Random(f"silent {self._seed} {story.wiki} {rev_id}")  # the game's own draws stay as they are
                if own.random() < self._silent:
                    form, comment = "silent", own.choice(("", *wiki.comments))
            story.reverts.append(
                Revert(rev_id, moment.timestamp, step.user, undoing.hit.user, undoing.hit.rev_id, form)
            )
        last = story.revisions[-1]
        story.revisions.append(Revision(rev_id, step.user, step.side, length))
        self._rc_ids[story.wiki] += 1
        line = edit(
            wiki,
            story.page,
            moment,
            rc_id=self._rc_ids[story.wiki],
            user=step.user,
            bot=step.user in wiki.names.patrol_bots,
            minor=False,
            comment=comment,
            rev_id=rev_id,
            old_rev_id=last.rev_id,
            length=length,
            old_length=last.length,
        )
        if step.action == "revert":
            line = RevertLine(line)
            line.undone = undoing.undone
        return line

    # Small things

    def _log_line(
        self,
        index: int,
        page: Page,
        user: str,
        log_type: str,
        log_action: str,
        params: dict[str, object] | list[object],
        comment: str,
        lag: float,
    ) -> bytes:
        self._log_ids[index] += 1
        self._rc_ids[index] += 1
        return log_entry(
            wikis()[index],
            page,
            self._moment(lag),
            rc_id=None if log_type == "thanks" else self._rc_ids[index],
            log_id=self._log_ids[index],
            user=user,
            log_type=log_type,
            log_action=log_action,
            log_params=params,
            comment=comment,
            action_comment=f"{user} {log_action} {page.title}",
        )

    def _moment(self, lag: float) -> Moment:
        return Moment(self._start + int(self._time * 1000), self._saved(lag), self._draw.getrandbits(256))

    def _saved(self, lag: float) -> int:
        """When a change that the stream carries now was saved on its wiki, in seconds."""
        return (self._start + int((self._time - lag) * 1000)) // 1000

    def _lag(self) -> float:
        """Seconds from an event's `timestamp` to its `meta.dt`: median 1.8, at most 7, as measured."""
        return min(0.5 + self._draw.expovariate(1 / 1.9), 7.0)

    def _next_rev_id(self, index: int) -> int:
        self._rev_ids[index] += 1 + int(self._draw.random() * 3)
        return self._rev_ids[index]

    def _invent_revision(self, rev_id: int) -> tuple[int, int]:
        """Id and length of a page's last revision when that was long ago."""
        return rev_id - 1_000 - int(self._draw.random() ** 3 * 30_000_000), 200 + int(self._draw.expovariate(1 / 9_000))

    def _remember(self, key: _PageKey, rev_id: int, length: int) -> None:
        if len(self._young) >= _REMEMBERED:
            self._old, self._young = self._young, {}
        self._young[key] = (rev_id, length)

    def _wikipedia(self) -> int:
        """A Wikipedia, large ones more often."""
        while True:
            index = bisect(_wiki_shares(), self._draw.random())
            if wikis()[index].is_wikipedia:
                return index

    def _pick(self, choices: list[str]) -> str:
        return choices[int(self._draw.random() * len(choices))]


def _protection() -> dict[str, object]:
    details = [{"type": "edit", "level": "sysop", "expiry": "infinity", "cascade": False}]
    return {"description": "\u200e[edit=sysop] (indefinite)", "cascade": False, "details": details}


@lru_cache(maxsize=1)
def _wiki_shares() -> list[float]:
    """Running sums of the wikis' shares, to 1."""
    total = sum(wiki.facts.share for wiki in wikis())
    return list(accumulate(wiki.facts.share / total for wiki in wikis()))[:-1]


@lru_cache(maxsize=30_000)
def _page(index: int, namespace: int, number: int) -> Page:
    return wikis()[index].page(namespace, number)
