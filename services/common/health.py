"""How a part tells that it is well, to those who start it: answers over HTTP where a platform gives a PORT.

Cloud Run and its like ask a port, which producer, worker and notifier have no use for; containers of compose.yaml ask
`battlefield health`. Both go by the heartbeat, so a part that hangs is not well although its port answers.
"""

import json
import signal
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FrameType

import click

from services.common.heartbeat import STALE_AFTER, Heartbeat, read_heartbeat
from services.common.settings import Settings

# a part that waits for the source or for ClickHouse is well: restarting it would not bring them back
HEALTHY_STATES = ("running", "waiting")
PATHS = ("/", "/health")  # Cloud Run keeps /healthz for itself
SLOWEST = 5.0  # seconds that a client may take for its request


def examine(heartbeat: Heartbeat | None, max_age: float) -> tuple[bool, str]:
    """Whether a part is well, and its state or what is wrong with it. `max_age` in seconds."""
    if heartbeat is None:
        return False, "no heartbeat yet"
    if heartbeat.age > max_age:
        return False, f"last heartbeat {heartbeat.age:.0f} s ago: it hangs or has ended"
    return heartbeat.state in HEALTHY_STATES, heartbeat.state


def answer_health(settings: Settings, role: str) -> ThreadingHTTPServer | None:
    """Answer `GET /health` on HEALTH_PORT or PORT from now on, in threads of its own; None where there is neither.

    200 and 503 with the state alone: what else the part knows is not for whoever can reach the port. Raises
    click.ClickException where the port is taken.
    """
    port = settings.health_port or settings.port
    if not port:
        return None
    try:
        server = ThreadingHTTPServer((settings.listen_address, port), _handler(settings.data_dir, role))
    except OSError as error:
        raise click.ClickException(
            f"Cannot listen on {settings.listen_address}:{port} ({error.strerror}): give each process a PORT of its "
            "own, or none."
        ) from None
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server


def _handler(data_dir: Path, role: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = SLOWEST
        server_version, sys_version = "battlefield", ""

        def do_GET(self) -> None:
            if self.path.partition("?")[0] not in PATHS:
                self._answer(HTTPStatus.NOT_FOUND, {"error": "ask for /health"})
                return
            well, state = examine(read_heartbeat(data_dir, role), STALE_AFTER)
            self._answer(HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE, {"role": role, "state": state})

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            """Nothing: a platform asks every few seconds."""

        def _answer(self, status: HTTPStatus, body: dict[str, str]) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

    return Handler


def end_at_sigterm() -> None:
    """Let SIGTERM end this process while it still waits for broker or ClickHouse; later its loop ends it in order.

    As a container's first process it would be left alone by SIGTERM without this.
    """

    def end(_number: int, _frame: FrameType | None) -> None:
        sys.exit(0)

    signal.signal(signal.SIGTERM, end)
