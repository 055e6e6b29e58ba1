"""A worker notices where the broker has deleted what nobody had read, and nowhere else."""

import pytest

from services.worker.continuity import Continuity, MessagesLost

TOPIC = "wiki.edits"


class Group:
    """The group's committed offsets; counts how often it is asked."""

    def __init__(self, **offsets: int) -> None:
        self.offsets = {int(name.removeprefix("p")): offset for name, offset in offsets.items()}
        self.asked = 0

    def committed(self, topic: str, partition: int) -> int | None:
        assert topic == TOPIC
        self.asked += 1
        return self.offsets.get(partition)


def test_messages_that_follow_one_another_cost_one_question() -> None:
    group = Group(p0=5)
    continuity = Continuity(group.committed, skip_lost=False)
    for offset in (5, 6, 7):
        continuity.follow(TOPIC, 0, offset)
    assert group.asked == 1


def test_a_group_without_a_place_begins_wherever_the_oldest_message_is() -> None:
    Continuity(Group().committed, skip_lost=False).follow(TOPIC, 3, 1_000_000)


def test_what_another_worker_has_read_is_not_lost_and_what_comes_again_neither() -> None:
    group = Group(p0=0)
    continuity = Continuity(group.committed, skip_lost=False)
    continuity.follow(TOPIC, 0, 0)
    group.offsets[0] = 50
    continuity.follow(TOPIC, 0, 50)  # another one had 1 to 49
    continuity.follow(TOPIC, 0, 50)  # a checkpoint failed
    continuity.follow(TOPIC, 1, 7)  # another partition


def test_a_hole_ends_the_worker_before_anything_is_skipped_each_time_anew() -> None:
    continuity = Continuity(Group(p0=5).committed, skip_lost=False)
    for _ in range(2):
        with pytest.raises(MessagesLost, match=r"deleted 1,495 messages of wiki\.edits/0 .*offsets 5 to 1499"):
            continuity.follow(TOPIC, 0, 1500)


def test_a_hole_that_is_accepted_is_told_once() -> None:
    group = Group(p0=5)
    continuity = Continuity(group.committed, skip_lost=True)
    continuity.follow(TOPIC, 0, 1500)
    continuity.follow(TOPIC, 0, 1501)
    assert group.asked == 1
