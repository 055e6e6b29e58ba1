"""One POST to the webhook, and what became of it.

Only an answer tells whether a message arrived. Where a request may have gone out and no answer came, it may have
arrived too: that is `UNANSWERED`, and trying again could tell twice.

The address is a secret (who has it may post): no error of the HTTP client is passed on as it is, some quote the URL.
"""

from http import HTTPStatus
from typing import Any, Literal, NamedTuple, TypeAlias
from urllib.parse import urlsplit

import aiohttp

from services import __version__
from services.common.retry import retry_after_seconds

CONNECT_TIMEOUT = 10.0  # seconds
ANSWER_TIMEOUT = 30.0  # seconds
LONGEST_DETAIL = 200  # characters

Outcome: TypeAlias = Literal["sent", "failed", "refused", "unanswered"]

# The receiver asks for another try, or is not there behind its proxy for the moment
_TRY_AGAIN = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}


class Result(NamedTuple):
    """What became of an attempt."""

    outcome: Outcome  # failed: it did not arrive and can be tried again; refused: trying again would not help
    detail: str = ""
    retry_after: float = 0.0  # seconds that the receiver asks to be left alone


class BadAddress(ValueError):
    """ALERT_WEBHOOK_URL cannot be posted to; the message does not repeat it."""


def check_address(url: str) -> None:
    """Raises BadAddress."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or any(character.isspace() for character in url):
        raise BadAddress("ALERT_WEBHOOK_URL is no address of a web server: give https://HOST/PATH.")


def new_session() -> aiohttp.ClientSession:
    """A client for `post`. Each attempt has a connection of its own: a kept one may have been closed meanwhile, and
    then nobody can tell whether the request was read."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=True),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT, sock_read=ANSWER_TIMEOUT),
        headers={"User-Agent": f"wiki-battlefield/{__version__}"},
    )


async def post(session: aiohttp.ClientSession, url: str, body: dict[str, Any], key: str) -> Result:
    """Send a body once. `key` names the incident, for receivers that know what they have seen. Raises nothing."""
    try:
        async with session.post(url, json=body, headers={"Idempotency-Key": key}, allow_redirects=False) as response:
            return judge(response.status, response.headers.get("Retry-After", ""))
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        return Result("failed", f"no connection: {type(error).__name__}")
    except aiohttp.InvalidURL:
        return Result("refused", "ALERT_WEBHOOK_URL is no address")
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        return Result("unanswered", f"no answer: {type(error).__name__}")


def judge(status: int, retry_after: str) -> Result:
    """What an answer means."""
    if 200 <= status < 300:
        return Result("sent")
    if status in _TRY_AGAIN or status >= 500:
        return Result("failed", f"status {status}", retry_after_seconds(retry_after))
    return Result("refused", f"status {status}")
