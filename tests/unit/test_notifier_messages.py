"""What receivers get, whatever strangers call their pages and themselves."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from services.notifier.messages import Incident, body_of, shape_of
from services.notifier.webhook import BadAddress, check_address, judge
from tests.dashboards.rows import HOSTILE

BATTLE = Incident(
    incident_id=UUID(int=7),
    kind="battle_opened",
    moment=datetime(2026, 5, 6, 12, 30, tzinfo=UTC),
    source="live",
    wiki="enwiki",
    server_name="en.wikipedia.org",
    namespace=0,
    title="Foo & Bar",
    user="",
    editors=["Ann", "Bob", "Cy"],
    began=datetime(2026, 5, 6, 12, 3, tzinfo=UTC),
    reverts=4,
    exempt_claims=1,
    rev_ids=[],
    attempts=0,
)
BREACH = BATTLE._replace(kind="three_revert_breach", user="Ann", editors=[], rev_ids=[11, 12, 13, 14])


def test_a_battle_in_a_sentence() -> None:
    assert body_of(BATTLE, "discord")["content"] == (
        "Edit war: `Foo & Bar` on `enwiki`. 4 reverts between 3 editors since 2026-05-06 12:03 UTC, 1 of them "
        "claimed as exempt.\n<https://en.wikipedia.org/w/index.php?title=Foo_%26_Bar&action=history>"
    )
    assert body_of(BATTLE, "slack")["text"] == (
        "Edit war: `Foo &amp; Bar` on `enwiki`. 4 reverts between 3 editors since 2026-05-06 12:03 UTC, 1 of them "
        "claimed as exempt.\n<https://en.wikipedia.org/w/index.php?title=Foo_%26_Bar&amp;action=history>"
    )


def test_a_breach_with_all_that_is_known() -> None:
    assert body_of(BREACH, "json") == {
        "event": "three_revert_breach",
        "id": "00000000-0000-0000-0000-000000000007",
        "time": "2026-05-06T12:30:00+00:00",
        "source": "live",
        "wiki": "enwiki",
        "server_name": "en.wikipedia.org",
        "namespace": 0,
        "title": "Foo & Bar",
        "url": "https://en.wikipedia.org/w/index.php?title=Foo_%26_Bar&action=history",
        "user": "Ann",
        "editors": [],
        "reverts": 4,
        "exempt_claims": 1,
        "diffs": [f"https://en.wikipedia.org/wiki/Special:Diff/{n}" for n in (11, 12, 13, 14)],
        "text": "Three-revert rule: `Ann` made 4 reverts within 24 hours, 1 of them claimed as exempt, page `Foo & Bar`"
        " on `enwiki`. Counted by a program, judged by nobody."
        "\nhttps://en.wikipedia.org/w/index.php?title=Foo_%26_Bar&action=history",
    }


def test_nobody_takes_a_game_or_a_recording_for_wikipedia() -> None:
    game = body_of(BATTLE._replace(source="wargame-42"), "json")
    assert game["text"].startswith("[War game] Edit war")
    assert game["url"] == "", "its pages exist on no wiki"
    assert body_of(BATTLE._replace(source="replay-x"), "discord")["content"].startswith("[Replay] ")


@pytest.mark.parametrize(
    "hostile",
    [
        *HOSTILE.values(),
        "<!channel> <@U024BE7LR> @everyone <@&1> <#C1|x> <http://evil.example|click>",
        "`` ` ``` out of the code\n# a heading\x00\x1b[31m",
        "x" * 5_000,
        "",
    ],
)
def test_strangers_cannot_speak_in_our_name(hostile: str) -> None:
    incident = BREACH._replace(title=hostile, user=hostile, server_name=hostile)
    slack, discord = body_of(incident, "slack")["text"], body_of(incident, "discord")["content"]
    for text in (slack, discord, body_of(incident, "json")["text"]):
        assert text.count("`") == 6, "three names, each as code that nothing within can end"
        assert "\n" not in text
        assert all(character.isprintable() or character == "\u200d" for character in text)
        assert len(text) <= 2_000
    assert "<" not in slack
    assert ">" not in slack
    outside = "".join(discord.split("`")[::2])
    assert outside == (
        "Three-revert rule:  made 4 reverts within 24 hours, 1 of them claimed as exempt, page  on . "
        "Counted by a program, judged by nobody."
    )
    assert body_of(incident, "discord")["allowed_mentions"] == {"parse": []}
    assert body_of(incident, "json")["title"] == hostile, "fields are for programs: as they are"


@pytest.mark.parametrize(
    ("url", "wish", "shape"),
    [
        ("https://hooks.slack.com/services/T/B/x", "auto", "slack"),
        ("https://discord.com/api/webhooks/1/x", "auto", "discord"),
        ("https://ptb.discord.com/api/webhooks/1/x", "auto", "discord"),
        ("https://evil-discord.com/api", "auto", "json"),
        ("https://chat.example.org/hooks/x", "auto", "json"),
        ("https://chat.example.org/hooks/x", "slack", "slack"),
    ],
)
def test_the_receiver_is_known_by_its_host_or_by_setting(url: str, wish: str, shape: str) -> None:
    assert shape_of(url, wish) == shape


@pytest.mark.parametrize(
    "url", ["hooks.slack.com/x", "ftp://x/y", "https:///path", "https://x y/", "https://[x/", "http://x:0/"]
)
def test_an_address_that_is_none_is_told_without_repeating_it(url: str) -> None:
    with pytest.raises(BadAddress) as error:
        check_address(url)
    assert url not in str(error.value)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, "sent"), (204, "sent"), (301, "refused"), (400, "refused"), (404, "refused"), (408, "failed"),
        (429, "failed"), (500, "failed"), (503, "failed"),
    ],
)  # fmt: skip
def test_what_an_answer_means(status: int, outcome: str) -> None:
    result: Any = judge(status, "3")
    assert result.outcome == outcome
    assert result.retry_after == (3.0 if outcome == "failed" else 0.0)
