"""Tables of the three-revert watch and of patrol. `linked` is False for a war game: its pages exist on no wiki."""

import pandas as pd

from dashboards.charts.sides import SIDES
from dashboards.columns import clock, link, number, text
from dashboards.grid import addresses, table
from dashboards.words import duration, names
from services.common import links

MOST_DIFFS = 4  # the rule is broken at the fourth revert


def watch_table(alerts: pd.DataFrame, key: str, linked: bool) -> None:
    """Rows of query `three_revert_watch`."""
    frame = pd.DataFrame(
        {
            "raised": alerts["raised"],
            "user": alerts["user"],
            "actor": alerts["actor"].map(SIDES),
            "title": alerts["title"],
            "wiki": alerts["wiki"],
            "reverts": alerts["reverts"],
            "exempt": list(map(exempt_words, alerts["exempt_claims"], alerts["reverts"])),
        }
    )
    columns = {
        "raised": clock("Raised (UTC)"),
        "user": text("Editor", 180),
        "actor": text("Class", 140),
        "title": text("Page", 220),
        "wiki": text("Wiki", 90),
        "reverts": number("Reverts", "Within 24 hours; consecutive ones count once, reverts of oneself never."),
        "exempt": text("Exempt?", 110, "Reverts whose comments claim vandalism, biography, copyright; not verified."),
    }
    if linked:
        newest = [rev_ids[-MOST_DIFFS:] for rev_ids in alerts["rev_ids"]]
        for number_of in range(MOST_DIFFS):
            name = f"diff_{number_of + 1}"
            frame[name] = [
                links.diff(server, rev_ids[number_of]) if number_of < len(rev_ids) else None
                for server, rev_ids in zip(alerts["server_name"], newest, strict=True)
            ]
            columns[name] = link(f"Revert {number_of + 1}", "diff", 70)
        frame["work"] = addresses(links.contributions, alerts, "user")
        frame["history"] = addresses(links.history, alerts, "title")
        columns |= {"work": link("Editor's", "contributions", 100), "history": link("Page's", "history", 70)}
    table(frame, key, columns)


def exempt_words(claims: int, reverts: int) -> str:
    """How many of the reverts claim to be exempt: ``, `1 of 4 claimed`, `all claimed`."""
    return f"{'all' if claims == reverts else f'{claims} of {reverts}'} claimed" if claims else ""


def patrollers_table(patrollers: pd.DataFrame, key: str, linked: bool) -> None:
    """Rows of query `patrollers`."""
    frame = pd.DataFrame(
        {
            "reverter": patrollers["reverter"],
            "reverts": patrollers["reverts"],
            "pages": patrollers["pages"],
            "main_wiki": patrollers["main_wiki"],
            "of_temporary": patrollers["of_temporary"],
            "median": [None if pd.isna(s) else duration(s) for s in patrollers["median_seconds"]],
        }
    )
    if linked:
        frame["work"] = addresses(links.contributions, patrollers, "reverter")
    table(
        frame,
        key,
        {
            "reverter": text("Reverter", 180),
            "reverts": number("Reverts", "Reverts of others in the range."),
            "pages": number("Pages", "On how many pages.", 60),
            "main_wiki": text("Mostly on", 90),
            "of_temporary": number("Of temporary", "How many hit temporary accounts.", 100),
            "median": text("After", 70, "Median time that the reverted edits stood."),
            "work": link("Work", "contributions", 100),
        },
    )


def bursts_table(bursts: pd.DataFrame, linked: bool) -> None:
    """Rows of query `bursts`."""
    frame = pd.DataFrame(
        {
            "account": bursts["account"],
            "wiki": bursts["wiki"],
            "pages": bursts["pages"],
            "reverts": bursts["reverts"],
            "reverters": bursts["reverters"],
            "first_revert": bursts["first_revert"],
            "last_revert": bursts["last_revert"],
            "titles": [names(titles, len(titles)) for titles in bursts["titles"]],
        }
    )
    if linked:
        frame.insert(1, "work", addresses(links.contributions, bursts, "account"))
    table(
        frame,
        "bursts",
        {
            "account": text("Account", 170),
            "work": link("Work", "contributions", 100),
            "wiki": text("Wiki", 90),
            "pages": number("Pages", "On how many pages it was reverted.", 60),
            "reverts": number("Reverts", "How often it was reverted."),
            "reverters": number("By", "By how many different editors.", 50),
            "first_revert": clock("First (UTC)"),
            "last_revert": clock("Last (UTC)"),
            "titles": text("Pages, five at most", 480),
        },
    )
