"""Write `.env` with random passwords: `make init`. Run again it adds what is missing and changes nothing else.

Only the standard library is used, for there is no virtual environment yet when a new user runs it.
"""

import argparse
import os
import re
import secrets
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SECRETS = ("STACK_WRITER_PASSWORD", "STACK_READER_PASSWORD", "STACK_NOTIFIER_PASSWORD")
CONTACT = "EVENTSTREAMS_CONTACT"


def complete(template: str, existing: str, contact: str = "") -> str:
    """The text of `.env`: `existing` (or the template where that is empty) with its empty secrets made at random.

    A value that is there stays, whatever it is: a new password would lock out the data stored under the old one.
    """
    text = existing or template
    values = {CONTACT: contact} if contact else {}
    values |= {name: secrets.token_urlsafe(24) for name in SECRETS}
    for name, value in values.items():
        line = re.search(rf"^{name}=(.*)$", text, re.MULTILINE)
        if line is None:
            text = f"{text.rstrip()}\n{name}={value}\n"
        elif not line[1].strip():
            text = f"{text[: line.start()]}{name}={value}{text[line.end() :]}"
    return text


def write_private(path: Path, text: str) -> None:
    """Replace `path` in one step with a file that only its owner can read."""
    aside = path.with_name(f"{path.name}.new")
    aside.unlink(missing_ok=True)
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    aside.replace(path)


def main() -> None:
    """Make or complete `.env` beside compose.yaml."""
    parser = argparse.ArgumentParser(description="Write .env with random passwords.")
    parser.add_argument("--contact", default="", help="Your mail address or web page, for Wikimedia.")
    parser.add_argument("--folder", type=Path, default=ROOT, help="Where .env belongs.")
    options = parser.parse_args()
    if re.search(r"[\s'\"$]", options.contact):
        parser.error("--contact: a mail address or a web page, without spaces, quotes or $")
    path = options.folder / ".env"
    existing = path.read_text() if path.exists() else ""
    text = complete((ROOT / ".env.example").read_text(), existing, options.contact)
    if text == existing:
        print(f"{path} is complete; nothing changed.")
    else:
        write_private(path, text)
        print(f"{'Completed' if existing else 'Wrote'} {path} (readable by you alone).")
    if re.search(rf"^{CONTACT}=\s*$", text, re.MULTILINE):
        print(f"Still open: {CONTACT}. For the live stream: make init CONTACT=you@example.org")


if __name__ == "__main__":
    main()
