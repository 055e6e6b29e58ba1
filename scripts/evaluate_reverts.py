"""How well reverts are read from summaries, against labels made by reading and not by the detector.

    python scripts/evaluate_reverts.py RECORDING            coverage per wiki, precision and recall on the labels
    python scripts/evaluate_reverts.py RECORDING --draw     the sample that was labelled, as id, wiki and summary

RECORDING holds one recentchange event per line, gzipped or not; the labels (tests/unit/revert_labels.tsv) are of the
edits of 2024-12-07, 00:12 to 14:59 UTC, and hold ids only: the summaries stay in the recording.

A label says of an edit whether its summary claims that it undoes somebody's edit (is_revert), and whether it does so
in words that MediaWiki or a tool wrote (standard_form). The sample is stratified by how much a summary looks like a
revert to a coarse search for word stems, which knows nothing of the forms, so that rare reverts in other words and
look-alikes both have a share.
"""

import argparse
import gzip
import json
import random
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from services.worker.summaries import Claim, parse_summary

LABELS = Path(__file__).parents[1] / "tests/unit/revert_labels.tsv"
SEED = 20241207
# Edits drawn of each wiki that look like a revert, that might be one, and that do not.
SHARES = {"enwiki": {"likely": 110, "possible": 40, "other": 40}, "dewiki": {"likely": 50, "possible": 30, "other": 30}}
LIKELY = re.compile(
    r"rever|\bund(?:o|id|one)|roll(?:ed)? ?back|restor|\brv|rückg|zurück|verworfen|wiederher", re.IGNORECASE
)
POSSIBLE = re.compile(
    r"contrib|beitr(?:ä|ae)ge|diff/|remov|entfern|vandal|gesetzt|wieder|sock|unsourced|serv|falsch|per \[\[|war ",
    re.IGNORECASE,
)


class Edit(NamedTuple):
    """What the evaluation needs of one event."""

    id: int
    wiki: str
    comment: str


class Label(NamedTuple):
    """What a reader found in one summary."""

    is_revert: bool
    standard_form: bool


class Score(NamedTuple):
    """Results on the labelled sample."""

    labelled: int
    precision: float  # of the edits read as reverts, the share that is one
    standard_recall: float  # of the reverts in standard form, the share that is read as one
    recall: float  # of all reverts
    named: float  # of the reverts in standard form, the share that names editor, revision or restored editor
    disagreements: list[tuple[Edit, Label, Claim | None]]


def edits(recording: Path) -> Iterator[Edit]:
    with gzip.open(recording, "rt") if recording.suffix == ".gz" else recording.open() as lines:
        for line in lines:
            event = json.loads(line)
            if event.get("type") in ("edit", "new"):
                yield Edit(event["id"], event["wiki"], event["comment"])


def stratum(comment: str) -> str:
    if LIKELY.search(comment):
        return "likely"
    return "possible" if POSSIBLE.search(comment) else "other"


def draw(recording: Path) -> list[Edit]:
    """The sample: always the same edits from the same recording."""
    strata: defaultdict[tuple[str, str], list[Edit]] = defaultdict(list)
    for edit in edits(recording):
        strata[edit.wiki, stratum(edit.comment)].append(edit)
    generator = random.Random(SEED)  # noqa: S311 - a repeatable sample, no secret
    return [
        edit
        for wiki, shares in SHARES.items()
        for name, size in shares.items()
        for edit in generator.sample(strata[wiki, name], min(size, len(strata[wiki, name])))
    ]


def labels() -> dict[int, Label]:
    """The labels by the `id` of the event."""
    rows = LABELS.read_text(encoding="utf-8").splitlines()[1:]
    return {int(id_): Label(is_revert == "1", standard == "1") for id_, is_revert, standard in map(str.split, rows)}


def names_target(claim: Claim | None) -> bool:
    """Whether a claim names whom or what it reverts, or, where a version is restored, whose."""
    return claim is not None and bool(claim.user or claim.rev_id or (claim.method == "restore" and claim.restored_user))


def score(recording: Path) -> Score | None:
    """Results on the labelled edits that the recording holds; None if it holds none of them."""
    known = labels()
    read = [
        (edit, known[edit.id], parse_summary(edit.wiki, edit.comment)) for edit in edits(recording) if edit.id in known
    ]
    if not read:
        return None
    hits = sum(claim is not None for _, _, claim in read)
    right = sum(label.is_revert for _, label, claim in read if claim)
    reverts = [claim for _, label, claim in read if label.is_revert]
    standard = [claim for _, label, claim in read if label.standard_form]
    return Score(
        labelled=len(read),
        precision=right / hits,
        standard_recall=sum(claim is not None for claim in standard) / len(standard),
        recall=sum(claim is not None for claim in reverts) / len(reverts),
        named=sum(names_target(claim) for claim in standard) / len(standard),
        disagreements=[row for row in read if row[1].is_revert != (row[2] is not None)],
    )


def coverage(recording: Path) -> dict[str, Counter[str]]:
    """Counts per wiki: edits, recognised, naming the reverted editor, and by method and form."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for edit in edits(recording):
        claim = parse_summary(edit.wiki, edit.comment)
        counts[edit.wiki]["edits"] += 1
        if claim:
            counts[edit.wiki].update(["recognised", f"{claim.method} ({claim.form})"])
            counts[edit.wiki]["naming the editor"] += bool(claim.user)
            counts[edit.wiki]["in a fixed form"] += claim.form != "bare"
            counts[edit.wiki]["claiming an exemption"] += bool(claim.exempt)
    return dict(counts)


def print_coverage(recording: Path) -> None:
    for wiki, counts in sorted(coverage(recording).items(), key=lambda item: -item[1]["edits"]):
        print(f"{wiki}: {counts['edits']:,} edits")
        for what, count in counts.most_common():
            if what != "edits":
                print(f"  {what:<24}{count:>7,}{count / counts['edits']:>8.2%} of edits")


def print_score(result: Score) -> None:
    print(
        f"on {result.labelled} edits labelled by reading: precision {result.precision:.3f}, "
        f"recall {result.standard_recall:.3f} on standard forms ({result.recall:.3f} on all reverts), "
        f"target named in {result.named:.1%} of standard forms"
    )
    for edit, label, claim in result.disagreements:
        print(f"  {edit.wiki} {edit.id}: label {label.is_revert}, read as {claim}\n    {edit.comment}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording", type=Path)
    parser.add_argument("--draw", action="store_true", help="print the sample that was labelled")
    arguments = parser.parse_args()
    if not arguments.recording.exists():
        print(f"There is no {arguments.recording}: give the path of a recording, one event per line.", file=sys.stderr)
        return 2
    if arguments.draw:
        for edit in draw(arguments.recording):
            print(edit.id, edit.wiki, json.dumps(edit.comment, ensure_ascii=False), sep="\t")
        return 0
    print_coverage(arguments.recording)
    if result := score(arguments.recording):
        print_score(result)
    else:
        print("The recording holds none of the labelled edits, which are of 2024-12-07.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
