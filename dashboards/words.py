"""Numbers, times and strangers' words for people: pure functions, text in, text out."""

import re

import pandas as pd


def plain(text: str) -> str:
    """Text that markdown shows as it is: no links, markup, Streamlit directives, formulas or icons in it."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", " ".join(text.split()))


def duration(seconds: float) -> str:
    """`8 s`, `3 min`, `5 h`, `2 days`: one unit, rounded down, as on a clock."""
    for unit, size, until in (("s", 1, 120), ("min", 60, 7200), ("h", 3600, 172_800)):
        if seconds < until:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds // 86_400):,} days"


def amount(number: int, unit: str) -> str:
    """`1 battle`, `1,234 battles`."""
    return f"{number:,} {unit}{'' if number == 1 else 's'}"


def moment(time: pd.Timestamp) -> str:
    """`2024-12-07 11:32:24 UTC`."""
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"


def change(now: int, before: int) -> str | None:
    """`+12 %` against before; None where there is nothing to compare with."""
    return f"{(now - before) / before:+.0%}".replace("%", " %") if before else None


def names(people: list[str], most: int = 2) -> str:
    """`Ann`, `Ann, Bob`, `Ann, Bob +3`; a dash for nobody."""
    more = f" +{len(people) - most}" if len(people) > most else ""
    return (", ".join(person or "(hidden)" for person in people[:most]) + more) or "–"
