"""The second stream, `mediawiki.revision-create`: what MediaWiki itself says of each revision.

Every line of the log stands at one offset in both streams' topics. A line that is no revision (a log entry, a page put
into a category) is a canary in this stream, as a recorded revision-create is one in the other: so offsets have no gaps,
and any of them can be resumed from by arithmetic alone. (Wikimedia's own second topic has fewer events than the first.)
"""

from hashlib import sha1
from typing import Any
from zlib import crc32

import msgspec

from services.simulator.recentchange import RevertLine, iso

_SCHEMA = "/mediawiki/revision/create/2.0.0"
_BEGINS = b'{"$schema":"/mediawiki/revision/create/'
_STREAM = "mediawiki.revision-create"
_encode = msgspec.json.Encoder().encode


class _Meta(msgspec.Struct, gc=False):
    uri: str
    request_id: str
    id: str
    domain: str
    dt: str


class _OldNew(msgspec.Struct, gc=False):
    old: int = 0
    new: int = 0


class _Edit(msgspec.Struct, gc=False):
    """A recentchange event of type edit or new, as the war game makes it."""

    meta: _Meta
    type: str
    wiki: str
    namespace: int
    title: str
    comment: str
    timestamp: int
    user: str
    bot: bool
    parsedcomment: str
    minor: bool
    length: _OldNew
    revision: _OldNew


class _Stub(msgspec.Struct, gc=False):
    meta: _Meta


_decode = msgspec.json.Decoder(_Edit).decode
_decode_stub = msgspec.json.Decoder(_Stub).decode


def is_revision_create(line: bytes) -> bool:
    """Is the line of a recording itself an event of the second stream?"""
    return line.startswith(_BEGINS)


def silence(line: bytes, *, declared: bool) -> bytes:
    """A canary at the time of a line that says nothing in this stream; `declared`: in the second one."""
    schema, stream = (_SCHEMA, _STREAM) if declared else ("/mediawiki/recentchange/1.0.0", "mediawiki.recentchange")
    meta: dict[str, str] = {"domain": "canary", "stream": stream}
    try:
        of_line = _decode_stub(line).meta
        meta |= {"id": _twin_id(of_line.id), "request_id": of_line.request_id, "dt": of_line.dt}
    except (msgspec.DecodeError, UnicodeDecodeError):
        meta["id"] = _twin_id("00000000-0000-4000-a000-000000000000")
    return _encode({"$schema": schema, "meta": meta})


def declare(line: bytes) -> bytes:
    """The revision-create event of the edit on a war game's line; a canary where it is none."""
    try:
        edit = _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return silence(line, declared=True)
    undone = line.undone if isinstance(line, RevertLine) else None
    # an exact revert has the very text of the revision that it restores
    text = undone.original if undone and undone.exact else edit.revision.new
    event = _of_edit(edit, _sha1(edit.wiki, text))
    if undone:
        event["rev_is_revert"] = True
        event["rev_revert_details"] = {
            "rev_revert_method": undone.method,
            "rev_is_exact_revert": undone.exact,
            "rev_original_rev_id": undone.original,
            "rev_reverted_revs": undone.rev_ids,
        }
    return _encode(event)


def _of_edit(edit: _Edit, sha1_of_text: str) -> dict[str, Any]:
    meta, saved = edit.meta, iso(edit.timestamp * 1000)
    return {
        "$schema": _SCHEMA,
        "meta": {
            "uri": meta.uri,
            "request_id": meta.request_id,
            "id": _twin_id(meta.id),
            "domain": meta.domain,
            "stream": _STREAM,
            "dt": meta.dt,
        },
        "database": edit.wiki,
        "page_id": crc32(f"{edit.wiki}/{edit.title}".encode()) + 1,
        "page_title": edit.title.replace(" ", "_"),
        "page_namespace": edit.namespace,
        "rev_id": edit.revision.new,
        "rev_timestamp": saved,
        "rev_sha1": sha1_of_text,
        "rev_minor_edit": edit.minor,
        "rev_len": edit.length.new,
        "rev_content_model": "wikitext",
        "rev_content_format": "text/x-wiki",
        "performer": {
            "user_text": edit.user,
            "user_groups": ["bot", "*"] if edit.bot else ["*"],
            "user_is_bot": edit.bot,
        },
        "page_is_redirect": False,
        "comment": edit.comment,
        "parsedcomment": edit.parsedcomment,
        "dt": saved,
        **({"rev_parent_id": edit.revision.old} if edit.revision.old else {}),
        "rev_content_changed": True,
        "rev_is_revert": False,
        "rev_slots": {
            "main": {
                "rev_slot_content_model": "wikitext",
                "rev_slot_sha1": sha1_of_text,
                "rev_slot_size": edit.length.new,
                "rev_slot_origin_rev_id": edit.revision.new,
            }
        },
    }


def _sha1(wiki: str, rev_id: int) -> str:
    """A hash in the form of MediaWiki's (31 digits); what it is of is made up."""
    return sha1(f"{wiki}/{rev_id}".encode(), usedforsecurity=False).hexdigest()[:31]


def _twin_id(event_id: str) -> str:
    """The id of the event that tells of the same in this stream."""
    return f"{event_id[:14]}5{event_id[15:]}"  # version 4 becomes 5
