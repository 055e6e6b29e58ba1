"""Wikimedia's own events, as recorded: each accepted, dropped or refused with its reason."""

import gzip
import json
import re
from collections import Counter
from typing import Any

import pytest

from services.common.change import Change, DeadLetter
from services.producer.events import read_event
from services.worker.summaries import parse_summary
from tests.recorded import recorded

NOW = 1_795_000_000_000  # milliseconds


def fate(data: str) -> str:
    """What becomes of an event: its type where it is kept, else the reason."""
    outcome = read_event(data, NOW).outcome
    return outcome.type if isinstance(outcome, Change) else outcome.reason


def test_the_first_events_of_a_connection() -> None:
    lines = recorded("eventstreams/recentchange-2026-09-23-first12.jsonl").read_text().splitlines()
    fates = Counter(map(fate, lines))
    assert sum(fates.values()) == 12
    assert set(fates) <= {"edit", "new", "log", "categorize", "canary"}


def test_the_frames_of_a_connection() -> None:
    text = recorded("eventstreams/raw-2023-12-07.sse").read_text()
    assert [fate(data) for data in re.findall(r"^data: (.*)$", text, re.MULTILINE)] == ["edit", "log"]


def test_events_with_the_fields_of_the_contract_alone() -> None:
    lines = recorded("eventstreams/enwiki-reverts-2026-10-07-contract-fields.jsonl").read_text().splitlines()
    for line in lines:
        # as they stand they do not say where in the log they are
        assert fate(line) == "schema"
        event: dict[str, Any] = json.loads(line)
        event["meta"] |= {"topic": "codfw.mediawiki.recentchange", "partition": 0, "offset": 1}
        change = read_event(json.dumps(event), NOW).outcome
        assert isinstance(change, Change)
        claim = parse_summary(change.wiki, change.comment)
        assert claim is not None
        assert claim.user


@pytest.mark.parametrize("version", ["1.0.0", "1.0.1"])
def test_the_schemas_own_examples(version: str) -> None:
    # the schema requires no more than this of an event; without an id and an origin it cannot be counted once
    meta = {"dt": "2020-07-01T00:00:00Z", "stream": "mediawiki.recentchange"}
    letter = read_event(json.dumps({"$schema": f"/mediawiki/recentchange/{version}", "meta": meta}), NOW).outcome
    assert isinstance(letter, DeadLetter)
    assert letter.reason == "schema"


def test_no_event_of_a_whole_day_is_refused() -> None:
    with gzip.open(recorded("real-edits-2024-12-07.jsonl.gz"), "rt") as file:
        assert Counter(map(fate, file)) == {"edit": 42_951}
