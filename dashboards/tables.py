"""Tables of reverts and of the producer's ledger. `linked` is False for a war game: its pages exist on no wiki."""

from collections.abc import Callable

import pandas as pd
import streamlit as st

from dashboards.columns import Column, clock, link, number, share, text
from services.common import links

# MediaWiki's ways to undo; `method` of the table reverts
METHODS = "undo: one edit; rollback: an editor's last edits; restore: an old version; manual: by hand."
EVIDENCE = "declared: Wikimedia says that it is a revert; summary: the edit's comment says so."


def pages_table(pages: pd.DataFrame, linked: bool) -> None:
    """Rows of query `pages_under_fire`."""
    table = pages[["reverts", "title", "wiki", "reverters", "reverted_editors", "last_revert"]].copy()
    if linked:
        table["history"] = _addresses(links.history, pages, "title")
        table["diff"] = _addresses(links.diff, pages, "last_rev_id")
    _table(
        table,
        "pages",
        {
            "reverts": number("Reverts", "Reverts of others in the range."),
            "title": text("Page", 180),
            "wiki": text("Wiki"),
            "reverters": number("By", "How many different editors reverted.", 50),
            "reverted_editors": number("Of", "How many different editors were reverted, where they are known.", 50),
            "last_revert": clock("Last (UTC)"),
            "history": link("History", "history"),
            "diff": link("Last", "diff", 50),
        },
    )


def pairs_table(pairs: pd.DataFrame, linked: bool) -> None:
    """Rows of query `who_reverted_whom`."""
    table = pairs[["editor", "reverts", "reverted_back", "opponent", "title", "wiki", "last_revert"]].copy()
    if linked:
        table.insert(6, "diff", _addresses(links.diff, pairs, "last_rev_id"))
        table["editor_work"] = _addresses(links.contributions, pairs, "editor")
        table["opponent_work"] = _addresses(links.contributions, pairs, "opponent")
    _table(
        table,
        "pairs",
        {
            "editor": text("Editor", 120),
            "reverts": number("→", "How often the editor reverted the opponent.", 45),
            "reverted_back": number("←", "How often the opponent reverted the editor.", 45),
            "opponent": text("Opponent", 120),
            "title": text("Page", 140),
            "wiki": text("Wiki"),
            "diff": link("Last", "diff", 50),
            "last_revert": clock("Last (UTC)"),
            "editor_work": link("Editor's", "contributions", 100),
            "opponent_work": link("Opponent's", "contributions", 100),
        },
    )


def newest_table(newest: pd.DataFrame, linked: bool) -> None:
    """Rows of query `newest_reverts`."""
    columns = [
        "timestamp",
        "reverter",
        "reverted",
        "title",
        "wiki",
        "seconds_to_revert",
        "method",
        "evidence",
        "comment",
    ]
    table = newest[columns].assign(reverted=newest["reverted"].replace("", "not known"))
    if linked:
        table.insert(5, "diff", _addresses(links.diff, newest, "rev_id"))
        table["history"] = _addresses(links.history, newest, "title")
        table["work"] = _addresses(links.contributions, newest, "reverter")
    _table(
        table,
        "newest",
        {
            "timestamp": clock("Time (UTC)"),
            "reverter": text("Reverter", 150),
            "reverted": text("Reverted", 150),
            "title": text("Page", 220),
            "wiki": text("Wiki"),
            "diff": link("Diff", "diff", 50),
            "seconds_to_revert": number("After (s)", "Seconds from the reverted edit, where it is known."),
            "method": text("Method", 80, METHODS),
            "evidence": text("Known from", 90, EVIDENCE),
            "comment": text("Comment", 420),
            "history": link("Page's", "history", 70),
            "work": link("Reverter's", "contributions", 100),
        },
    )


def coverage_table(coverage: pd.DataFrame) -> None:
    """Rows of query `coverage`."""
    shares = {name: 100 * coverage[name] for name in ("recognised_share", "named_share", "known_share")}
    _table(
        coverage[["wiki", "edits", "reverts", "recognised_share", "named_share", "known_share", "declared"]].assign(
            **shares
        ),
        "coverage",
        {
            "wiki": text("Wiki", 140),
            "edits": number("Edits", "Edits in the range, new pages left out.", 90),
            "reverts": number("Recognised", "Edits that are recognised as reverts, those of oneself too.", 90),
            "recognised_share": number("Share (%)", "Recognised reverts per 100 edits.", 90, "%.2f"),
            "named_share": share("Named", "Of the recognised: the comment names the reverted editor."),
            "known_share": share(
                "Known", "Of the recognised: the reverted editor is named, or found among the page's last revisions."
            ),
            "declared": number("Declared", "Of the recognised: Wikimedia itself says that it is a revert.", 80),
        },
    )


def ledger_table(ledger: pd.DataFrame) -> None:
    """Rows of query `ledger`."""
    columns = ["source_topic", "source_partition", "read", "kept", "dropped", "dead_lettered"]
    _table(
        ledger[[*columns, "last_offset", "stored_offset", "behind"]],
        "ledger",
        {
            "source_topic": text("Source topic", 360),
            "source_partition": number("Partition", "The partition of Wikimedia's own topic."),
            "read": number("Read", "Source offsets read, all of them acknowledged by the broker.", 100),
            "kept": number("Kept", "Edits, new pages and log entries.", 100),
            "dropped": number("Dropped", "Left out on purpose; the reasons are below.", 100),
            "dead_lettered": number("Dead", "Could not be used; see the dead letters.", 70),
            "last_offset": number("Read up to", "The newest source offset in the ledger.", 120),
            "stored_offset": number("Stored up to", "The newest source offset among the range's stored edits.", 120),
            "behind": number("Behind", "The difference, in source offsets.", 80),
        },
    )


def dropped_table(dropped: pd.DataFrame) -> None:
    """Rows of query `dropped`."""
    count = number("Changes", "How many, since the ledger began.", 110)
    _table(dropped, "dropped", {"reason": text("Reason", 260), "changes": count})


def late_table(late: pd.DataFrame) -> None:
    """Rows of query `late`."""
    count = number("Changes", "How many, in the chosen range.", 110)
    _table(late, "late", {"wiki": text("Wiki", 200), "changes": count, "newest": clock("Newest (UTC)")})


def dead_letters_table(dead: pd.DataFrame) -> None:
    """Rows of query `dead_letters`."""
    _table(
        dead,
        "dead_letters",
        {
            "reason": text("Reason", 140),
            "letters": number("Letters", "How many are kept (30 days)."),
            "replayed_since": number("Replayed", "Of these, sent again since: `battlefield replay-dead-letters`."),
            "newest": clock("Newest (UTC)"),
            "newest_error": text("Newest error", 380),
            "newest_raw": text("As it came (begins with)", 480),
        },
    )


def audits_table(audits: pd.DataFrame) -> None:
    """Rows of query `last_audits`."""
    frame = pd.DataFrame(
        {
            "source": audits["source"].replace("", "all"),
            "found": audits["passed"].map({True: "agrees", False: "differs"}),
            "started": audits["started"],
            "since": audits["since"],
            "until": audits["until"],
            "changes": audits["changes"],
            "mismatches": audits["mismatches"],
            "gaps": audits["gaps"],
            "unstored": audits["unstored"],
            "late": audits["late"],
            "seconds": audits["seconds"],
        }
    )
    _table(
        frame,
        "audits",
        {
            "source": text("Source", 120, "What played: live, or the name of a game or of a recording."),
            "found": text("Result", 70, "Whether stream and SQL agree and nothing is missing."),
            "started": clock("Audited (UTC)"),
            "since": clock("From (UTC)"),
            "until": clock("Up to (UTC)"),
            "changes": number("Changes", "Accepted changes that were looked at.", 90),
            "mismatches": number("Mismatches", "Rows that are missing, too many or different.", 90),
            "gaps": number("Gaps", "Source offsets that nobody read."),
            "unstored": number("Unstored", "Changes that were read and kept, and are not in ClickHouse."),
            "late": number("Late", "Of the changes, too late for their window."),
            "seconds": number("Took (s)", "How many seconds the audit took.", 70, "%.1f"),
        },
    )


def _table(table: pd.DataFrame, key: str, columns: dict[str, Column]) -> None:
    st.dataframe(table, key=key, hide_index=True, placeholder="–", column_config=columns)


def _addresses(build: Callable[..., str | None], found: pd.DataFrame, column: str) -> list[str | None]:
    return [build(*row) for row in found[["server_name", column]].itertuples(index=False)]
