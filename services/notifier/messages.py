"""An incident as the JSON body that a receiver understands. Pure.

Titles and names come from strangers. In a chat they could mention everybody, hide a link or write as if they were us:
there they stand as code, in which neither Slack nor Discord looks for anything, without what could end it.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple, TypeAlias
from urllib.parse import urlsplit
from uuid import UUID

from services.common import links

Shape: TypeAlias = Literal["slack", "discord", "json"]

# Characters of a stranger's text in a message. MediaWiki's titles and names have 255 bytes at most; Discord refuses
# messages of more than 2,000 characters.
LONGEST_NAME = 255
LONGEST_ADDRESS = 1_000
MOST_NAMES = 20  # editors that the plain form names

_SUPPRESS_EMBEDS = 4  # https://docs.discord.com/developers/resources/message#message-object-message-flags
# Control characters, and the marks that reorder what stands beside them. Joiners stay: emoji and Persian need them.
_UNWELCOME = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class Incident(NamedTuple):
    """A row of clickhouse/queries/incidents_to_announce.sql."""

    incident_id: UUID
    kind: str  # battle_opened, three_revert_breach
    moment: datetime  # UTC
    source: str
    wiki: str
    server_name: str
    namespace: int
    title: str
    user: str
    editors: list[str]
    began: datetime  # UTC
    reverts: int
    exempt_claims: int
    rev_ids: list[int]
    attempts: int


def shape_of(url: str, wish: str) -> Shape:
    """The form that the receiver at `url` wants: what was wished for, else by its host."""
    match wish:
        case "slack" | "discord" | "json":
            return wish
    host = urlsplit(url).hostname or ""
    if host == "hooks.slack.com" or host == "hooks.slack-gov.com":
        return "slack"
    if any(host == name or host.endswith(f".{name}") for name in ("discord.com", "discordapp.com")):
        return "discord"
    return "json"


def body_of(incident: Incident, shape: Shape) -> dict[str, Any]:
    """The JSON body."""
    match shape:
        case "slack":
            return {"text": sentence(incident, SLACK), "unfurl_links": False, "unfurl_media": False}
        case "discord":
            return {
                "content": sentence(incident, DISCORD),
                "allowed_mentions": {"parse": []},
                "flags": _SUPPRESS_EMBEDS,
            }
        case "json":
            return _fields(incident)


class Markup(NamedTuple):
    """How one kind of chat is written to."""

    quote: Callable[[str], str]  # a stranger's text, as code
    link: Callable[[str], str]  # an address of our making


def sentence(incident: Incident, markup: Markup) -> str:
    """The incident for people."""
    quote = markup.quote
    page = f"{quote(incident.title)} on {quote(incident.wiki)}"
    address = _page_address(incident)
    where = f"\n{markup.link(address)}" if address else ""
    claims = f", {incident.exempt_claims} of them claimed as exempt" if incident.exempt_claims else ""
    if incident.kind == "battle_opened":
        what = (
            f"Edit war: {page}. {incident.reverts} reverts between {len(incident.editors)} editors since "
            f"{incident.began.astimezone(UTC):%Y-%m-%d %H:%M} UTC{claims}."
        )
    else:
        what = (
            f"Three-revert rule: {quote(incident.user)} made {incident.reverts} reverts within 24 hours{claims}, "
            f"page {page}. Counted by a program, judged by nobody."
        )
    return f"{_label(incident.source)}{what}{where}"


def _fields(incident: Incident) -> dict[str, Any]:
    """All that is known, as it is; `text` is the sentence, for chats that look for nothing else."""
    diffs = [links.diff(incident.server_name, rev_id) for rev_id in incident.rev_ids]
    return {
        "event": incident.kind,
        "id": str(incident.incident_id),
        "time": incident.moment.astimezone(UTC).isoformat(),
        "source": incident.source,
        "wiki": incident.wiki,
        "server_name": incident.server_name,
        "namespace": incident.namespace,
        "title": incident.title,
        "url": _page_address(incident),
        "user": incident.user,
        "editors": incident.editors[:MOST_NAMES],
        "reverts": incident.reverts,
        "exempt_claims": incident.exempt_claims,
        "diffs": [diff for diff in diffs if diff],
        "text": sentence(incident, PLAIN),
    }


def _page_address(incident: Incident) -> str:
    if incident.source.startswith("wargame-"):
        return ""  # its pages exist on no wiki
    address = links.history(incident.server_name, incident.title) or ""
    return address if len(address) <= LONGEST_ADDRESS else ""


def _label(source: str) -> str:
    """Nobody may take a game for Wikipedia."""
    if source.startswith("wargame-"):
        return "[War game] "
    return "[Replay] " if source.startswith("replay-") else ""


def _plain(text: str) -> str:
    """One line of visible characters, of bounded length."""
    clean = _UNWELCOME.sub(" ", text).strip()
    return clean if len(clean) <= LONGEST_NAME else f"{clean[: LONGEST_NAME - 1]}…"


def _code(text: str) -> str:
    # nothing counts within code, and only a backtick ends it
    return f"`{_plain(text).replace('`', 'ˋ') or ' '}`"


def _escape(text: str) -> str:
    # https://docs.slack.dev/messaging/formatting-message-text#escaping: these three, and they alone
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


SLACK = Markup(lambda text: _escape(_code(text)), lambda address: f"<{_escape(address)}>")
DISCORD = Markup(_code, lambda address: f"<{address}>")
PLAIN = Markup(_code, lambda address: address)
