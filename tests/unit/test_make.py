"""The Makefile's own promises: `make help` lists every target, an unusable Python ends in one clear line."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="no make on this machine")


def test_help_lists_every_target() -> None:
    text = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = re.findall(r"^\.PHONY: (\S+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert re.findall(r"^  make (\S+)", text, re.MULTILINE) == targets


def fake_python(folder: Path, version: str) -> Path:
    """A command that says it is Python of that version."""
    path = folder / f"python-{version}"
    path.write_text(f"#!/bin/sh\necho {version}\n")
    path.chmod(0o755)
    return path


def find_python(candidates: str) -> subprocess.CompletedProcess[str]:
    command = ["sh", "scripts/find_python.sh"]
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PYTHON": candidates}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.9", "3.10"])
def test_too_old_a_python_is_refused_by_name(tmp_path: Path, version: str) -> None:
    old = fake_python(tmp_path, version)
    result = find_python(str(old))
    assert (result.returncode, result.stdout) == (1, "")
    assert f"{old} is {version}" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("version", ["3.11", "3.13", "3.20"])
def test_the_first_that_will_do_is_taken(tmp_path: Path, version: str) -> None:
    candidates = f"no-such-python {fake_python(tmp_path, '3.10')} {fake_python(tmp_path, version)}"
    assert find_python(candidates).stdout == f"{tmp_path}/python-{version}\n"


def test_no_python_at_all() -> None:
    result = find_python("no-such-python")
    assert result.returncode == 1
    assert "none found" in result.stderr


@pytest.mark.parametrize(("target", "words"), [("backup", "Where to? make backup TO="), ("restore", "From where? ")])
def test_a_backup_needs_a_folder(target: str, words: str, tmp_path: Path) -> None:
    for name in ("Makefile", "scripts"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / ".env").touch()
    result = subprocess.run(["make", target], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert words in result.stderr
