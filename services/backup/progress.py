"""How far a backup or a restore is, for a person who looks at it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from services.audit.audit_command import progress_bar

Progress = Callable[[str, int, int], None]  # what, how many of it, of about how many


@contextmanager
def shown(quiet: bool) -> Iterator[Progress]:
    """Bars on stderr, one for each thing that is done; nothing where it is not looked at."""
    tasks: dict[str, Any] = {}
    with progress_bar(quiet) as bar:

        def show(what: str, done: int, of: int) -> None:
            if bar is None:
                return
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=of)
            bar.update(tasks[what], description=f"{what}: {done:,}", completed=done)

        yield show
