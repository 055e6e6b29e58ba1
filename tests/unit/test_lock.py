"""The locks hold what pyproject.toml asks for, with hashes, and name no index."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = {"requirements.lock": [], "requirements-demo.lock": ["embedded"], "requirements-dev.lock": ["embedded", "dev"]}


def wanted(lock: str) -> list[Requirement]:
    optional = [text for extra in EXTRAS[lock] for text in PROJECT["project"]["optional-dependencies"][extra]]
    return [Requirement(t) for t in PROJECT["build-system"]["requires"] + PROJECT["project"]["dependencies"] + optional]


def pins(lock: str) -> dict[str, set[str]]:
    """Name -> versions (more than one where markers choose), each pin with at least one hash."""
    found: dict[str, set[str]] = {}
    for entry in re.split(r"\n(?=\S)", (ROOT / lock).read_text()):
        if entry.startswith("#"):
            continue
        pin = re.match(r"([A-Za-z0-9_.-]+)==(\S+)", entry)
        assert pin, f"{lock}: {entry.splitlines()[0]} is not pinned"
        assert "--hash=sha256:" in entry, f"{lock}: {pin[0]} has no hash"
        found.setdefault(canonicalize_name(pin[1]), set()).add(pin[2])
    return found


@pytest.mark.parametrize("lock", EXTRAS)
def test_a_lock_holds_what_the_project_asks_for(lock: str) -> None:
    locked = pins(lock)
    missing = [
        str(requirement)
        for requirement in wanted(lock)
        if not all(requirement.specifier.contains(v) for v in locked.get(canonicalize_name(requirement.name), {"0"}))
    ]
    assert missing == [], "run `make lock`"


def test_each_lock_holds_the_one_before_it() -> None:
    smaller, middle, larger = (pins(lock) for lock in EXTRAS)
    assert smaller.items() <= middle.items() <= larger.items()


@pytest.mark.parametrize("lock", EXTRAS)
def test_a_lock_names_no_index(lock: str) -> None:
    assert not re.search(r"://|--index|--find-links", (ROOT / lock).read_text())
