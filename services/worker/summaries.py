"""What an edit's summary claims of a revert: read from the fixed forms that MediaWiki and its tools write.

    comment -> free text (at most 1,000 characters, without the `/* section */` prefix)
            -> forms whose literal text occurs in it (a cheap substring test; most edits end here)
            -> the first form that matches names editor, revision and restored author
            -> else a bare word at the start (`rv`, `revert`, `rückgängig`)

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
from typing import Literal, NamedTuple, TypeAlias
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
    user: str  # the editor whose edit is reverted, as the user name is stored; "" if none is named
    rev_id: int  # the revision named as undone; 0 if none
    restored_user: str  # the editor whose version is restored; "" if none is named
    form: Form  # standard: written by MediaWiki; tool: by a gadget, program or bot; bare: by hand
    exempt: Exempt  # what of the three-revert rule's exemptions the summary claims; "" if none


class _Language(msgspec.Struct, rename="kebab", forbid_unknown_fields=True):
    """One language of summaries.toml. All strings are regular expressions."""

    special: str = ""  # the namespace `Special`
    user: str = ""  # the namespace `User`, all genders
    contributions: str = ""  # the special page `Contributions`
    messages: dict[str, list[str]] = {}  # forms by MediaWiki message key
    bare: str = ""  # words that claim a revert at the start of a summary
    exempt: dict[Exempt, str] = {}  # wording of the three-revert rule's exemptions


class _Tool(msgspec.Struct, forbid_unknown_fields=True):
    """A tool's forms; they hold on all wikis."""

    name: str
    method: Method
    forms: list[str]
    exempt: Exempt = ""


class _Table(msgspec.Struct, forbid_unknown_fields=True):
    """summaries.toml."""

    wikis: dict[str, str]  # language codes of wikis whose name says another
    fallbacks: dict[str, list[str]]  # languages whose messages stand in, as MediaWiki falls back
    languages: dict[str, _Language]
    tools: list[_Tool]


class _Pattern(NamedTuple):
    """One compiled form."""

    needle: str  # lower-case text that any match contains
    regex: re.Pattern[str]
    method: Method
    form: Form
    exempt: Exempt


class _Wiki(NamedTuple):
    """All that is needed to read one wiki's summaries."""

    patterns: tuple[tuple[str, tuple[_Pattern, ...]], ...]  # by needle
    bare: re.Pattern[str]
    exempt: tuple[tuple[Exempt, re.Pattern[str]], ...]


def parse_summary(wiki: str, comment: str) -> Claim | None:
    """The revert that a summary claims, or None.

    `wiki` is the database name (`dewiki`), `comment` the raw summary in wikitext, of any size and content.
    """
    if not comment:
        return None
    known = _wiki(wiki)
    text = comment[:_LONGEST]
    lowered = text.lower()
    for needle, patterns in known.patterns:
        if needle in lowered:
            for pattern in patterns:
                if match := pattern.regex.search(text):
                    return _claim_of_form(pattern, match, known)
    if match := known.bare.match(text):
        return _claim_of_bare_word(match, known)
    return None


def language_of(wiki: str) -> str:
    """The language code of a wiki by its database name: `dewiki` -> de, `zh_yuewiki` -> yue, `commonswiki` -> en."""
    code = _PROJECT.sub("", wiki).replace("_", "-")
    return _table().wikis.get(code, code)


def normalised_user(name: str) -> str:
    """A user name from a link as MediaWiki stores it: underscores are spaces, the first letter is upper case.

    >>> normalised_user("2001:db8::1")
    '2001:DB8:0:0:0:0:0:1'
    """
    if "&" in name:
        name = unescape(name)
    if "%" in name:  # no user name contains a percent sign and two hexadecimal digits: MediaWiki refuses them
        name = unquote(name)
    name = _SPACES.sub(" ", name).strip(" ")
    if name.count(":") > 1:
        try:
            return ":".join(f"{int(group, 16):X}" for group in IPv6Address(name).exploded.split(":"))
        except AddressValueError:
            pass  # an old account name with colons
    first = name[:1].upper()
    return first + name[1:] if len(first) == 1 else name  # "ß".upper() has two letters; MediaWiki leaves it


def _claim_of_form(pattern: _Pattern, match: re.Match[str], known: _Wiki) -> Claim:
    found = match.groupdict()
    rev_id = found.get("rev") or found.get("rev_text")
    return Claim(
        method=pattern.method,
        user=normalised_user(found.get("editor") or found.get("editor_text") or ""),
        rev_id=int(rev_id) if rev_id else 0,
        restored_user=normalised_user(found.get("author") or found.get("author_text") or ""),
        form=pattern.form,
        # The names in the form are left out: a user called VandalHunter is no claim of vandalism.
        exempt=pattern.exempt or _exempt_claim(match.string[: match.start()] + match.string[match.end() :], known),
    )


def _claim_of_bare_word(match: re.Match[str], known: _Wiki) -> Claim:
    user = normalised_user(match["editor"] or "")
    rest = match[0][: match.start("editor") - match.start()] if user else match[0]
    return Claim("manual", user, 0, "", "bare", _exempt_claim(rest + match.string[match.end() :], known))


def _exempt_claim(text: str, known: _Wiki) -> Exempt:
    return next((kind for kind, words in known.exempt if words.search(text)), "")


# --- From the table to regular expressions -----------------------------------------------------------------------

_PROJECT = re.compile(r"(?:wiki|wiktionary|wikibooks|wikinews|wikiquote|wikisource|wikiversity|wikivoyage|wikimedia)$")
_SPACES = re.compile("[ _\u00a0\u200e\u200f]+")

# Wikitext may hold a no-break space or a writing direction mark wherever it holds a space.
_SPACE = "[ _\u00a0\u200e\u200f]"
# Before a form and around a bare word: no letter and no digit, so that "service" holds no "rv".
_BEFORE = r"(?:^|[\s.,;:!?/*()\[\]{}\"'«»„“”‚‘’–—|-])"
_AFTER = r"(?:$|[\s.,;:!?/*()\[\]{}\"'«»„“”‚‘’–—。，、：；！？（）|-])"
_NAME = r"[^\[\]|{}<>#\n]"
# A name without a link ends where the tools go on with a reason, a link to themselves, or nothing.
_END_OF_NAME = rf"{_SPACE}*(?:$|[:;.。—–]{_SPACE}|[:;.。—–]$|[(（]?\[\[|[(（]HG|- |using |identified as |with \[|,)"
_SCRIPTS_WITHOUT_SPACES = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u3000-\u30ff\u3400-\u9fff]")
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
    page = rf"(?:(?:{special}){_SPACE}?:{_SPACE}?(?:{contributions})/|(?:{user}){_SPACE}?:{_SPACE}?)"
    talk = rf"(?:{_SPACE}?[(（]{_SPACE}?\[\[[^\[\]]*\]\](?:[^\[\]()（）]{{0,5}}\[\[[^\[\]]*\]\]){{0,3}}[)）])?"

    def link(group: str) -> str:
        return rf"\[\[:?(?:[a-z-]{{1,12}}:){{0,2}}{page}(?P<{group}>{_NAME}{{1,255}})(?:\|[^\[\]]*)?\]\]"

    return {
        "rev": r"(?:\[\[[^\[\]|]*?(?P<rev>\d{1,19})(?:\|[^\[\]]*)?\]\]|(?P<rev_text>\d{1,19}))",
        "version": r"(?:\[\[[^\[\]]*\]\]|\d{1,19})",
        "editor": link("editor") + talk,
        "author": rf"(?:{link('author')}{talk}|(?P<author_text>{_NAME}{{1,100}}?))",
    }


def _expand(form: str, macros: dict[str, str]) -> str:
    """A form of the table as one regular expression.

    {editor} {author} {rev} {version}: see `_macros`; <words>: words that may be the label of a link;
    …: up to 60 characters that are no link; a space: see `_spaced`.
    """

    def expanded(match: re.Match[str]) -> str:
        if match[1]:
            return macros[match[1]]
        if match[2]:
            return rf"(?:\[\[[^\[\]|]*\|)?(?:{_spaced(match[2])})(?:\]\])?"
        return r"[^\[\]]{0,60}?" if match[3] else _spaced(match[0])

    regex = _MACRO.sub(expanded, form)
    if form.endswith("{author}"):
        regex = regex + _END_OF_NAME
    starts_anywhere = form.startswith("{") or _SCRIPTS_WITHOUT_SPACES.match(form)
    return regex if starts_anywhere else _BEFORE + regex


def _needle(form: str) -> str:
    """The longest stretch of plain text that every match of a form contains, in lower case."""
    plain = re.sub(r"\{\w+\}|\((?:[^()]|\([^()]*\))*\)\??|\[[^\]]*\]|\\.|.\?", "\n", form)
    return max(re.split(r"[\n… .|<>]", plain), key=len).lower()


def _compiled(form: str, macros: dict[str, str], method: Method, kind: Form, exempt: Exempt = "") -> _Pattern:
    return _Pattern(_needle(form), re.compile(_expand(form, macros), re.IGNORECASE), method, kind, exempt)


def _method_of(message: str) -> Method:
    """The method of a MediaWiki message by its key; a rejected pending change rolls back to an accepted version."""
    return "undo" if message.startswith("undo") else "restore" if message.startswith("restore") else "rollback"


def _patterns(languages: list[_Language], tools: list[_Tool]) -> Iterator[_Pattern]:
    macros = _macros(languages)
    for language in languages:
        for message, forms in language.messages.items():
            for form in forms:
                yield _compiled(form, macros, _method_of(message), "standard")
    for tool in tools:
        for form in tool.forms:
            yield _compiled(form, macros, tool.method, "tool", tool.exempt)


def _by_needle(patterns: Iterator[_Pattern]) -> tuple[tuple[str, tuple[_Pattern, ...]], ...]:
    grouped: dict[str, list[_Pattern]] = {}
    for pattern in patterns:
        grouped.setdefault(pattern.needle, []).append(pattern)
    return tuple((needle, tuple(found)) for needle, found in grouped.items())


def _bare(languages: list[_Language]) -> re.Pattern[str]:
    words = _spaced("|".join(language.bare for language in languages if language.bare))
    # Between the word and the name of whom it reverts stand only such words: in "rv sock of [[User:X]]" the
    # link names somebody else.
    between = (
        r"(?:\d+|all|last|good|faith|gf|agf|test|edits?|vandalism|changes?|additions?|unexplained|unsourced"
        r"|of|by|from|to|von|de|par|di|da|door|av|przez|od)"
    )
    editor = _macros(languages)["editor"]
    return re.compile(
        rf"(?:\s*/\*(?:[^*]|\*[^/])*\*/)?[\s\"'«„“(*:–—-]*(?:<!)?"
        rf"(?:{words})(?:{_SPACE}+(?:{between}{_SPACE}+){{0,5}}{editor}|{_AFTER})",
        re.IGNORECASE,
    )


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
    kinds: tuple[Exempt, ...] = ("biography", "copyright", "sockpuppet", "vandalism")
    return _Wiki(
        patterns=_by_needle(_patterns(languages, table.tools)),
        bare=_bare(languages),
        exempt=tuple((kind, _exempt_words(kind, languages)) for kind in kinds),
    )


def _exempt_words(kind: Exempt, languages: list[_Language]) -> re.Pattern[str]:
    words = _spaced("|".join(language.exempt[kind] for language in languages if kind in language.exempt))
    return re.compile(rf"{_BEFORE}(?:{words})", re.IGNORECASE)
