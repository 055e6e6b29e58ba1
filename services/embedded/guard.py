"""The other end of `process.Guard`: run as a script with the standard library alone, so that it stays tiny."""

import os
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress


def groups_left(lines: Iterable[str]) -> set[int]:
    """The process groups that were announced (`+123`) and not taken back (`-123`), once the lines have ended."""
    groups: set[int] = set()
    for line in lines:
        (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
    return groups


if __name__ == "__main__":
    # our pipe's other end closes when the supervisor ends, in whatever way
    for group in groups_left(sys.stdin):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
