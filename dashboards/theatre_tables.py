"""Tables of theatres: languages, and ground gained and lost."""

import pandas as pd

from dashboards.columns import number, share, text
from dashboards.grid import table
from dashboards.languages import language_name
from dashboards.namespaces import namespace_name


def languages_table(languages: pd.DataFrame, minutes: float) -> None:
    """`languages`: of charts.theatres.language_rows; `minutes`: what they cover."""
    frame = pd.DataFrame(
        {
            "name": languages["language"].map(language_name),
            "language": languages["language"],
            "rate": languages["edits"] / minutes,
            "people": languages["people"],
            "reverts": languages["reverts"],
            "reverted": languages["reverted"],
            "net": languages["net"],
        }
    )
    table(
        frame,
        "languages",
        {
            "name": text("Language", 120),
            "language": text("Code", 55),
            "rate": number("Edits/min", "Edits per minute, Wikipedia and its sister projects together.", 80, "%.1f"),
            "people": share("People", "People's and temporary accounts' share of the edits. The rest are bots."),
            "reverts": number("Reverts", "Reverts of others in the range."),
            "reverted": number("Per 100", "Reverts per 100 edits.", 70, "%.2f"),
            "net": number("Bytes", "Bytes gained minus bytes lost.", 90),
        },
    )


def territory_table(territory: pd.DataFrame) -> None:
    """Rows of query `territory`."""
    frame = pd.DataFrame(
        {
            "wiki": territory["wiki"],
            "namespace": territory["namespace"].map(namespace_name),
            "gained": territory["bytes_added"],
            "lost": territory["bytes_removed"],
            "net": territory["bytes_added"] - territory["bytes_removed"],
            "edits": territory["edits"],
        }
    ).sort_values(["gained", "lost"], ascending=False, ignore_index=True)
    table(
        frame,
        "territory",
        {
            "wiki": text("Wiki", 110),
            "namespace": text("Namespace", 110),
            "gained": number("Gained (bytes)", "By how many bytes edits made pages grow.", 110),
            "lost": number("Lost (bytes)", "By how many bytes edits made pages shrink.", 110),
            "net": number("Net (bytes)", "Gained minus lost.", 100),
            "edits": number("Edits", "Edits and new pages."),
        },
    )
