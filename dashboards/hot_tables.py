"""Tables of hot pages and of fronts across wikis. `linked` is False for a war game: its pages exist on no wiki."""

import pandas as pd

from dashboards.columns import clock, course, link, number, text
from dashboards.grid import addresses, table
from dashboards.words import names
from services.common import links

HEAT = (
    "How far the edits are above what is expected, measured by how much chance alone would sway them: "
    "(edits - expected) / √(expected + 1)."
)
EXPECTED = "The page's edits per hour in the day before, times how much busier than then its whole wiki is."


def hot_pages_table(pages: pd.DataFrame, linked: bool) -> None:
    """Rows of query `hot_pages`."""
    columns = ["heat", "title", "wiki", "edits", "expected", "usual", "editors", "temporary", "reverts", "course"]
    frame = pages[columns].copy()
    frame["newest"] = pages["newest"]
    if linked:
        frame["history"] = addresses(links.history, pages, "title")
        frame["diff"] = addresses(links.diff, pages, "last_rev_id")
    table(
        frame,
        "hot_pages",
        {
            "heat": number("Heat", HEAT, 60, "%.1f"),
            "title": text("Page", 260),
            "wiki": text("Wiki", 90),
            "edits": number("Edits", "Edits by people and temporary accounts in the hour, bots left out.", 60),
            "expected": number("Expected", EXPECTED, 75, "%.1f"),
            "usual": number("Usual", "The page's edits per hour in the day before.", 65, "%.2f"),
            "editors": number("Editors", "How many different editors made them."),
            "temporary": number("Temporary", "How many edits temporary accounts and IP addresses made.", 85),
            "reverts": number("Reverts", "Reverts of others on the page in the hour."),
            "course": course("Trend", "Edits in each twelfth of the hour."),
            "newest": clock("Newest (UTC)"),
            "history": link("History", "history"),
            "diff": link("Newest edit", "diff", 90),
        },
    )


def title_fronts_table(fronts: pd.DataFrame, linked: bool) -> None:
    """Rows of query `cross_wiki_fronts` of the kind `title`."""
    frame = fronts[["name", "reverts", "pages", "reverters", "reverted_editors", "shared", "last_revert"]].copy()
    frame.insert(1, "wikis", [wikis_words(wikis) for wikis in fronts["wikis"]])
    if linked:
        frame["diff"] = addresses(links.diff, fronts, "last_rev_id")
    table(
        frame,
        "title_fronts",
        {
            "name": text("Title", 220, "The page's title, which is the same on these wikis."),
            "wikis": text("Wikis", 240, "On which wikis, the number first."),
            "reverts": number("Reverts", "Reverts of others on all these wikis together."),
            "pages": number("Pages", "How many pages: an article and its talk page are two.", 60),
            "reverters": number("By", "How many different editors reverted.", 50),
            "reverted_editors": number("Of", "How many different editors were reverted, where they are known.", 50),
            "shared": number(
                "Shared", "Editors who take part on two of the wikis or more: with some, it is one fight."
            ),
            "last_revert": clock("Last (UTC)"),
            "diff": link("Last", "diff", 50),
        },
    )


def editor_fronts_table(fronts: pd.DataFrame, linked: bool) -> None:
    """Rows of query `cross_wiki_fronts` of the kind `editor`."""
    frame = fronts[["name", "reverts", "pages", "reverters", "last_revert"]].copy()
    frame.insert(1, "wikis", [wikis_words(wikis) for wikis in fronts["wikis"]])
    frame.insert(5, "examples", [pages_words(pages) for pages in fronts["examples"]])
    if linked:
        frame["work"] = addresses(links.contributions, fronts, "name")
    table(
        frame,
        "editor_fronts",
        {
            "name": text("Editor", 170, "Whose edits are reverted."),
            "wikis": text("Wikis", 240, "On which wikis, the number first."),
            "reverts": number("Reverts", "Reverts of this editor on all these wikis together."),
            "pages": number("Pages", "On how many pages.", 60),
            "reverters": number("By", "How many different editors reverted.", 50),
            "examples": text("Pages, three at most", 360, "Some of the pages, each with its wiki."),
            "last_revert": clock("Last (UTC)"),
            "work": link("Work", "contributions", 100),
        },
    )


def wikis_words(wikis: list[str]) -> str:
    """`3: dewiki, enwiki, frwiki`."""
    return f"{len(wikis)}: {names(wikis, 5)}"


def pages_words(pages: list[dict[str, str]]) -> str:
    """`dewiki: Mond, enwiki: Moon +1`."""
    return names([f"{page['wiki']}: {page['title']}" for page in pages], 3)
