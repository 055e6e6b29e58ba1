"""The wikis of the war game, their pages and their people. Everything here is a pure function of numbers.

A page or an editor is known by a number and is always the same for that number, so a world of millions of pages
needs no memory. The names are made of the parts in world.toml.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import msgspec

_WORLD = Path(__file__).with_name("world.toml")

ARTICLE, TALK, USER, USER_TALK, PROJECT, FILE, TEMPLATE, CATEGORY = 0, 1, 2, 3, 4, 6, 10, 14
_PREFIX_KEYS = {
    TALK: "talk",
    USER: "user",
    USER_TALK: "user_talk",
    PROJECT: "project",
    FILE: "file",
    TEMPLATE: "template",
    CATEGORY: "category",
}
# Every seventh page belongs to stories: everyday edits never touch it. (7 has no factor in common with the numbers of
# title patterns, so stories get titles of every kind.)
_STORY_PAGE = 7
_YEARS = range(1871, 2027)


class Language(msgspec.Struct, frozen=True):
    """What one language calls things; the fields are explained in world.toml."""

    namespaces: dict[str, str]
    titles: list[str]
    stems: list[str]
    endings: list[str]
    given: list[str]
    family: list[str]
    sections: list[str]
    comments: list[str]
    bot_comments: list[str]
    reasons: list[str]
    undo: str
    rollback: str
    bare: list[str]
    vandalism: list[str]
    added: str
    removed: str
    created: str
    protected: str
    restore: str = ""
    tools: list[str] = []
    patrol_bot: str = ""


class Names(msgspec.Struct, frozen=True):
    """Parts of user names that every language uses."""

    adjectives: list[str]
    nouns: list[str]
    emoji: list[str]
    bots: list[str]
    patrol_bots: list[str]


class WikiFacts(msgspec.Struct, frozen=True):
    """One wiki as world.toml describes it."""

    name: str
    domain: str
    language: str
    share: float
    bots: float
    temporary: float
    addresses: bool = False
    comments: list[str] = []


class _File(msgspec.Struct, frozen=True):
    wikis: list[WikiFacts]
    names: Names
    languages: dict[str, Language]


class Page(NamedTuple):
    """A page of a wiki."""

    namespace: int
    title: str  # with its namespace
    uri: str


@dataclass(frozen=True)
class Wiki:
    """One wiki with its pages and people."""

    facts: WikiFacts
    language: Language
    names: Names

    @cached_property
    def server_url(self) -> str:
        """The wiki's canonical address."""
        return f"https://{self.facts.domain}"

    @cached_property
    def articles(self) -> int:
        """How many articles everyday edits go to: large wikis have more."""
        return int(400_000 * self.facts.share) + 2_000

    @cached_property
    def people(self) -> int:
        """How many accounts edit now and then."""
        return int(8_000 * self.facts.share) + 200

    @cached_property
    def comments(self) -> list[str]:
        """What people write about their edits."""
        return self.facts.comments or self.language.comments

    @cached_property
    def is_wikipedia(self) -> bool:
        """Whether articles have prose to fight about."""
        return self.facts.domain.endswith(".wikipedia.org")

    def title(self, number: int) -> str:
        """The name of an article (without namespace); different for every number."""
        if self.facts.name == "wikidatawiki":
            return f"Q{number + 1000}"
        rest, form = divmod(number, len(self.language.titles))
        pattern = self.language.titles[form]
        fields = {}
        if "{place}" in pattern:
            rest, stem = divmod(rest, len(self.language.stems))
            rest, ending = divmod(rest, len(self.language.endings))
            fields["place"] = self.language.stems[stem] + self.language.endings[ending]
        if "{person}" in pattern:
            rest, given = divmod(rest, len(self.language.given))
            rest, family = divmod(rest, len(self.language.family))
            fields["person"] = f"{self.language.given[given]} {self.language.family[family]}"
        if "{year}" in pattern:
            rest, year = divmod(rest, len(_YEARS))
            fields["year"] = str(_YEARS[year])
        title = pattern.format(**fields)
        if self.facts.name == "commonswiki":
            return f"{title} {rest:02d}.jpg"
        if not rest:
            return title
        rest, stem = divmod(rest - 1, len(self.language.stems))
        rest, ending = divmod(rest, len(self.language.endings))
        return f"{title} ({self.language.stems[stem]}{self.language.endings[ending]}{f' {rest + 1}' if rest else ''})"

    def person(self, number: int) -> str:
        """An account's name; different for every number."""
        language, names = self.language, self.names
        rest, style = divmod(number, 6)
        adjective = names.adjectives[rest % len(names.adjectives)]
        noun = names.nouns[rest // 7 % len(names.nouns)]
        given = language.given[rest % len(language.given)]
        family = language.family[rest // 5 % len(language.family)]
        match style:
            case 0:
                return f"{given} {family} {rest}" if rest else f"{given} {family}"
            case 1:
                return f"{adjective}{noun}{rest}"
            case 2:
                return f"{given}{rest + 1960}"
            case 3:
                return f"{adjective} {noun} of {family} {rest}"
            case 4:
                return f"{noun} {names.emoji[rest % len(names.emoji)]} {rest}"
            case _:
                return f"{family}-{noun} {rest}"

    def bot(self, number: int) -> str:
        """A bot's name; different for every number."""
        rest, index = divmod(number, len(self.names.bots))
        return f"{self.names.bots[index]}Bot" + (f" {rest + 1}" if rest else "")

    def without_account(self, number: int, year: int) -> str:
        """The name of someone without an account: a temporary one, or an address where the wiki still shows those."""
        if self.facts.addresses:
            if number % 3 == 0:
                return f"2001:DB8:{number % 65536:X}:{number // 3 % 65536:X}:0:0:0:{number % 251 + 1:X}"
            return f"198.51.{number // 254 % 100 + 1}.{number % 254 + 1}"
        return f"~{year}-{10_000 + number // 100 % 90_000}-{number % 100:02d}"

    def page(self, namespace: int, number: int) -> Page:
        """The page with a number in a namespace."""
        match namespace:
            case 2 | 3:
                name = self.person(number)
            case 4:
                name = f"{self.names.nouns[number % len(self.names.nouns)]}/{self.title(number // 7)}"
            case _:
                name = self.title(number)
        prefix = _PREFIX_KEYS.get(namespace)
        return self.named_page(namespace, f"{self.language.namespaces[prefix]}:{name}" if prefix else name)

    def named_page(self, namespace: int, title: str) -> Page:
        """The page with a full title."""
        return Page(namespace, title, f"{self.server_url}/wiki/{url_title(title)}")

    def user_page(self, user: str) -> Page:
        """An editor's own page."""
        return self.named_page(USER, f"{self.language.namespaces['user']}:{user}")


def everyday_page(number: int) -> int:
    """The number of a page for everyday edits, given its rank from 0."""
    return number + number // (_STORY_PAGE - 1) + 1


def story_page(number: int) -> int:
    """The number of a page for stories, given the number of the story."""
    return number * _STORY_PAGE


class _Escapes(dict[int, str]):
    """Characters as they stand in a page's address, found out once each."""

    def __missing__(self, character: int) -> str:
        escaped = self[character] = quote(chr(character), safe="/:;@$!*(),~")  # as MediaWiki's wfUrlencode
        return escaped


_ESCAPES = _Escapes({ord(" "): "_"})


def url_title(title: str) -> str:
    """A page's title as it stands in addresses."""
    return title.translate(_ESCAPES)


@lru_cache(maxsize=1)
def wikis() -> tuple[Wiki, ...]:
    """All wikis of world.toml, the largest first."""
    file = msgspec.toml.decode(_WORLD.read_bytes(), type=_File)
    return tuple(Wiki(facts, file.languages[facts.language], file.names) for facts in file.wikis)
