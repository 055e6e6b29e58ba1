"""A heartbeat: a small JSON file that a part rewrites about once a second.

Supervisor, `battlefield status` and container health checks read it. A file needs no port, no
network and no library, and its age tells what a process list cannot: that the part still gets round its loop.
"""

import os
import time
from pathlib import Path
from typing import Any

import msgspec

STALE_AFTER = 15.0  # seconds; a checkpoint with a slow ClickHouse can hold a worker's loop for some of them


class Heartbeat(msgspec.Struct):
    """One beat. `figures` holds the part's own counters, all numbers or short strings."""

    role: str
    pid: int
    at: float  # seconds since 1970
    state: str  # starting, running, waiting, stopping; anything else says what is wrong
    figures: dict[str, Any]
    last_error: str = ""

    @property
    def age(self) -> float:
        """Seconds since the beat."""
        return time.time() - self.at


def heartbeat_path(data_dir: Path, role: str) -> Path:
    """`role` is unique per process: "producer", "worker-1", ..."""
    return data_dir / "heartbeats" / f"{role}.json"


def beat(data_dir: Path, role: str, state: str, figures: dict[str, Any], last_error: str = "") -> None:
    """Write a beat; a reader never sees half of one (written aside, then renamed)."""
    path = heartbeat_path(data_dir, role)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(f".{os.getpid()}.tmp")
    aside.write_bytes(msgspec.json.encode(Heartbeat(role, os.getpid(), time.time(), state, figures, last_error)))
    aside.replace(path)


def read_heartbeat(data_dir: Path, role: str) -> Heartbeat | None:
    """The last beat of a role, or None where there is none that can be read."""
    try:
        return msgspec.json.decode(heartbeat_path(data_dir, role).read_bytes(), type=Heartbeat)
    except (OSError, msgspec.DecodeError):
        return None
