"""Draw docs/charts/growth.json as docs/charts/*.svg, and print its tables: `make charts`.

What was not measured is not drawn.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import altair as alt
import pandas as pd

from scripts.bench_growth import RESULTS

WIDTH, HEIGHT = 560, 260
PARTS = ("producer", "broker", "worker", "ClickHouse", "dashboard", "supervisor", "simulator")
COLOURS = ("#4c78a8", "#f58518", "#e45756", "#72b7b2", "#54a24b", "#b279a2", "#9d9d9d")

Row = Mapping[str, Any]


def by_part(rate: list[Row]) -> Iterator[dict[str, Any]]:
    """CPU of each part at each rate, a row each."""
    for row in rate:
        for part, percent in row["cpu_percent"].items():
            yield {"changes/s on the stream": row["rate"], "part": part, "% of one core": percent}


def ages(rate: list[Row]) -> Iterator[dict[str, Any]]:
    """How old changes are when they are first seen, a row a figure."""
    for row in rate:
        for name, key in (("median", "median_s"), ("99 of 100", "p99_s")):
            yield {"changes/s on the stream": row["rate"], "of changes": name, "seconds": row["freshness"][key]}


def costs(pages: list[Row]) -> Iterator[dict[str, Any]]:
    """µs of CPU a change, a row a process."""
    for row in pages:
        for name, key in (("worker", "worker_us"), ("ClickHouse", "clickhouse_us")):
            yield {"pages": row["pages"], "part": name, "µs of CPU a change": row[key]}


def times(days: list[Row]) -> Iterator[dict[str, Any]]:
    """Each range's median over the board's queries, and the slowest, a row each."""
    for row in days:
        for name, told in row["ranges"].items():
            yield {"days stored": row["days"], "range": name, "median query, ms": told["median_ms"]}


def memory(million: Row) -> Iterator[dict[str, Any]]:
    """Memory of each part over the run, a row each. Not over the changes stored: many looks see the same number."""
    for sample in million["samples"]:
        for part in PARTS:
            if part in sample:
                yield {"seconds": sample["s"], "part": part, "MiB": sample[part]}


def line(rows: Iterator[dict[str, Any]], *, log_y: bool = False) -> alt.Chart:
    """A line a colour over a logarithmic axis; the columns are x, colour, y in one of the two orders that occur."""
    data = list(rows)
    x, *others = data[0]
    colour, y = sorted(others, key=lambda name: not isinstance(data[0][name], str))
    known = [part for part in PARTS if part in {row[colour] for row in data}]
    scale = alt.Scale(domain=known, range=[COLOURS[PARTS.index(part)] for part in known]) if known else alt.Undefined
    values = sorted({row[x] for row in data})
    chart: alt.Chart = (
        alt.Chart(pd.DataFrame(data), width=WIDTH, height=HEIGHT)
        .mark_line(point=True)
        .encode(
            x=alt.X(f"{x}:Q", scale=alt.Scale(type="log"), axis=alt.Axis(values=values, format=",")),
            y=alt.Y(f"{y}:Q", scale=alt.Scale(type="log") if log_y else alt.Undefined),
            color=alt.Color(f"{colour}:N", scale=scale, sort=None),
        )
    )
    return chart


def area(rows: Iterator[dict[str, Any]]) -> alt.Chart:
    """Parts on top of each other over an even axis."""
    data = list(rows)
    known = [part for part in PARTS if part in {row["part"] for row in data}]
    scale = alt.Scale(domain=known, range=[COLOURS[PARTS.index(part)] for part in known])
    order = [{**row, "place": known.index(row["part"])} for row in data]
    chart: alt.Chart = (
        alt.Chart(pd.DataFrame(order), width=WIDTH, height=HEIGHT)
        .mark_area()
        .encode(
            x="seconds:Q",
            y=alt.Y("MiB:Q", stack="zero"),
            color=alt.Color("part:N", scale=scale, sort=None),
            order="place:Q",
        )
    )
    return chart


def charts(results: Row) -> Iterator[tuple[str, alt.Chart]]:
    """Each chart with the name of its file."""
    if "rate" in results:
        yield "rate-cpu", line(by_part(results["rate"]), log_y=True)
        yield "rate-freshness", line(ages(results["rate"]))
    if "pages" in results:
        yield "pages", line(costs(results["pages"]))
    if "days" in results:
        yield "days", line(times(results["days"]), log_y=True)
    if "million" in results:
        yield "memory", area(memory(results["million"]))


def markdown(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def rate_table(rate: list[Row]) -> str:
    """CPU in % of one core, and ages in seconds."""
    known = [part for part in PARTS if any(part in row["cpu_percent"] for row in rate)]
    heads = ["changes/s on the stream", "stored/s", *known, "all but the simulator", "age: median", "99 of 100"]
    return markdown(
        heads,
        (
            [
                f"{row['rate']:,.0f}",
                f"{row['stored_per_s']:,.0f}",
                *(row["cpu_percent"].get(part, "") for part in known),
                row["stack_percent"],
                f"{row['freshness']['median_s']} s",
                f"{row['freshness']['p99_s']} s",
            ]
            for row in rate
        ),
    )


def pages_table(pages: list[Row]) -> str:
    """The worker over the same changes."""
    heads = [
        "pages",
        "changes",
        "changes/s",
        "worker, µs of CPU a change",
        "ClickHouse, µs",
        "worker, MiB",
        "state, MiB",
    ]
    keys = ("worker_us", "clickhouse_us", "worker_mib", "state_mib")
    return markdown(
        heads,
        (
            [f"{row['pages']:,}", f"{row['changes']:,}", f"{row['changes_per_s']:,}", *(row[key] for key in keys)]
            for row in pages
        ),
    )


def days_table(days: list[Row]) -> str:
    """The board's questions: the median one and the slowest, for each range."""
    ranges = list(days[0]["ranges"])
    heads = ["days stored", "edits", "on disk, MiB", "ClickHouse, MiB: at rest, at most"]
    return markdown(
        heads + [f"{name}: median, slowest query" for name in ranges],
        (
            [
                row["days"],
                f"{row['edits']:,}",
                f"{row['disk_mib']:,}",
                f"{row['at_rest_mib']:,}, {row['peak_mib']:,}",
                *(
                    f"{told['median_ms']} ms, {told['slowest_ms']:,} ms ({told['slowest']})"
                    for told in (row["ranges"][name] for name in ranges)
                ),
            ]
            for row in days
        ),
    )


def main() -> None:
    """Write the files, print the tables."""
    import vl_convert  # not on top: only who draws needs it

    results = json.loads(RESULTS.read_text())
    for name, table in (("rate", rate_table), ("pages", pages_table), ("days", days_table)):
        if name in results:
            print(table(results[name]), end="\n\n")
    for name, chart in charts(results):
        # a white ground: GitHub shows it in a dark theme too
        spec = chart.configure(background="white", padding=8).to_json()
        Path(RESULTS.with_name(f"{name}.svg")).write_text(vl_convert.vegalite_to_svg(spec))
        print(RESULTS.with_name(f"{name}.svg"))


if __name__ == "__main__":
    main()
