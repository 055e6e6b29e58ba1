"""How the stream is asked for, and how long we stay away after a refusal."""

import json
from datetime import UTC, datetime

import pytest

from services.common.change import Position
from services.common.settings import Settings
from services.producer.command import BadSince, since_instant
from services.producer.positions import STALE, without_stale_declarations
from services.producer.stream import MissingContact, last_event_id, other_datacenter, user_agent, with_declarations

CODFW, EQIAD = "codfw.mediawiki.recentchange", "eqiad.mediawiki.recentchange"


def test_a_first_start_has_no_position():
    assert last_event_id({}, 0) == ""


def test_resume_names_the_last_offset_read_and_the_other_datacenter_by_time():
    entries = json.loads(last_event_id({(CODFW, 0): 41}, 1_790_000_000_000))
    assert entries[0] == {"topic": CODFW, "partition": 0, "offset": 41}
    assert entries[1]["topic"] == EQIAD
    assert entries[1]["timestamp"] < 1_790_000_000_000
    assert "offset" not in entries[1]


def test_both_datacenters_are_resumed_by_offset_once_known():
    entries = json.loads(last_event_id({(CODFW, 0): 41, (EQIAD, 0): 7}, 1_790_000_000_000))
    assert [(e["topic"], e["offset"]) for e in entries] == [(CODFW, 41), (EQIAD, 7)]


def test_never_asks_for_offset_minus_one_which_means_latest():
    assert json.loads(last_event_id({(CODFW, 0): -1}, 0))[0]["offset"] == 0


def test_the_other_datacenter_of_a_game_is_in_the_same_game():
    assert other_datacenter("wargame-7.codfw.mediawiki.recentchange") == "wargame-7.eqiad.mediawiki.recentchange"
    assert other_datacenter("something.else") == ""


def test_both_streams_are_asked_for_by_one_url():
    url = "https://stream.wikimedia.org/v2/stream/recentchange"
    assert with_declarations(url) == f"{url},mediawiki.revision-create"
    assert with_declarations(f"{url},mediawiki.page-create") == "", "who names streams himself gets these"


def test_the_second_stream_is_resumed_by_offset_else_by_time_and_is_not_named_where_it_is_off():
    declared = {name: name.replace("recentchange", "revision-create") for name in (CODFW, EQIAD)}
    first = json.loads(last_event_id({(CODFW, 0): 41}, 1_790_000_000_000, declared=True))
    assert [e["topic"] for e in first if "offset" in e] == [CODFW]
    assert {e["topic"] for e in first if "timestamp" in e} == {EQIAD, *declared.values()}
    known = {(CODFW, 0): 41, (declared[CODFW], 0): 30}
    later = json.loads(last_event_id(known, 1_790_000_000_000, declared=True))
    assert {e["topic"]: e["offset"] for e in later if "offset" in e} == {CODFW: 41, declared[CODFW]: 30}
    alone = json.loads(last_event_id(known, 1_790_000_000_000))
    assert {e["topic"] for e in alone} == {CODFW, EQIAD}


def test_a_second_stream_that_was_off_for_long_is_not_read_from_where_it_ended():
    now = 1_790_000_000_000
    first = Position(CODFW, 0, 41, now)
    for behind, kept in ((STALE - 1, True), (STALE, False)):
        second = Position(CODFW.replace("recentchange", "revision-create"), 0, 30, now - behind)
        assert (second in without_stale_declarations([first, second])) is kept


def test_wikimedia_is_never_asked_without_a_contact():
    with pytest.raises(MissingContact, match="EVENTSTREAMS_CONTACT"):
        user_agent(Settings(eventstreams_url="https://stream.wikimedia.org/v2/stream/recentchange"))
    agent = user_agent(Settings(eventstreams_contact="ops@example.org"))
    assert agent.startswith("WikiBattlefield/")
    assert "ops@example.org" in agent
    assert user_agent(Settings(eventstreams_url="http://127.0.0.1:1/v2/stream/recentchange"))


def test_since_is_an_instant_of_at_most_seven_days():
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    assert since_instant("", now) == ""
    assert since_instant("90m", now) == "2026-11-22T10:30:00Z"
    assert since_instant("7d", now) == "2026-11-15T12:00:00Z"
    for wrong in ("8d", "soon", "-1h", "1.5h"):
        with pytest.raises(BadSince):
            since_instant(wrong, now)
