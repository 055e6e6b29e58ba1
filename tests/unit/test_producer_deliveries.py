"""A log that begins anew is told by its offsets; silence counts only while something waits."""

from services.common.change import EDITS_TOPIC, LEDGER_TOPIC, LOG_END, Position, is_of_another_log, log_end_header
from services.producer.broker import log_ends_of
from services.producer.deliveries import Deliveries

PLACE = (EDITS_TOPIC, 3)


def test_offsets_that_grow_are_one_log_and_one_that_comes_again_is_another():
    deliveries = Deliveries([])
    for offset in (0, 1, 7):  # another producer wrote in between
        deliveries.sent(PLACE, 0)
        assert deliveries.acknowledged(PLACE, 3, offset, 0) == ""
    deliveries.sent(PLACE, 0)
    assert deliveries.acknowledged(PLACE, 3, 7, 0) == "offset 7 of wiki.edits/3 was given again, after 7"


def test_what_the_last_process_knew_counts_from_the_first_message():
    deliveries = Deliveries([0, 0, 0, 500])
    deliveries.sent(PLACE, 0)
    assert "after 499" in deliveries.acknowledged(PLACE, 3, 12, 0)


def test_an_offset_that_the_broker_does_not_tell_says_nothing():
    deliveries = Deliveries([0, 0, 0, 500])
    deliveries.sent(PLACE, 0)
    assert deliveries.acknowledged(PLACE, 3, -1001, 0) == ""
    assert deliveries.ends() == [0, 0, 0, 500]


def test_a_partition_that_the_broker_chose_is_followed_and_is_none_of_the_edits():
    deliveries = Deliveries([])
    place = (LEDGER_TOPIC, -1)
    for offset, told in ((4, False), (4, True)):
        deliveries.sent(place, 0)
        assert bool(deliveries.acknowledged(place, 0, offset, 0)) is told
    assert deliveries.ends() == []


def test_each_log_is_silent_since_its_last_word_and_only_while_something_waits():
    deliveries = Deliveries([])
    other = (EDITS_TOPIC, 4)
    assert deliveries.silent_for(100) == 0
    deliveries.sent(PLACE, 10)
    deliveries.sent(PLACE, 15)
    deliveries.sent(other, 19)
    assert deliveries.silent_for(20) == 10
    deliveries.acknowledged(other, 4, 0, 20)
    assert deliveries.silent_for(30) == 20, "one that still speaks does not answer for one that does not"
    deliveries.acknowledged(PLACE, 3, 0, 31)
    assert deliveries.silent_for(40) == 9
    deliveries.acknowledged(PLACE, 3, 1, 41)
    assert deliveries.silent_for(100) == 0


def test_of_what_waits_when_its_log_is_lost_none_passes_for_one_of_the_new_log():
    deliveries = Deliveries([])
    told = []
    for number in range(10):
        told.append([log_end_header(deliveries.least_offset(PLACE))])
        deliveries.sent(PLACE, 0)
        if number in (2, 4):  # of the first two the broker has told
            deliveries.acknowledged(PLACE, 3, number // 3, 0)
    assert not any(is_of_another_log(headers, offset) for offset, headers in enumerate(told)), "in its own log"
    assert all(is_of_another_log(headers, offset) for offset, headers in enumerate(told[2:])), "from 0 on in another"
    assert not is_of_another_log(told[4], 1000), "others wrote in between"
    assert not is_of_another_log(None, 0), "a message of an older version"
    for value in (None, b"", b"-5", b"x", "7", b"9" * 5000):
        assert not is_of_another_log([(LOG_END, value)], 0), "of somebody else"


def test_of_several_positions_the_furthest_end_of_each_partition_counts():
    positions = [Position("a", 0, 1, 1, [3, 9]), Position("b", 0, 1, 1), Position("c", 0, 1, 1, [5, 2, 7])]
    assert log_ends_of(positions) == [5, 9, 7]
    assert log_ends_of([]) == []
