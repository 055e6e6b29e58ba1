"""Memory of this process and everything it started, together."""

import sys

import psutil

# PSS shares out pages that processes have in common, so that their sum is what the machine really gives
MEASURE = "PSS" if sys.platform == "linux" else "RSS"


def memory_in_use() -> int:
    """Bytes, by MEASURE. A process that ends meanwhile counts nothing."""
    ours = psutil.Process()
    return sum(map(_memory_of, [ours, *ours.children(recursive=True)]))


def _memory_of(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss if MEASURE == "PSS" else process.memory_info().rss)
    except psutil.Error:
        return 0
