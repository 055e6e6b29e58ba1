"""`make init`: passwords at random, a private file, nothing overwritten."""

import subprocess
import sys
from pathlib import Path

import pytest

from scripts.init_env import ROOT, SECRETS, complete

TEMPLATE = (ROOT / ".env.example").read_text()


def values(text: str) -> dict[str, str]:
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def init(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / "init_env.py"), "--folder", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_template_holds_no_password() -> None:
    assert {name: values(TEMPLATE)[name] for name in SECRETS} == dict.fromkeys(SECRETS, "")


def test_passwords_are_long_and_differ() -> None:
    made = [values(complete(TEMPLATE, ""))[name] for name in SECRETS for _ in range(2)]
    assert len(set(made)) == len(made)
    assert min(map(len, made)) >= 32


def test_what_is_there_stays() -> None:
    existing = "STACK_WRITER_PASSWORD=mine\nOTHER=1\n"
    completed = complete(TEMPLATE, existing, contact="me@example.org")
    assert completed.startswith(existing)
    assert values(completed)["EVENTSTREAMS_CONTACT"] == "me@example.org"
    assert values(completed)["STACK_READER_PASSWORD"]
    assert complete(TEMPLATE, completed, contact="you@example.org") == completed


def test_the_file_is_private_and_a_second_run_changes_nothing(tmp_path: Path) -> None:
    first = init(tmp_path, "--contact", "me@example.org")
    assert first.returncode == 0, first.stderr
    file = tmp_path / ".env"
    assert file.stat().st_mode & 0o777 == 0o600
    before = file.read_text()
    assert "nothing changed" in init(tmp_path).stdout
    assert file.read_text() == before
    assert not any(values(before)[name] in first.stdout for name in SECRETS)


@pytest.mark.parametrize("contact", ["two words", "a$b", "a'b", "a\nB=1"])
def test_a_contact_cannot_smuggle_in_another_line(tmp_path: Path, contact: str) -> None:
    assert init(tmp_path, "--contact", contact).returncode == 2
    assert not (tmp_path / ".env").exists()
