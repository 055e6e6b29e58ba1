"""One connection to EventStreams after another, as an endless iterator of events.

aiohttp-sse-client parses the frames. Its own reconnection is not used: it glues a half-received event to the
first one of the next connection, and it hides why a connection ended. Here every attempt has a fresh
EventSource, and every end has a name.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple
from urllib.parse import urlsplit

import aiohttp
import msgspec
import structlog
from aiohttp.http_exceptions import LineTooLong
from aiohttp_sse_client.client import READY_STATE_CONNECTING, EventSource, MessageEvent

from services import __version__
from services.common.change import Origin
from services.common.retry import backoff, retry_after_seconds
from services.common.settings import Settings
from services.producer.events import REVISION_CREATE

LINE_LIMIT = 2**22  # bytes of one line; Wikimedia's largest events are far below 1 MiB
CONNECT_TIMEOUT = 15.0  # seconds
FIRST_DELAY = 0.5  # seconds before the first retry; doubles up to the cap, drawn at random below it
LONGEST_DELAY = 60.0  # seconds; Wikimedia keeps a week, so there is no haste, and a crowd must not come back at once
# How far before the newest change seen the other datacenter's topic is taken up by time: what was written there
# after a swap that happened while we were away. More than the clocks of two datacenters can be apart.
SWAP_REWIND = 60_000  # milliseconds
RECENT_CHANGE = "mediawiki.recentchange"

log = structlog.get_logger()


class End(NamedTuple):
    """Why a connection ended."""

    reason: str  # cut, half_event, aborted, silence, refused, rate_limited, server_error, status, unreachable, ...
    detail: str
    retry_after: float = 0.0  # seconds the server asks us to stay away


class Unreadable(NamedTuple):
    """A place in the stream that cannot be read at all: the reader must step over it."""

    reason: str  # line_too_long, not_utf8
    raw: bytes


class MissingContact(Exception):
    """Wikimedia refuses anonymous clients, and no contact is set."""


class _CleanEnd(Exception):
    """The server ended the response; raised to keep EventSource from reconnecting by itself."""


def user_agent(settings: Settings) -> str:
    """Our name with a contact, as https://foundation.wikimedia.org/wiki/Policy:User-Agent_policy asks.

    Raises MissingContact for Wikimedia's hosts; elsewhere (a simulator) a local one will do.
    """
    contact = settings.eventstreams_contact.strip()
    if not contact:
        if is_wikimedia(settings.eventstreams_url):
            raise MissingContact(
                "Wikimedia asks every client for a contact and refuses those without (403).\n"
                "Set EVENTSTREAMS_CONTACT to your mail address or web page, in the environment or in .env."
            )
        contact = "local-run@localhost.invalid"
    return f"WikiBattlefield/{__version__} ({contact}) aiohttp/{aiohttp.__version__}"


def is_wikimedia(url: str) -> bool:
    """Is it Wikimedia's own service?"""
    host = urlsplit(url).hostname or ""
    return host == "wikimedia.org" or host.endswith(".wikimedia.org")


def with_declarations(url: str) -> str:
    """The URL that gives the second stream too, over the same connection; "" where `url` is not that of one stream."""
    head, _, stream = url.rpartition("/")
    return f"{head}/{stream},{REVISION_CREATE}" if stream in ("recentchange", RECENT_CHANGE) else ""


def last_event_id(
    read_up_to: dict[tuple[str, int], int],
    newest_dt_ms: int,
    stepped_over: Origin | None = None,
    *,
    declared: bool = False,
) -> str:
    """The Last-Event-ID that goes on after these offsets; "" where nothing was read. `declared`: of both streams.

    Each entry repeats the last change read: it is recognised and left out, whereas a server that counted the
    other way round would cost one change. Only what cannot be read must not be repeated: the connection would break
    at it again. Offset -1 would mean "latest". The other datacenter's topic is taken up by time, and so is the second
    stream where nothing was read of it: the server sends no topic that is not named.
    """
    if not declared:
        read_up_to = {key: offset for key, offset in read_up_to.items() if not is_declared(key[0])}
    if not read_up_to:
        return ""
    entries: list[dict[str, object]] = [
        {
            "topic": topic,
            "partition": partition,
            "offset": max(offset, 0) + ((topic, partition, offset) == stepped_over),
        }
        for (topic, partition), offset in sorted(read_up_to.items())
    ]
    if newest_dt_ms:
        known = set(read_up_to)
        if declared:
            known |= {(topic.replace(RECENT_CHANGE, REVISION_CREATE), partition) for topic, partition in known}
        known |= {(sibling, partition) for topic, partition in known if (sibling := other_datacenter(topic))}
        entries += [
            {"topic": topic, "partition": partition, "timestamp": newest_dt_ms - SWAP_REWIND}
            for topic, partition in sorted(known - set(read_up_to))
        ]
    return msgspec.json.encode(entries).decode()


def is_declared(topic: str) -> bool:
    """Is it one of the second stream?"""
    return topic.endswith(REVISION_CREATE)


def other_datacenter(topic: str) -> str:
    """The topic to which production moves at a datacenter switch; "" where there is none."""
    for here, there in (("eqiad.", "codfw."), ("codfw.", "eqiad.")):
        if here in topic:
            return topic.replace(here, there, 1)
    return ""


async def connect_forever(
    settings: Settings,
    url: Callable[[], str],
    resume: Callable[[], str],
    since: str,
    on_end: Callable[[End], bool],
) -> AsyncIterator[MessageEvent | Unreadable]:
    """Events of one connection after another, for as long as it is iterated.

    `url` and `resume` give address and Last-Event-ID at each attempt; `since` (ISO 8601) is where the very first one
    starts while there is none. `on_end` hears of every end; where it returns True the next attempt asks for something
    else, and is made at once. Raises MissingContact before the first attempt.
    """
    headers = {"User-Agent": user_agent(settings)}
    attempt = 0
    while True:
        delivered = False
        end = End("unreachable", "")
        try:
            async for event in _one_connection(settings, url(), headers, resume(), since):
                yield event
                delivered = True
        except _CleanEnd as ended:
            end = End("half_event" if ended.args[0] else "cut", "the server ended the response")
        except LineTooLong as error:
            end = End("line_too_long", str(error))
            yield Unreadable("line_too_long", b"")
        except UnicodeDecodeError as error:
            end = End("not_utf8", str(error.reason))
            yield Unreadable("not_utf8", error.object)
        except aiohttp.ClientResponseError as error:
            end = _end_of_status(error)
        except (aiohttp.SocketTimeoutError, aiohttp.ConnectionTimeoutError, TimeoutError):
            end = End("silence", f"nothing came for {settings.eventstreams_read_timeout:g} s")
        except aiohttp.ClientPayloadError as error:
            end = End("aborted", str(error))
        except (aiohttp.ClientError, OSError) as error:
            end = End("unreachable", str(error))
        if on_end(end):
            continue
        attempt = 0 if delivered else attempt + 1
        # a connection that delivered and was cut, as Wikimedia does every 15 minutes, is taken up without delay
        delay = (
            backoff(attempt, first=FIRST_DELAY, longest=LONGEST_DELAY, least=end.retry_after)
            if attempt or end.retry_after
            else random.uniform(0, 0.2)  # noqa: S311 - jitter
        )
        log.info("connection ended", reason=end.reason, detail=end.detail, retry_in=round(delay, 1))
        await asyncio.sleep(delay)


async def _one_connection(
    settings: Settings, url: str, headers: dict[str, str], event_id: str, since: str
) -> AsyncIterator[MessageEvent]:
    timeout = aiohttp.ClientTimeout(
        total=None, sock_connect=CONNECT_TIMEOUT, sock_read=settings.eventstreams_read_timeout
    )
    # aiohttp takes lines of up to twice its buffer
    async with aiohttp.ClientSession(timeout=timeout, read_bufsize=LINE_LIMIT // 2) as session:
        source: EventSource

        def end_instead_of_reconnecting() -> None:
            # called at every fault too; only a response that just ended leaves the state at "connecting"
            if source.ready_state == READY_STATE_CONNECTING:
                raise _CleanEnd(source._event_data != "")

        source = EventSource(
            url,
            session=session,
            max_connect_retry=0,
            on_error=end_instead_of_reconnecting,
            headers=headers | ({"Last-Event-ID": event_id} if event_id else {}),
            params={"since": since} if since and not event_id else {},
            raise_for_status=True,  # an aiohttp error carries status and Retry-After; the library's own has neither
        )
        async with source:
            log.info("connected", url=url, last_event_id=event_id, since=since)
            async for event in source:
                yield event


def _end_of_status(error: aiohttp.ClientResponseError) -> End:
    retry_after = retry_after_seconds(error.headers.get("Retry-After", "") if error.headers else "")
    match error.status:
        case 403:
            return End("refused", "403: the User-Agent needs a contact; set EVENTSTREAMS_CONTACT", max(retry_after, 30))
        case 429:
            return End("rate_limited", "429: more than two connections from this address", retry_after)
        case status if status >= 500:
            return End("server_error", f"{status} {error.message}", retry_after)
        case status:
            return End("status", f"{status} {error.message}", max(retry_after, 5))
