"""Strangers' words, numbers and addresses on the board."""

from urllib.parse import parse_qs, unquote, urlsplit

import pandas as pd
import pytest

from dashboards.battle_tables import why_words
from dashboards.words import amount, change, duration, moment, names, plain
from services.common import links
from services.common.settings import PROJECT_ROOT
from tests.dashboards.rows import HOSTILE

HOSTILE_HOSTS = [
    "",
    "localhost",
    "evil.example/path",
    "evil.example:8080",
    "user@evil.example",
    "en.wikipedia.org\n",
    "en.wikipedia.org#",
    "en..wikipedia.org",
    "-en.wikipedia.org",
    "127.0.0.1",
    "javascript:alert(1)",
    "en.wikipedia.org.",
    "EN.WIKIPEDIA.ORG",
    "вики.рф",
    f"{'a' * 64}.org",
    f"{'a.' * 126}org",
]


@pytest.mark.parametrize("host", HOSTILE_HOSTS)
def test_what_is_no_host_gets_no_link(host: str) -> None:
    assert links.diff(host, 5) is None
    assert links.history(host, "Moon") is None
    assert links.contributions(host, "Ann") is None


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_name_stays_in_its_place_in_an_address(name: str) -> None:
    history = urlsplit(links.history("en.wikipedia.org", name) or "")
    work = urlsplit(links.contributions("en.wikipedia.org", name) or "")

    assert (history.scheme, history.netloc, history.path) == ("https", "en.wikipedia.org", "/w/index.php")
    assert parse_qs(history.query) == {"title": [name.replace(" ", "_")], "action": ["history"]}
    assert (work.netloc, work.query, work.fragment) == ("en.wikipedia.org", "", "")
    assert unquote(work.path) == f"/wiki/Special:Contributions/{name.replace(' ', '_')}"


def test_addresses_are_those_of_mediawiki() -> None:
    assert links.diff("en.wikipedia.org", 123) == "https://en.wikipedia.org/wiki/Special:Diff/123"
    assert links.diff("en.wikipedia.org", 0) is None  # log entries have no revision
    assert links.contributions("www.wikidata.org", "") is None  # hidden
    assert links.history("de.wikipedia.org", "AC/DC & Co?") == (
        "https://de.wikipedia.org/w/index.php?title=AC%2FDC_%26_Co%3F&action=history"
    )
    assert (
        links.history("en.wikipedia.org", "\ud83d") == "https://en.wikipedia.org/w/index.php?title=%3F&action=history"
    )


def test_markdown_finds_no_markup_in_plain_words() -> None:
    assert plain("real-edits_2024") == "real\\-edits\\_2024"
    assert plain("[x](y) :red[z]\n# $a$ <b>") == "\\[x\\]\\(y\\) \\:red\\[z\\] \\# \\$a\\$ \\<b\\>"
    assert plain("غزة 2024") == "غزة 2024"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (119.9, "119 s"), (120, "2 min"), (7200, "2 h"), (172_800, "2 days"), (61_782_190, "715 days")],
)
def test_durations_have_one_unit(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_numbers_and_moments_have_units() -> None:
    assert moment(pd.Timestamp("2024-12-07 11:32:24", tz="UTC")) == "2024-12-07 11:32:24 UTC"
    assert (amount(1, "battle"), amount(1234, "battle")) == ("1 battle", "1,234 battles")
    assert change(112, 100) == "+12 %"
    assert change(50, 100) == "-50 %"
    assert change(5, 0) is None


@pytest.mark.parametrize(
    ("people", "words"),
    [
        ([], "–"),
        (["Ann"], "Ann"),
        (["Ann", ""], "Ann, (hidden)"),
        (["Ann", "Bob", "Cat", "Dan"], "Ann, Bob +2"),
    ],
)
def test_a_side_is_named_by_its_first_fighters(people: list[str], words: str) -> None:
    assert names(people) == words


@pytest.mark.parametrize(
    ("editors", "weights", "words"),
    [
        (0, [], "no mutual pair"),
        (2, [3], "one pair alone"),
        (4, [3, 2, 1], "4 editors × (2 + 1)"),
    ],
)
def test_an_intensity_is_shown_with_its_parts(editors: int, weights: list[int], words: str) -> None:
    assert why_words(editors, [{"weight": weight} for weight in weights]) == words


def test_no_folder_is_named_pages() -> None:
    # Streamlit would run its files alone for whoever opens one's address first after a start
    assert not (PROJECT_ROOT / "dashboards" / "pages").exists()
