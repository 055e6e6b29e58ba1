"""Hold services/worker/summaries.toml against MediaWiki's own message files.

    python scripts/check_summaries.py MEDIAWIKI/languages/i18n [FLAGGEDREVS/i18n/revisionreview]

Each revert message of every language in the table is filled in as MediaWiki does, with made-up editors, and read
back. Ends with status 1, and prints which, if a message that the table has for its language yields another claim than
it was made from. The message files are MediaWiki's (GPL) and are not part of this project: take them from a checkout
of mediawiki/core and mediawiki/extensions/FlaggedRevs.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from services.worker.summaries import Claim, messages_of_table, parse_summary

REVISION, EDITOR, AUTHOR = 987654321, "Ada of Example", "Zoë (test)"
CORE = (
    "undo-summary",
    "undo-summary-anon",
    "undo-summary-username-hidden",
    "revertpage",
    "revertpage-anon",
    "revertpage-nouser",
)
FLAGGED_REVS = "revreview-reject-summary-cur"
# Table language -> message files, where they are named otherwise.
FILES = {"zh": ("zh-hans", "zh-hant"), "sr": ("sr-ec", "sr-el"), "kk": ("kk-cyrl",), "tt": ("tt-cyrl",)}
FILES |= {"pt": ("pt", "pt-br")}
WIKIS = {"nb": "nowiki", "be-tarask": "be_x_oldwiki", "yue": "zh_yuewiki", "nan": "zh_min_nanwiki"}


class Case(NamedTuple):
    """One filled-in message and what must be read from it."""

    wiki: str
    file: str
    key: str
    summary: str
    user: str
    rev_id: int
    restored_user: str


def filled_in(message: str, parameters: dict[str, str]) -> Iterator[str]:
    """A message with its parameters, once for each grammatical form that it distinguishes."""
    choices = re.search(r"\{\{(?:PLURAL|GENDER|gender):[^{}|]*\|?([^{}]*)\}\}", message)
    if choices:
        for choice in dict.fromkeys(re.split(r"\|(?![^\[\]]*\]\])", choices[1])):
            choice = re.sub(r"^(?:\d+|one|two|few|many)=", "", choice)
            yield from filled_in(message[: choices.start()] + choice + message[choices.end() :], parameters)
        return
    message = message.replace("{{MediaWiki:Contribslink}}", "contribs").replace("&#32;", " ").replace("\n", " ")
    yield re.sub(r"\$(\d)", lambda parameter: parameters.get(parameter[1], parameter[0]), message)


def core_cases(wiki: str, file: Path) -> Iterator[Case]:
    messages = json.loads(file.read_text(encoding="utf-8"))
    for key in CORE:
        undo = key.startswith("undo")
        parameters = {"1": str(REVISION), "2": EDITOR} if undo else {"1": AUTHOR, "2": EDITOR}
        for summary in filled_in(messages.get(key, ""), parameters):
            if summary:
                yield Case(
                    wiki,
                    file.stem,
                    key,
                    summary,
                    "" if key.endswith(("hidden", "nouser")) else EDITOR,
                    REVISION if undo else 0,
                    "" if undo else AUTHOR,
                )


def flagged_revs_cases(wiki: str, file: Path) -> Iterator[Case]:
    message = json.loads(file.read_text(encoding="utf-8")).get(FLAGGED_REVS, "")
    link = f"[[Special:Contributions/{EDITOR}|{EDITOR}]]"
    parameters = {"1": "2", "2": link, "3": "5", "4": AUTHOR, "5": EDITOR, "6": AUTHOR, "7": "1"}
    for summary in filled_in(message, parameters):
        if summary:
            yield Case(wiki, file.stem, "review-reject", summary, EDITOR, 0, AUTHOR)


def cases(core: Path, flagged_revs: Path | None) -> tuple[list[Case], int]:
    """The cases that the table has a message for, and how many others there are."""
    chosen, others = [], 0
    for language, keys in messages_of_table().items():
        wiki = WIKIS.get(language, f"{language.replace('-', '_')}wiki")
        for code in FILES.get(language, (language,)):
            found = list(core_cases(wiki, core / f"{code}.json"))
            if flagged_revs and (file := flagged_revs / f"{code}.json").exists():
                found += flagged_revs_cases(wiki, file)
            covered = [case for case in found if case.key.removesuffix("-anon") in keys]
            chosen += covered
            others += len(found) - len(covered)
    return chosen, others


def wrong(case: Case, claim: Claim | None) -> bool:
    return (
        claim is None
        or claim.form == "bare"
        or (claim.user, claim.rev_id, claim.restored_user) != (case.user, case.rev_id, case.restored_user)
    )


def main(arguments: list[str]) -> int:
    if len(arguments) not in (1, 2):
        print(__doc__)
        return 2
    read, others = cases(Path(arguments[0]), Path(arguments[1]) if len(arguments) == 2 else None)
    failed = [(case, claim) for case in read if wrong(case, claim := parse_summary(case.wiki, case.summary))]
    for case, claim in failed:
        print(f"{case.file} {case.key}: {case.summary}\n    read as {claim}")
    print(
        f"{len(read) - len(failed)} of {len(read)} summaries in {len({case.file for case in read})} languages "
        f"read back; {others} more are of messages that the table leaves out"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
