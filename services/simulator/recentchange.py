"""Events as MediaWiki makes them (schema mediawiki/recentchange 1.0.0), encoded the way the stream carries them."""

import html
import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from services.simulator.world import Page, Wiki, url_title

_SCHEMA = "/mediawiki/recentchange/1.0.0"
_SPECIAL = re.compile("[<>&\"']")
_LINK = re.compile(r"\[\[:?([^\[\]|]+)(?:\|([^\[\]]*))?\]\]")
_SECTION = re.compile(r"/\* (.*?) \*/")
_encode = msgspec.json.Encoder().encode


class Meta(msgspec.Struct, gc=False):
    """The envelope. Topic, partition and offset are given when the event enters the log (events.stamp)."""

    uri: str
    request_id: str
    id: str
    domain: str
    stream: str
    dt: str


class OldNew(msgspec.Struct, omit_defaults=True, gc=False):
    """A pair as `length` and `revision` carry it; a new page has no old half."""

    old: int | None = None
    new: int | None = None


class RecentChange(msgspec.Struct, gc=False):
    """One event; what a type of event does not have stays unset. Fields in the order of the stream."""

    schema: str = msgspec.field(name="$schema")
    meta: Meta
    id: int | UnsetType
    type: str
    namespace: int
    title: str
    title_url: str
    comment: str
    timestamp: int
    user: str
    bot: bool
    notify_url: str | UnsetType = UNSET
    log_id: int | UnsetType = UNSET
    log_type: str | UnsetType = UNSET
    log_action: str | UnsetType = UNSET
    log_params: dict[str, object] | list[object] | UnsetType = UNSET
    log_action_comment: str | UnsetType = UNSET
    minor: bool | UnsetType = UNSET
    length: OldNew | UnsetType = UNSET
    revision: OldNew | UnsetType = UNSET
    server_url: str = ""
    server_name: str = ""
    server_script_path: str = "/w"
    wiki: str = ""
    parsedcomment: str = ""


class Undone(NamedTuple):
    """What a revert truly undoes, as MediaWiki would declare it."""

    method: Literal["undo", "rollback", "manual"]
    exact: bool  # the page is again as it was in `original`
    original: int  # revision that comes back, or that an undo keeps
    rev_ids: list[int]  # reverted revisions, the oldest first


class RevertLine(bytes):
    """The event of an edit that is a revert, with what only the second stream tells of it."""

    undone: Undone


class Moment:
    """When an event happens, and the identifiers that it gets from 256 random bits."""

    __slots__ = ("dt", "event_id", "request_id", "timestamp")

    def __init__(self, dt: int, timestamp: int, bits: int) -> None:
        self.dt = dt  # received by Wikimedia's own log, milliseconds
        self.timestamp = timestamp  # saved on the wiki, seconds
        digits = f"{bits:064x}"
        self.event_id = _uuid(digits[:32])
        self.request_id = _uuid(digits[32:])


def edit(
    wiki: Wiki,
    page: Page,
    moment: Moment,
    *,
    rc_id: int,
    user: str,
    bot: bool,
    minor: bool,
    comment: str,
    rev_id: int,
    old_rev_id: int | None,
    length: int,
    old_length: int | None,
) -> bytes:
    """An edit; a new page when it has no old revision."""
    address = f"{wiki.server_url}/w/index.php?"
    created = old_rev_id is None
    return _encode(
        RecentChange(
            _SCHEMA,
            _meta(wiki, page, moment),
            rc_id,
            "new" if created else "edit",
            page.namespace,
            page.title,
            page.uri,
            comment,
            moment.timestamp,
            user,
            bot,
            notify_url=f"{address}oldid={rev_id}" if created else f"{address}diff={rev_id}&oldid={old_rev_id}",
            minor=minor,
            length=OldNew(old_length, length),
            revision=OldNew(old_rev_id, rev_id),
            server_url=wiki.server_url,
            server_name=wiki.facts.domain,
            wiki=wiki.facts.name,
            parsedcomment=parse_comment(comment),
        )
    )


def categorize(
    wiki: Wiki, page: Page, moment: Moment, *, rc_id: int, user: str, bot: bool, comment: str, rev_id: int
) -> bytes:
    """A page put into a category or taken out of it; `page` is the category."""
    return _encode(
        RecentChange(
            _SCHEMA,
            _meta(wiki, page, moment),
            rc_id,
            "categorize",
            page.namespace,
            page.title,
            page.uri,
            comment,
            moment.timestamp,
            user,
            bot,
            notify_url=f"{wiki.server_url}/w/index.php?diff={rev_id}&oldid={rev_id - 1}&rcid={rc_id}",
            server_url=wiki.server_url,
            server_name=wiki.facts.domain,
            wiki=wiki.facts.name,
            parsedcomment=parse_comment(comment),
        )
    )


def log_entry(
    wiki: Wiki,
    page: Page,
    moment: Moment,
    *,
    rc_id: int | None,
    log_id: int,
    user: str,
    log_type: str,
    log_action: str,
    log_params: dict[str, object] | list[object],
    comment: str,
    action_comment: str,
) -> bytes:
    """A log entry; some have no recentchange id."""
    return _encode(
        RecentChange(
            _SCHEMA,
            _meta(wiki, page, moment),
            UNSET if rc_id is None else rc_id,
            "log",
            page.namespace,
            page.title,
            page.uri,
            comment,
            moment.timestamp,
            user,
            False,
            log_id=log_id,
            log_type=log_type,
            log_action=log_action,
            log_params=log_params,
            log_action_comment=action_comment,
            server_url=wiki.server_url,
            server_name=wiki.facts.domain,
            wiki=wiki.facts.name,
            parsedcomment=parse_comment(comment),
        )
    )


def canary(moment: Moment) -> bytes:
    """The artificial event by which Wikimedia sees that a stream is alive: the schema's example, domain `canary`."""
    event = {
        "$schema": _SCHEMA,
        "meta": {"request_id": moment.request_id, "id": moment.event_id, "domain": "canary"}
        | {"stream": "mediawiki.recentchange", "dt": iso(moment.dt)},
    }
    return _encode(event)


def parse_comment(comment: str) -> str:
    """The summary as HTML, as MediaWiki adds it: it is a good third of an event's size."""
    text = html.escape(comment) if _SPECIAL.search(comment) else comment
    if "[[" in text:
        text = _LINK.sub(_anchor, text)
    if "/* " in text:
        text = _SECTION.sub(r'<span class="autocomment">→<bdi dir="ltr">\1</bdi>: </span>', text)
    return text


def iso(time: int) -> str:
    """Milliseconds since 1970 as the stream writes instants."""
    seconds, thousandths = divmod(time, 1000)
    return f"{_iso_seconds(seconds)}.{thousandths:03d}Z"


@lru_cache(maxsize=8)
def _iso_seconds(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _anchor(match: re.Match[str]) -> str:
    target = match[1]
    return f'<a href="/wiki/{url_title(target)}" title="{target}">{match[2] or target}</a>'


def _meta(wiki: Wiki, page: Page, moment: Moment) -> Meta:
    return Meta(
        page.uri, moment.request_id, moment.event_id, wiki.facts.domain, "mediawiki.recentchange", iso(moment.dt)
    )


def _uuid(digits: str) -> str:
    """32 hexadecimal digits as a version 4 UUID."""
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
