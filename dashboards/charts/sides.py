"""The sides and their colours' order; config.toml's chartCategoricalColors follow it in both themes."""

import altair as alt

# actor class -> what the board calls it; people and temporary accounts stand together against bots
SIDES = {"person": "People", "temporary": "Temporary accounts", "bot": "Bots"}


def side_colour(legend: bool = True) -> alt.Color:
    """One colour per side, the same in every chart, with the legend above the chart."""
    return alt.Color(
        "side:N",
        scale=alt.Scale(domain=list(SIDES.values())),
        legend=alt.Legend(title=None, orient="top", labelLimit=0, symbolType="square") if legend else None,
    )


def direction(actor: str) -> int:
    """Bots fight on the other side of the line."""
    return -1 if actor == "bot" else 1
