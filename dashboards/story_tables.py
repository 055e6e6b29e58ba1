"""Tables of the look-up. `linked` is False for a war game: its pages exist on no wiki."""

import pandas as pd

from dashboards.columns import clock, link, number, text
from dashboards.grid import addresses, choosing_table, table
from dashboards.namespaces import namespace_name
from services.common import links


def found_table(found: pd.DataFrame) -> str | None:
    """Rows of query `search_names`; returns the place of the one that was just chosen, as a text."""
    frame = pd.DataFrame(
        {
            "kind": found["kind"],
            "name": found["name"],
            "wiki": found["wiki"],
            "wikis": found["wikis"],
            "namespace": [
                namespace_name(number) if kind == "page" else ""
                for kind, number in zip(found["kind"], found["namespace"], strict=True)
            ],
            "active": found["active"],
        }
    )
    return choosing_table(
        frame,
        pd.Series(found.index.astype(str)),
        "found",
        {
            "kind": text("Kind", 70),
            "name": text("Name", 320),
            "wiki": text("Wiki", 110, "An editor's is the one where he was active last."),
            "wikis": number("Wikis", "On how many wikis this name was active."),
            "namespace": text("Namespace", 110, "MediaWiki's kind of page."),
            "active": clock("Active last (UTC)"),
        },
        most_rows=8,
    )


def story_table(edits: pd.DataFrame, of_page: bool, linked: bool) -> None:
    """Rows of query `story_edits`: of one page, or of one editor."""
    who = {"user": edits["user"]} if of_page else {"title": edits["title"], "wiki": edits["wiki"]}
    frame = pd.DataFrame(
        {
            "timestamp": edits["timestamp"],
            **who,
            "what": edits["what"],
            "grown": edits["length_new"] - edits["length_old"].fillna(0),
            "reverted": edits["reverted"],
            "reverted_by": edits["reverted_by"],
            "method": edits["method"],
            "comment": edits["comment"],
        }
    )
    if linked:
        frame.insert(1, "diff", addresses(links.diff, edits, "rev_id"))
        frame["history"] = addresses(links.history, edits, "title")
        frame["work"] = addresses(links.contributions, edits, "user")
    table(
        frame,
        "story",
        {
            "timestamp": clock("Time (UTC)"),
            "diff": link("Diff", "diff", 50),
            "user": text("Editor", 170),
            "title": text("Page", 220),
            "wiki": text("Wiki", 90),
            "what": text("What", 100, "An edit, a new page, or an entry of the log."),
            "grown": number("Bytes", "By how many bytes the page grew."),
            "reverted": text("Reverts", 150, "Whose edit this one undid."),
            "reverted_by": text("Reverted by", 150, "Who undid this edit, where that is known."),
            "method": text("Method", 80),
            "comment": text("Comment", 420),
            "history": link("Page's", "history", 70),
            "work": link("Editor's", "contributions", 100),
        },
    )


def opponents_table(pairs: pd.DataFrame, linked: bool) -> None:
    """Rows of query `story_reverts`."""
    columns = ["editor", "reverts", "reverted_back", "opponent", "pages", "last_title", "last_wiki", "last_revert"]
    frame = pairs[columns].assign(opponent=pairs["opponent"].replace("", "not known"))
    if linked:
        frame["diff"] = addresses(links.diff, pairs, "last_rev_id")
        frame["work"] = addresses(links.contributions, pairs, "opponent")
    table(
        frame,
        "opponents",
        {
            "editor": text("Editor", 150),
            "reverts": number("→", "How often the editor reverted the opponent.", 45),
            "reverted_back": number("←", "How often the opponent reverted the editor.", 45),
            "opponent": text("Opponent", 150),
            "pages": number("Pages", "On how many pages.", 60),
            "last_title": text("Last on", 180),
            "last_wiki": text("Wiki", 90),
            "last_revert": clock("Last (UTC)"),
            "diff": link("Last", "diff", 50),
            "work": link("Opponent's", "contributions", 100),
        },
    )
