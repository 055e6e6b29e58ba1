"""Open the running board in many browsers at once: what each of them sees first and when, and whatever goes wrong.

    python -m scripts.viewers --address http://127.0.0.1:8501 [--viewers 10] [--seconds 30] [--json]
                              [--pages battles,patrol,battle?battle=ID] [--range 30d]

Each viewer has a browser context of its own (no shared cache, no shared session) and one page of the board; they come
within the same second, stay, and count errors: of the browser's console, of requests, of the board itself. First paint
is the first text of the board, first figure the first metric or chart. All runs on this machine, so ten browsers
compete with what they measure: `--viewers 1` tells the board's own time.
"""

import argparse
import asyncio
import json
import os
import shutil
import statistics
import sys
import time
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from playwright.async_api import Browser

PAGES = ("", "theatres", "battles", "three_reverts", "patrol", "health")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
PATIENCE = 60_000  # ms
FIRST_TEXT = "[data-testid=stMain] :is(p, label, [data-testid=stMetric])"
FIRST_FIGURE = (
    ":is([data-testid=stMetricValue], [data-testid=stVegaLiteChart] canvas, [data-testid=stVegaLiteChart] svg)"
)
# what the board shows where something is wrong: Streamlit's own box, and ours for a ClickHouse that does not answer
TROUBLE = ":is([data-testid=stException], [data-testid=stAlertContentError])"


class Visit(NamedTuple):
    """One viewer."""

    page: str
    paint: float | None  # seconds until the first text; None: never
    figure: float | None  # until the first figure
    errors: list[str]


def console_errors(kind: str, text: str, url: str) -> list[str]:
    """What a line of the browser's console says of an error."""
    # Streamlit looks for its server beneath the page's own address first (/battles/_stcore/health), then above it
    searching = "404" in text and "/_stcore/" in url
    return [f"console: {text} {url}"] if kind == "error" and not searching else []


async def visit(browser: "Browser", address: str, page_name: str, asked: str, seconds: float) -> Visit:
    """Open a page with what is asked in its address, and stay so long."""
    context = await browser.new_context(viewport={"width": 1280, "height": 800})
    page = await context.new_page()
    errors: list[str] = []
    page.on(
        "console", lambda message: errors.extend(console_errors(message.type, message.text, message.location["url"]))
    )
    page.on("pageerror", lambda error: errors.append(f"script: {error}"))
    page.on("requestfailed", lambda request: errors.append(f"request: {request.url} {request.failure}"))
    began = time.perf_counter()

    async def until(selector: str) -> float | None:
        try:
            # the first that can be seen: a popover's own text stands in the page, hidden, before the rest
            await page.locator(selector).locator("visible=true").first.wait_for(timeout=PATIENCE)
        except Exception as error:  # a time-out, or the page is gone: either way it is told
            errors.append(f"never shown: {selector[:40]} ({type(error).__name__})")
            return None
        return time.perf_counter() - began

    try:
        query = f"{'&' if '?' in page_name else '?'}{asked}" if asked else ""
        await page.goto(f"{address}/{page_name}{query}", timeout=PATIENCE)
        paint, figure = await asyncio.gather(until(FIRST_TEXT), until(FIRST_FIGURE))
        await asyncio.sleep(max(0.0, began + seconds - time.perf_counter()))
        errors += [f"board: {trouble[:300]}" for trouble in await page.locator(TROUBLE).all_inner_texts()]
    finally:
        still_there = list(errors)  # closing ends what runs, which is no error
        await context.close()
    return Visit(page_name or "front line", paint, figure, still_there)


async def visits(address: str, pages: list[str], asked: str, seconds: float) -> list[Visit]:
    """A viewer for each of the pages, all at once."""
    from playwright.async_api import async_playwright

    executable = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=executable, args=list(FLAGS))
        found = await asyncio.gather(*(visit(browser, address, page, asked, seconds) for page in pages))
        await browser.close()
    return list(found)


def worst_and_median(times: list[float | None]) -> dict[str, Any]:
    """Of those that came."""
    came = [moment for moment in times if moment is not None]
    return {"median_s": round(statistics.median(came), 2), "worst_s": round(max(came), 2)} if came else {}


def main() -> None:
    """Print what each viewer saw; exit with 1 where one saw an error."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", default="http://127.0.0.1:8501")
    parser.add_argument("--viewers", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=30.0, help="How long each stays.")
    parser.add_argument("--pages", default=",".join(PAGES), help="Which pages, in turn; the front line has no name.")
    parser.add_argument("--range", default="", help="Over which range of the board, such as 30d.")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    pages = list(islice(cycle(arguments.pages.split(",")), arguments.viewers))
    asked = f"range={arguments.range}" if arguments.range else ""
    found = asyncio.run(visits(arguments.address.rstrip("/"), pages, asked, arguments.seconds))
    summary = {
        "viewers": len(found),
        "load_before": round(load, 1),
        "cores": os.cpu_count(),
        "paint": worst_and_median([one.paint for one in found]),
        "figure": worst_and_median([one.figure for one in found]),
        "errors": sum(len(one.errors) for one in found),
    }
    if arguments.json:
        print(json.dumps(summary | {"visits": [one._asdict() for one in found]}, indent=2))
    else:
        for one in found:
            times = " ".join(
                f"{name} {moment:.1f} s" if moment else f"{name} never"
                for name, moment in (("paint", one.paint), ("figure", one.figure))
            )
            print(f"{one.page:<14} {times}", *one.errors, sep="\n    " if one.errors else " ")
        print(summary)
    sys.exit(1 if summary["errors"] else 0)


if __name__ == "__main__":
    main()
