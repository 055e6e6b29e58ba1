"""What plays: Wikipedia live, a recording, the war game, or another server that speaks as EventStreams does."""

import re
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from services.common.settings import Settings
from services.embedded.checks import CannotStart
from services.producer.stream import is_wikimedia
from services.simulator.recording import Recording, UnreadableRecording

REACH_LIMIT = 4.0  # seconds
CONTACT_ADVICE = "set EVENTSTREAMS_CONTACT to your mail address or web page, in the environment or in .env"


class Source(NamedTuple):
    """What plays, and the directory below DATA_DIR that is its own.

    A game or a recording must never meet the live stream's rows and source offsets, so each has its own directory.
    """

    kind: Literal["live", "recording", "war game", "other server"]
    folder: str
    url: str = ""  # empty: our simulator serves it
    recording: Path | None = None

    @property
    def simulated(self) -> bool:
        """Whether the simulator plays it."""
        return not self.url

    def __str__(self) -> str:
        match self.kind:
            case "live":
                return "Wikipedia, live"
            case "recording":
                return f"the recording {self.recording}"
            case "war game":
                return "a war game (simulated, no internet needed)"
            case _:
                return self.url


WAR_GAME = Source("war game", "wargame")


def choose_source(wanted: str, settings: Settings, reachable: Callable[[str], bool]) -> tuple[Source, str]:
    """The source for `auto`, `live`, `simulate`, a file or a URL, with a remark for people ("" for none).

    Raises CannotStart where what was asked for by name cannot play.
    """
    match wanted:
        case "auto":
            return _best_source(settings, reachable)
        case "live":
            return _url_source(settings.eventstreams_url, settings), ""
        case "simulate":
            return WAR_GAME, ""
        case _ if wanted.startswith(("http://", "https://")):
            return _url_source(wanted, settings), ""
        case _:
            return _recording_source(Path(wanted)), ""


def _best_source(settings: Settings, reachable: Callable[[str], bool]) -> tuple[Source, str]:
    url = settings.eventstreams_url
    if not reachable(url):
        return WAR_GAME, f"{urlsplit(url).hostname} cannot be reached from here, so this is a war game."
    if _lacks_contact(url, settings):
        return WAR_GAME, f"To see Wikipedia live, {CONTACT_ADVICE}; Wikimedia asks for it. Until then, a war game."
    return _url_source(url, settings), ""


def _url_source(url: str, settings: Settings) -> Source:
    if is_wikimedia(url):
        if _lacks_contact(url, settings):
            raise CannotStart(f"Wikimedia refuses clients without a contact: {CONTACT_ADVICE}.")
        return Source("live", "live", url=url)
    address = urlsplit(url)
    if not address.hostname:
        raise CannotStart(f"{url} names no server. Write it as http://HOST:PORT/v2/stream/recentchange.")
    return Source("other server", f"server-{_slug(address.netloc)}", url=url)


def _recording_source(path: Path) -> Source:
    if not path.is_file():
        raise CannotStart(
            f"SOURCE is {str(path)!r}, which is no file. Use live, simulate, a URL, or a .jsonl or .jsonl.gz file."
        )
    try:
        return Source("recording", Recording(path).name, recording=path.resolve())
    except UnreadableRecording as error:
        raise CannotStart(str(error)) from None


def _lacks_contact(url: str, settings: Settings) -> bool:
    return is_wikimedia(url) and not settings.eventstreams_contact.strip()


def _slug(name: str) -> str:
    """A name as part of a file name: what is no plain letter, digit, dot or dash becomes a dash."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", name).strip(".-")[:80] or "unnamed"


def is_reachable(url: str) -> bool:
    """Whether the server of `url` answers and proves who it is, within some seconds.

    Only a connection is made and no request sent, so it needs no User-Agent and counts as no client.
    """
    address = urlsplit(url)
    secure = address.scheme == "https"
    try:
        with socket.create_connection(
            (address.hostname or "", address.port or (443 if secure else 80)), timeout=REACH_LIMIT
        ) as connection:
            if secure:
                ssl.create_default_context().wrap_socket(connection, server_hostname=address.hostname).close()
    except (OSError, ValueError):
        return False
    return True
