"""Every event is accepted, dropped or refused with a reason; none raises."""

import json
import random

import pytest

from services.common.change import Change, DeadLetter, Origin
from services.producer.events import Dropped, read_event
from tests.events import START, TOPIC, event, event_json

NOW = (START + 5) * 1000


def outcome(data: str):
    return read_event(data, NOW).outcome


def test_an_edit_is_accepted_with_all_that_is_stored():
    reading = read_event(event_json(7, comment="Änderung 👍", user="~2026-12345-67", minor=True), NOW)
    assert reading.origin == Origin(TOPIC, 0, 7)
    assert reading.dt_ms == (START + 2) * 1000 + 500
    change = reading.outcome
    assert isinstance(change, Change)
    assert (change.comment, change.actor, change.minor, change.received) == ("Änderung 👍", "temporary", True, NOW)
    assert (change.rev_id, change.old_rev_id, change.length_old, change.length_new) == (
        5_000_007,
        5_000_006,
        1000,
        1010,
    )


@pytest.mark.parametrize(
    ("changed", "field", "value"),
    [
        ({"length": {"new": 5}}, "length_old", None),
        ({"length": {"old": None, "new": 5}}, "length_old", None),
        ({"length": ...}, "length_new", None),
        ({"revision": {"old": None, "new": 2**62}}, "rev_id", 2**62),
        ({"id": 2**60}, "type", "edit"),
        ({"id": ...}, "type", "edit"),
        ({"user": ...}, "user", ""),
        ({"comment": "x" * 300_000}, "comment", "x" * 300_000),
        ({"comment": ""}, "comment", ""),
        ({"server_name": ...}, "server_name", "en.wikipedia.org"),
        ({"meta": {"dt": ...}}, "timestamp", START),
        ({"type": "log", "log_type": "protect", "log_params": {"a": [1]}}, "log_params", '{"a": [1]}'),
        ({"type": "log", "log_type": "block", "log_params": []}, "log_params", "[]"),
        ({"type": "log", "log_type": None, "revision": ..., "length": ...}, "rev_id", 0),
        ({"namespace": -1}, "namespace", -1),
        ({"bot": True}, "actor", "bot"),
        ({"user": "2001:db8::7"}, "actor", "temporary"),
    ],
)
def test_what_the_schema_allows_is_accepted(changed, field, value):
    change = outcome(event_json(1, **changed))
    assert isinstance(change, Change), change
    assert getattr(change, field) == value


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"meta": {"domain": "canary"}}, "canary"),
        ({"type": "categorize"}, "categorize"),
        ({"type": "categorize", "length": "none", "title": ...}, "categorize"),
        ({"type": "external"}, "external"),
        ({"type": "142"}, "other_type"),
    ],
)
def test_what_is_not_kept_is_dropped_under_its_reason(changed, reason):
    assert outcome(event_json(1, **changed)) == Dropped(reason)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("", "not_json"),
        ("{", "not_json"),
        ("not JSON at all", "not_json"),
        ('{"title": "\\ud800"}', "not_json"),
        ("[" * 9999, "schema"),
        (event_json(1, log_params="@").replace('"@"', "[" * 9999 + "]" * 9999), "not_json"),
        (event_json(1, title=5, z="@").replace('"@"', "[" * 9999 + "]" * 9999), "schema"),
        ("[]", "schema"),
        ("17", "schema"),
        ("{}", "schema"),
        (event_json(1, title=...), "schema"),
        (event_json(1, wiki=...), "schema"),
        (event_json(1, wiki="En Wiki; DROP TABLE"), "schema"),
        (event_json(1, timestamp="yesterday"), "schema"),
        (event_json(1, timestamp=...), "schema"),
        (event_json(1, meta={"id": "not a uuid"}), "schema"),
        (event_json(1, meta={"offset": -1}), "schema"),
        (event_json(1, meta={"offset": 2**64}), "schema"),
        (event_json(1, meta={"topic": ...}), "schema"),
        (event_json(1, meta="gone"), "schema"),
        (event_json(1, length={"old": 1, "new": 2**40}), "schema"),
        (event_json(1, revision={"new": -5}), "schema"),
        (event_json(1, user={"name": "x"}), "schema"),
        (event_json(1, timestamp=-5), "timestamp_range"),
        (event_json(1, timestamp=2**40), "timestamp_range"),
        (event_json(1, comment="x" * 1_000_000), "too_large"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_reason_and_its_bytes(data, reason):
    letter = outcome(data)
    assert isinstance(letter, DeadLetter)
    assert letter.reason == reason
    assert letter.error
    assert letter.raw == data.encode()[: 64 * 1024]
    assert letter.raw_size == len(data.encode())


def test_an_event_from_the_future_is_refused_for_it_would_make_all_others_late():
    far = event(1)
    far["timestamp"] = START + 86_400
    letter = outcome(json.dumps(far))
    assert isinstance(letter, DeadLetter)
    assert letter.reason == "timestamp_ahead"


def test_a_faulty_event_keeps_its_origin_and_an_unreadable_one_takes_that_of_its_sse_id():
    assert read_event(event_json(9, title=...), NOW).origin == Origin(TOPIC, 0, 9)
    fallback = Origin(TOPIC, 0, 12)
    assert read_event("{", NOW, lambda: fallback).origin == fallback
    assert read_event("{", NOW).origin is None


def test_a_dead_letter_has_the_same_id_whenever_it_comes_from_the_same_place():
    ids = {read_event("{", at, lambda: Origin(TOPIC, 0, 5)).outcome.dead_letter_id for at in (1, 2)}
    assert len(ids) == 1
    assert read_event("{", 1, lambda: Origin(TOPIC, 0, 6)).outcome.dead_letter_id not in ids


def test_no_damage_to_an_event_raises():
    rng = random.Random(20241207)
    whole = event_json(3, comment="Ünïcode 🏰")
    for _ in range(3000):
        damaged = list(whole)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(damaged))
            damaged[at] = rng.choice(['"', "{", "}", "\\", "0", "\x00", "\udcff", "é", ""])
        assert read_event("".join(damaged), NOW).outcome is not None
