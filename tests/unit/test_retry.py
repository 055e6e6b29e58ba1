"""How long we stay away from a server that failed us."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from services.common.retry import LONGEST_WISH, backoff, retry_after_seconds


def test_backoff_doubles_to_a_cap_and_honours_the_server() -> None:
    def wait(attempt: int, draw: float, least: float = 0.0) -> float:
        return backoff(attempt, first=0.5, longest=60.0, least=least, draw=lambda: draw)

    assert [wait(n, 1.0) for n in range(4)] == [0.5, 1.0, 2.0, 4.0]
    assert wait(5_000, 1.0) == 60.0
    assert wait(0, 0.0, least=120.0) == 120.0
    assert wait(10, 0.0) == 0.0


def test_a_server_says_its_wish_in_seconds_or_as_a_date() -> None:
    assert retry_after_seconds("7.5") == 7.5
    in_a_minute = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert 50 < retry_after_seconds(in_a_minute) <= 60
    assert retry_after_seconds("1000000") == LONGEST_WISH


@pytest.mark.parametrize(
    "header", ["", "soon", "-5", "nan", "Tue, 24 Nov 2020 00:00:00 GMT", "Tue, 24 Nov 2099 00:00:00"]
)
def test_no_wish_or_none_that_can_be_read_is_no_wait(header: str) -> None:
    assert retry_after_seconds(header) == 0.0
