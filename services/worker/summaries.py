"""What an edit's summary claims of a revert: read from the fixed forms that MediaWiki and its tools write.

    comment -> its first 1,000 characters
            -> the forms whose leading word occurs in it (a substring test; most edits have none)
            -> the first form that matches there: it names editor, revision, restored author
            -> else a bare word at the start, after the `/* section */` (`rv`, `revert`, `rückgängig`)

The forms stand in summaries.toml, each under its language and the MediaWiki message it was read from. They are
regular expressions without look-around and back-references, so RE2, and with it ClickHouse, runs them too.

A claim says what the editor's software or the editor wrote, not what the text of the page shows. Whether an editor
undid an edit of their own is for the caller to say, who knows who edited.
"""

import re
import tomllib
from collections.abc import Iterator
from functools import lru_cache
from html import unescape
from ipaddress import AddressValueError, IPv6Address
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias, get_args
from urllib.parse import unquote

import msgspec

Method: TypeAlias = Literal["undo", "rollback", "restore", "manual"]
Form: TypeAlias = Literal["standard", "tool", "bare"]
Exempt: TypeAlias = Literal["", "vandalism", "biography", "copyright", "sockpuppet"]

# A summary has at most 500 characters (MediaWiki cuts it there). Twice that leaves room for escaping, and bounds
# what a hostile comment of 300 KB can cost.
_LONGEST = 1_000


class Claim(NamedTuple):
    """What a summary says of a revert."""

    method: Method
    user: str  # whose edit is reverted (the first, if several), as MediaWiki stores the name; "" if none is named
    rev_id: int  # the revision named as undone; 0 if none
    restored_user: str  # whose version is restored; "" if none is named. Without a link, words may hang on: check it
    form: Form  # standard: written by MediaWiki; tool: by a gadget, program or bot; bare: by hand
    exempt: Exempt  # what of the three-revert rule's exemptions the summary claims; "" if none


class _Language(msgspec.Struct, rename="kebab", forbid_unknown_fields=True):
    """One language of summaries.toml. All strings are regular expressions."""

    special: str = ""  # the namespace `Special`
    user: str = ""  # the namespace `User`, all genders
    contributions: str = ""  # the special page `Contributions`
    messages: dict[str, list[str]] = {}  # forms by MediaWiki message key
    bare: list[str] = []  # words that claim a revert at the start of a summary
    exempt: dict[Exempt, list[str]] = {}  # wording of the three-revert rule's exemptions


class _Tool(msgspec.Struct, forbid_unknown_fields=True):
    """A tool's forms; they hold on all wikis."""

    name: str
    method: Method
    forms: list[str]


class _Table(msgspec.Struct, forbid_unknown_fields=True):
    """summaries.toml."""

    wikis: dict[str, str]  # language codes of wikis whose name says another
    fallbacks: dict[str, list[str]]  # languages whose messages stand in, as MediaWiki falls back
    languages: dict[str, _Language]
    tools: list[_Tool]


class _Phrase(NamedTuple):
    """A regular expression with the plain text that tells where to try it.

    A substring test costs 0.05 µs, a regular expression that scans a summary for an alternation 10 µs and more.
    """

    word: str  # plain text in lower case that occurs in every match
    leads: bool  # every match begins with it
    regex: str


class _Pattern(NamedTuple):
    """One form of a summary."""

    phrase: _Phrase
    method: Method
    form: Form


class _Wiki(NamedTuple):
    """All that is needed to read one wiki's summaries."""

    patterns: tuple[tuple[str, tuple[_Pattern, ...]], ...]  # by a word that all of a group have
    bare: str  # a regular expression
    bare_beginnings: frozenset[str]  # the first two letters of the bare words
    exempt: tuple[tuple[Exempt, _Phrase], ...]


def parse_summary(wiki: str, comment: str) -> Claim | None:
    """The revert that a summary claims, or None.

    `wiki` is the database name (`dewiki`), `comment` the raw summary in wikitext, of any size and content.
    """
    if not comment:
        return None
    known = _wiki(wiki)
    text = comment[:_LONGEST]
    lowered = _lowered(text)
    for word, patterns in known.patterns:
        if word in lowered:
            for pattern in patterns:
                if match := _find(pattern.phrase, text, lowered):
                    return _claim_of_form(pattern, match, lowered, known)
    start = _start_of_words(text)
    if lowered[start : start + 2] in known.bare_beginnings and (match := _compiled(known.bare).match(text, start)):
        return _claim_of_bare_word(match, lowered, known)
    return None


def language_of(wiki: str) -> str:
    """The language code of a wiki by its database name: `dewiki` -> de, `zh_yuewiki` -> yue, `commonswiki` -> en."""
    code = _PROJECT.sub("", wiki).replace("_", "-")
    return _table().wikis.get(code, code)


def messages_of_table() -> dict[str, frozenset[str]]:
    """The MediaWiki message keys that the table has forms for, by language code."""
    return {code: frozenset(language.messages) for code, language in _table().languages.items()}


def normalised_user(name: str) -> str:
    """A user name from a link as MediaWiki stores it: underscores are spaces, the first letter is upper case.

    >>> normalised_user("2001:db8::1")
    '2001:DB8:0:0:0:0:0:1'
    """
    if not name:
        return ""
    if "&" in name:
        name = unescape(name)
    if "%" in name:  # no user name contains a percent sign and two hexadecimal digits: MediaWiki refuses them
        name = unquote(name)
    if "_" in name or not name.isascii():
        name = _SPACES.sub(" ", name)
    name = name.strip(" ")
    if _IPV6.fullmatch(name):
        return _ipv6(name)
    first = name[:1].upper()
    return first + name[1:] if len(first) == 1 else name  # "ß".upper() has two letters; MediaWiki leaves it


def _ipv6(address: str) -> str:
    """An IPv6 address as MediaWiki stores it: eight groups in capitals without leading zeros."""
    if "::" in address:
        try:
            address = IPv6Address(address).exploded
        except AddressValueError:
            return address
    return ":".join(group.lstrip("0") or "0" for group in address.upper().split(":"))


def _claim_of_form(pattern: _Pattern, match: re.Match[str], lowered: str, known: _Wiki) -> Claim:
    found = match.groupdict()
    rev_id = found.get("rev") or found.get("rev_text")
    return Claim(
        method=pattern.method,
        user=normalised_user(found.get("editor") or found.get("editor_text") or ""),
        rev_id=int(rev_id) if rev_id else 0,
        restored_user=normalised_user(found.get("author") or found.get("author_text") or ""),
        form=pattern.form,
        exempt="vandalism" if found.get("vandalism") else _exempt_claim(match, lowered, known),
    )


def _claim_of_bare_word(match: re.Match[str], lowered: str, known: _Wiki) -> Claim:
    user = normalised_user(match["editor"] or "")
    return Claim("manual", user, 0, "", "bare", _exempt_claim(match, lowered, known))


def _exempt_claim(match: re.Match[str], lowered: str, known: _Wiki) -> Exempt:
    claimed = [(kind, phrase) for kind, phrase in known.exempt if phrase.word in lowered]
    if not claimed:
        return ""
    # Names do not count, a user called VandalHunter is no claim of vandalism; nor does the name of the section.
    first_name = min((match.start(group) for group in match.groupdict() if match[group]), default=match.end())
    text = _SECTION.sub("", match.string[:first_name]) + " " + match.string[match.end() :]
    lowered = _lowered(text)
    return next((kind for kind, phrase in claimed if _find(phrase, text, lowered)), "")


def _start_of_words(text: str) -> int:
    """Where an editor's own words begin: after the section, and after brackets and quotation marks."""
    if text[0].isalnum():
        return 0  # as most do; the search costs more than all substring tests
    opening = _OPENING.match(text)
    return opening.end() if opening else 0


def _lowered(text: str) -> str:
    """The text in lower case, letter by letter, so that positions in it are positions in the text."""
    lowered = text.lower()
    if len(lowered) != len(text):  # the Turkish capital İ becomes two characters
        lowered = "".join(letter.lower()[0] for letter in text)
    return lowered


def _find(phrase: _Phrase, text: str, lowered: str) -> re.Match[str] | None:
    """The first match of a phrase that stands at the start of a word: "service" holds no "rv"."""
    if not phrase.leads:
        return _compiled(phrase.regex).search(text)
    start = lowered.find(phrase.word)
    while start >= 0:
        inside_word = start and text[start - 1].isalnum() and not _SCRIPTS_WITHOUT_SPACES.match(phrase.word)
        if not inside_word and (match := _compiled(phrase.regex).match(text, start)):
            return match
        start = lowered.find(phrase.word, start + 1)
    return None


# --- From the table to regular expressions -----------------------------------------------------------------------

_PROJECT = re.compile(r"(?:wiki|wiktionary|wikibooks|wikinews|wikiquote|wikisource|wikiversity|wikivoyage|wikimedia)$")
_IPV6 = re.compile(r"(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}|[0-9A-Fa-f:.]*::[0-9A-Fa-f:.]*")
_SPACES = re.compile("[ _\u00a0\u200e\u200f]+")

# Wikitext may hold a no-break space or a writing direction mark wherever it holds a space.
_SPACE = "[ _\u00a0\u200e\u200f]"
# What MediaWiki puts before an editor's own words: the section that was edited.
_SECTION = re.compile(r"\s*/\*(?s:.*?)\*/")
_OPENING = re.compile(rf"(?:{_SECTION.pattern})?[\s\"'«„“(*:–—-]*")
_AFTER = r"(?:$|[\s.,;:!?/*()\[\]{}\"'«»„“”‚‘’–—。，、：；！？（）|-])"
_NAME = r"[^\[\]|{}<>#\n]"
# A name without a link ends where the tools go on with a reason, a link to themselves, or nothing.
# Full stops and commas are part of names: "J. Smith, Jr.".
_END_OF_NAME = (
    rf"{_SPACE}*(?:\.?$|[:;]$|[:;。—–]{_SPACE}|\.?{_SPACE}?[(（]?\[\[|[(（]HG|- |using |identified as "
    rf"|\.{_SPACE}(?:Report|False|Thanks))"  # ClueBot NG
)
_SCRIPTS_WITHOUT_SPACES = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u3000-\u30ff\u3400-\u9fff]")
_LEAD = re.compile(r"<?((?:[^\s<>{}()\[\]…?*+|.\\]|\\\W)+)(?![?*+{])")
_MACRO = re.compile(r"\{(\w+)\}|<([^<>]*)>|(…)| \??")


def _spaced(words: str) -> str:
    """A space in the table is one or more of `_SPACE`; with a question mark, any number."""
    return re.sub(r" (\??)", lambda space: _SPACE + ("*" if space[1] else "+"), words)


def _names(languages: list[_Language], field: Literal["special", "user", "contributions"]) -> str:
    names = dict.fromkeys(getattr(language, field) for language in languages if getattr(language, field))
    return _spaced("|".join(names))


def _macros(languages: list[_Language]) -> dict[str, str]:
    """What `{...}` stands for in a form, with the namespace names of a wiki's languages."""
    special, user, contributions = (_names(languages, field) for field in ("special", "user", "contributions"))
    contributions_page = rf"(?:{special}){_SPACE}?:{_SPACE}?(?:{contributions})/"
    user_page = rf"(?:{user}){_SPACE}?:{_SPACE}?"
    talk = rf"(?:{_SPACE}?[(（]{_SPACE}?\[\[[^\[\]]*\]\](?:[^\[\]()（）]{{0,5}}\[\[[^\[\]]*\]\]){{0,3}}[)）])?"

    def link(group: str, page: str = f"(?:{contributions_page}|{user_page})") -> str:
        return rf"\[\[:?(?:[a-z-]{{1,12}}:){{0,2}}{page}(?P<{group}>{_NAME}{{1,255}})(?:\|[^\[\]]*)?\]\]"

    return {
        "rev": rf"(?:[№#]{_SPACE}*)?"
        + r"(?:\[\[[^\[\]|]*?(?P<rev>\d{1,19})(?:\|[^\[\]]*)?\]\]|(?P<rev_text>\d{1,19}))",
        "version": r"(?:\[\[[^\[\]]*\]\]|\d{1,19})",
        "editor": link("editor") + talk,
        "contributor": link("editor", contributions_page) + talk,
        "editors": link("editor") + talk + r"(?:[^\[\]]{1,12}\[\[[^\[\]]*\]\]){0,9}",
        "vandalism": r"(?:\[\[[^\[\]|]*\|)?(?P<vandalism>(?:test/)?vandalism)(?:\]\])?",
        "editor_text": rf"(?P<editor_text>{_NAME}{{1,255}}?)",
        "author_text": rf"(?P<author_text>{_NAME}{{1,255}}?)",
        "author": rf"(?:{link('author')}{talk}|(?P<author_text>{_NAME}{{1,100}}?))",
        "author at the end": rf"(?:{link('author')}{talk}|(?P<author_text>{_NAME}{{1,100}}?){_END_OF_NAME})",
    }


def _expand(form: str, macros: dict[str, str]) -> str:
    """A form of the table as one regular expression.

    {editor}, {author} and so on: see `_macros`; <words>: words that may be the label of a link;
    …: up to 60 characters that are no link; a space: see `_spaced`.
    """

    def expanded(match: re.Match[str]) -> str:
        if match[1]:
            ends_form = match[1] == "author" and form[match.end() :] in ("", ")?")
            return macros["author at the end" if ends_form else match[1]]
        if match[2]:
            link = r"(?:\[\[[^\[\]|]*\|)?" if match.start() else ""  # what precedes a form does not matter
            return rf"{link}(?:{_spaced(match[2])})(?:\]\])?"
        return r"[^\[\]]{0,60}?" if match[3] else _spaced(match[0])

    return _MACRO.sub(expanded, form)


def _phrase(form: str, macros: dict[str, str]) -> _Phrase:
    """Raises ValueError for a form without a plain word."""
    lead = _LEAD.match(form)
    if lead and not re.search(r"\w", lead[1]):
        lead = None  # `/*` stands in every third summary: a word that is rarer spares trying the form there
    # Without {macros}, (groups), [classes], \escapes and letters that are optional, plain words are left.
    plain = re.sub(r"\{\w+\}|\((?:[^()]|\([^()]*\))*\)\??|\[[^\]]*\]|\\.|.\?", "\n", form)
    word = lead[1].replace("\\", "") if lead else max(re.split(r"[\n… .|<>]", plain), key=len)
    if not word:
        raise ValueError(f"The form {form!r} needs a plain word outside of brackets, by which it can be found.")
    return _Phrase(_lowered(word), bool(lead), _expand(form, macros))


def _method_of(message: str) -> Method:
    """The method of a MediaWiki message by its key; a rejected pending change rolls back to an accepted version."""
    return "undo" if message.startswith("undo") else "rollback"


def _patterns(languages: list[_Language], tools: list[_Tool], macros: dict[str, str]) -> Iterator[_Pattern]:
    for language in languages:
        for message, forms in language.messages.items():
            for form in forms:
                yield _Pattern(_phrase(form, macros), _method_of(message), "standard")
    for tool in tools:
        for form in tool.forms:
            yield _Pattern(_phrase(form, macros), tool.method, "tool")


def _by_word(patterns: list[_Pattern]) -> tuple[tuple[str, tuple[_Pattern, ...]], ...]:
    """Patterns in groups that one substring test decides on, each in the order of the table.

    Words with a common beginning ("revert", "reverted") are one group, so that the table's order holds among them.
    """
    words = {pattern.phrase.word for pattern in patterns}
    groups: dict[str, list[_Pattern]] = {}
    for pattern in patterns:
        word = min((word for word in words if pattern.phrase.word.startswith(word)), key=len)
        groups.setdefault(word, []).append(pattern)
    return tuple((word, tuple(group)) for word, group in groups.items())


def _bare(words: list[str], macros: dict[str, str]) -> str:
    # Between the word and the name of whom it reverts stand only such words: in "rv sock of [[User:X]]" the
    # link names somebody else.
    between = (
        r"(?:\d+|all|last|good|faith|gf|agf|test|edits?|vandalism|changes?|additions?|unexplained|unsourced"
        r"|of|by|from|von|de|par|di|da|door|av|przez|od)"
    )
    named = rf"{_SPACE}+(?:{between}{_SPACE}+){{0,5}}{macros['editor']}"
    spaced = _spaced("|".join(word for word in words if not _SCRIPTS_WITHOUT_SPACES.match(word)))
    unspaced = "".join(f"|{word}" for word in words if _SCRIPTS_WITHOUT_SPACES.match(word))
    return rf"(?:{spaced})(?:{named}|{_AFTER}){unspaced}"


@lru_cache(maxsize=16_384)  # all forms of all languages are about 5,000
def _compiled(regex: str) -> re.Pattern[str]:
    """Compiled when first needed: all forms of a wiki at once take 0.1 s, and the live stream has 500 wikis."""
    return re.compile(regex, re.IGNORECASE)


@lru_cache(maxsize=1)
def _table() -> _Table:
    source = Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(source), _Table)


@lru_cache(maxsize=2_048)  # Wikimedia has about 1,000 wikis; a hostile stream of wiki names must not fill the memory
def _wiki(wiki: str) -> _Wiki:
    return _wiki_of_language(language_of(wiki))


@lru_cache(maxsize=512)
def _wiki_of_language(code: str) -> _Wiki:
    table = _table()
    codes = dict.fromkeys([code, *table.fallbacks.get(code, []), "en"])
    languages = [table.languages[code] for code in codes if code in table.languages]
    macros = _macros(languages)
    patterns = list(_patterns(languages, table.tools, macros))
    bare = [word for language in languages for word in language.bare]
    return _Wiki(
        patterns=_by_word(patterns),
        bare=_bare(bare, macros),
        bare_beginnings=frozenset(_lowered(word[:2]) for word in bare),
        exempt=tuple((kind, phrase) for kind in get_args(Exempt) for phrase in _phrases(kind, languages)),
    )


def _phrases(kind: Exempt, languages: list[_Language]) -> tuple[_Phrase, ...]:
    words = dict.fromkeys(word for language in languages for word in language.exempt.get(kind, []))
    return tuple(_phrase(word, {}) for word in words)
