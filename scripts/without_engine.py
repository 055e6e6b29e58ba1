"""`battlefield work` without the battle engine, to measure what the engine costs.

    python -m scripts.without_engine work --name worker-1

No summary is read, so that no revert, battle or alert follows, and no page is remembered, since nothing else asks for a
page's past. Deduplication, windows and rows remain. It is no switch of the worker's own: nobody would run it so, and it
would have to be kept right.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from services.cli import main
from services.worker import engage as step
from services.worker.memory import ShardMemory
from services.worker.state import PageState


@contextmanager
def without_engine() -> Iterator[None]:
    """In this process, while it is entered."""
    with (
        patch.object(step, "parse_summary", lambda *_: None),
        patch.object(step, "_remember", lambda *_: None),
        patch.object(ShardMemory, "page", lambda *_: PageState()),
    ):
        yield


if __name__ == "__main__":
    with without_engine():
        main()
