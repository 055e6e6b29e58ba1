"""`battlefield work` without the battle engine, to measure what the engine costs: deduplication, windows and rows remain.

    python -m scripts.without_engine work --name worker-1

No summary is read, so no revert, battle or alert follows, and no page is remembered: nothing else asks for a page's past.
Not a switch of the worker's: it would have to be kept right, and nobody would run with it.
"""

from typing import Any

from services.cli import main
from services.worker import engage as step
from services.worker.state import PageState, WorkingSet


class _Nowhere:
    """A page's state that is neither read nor kept."""

    def __get__(self, memory: WorkingSet | None, owner: type[WorkingSet]) -> Any:
        return lambda *_: _PAGE


_PAGE = PageState()


def leave_out_the_engine() -> None:
    """In this process, from now on."""
    vars(step)["parse_summary"] = lambda *_: None
    vars(step)["_remember"] = lambda *_: None
    WorkingSet.page = _Nowhere()  # type: ignore[assignment] # as said above


if __name__ == "__main__":
    leave_out_the_engine()
    main()
