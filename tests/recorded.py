"""Where Wikimedia's recorded events are, on machines that have them; they are no part of the project."""

import os
from pathlib import Path

import pytest

from services.common.settings import PROJECT_ROOT

RECORDINGS = Path(os.environ.get("WIKI_RECORDINGS", PROJECT_ROOT.parent / "shared" / "data"))


def recorded(name: str) -> Path:
    """A file of the recordings; skips the test, saying so, where it is not there."""
    path = RECORDINGS / name
    if not path.exists():
        pytest.skip(f"{path} is not here: WIKI_RECORDINGS names the folder of Wikimedia's recorded events")
    return path
