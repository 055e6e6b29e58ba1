"""What the ledger's pages tell of gaps and of changes that are not stored; how a span is cut."""

from datetime import UTC, datetime, timedelta

import pytest

from services.audit.accounts import Gap, Page, Unstored, dropped_by_reason, find_gaps, find_unstored
from services.audit.audit import Present, span_of
from services.audit.spans import DAY, HOUR, Span, ceiling, floor, slices

TOPIC = "codfw.mediawiki.recentchange"
NOON = datetime(2026, 9, 21, 12, tzinfo=UTC)


def page(number: int, **changed) -> Page:
    """A whole page of 1,000 offsets, 400 of them kept and stored."""
    first = number * 1_000
    fields = {
        "source_topic": TOPIC,
        "source_partition": 0,
        "page": number,
        "first_offset": first,
        "last_offset": first + 999,
        "read": 1_000,
        "kept": 400,
        "dead_lettered": 0,
        "dropped": {"categorize": 600},
        "present": 400,
        "settled": True,
    }
    return Page(**{**fields, **changed})


def test_pages_that_follow_each_other_have_no_gap_wherever_reading_began_and_ended() -> None:
    first = page(5, first_offset=5_321, read=679)
    last = page(7, last_offset=7_010, read=11)

    assert find_gaps([first, page(6), last]) == []
    assert find_gaps([]) == []


def test_a_gap_in_a_page_is_told_with_what_can_be_known_of_it() -> None:
    assert find_gaps([page(5), page(6, read=990), page(7)]) == [Gap(TOPIC, 0, 6_000, 6_999, 10)]


def test_a_missing_page_and_missing_ends_of_pages_are_one_gap() -> None:
    before, after = page(5, last_offset=5_989, read=990), page(7, first_offset=7_005, read=995)

    assert find_gaps([before, after]) == [Gap(TOPIC, 0, 5_990, 7_004, 1_015)]


def test_the_other_datacenter_has_offsets_of_its_own() -> None:
    assert find_gaps([page(5), page(900, source_topic="eqiad.mediawiki.recentchange")]) == []


def test_a_page_must_have_what_was_kept_or_refused_no_more_and_no_less() -> None:
    pages = [page(1), page(2, present=399), page(3, present=401), page(4, dead_lettered=2, present=402)]

    assert find_unstored(pages, quiet=False) == [Unstored(TOPIC, 0, 2, 400, 399), Unstored(TOPIC, 0, 3, 400, 401)]


def test_what_is_on_its_way_is_not_judged_until_nothing_comes_any_more() -> None:
    pages = [page(9, present=12, settled=False)]

    assert find_unstored(pages, quiet=False) == []
    assert find_unstored(pages, quiet=True) == [Unstored(TOPIC, 0, 9, 400, 12)]


def test_drops_are_summed_by_reason() -> None:
    assert dropped_by_reason([page(1), page(2, dropped={"canary": 1, "categorize": 2})]) == {
        "canary": 1,
        "categorize": 602,
    }


def present(**changed) -> Present:
    """A live source with a day and a half behind it."""
    fields = {
        "source": "live",
        "oldest": NOON - timedelta(hours=36),
        "newest": NOON + timedelta(seconds=3),
        "complete_since": datetime.fromtimestamp(0, UTC),
        "seconds_since_stored": 0,
    }
    return Present(**{**fields, **changed})


def test_while_changes_come_in_the_newest_minute_is_left_out() -> None:
    assert span_of(present(), DAY) == Span(NOON - DAY, NOON - timedelta(seconds=60))


def test_a_quiet_source_is_audited_to_its_newest_event() -> None:
    assert span_of(present(seconds_since_stored=60), HOUR).until == NOON + timedelta(seconds=10)


def test_never_from_before_the_first_change_or_before_what_may_have_expired() -> None:
    assert span_of(present(), NOON - timedelta(days=400)).since == NOON - timedelta(hours=36)
    expired = present(complete_since=NOON - timedelta(hours=30))
    assert span_of(expired, NOON - timedelta(days=400)).since == NOON - timedelta(hours=4)


@pytest.mark.parametrize(
    ("unit", "since", "until"), [(HOUR, NOON, NOON + 2 * HOUR), (DAY, NOON - NOON.hour * HOUR, None)]
)
def test_moments_are_rounded_to_whole_units(unit: timedelta, since: datetime, until: datetime | None) -> None:
    span = Span(NOON, NOON + 2 * HOUR)
    assert span.around(unit) == Span(since, until or since + DAY)
    assert span.within(HOUR) == span
    assert span.within(DAY).is_empty
    assert floor(NOON, HOUR) == ceiling(NOON, HOUR) == NOON


def test_a_span_is_cut_at_hours_so_that_no_slice_has_too_many_changes() -> None:
    span = Span(NOON + timedelta(minutes=10), NOON + 5 * HOUR + timedelta(minutes=10))
    hours = [(NOON, 60), (NOON + HOUR, 50), (NOON + 3 * HOUR, 500), (NOON + 4 * HOUR, 1), (NOON + 5 * HOUR, 1)]

    cut = slices(span, hours, limit=100)

    assert [piece.since for piece in cut] == [span.since, NOON + HOUR, NOON + 3 * HOUR, NOON + 4 * HOUR]
    assert [piece.until for piece in cut] == [*(piece.since for piece in cut[1:]), span.until]
    assert slices(span, []) == [span]
