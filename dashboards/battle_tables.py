"""Tables of battles and their fighters. `linked` is False for a war game: its pages exist on no wiki."""

from typing import Any

import pandas as pd

from dashboards.charts.battle import CAMPS, log_words
from dashboards.charts.sides import SIDES
from dashboards.columns import clock, course, link, number, text
from dashboards.grid import addresses, choosing_table, table
from dashboards.words import duration, names
from services.common import links

PHASES = (
    "brewing: two alternating reverts; war: three; ceasefire: a war without a revert for an hour; ended: by protection "
    "or deletion of the page, by a block of a fighter, or by 24 hours of silence."
)
ALTERNATIONS = "The longest chain in which each revert hits the author of an earlier one. At three it is war."
INTENSITY = (
    "M of Sumi, Yasseri and others (2011): editors in mutual reverts, times the weights of their pairs without the "
    "heaviest. A pair weighs as much as the lesser of its two edited. A duel of two alone has 0."
)
KINDS = {"content": "", "talk": "talk page", "project": "project page"}
ALERTS = {"": "", "three_revert_warning": "warning: 3", "three_revert_breach": "breach: 4"}


def phase_words(phase: str, ended_by: str) -> str:
    """`war`, or `ended: protection`."""
    return f"{phase}: {ended_by}" if ended_by else phase


def side_words(fighters: list[dict[str, Any]], side: str) -> str:
    """A side in a few names, those who reverted most first."""
    mine = [fighter for fighter in fighters if fighter["side"] == side]
    return names([fighter["name"] for fighter in sorted(mine, key=lambda f: -f["reverts"])])


def why_words(editors: int, pairs: list[dict[str, Any]]) -> str:
    """The parts of an intensity: `4 editors × (2 + 1)`."""
    if len(pairs) < 2:
        return "one pair alone" if pairs else "no mutual pair"
    return f"{editors} editors × ({' + '.join(str(pair['weight']) for pair in pairs[1:])})"


def battles_table(battles: pd.DataFrame, now: pd.Timestamp) -> str | None:
    """Rows of query `battles`; returns the id of the one that was just chosen."""
    frame = pd.DataFrame(
        {
            "phase": list(map(phase_words, battles["phase"], battles["ended_by"])),
            "title": battles["title"],
            "wiki": battles["wiki"],
            "kind": battles["page_kind"].map(KINDS),
            "intensity": battles["intensity"],
            "why": list(map(why_words, battles["editors"], battles["pairs"])),
            "course": battles["course"],
            "age": [duration((now - opened).total_seconds()) for opened in battles["opened"]],
            "reverts": battles["reverts"],
            "alternations": battles["alternations"],
            "first": [side_words(fighters, "first") for fighters in battles["fighters"]],
            "second": [side_words(fighters, "second") for fighters in battles["fighters"]],
            "updated": battles["updated"],
        }
    )
    if not frame["kind"].any():  # all are content pages: nothing to mark
        frame = frame.drop(columns="kind")
    return choosing_table(
        frame,
        battles["battle_id"],
        "battles",
        {
            "phase": text("Phase", 118, PHASES),
            "title": text("Page", 180),
            "wiki": text("Wiki", 68),
            "kind": text("Kind", 80, "Talk and project pages are marked; on them, arguing is more usual."),
            "intensity": number("Intensity", INTENSITY, 68),
            "why": text("Why", 138, INTENSITY),
            "course": course("Trend", "Reverts in each twelfth of the chosen range.", 80),
            "age": text("Age", 52, "Since its first revert."),
            "reverts": number("Reverts", "Reverts by all who fight.", 60),
            "alternations": number("Chain", ALTERNATIONS, 52),
            "first": text("First side", 136, "The side of the editor who reverted first, and of his allies."),
            "second": text("Second side", 136),
            "updated": clock("Newest (UTC)"),
        },
    )


def newest_battles_table(battles: pd.DataFrame, now: pd.Timestamp) -> str | None:
    """Rows of query `battles`, asked for with the newest first; returns the id of the one that was just chosen."""
    frame = pd.DataFrame(
        {
            "declared": battles["declared"],
            "title": battles["title"],
            "wiki": battles["wiki"],
            "phase": list(map(phase_words, battles["phase"], battles["ended_by"])),
            "first": [side_words(fighters, "first") for fighters in battles["fighters"]],
            "second": [side_words(fighters, "second") for fighters in battles["fighters"]],
            "reverts": battles["reverts"],
            "ago": [duration((now - updated).total_seconds()) for updated in battles["updated"]],
        }
    )
    return choosing_table(
        frame,
        battles["battle_id"],
        "newest_battles",
        {
            "declared": clock("War since (UTC)"),
            "title": text("Page", 220),
            "wiki": text("Wiki", 80),
            "phase": text("Phase", 120, PHASES),
            "first": text("First side", 160),
            "second": text("Second side", 160),
            "reverts": number("Reverts", "Reverts by all who fight."),
            "ago": text("Newest revert", 100, "How long ago."),
        },
    )


def fighters_table(fighters: pd.DataFrame, linked: bool) -> None:
    """Rows of query `battle_fighters`."""
    frame = fighters[["name", "side", "alert", "reverts", "reverted", "edits", "exempt_claims", "actor"]].assign(
        side=fighters["side"].map(CAMPS), actor=fighters["actor"].map(SIDES), alert=fighters["alert"].map(ALERTS)
    )
    if linked:
        frame["work"] = addresses(links.contributions, fighters, "name")
    table(
        frame,
        "fighters",
        {
            "name": text("Fighter", 150),
            "side": text("Side", 86),
            "alert": text("3 reverts", 76, "The three-revert rule: 3 reverts in 24 hours warn, 4 break it."),
            "reverts": number("Reverts", "Reverts in this battle.", 58),
            "reverted": number("Reverted", "How often others reverted this one.", 64),
            "edits": number("Edits", "Edits of the page in this battle and the day before it.", 46),
            "exempt_claims": number("Exempt", "Reverts that claim to be exempt, as of vandalism; not verified.", 54),
            "actor": text("Class", 130),
            "work": link("Work", "contributions", 100),
        },
    )


def battle_edits_table(edits: pd.DataFrame, linked: bool) -> None:
    """Rows of query `battle_edits`."""
    frame = pd.DataFrame(
        {
            "timestamp": edits["timestamp"],
            "user": edits["user"],
            "side": edits["side"].map(CAMPS),
            "grown": edits["length_new"] - edits["length_old"].fillna(0),
            "reverted": edits["reverted"],
            "method": edits["method"],
            "exempt": edits["exempt"],
            "comment": edits["comment"],
        }
    )
    if linked:
        frame.insert(1, "diff", addresses(links.diff, edits, "rev_id"))
        frame["work"] = addresses(links.contributions, edits, "user")
    table(
        frame,
        "battle_edits",
        {
            "timestamp": clock("Time (UTC)"),
            "diff": link("Diff", "diff", 50),
            "user": text("Editor", 170),
            "side": text("Side", 90),
            "grown": number("Bytes", "By how much the page grew."),
            "reverted": text("Reverted", 170),
            "method": text("Method", 80),
            "exempt": text("Exempt", 90, "What exemption from the three-revert rule the comment claims."),
            "comment": text("Comment", 420),
            "work": link("Editor's", "contributions", 100),
        },
    )


def battle_log_table(log: pd.DataFrame, linked: bool) -> None:
    """Rows of query `battle_log`."""
    frame = pd.DataFrame(
        {"timestamp": log["timestamp"], "what": log_words(log), "user": log["user"], "comment": log["comment"]}
    )
    if linked:
        frame["entry"] = addresses(links.log, log, "title")
        frame["work"] = addresses(links.contributions, log, "user")
    table(
        frame,
        "battle_log",
        {
            "timestamp": clock("Time (UTC)"),
            "what": text("What", 220),
            "user": text("By", 170),
            "comment": text("Comment", 420),
            "entry": link("Log", "log", 50),
            "work": link("By whom", "contributions", 100),
        },
    )
