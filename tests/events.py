"""Recentchange events made by hand: plausible, fictional, one fact changed at a time."""

import json
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from services.common.change import Change, actor_of

TOPIC = "codfw.mediawiki.recentchange"
START = 1_790_000_000  # 2026-09-21T14:13:20Z, the beginning of a ten-second window


def event(offset: int = 0, **changed: Any) -> dict[str, Any]:
    """One event as Wikimedia sends it; `changed` replaces fields, and removes those given as `...`."""
    made: dict[str, Any] = {
        "$schema": "/mediawiki/recentchange/1.0.0",
        "meta": {
            "id": str(uuid5(NAMESPACE_URL, f"event {offset}")),
            "domain": "en.wikipedia.org",
            "dt": "2026-09-21T14:13:22.500Z",
            "stream": "mediawiki.recentchange",
            "topic": TOPIC,
            "partition": 0,
            "offset": offset,
        },
        "id": 1_900_000_000 + offset,
        "type": "edit",
        "namespace": 0,
        "title": "Battle of Nowhere",
        "comment": "/* Aftermath */ copy edit",
        "timestamp": START,
        "user": "Ada Example",
        "bot": False,
        "minor": False,
        "length": {"old": 1000, "new": 1010},
        "revision": {"old": 5_000_000 + offset - 1, "new": 5_000_000 + offset},
        "server_name": "en.wikipedia.org",
        "wiki": "enwiki",
    }
    meta = changed.pop("meta", {})
    made |= changed
    if isinstance(meta, dict):
        made["meta"] = {k: v for k, v in (made["meta"] | meta).items() if v is not ...}
    else:
        made["meta"] = meta
    return {k: v for k, v in made.items() if v is not ...}


def event_json(offset: int = 0, **changed: Any) -> str:
    """The same as the `data` of a server-sent event."""
    return json.dumps(event(offset, **changed), ensure_ascii=False)


def change(offset: int = 0, **changed: Any) -> Change:
    """One accepted change; `bot=True` makes the editor a bot."""
    bot = changed.pop("bot", False)
    fields: dict[str, Any] = {
        "meta_id": str(uuid5(NAMESPACE_URL, f"event {offset}")),
        "source_topic": TOPIC,
        "source_partition": 0,
        "source_offset": offset,
        "wiki": "enwiki",
        "server_name": "en.wikipedia.org",
        "namespace": 0,
        "title": "Battle of Nowhere",
        "type": "edit",
        "user": "Ada Example",
        "comment": "copy edit",
        "timestamp": START,
        "received": (START + 3) * 1000,
        "rev_id": 5_000_000 + offset,
        "old_rev_id": 5_000_000 + offset - 1,
        "length_old": 1000,
        "length_new": 1010,
    } | changed
    fields.setdefault("actor", actor_of(fields["user"], bot))
    return Change(**fields)


def revision(number: int = 0, **changed: Any) -> dict[str, Any]:
    """The revision-create event of the same edit as `event(number)`; `changed` as there."""
    made: dict[str, Any] = {
        "$schema": "/mediawiki/revision/create/2.0.0",
        "meta": {
            "id": str(uuid5(NAMESPACE_URL, f"revision {number}")),
            "domain": "en.wikipedia.org",
            "dt": "2026-09-21T14:13:22.600Z",
            "stream": "mediawiki.revision-create",
            "topic": TOPIC.replace("recentchange", "revision-create"),
            "partition": 0,
            "offset": number,
        },
        "database": "enwiki",
        "page_id": 7,
        "page_title": "Battle_of_Nowhere",
        "page_namespace": 0,
        "rev_id": 5_000_000 + number,
        "rev_timestamp": "2026-09-21T14:13:20Z",
        "rev_sha1": "mr0szy90m5qbn6tek7ch3nebaild3tm",
        "performer": {"user_text": "Ada Example", "user_is_bot": False},
        "page_is_redirect": False,
        "dt": "2026-09-21T14:13:20Z",
        "rev_parent_id": 5_000_000 + number - 1,
        "rev_is_revert": False,
    }
    made["meta"] |= changed.pop("meta", {})
    return {k: v for k, v in (made | changed).items() if v is not ...}
