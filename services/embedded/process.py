"""Child processes that cannot outlive the process that started them, not even when it is killed with SIGKILL.

On Linux the kernel does it: a child asks for SIGKILL at its parent's death. Elsewhere (macOS) a `Guard`, one tiny
process at the other end of a pipe, sees the pipe close and kills the children's process groups.
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO

PR_SET_PDEATHSIG = 1  # linux/prctl.h

# looked up before any fork: the child must not take locks of the dynamic linker
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


def _ask_to_die_with(parent: int) -> Callable[[], None]:
    """For `preexec_fn`: runs in the child, between fork and exec."""

    def ask() -> None:
        if _prctl is not None:
            _prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
            if os.getppid() != parent:  # it died before we asked, so no signal would ever come
                os._exit(1)

    return ask


def spawn(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    output: int | IO[bytes] | None = None,
    own_group: bool = True,
) -> subprocess.Popen[bytes]:
    """Start a child that dies with us; `output` takes its standard output and error (None: ours).

    Call it from the main thread: the kernel counts the death of the thread that forked as the parent's death.
    `own_group` keeps a terminal's Ctrl-C from the child, so that whoever started it ends it in order, and lets
    `kill_group` reach what the child started itself.
    """
    return subprocess.Popen(
        command,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=own_group,
        preexec_fn=_ask_to_die_with(os.getpid()),  # it only makes two system calls
    )


def kill_group(group: int) -> None:
    """SIGKILL for all that is left of a child's process group; nothing left is fine."""
    with suppress(ProcessLookupError, PermissionError):  # macOS answers EPERM for a group of zombies
        os.killpg(group, signal.SIGKILL)


class Guard:
    """Kills registered process groups when this process is gone, where the kernel has no signal for that."""

    def __init__(self) -> None:
        guard = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(__file__).with_name("guard.py"))],
            stdin=subprocess.PIPE,
            start_new_session=True,  # what kills our whole group must not kill the guard
        )
        assert guard.stdin is not None  # noqa: S101 - asked for above
        self._process, self._pipe = guard, guard.stdin

    def __enter__(self) -> "Guard":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(BrokenPipeError):
            self._pipe.close()
        self._process.wait(timeout=5)

    def watch(self, group: int) -> None:
        """From now on, `group` dies with us."""
        self._tell(f"+{group}\n")

    def forget(self, group: int) -> None:
        """`group` has ended; its number may come to belong to somebody else."""
        self._tell(f"-{group}\n")

    def _tell(self, line: str) -> None:
        with suppress(BrokenPipeError):  # somebody killed the guard: the parts run on without its protection
            self._pipe.write(line.encode())
            self._pipe.flush()
