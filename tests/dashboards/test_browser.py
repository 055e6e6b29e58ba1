"""The board in a real browser, over a real endpoint: it moves by itself, keeps the viewer's choice, and comes back."""

import csv
import io
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
from PIL import Image

from scripts.pictures import picture
from services.common import links
from services.common.migrations import apply_migrations
from services.common.settings import PROJECT_ROOT
from tests.browser import headless_chromium
from tests.conftest import START_TIMEOUT
from tests.dashboards.rows import HOSTILE, LIVE, edit, empty, insert

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Locator, Page

    from tests.conftest import Endpoint

PROBED = re.compile(r"/[a-z_]+/_stcore/(?:health|host-config)$")
PATIENCE = 45_000  # ms; a busy machine takes many seconds to load the charts' code


@pytest.fixture(scope="module")
def endpoint(clickhouse_factory: Callable[..., "Endpoint"], tmp_path_factory: pytest.TempPathFactory) -> "Endpoint":
    """A ClickHouse that this module may stop and start again."""
    endpoint = clickhouse_factory(tmp_path_factory.mktemp("board"))
    apply_migrations(endpoint.settings)
    return endpoint


def answers(port: int) -> bool:
    """Whether the dashboard is up."""
    connection = HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/_stcore/health")
        return connection.getresponse().status == 200
    except (HTTPException, OSError):
        return False
    finally:
        connection.close()


@pytest.fixture(scope="module")
def address(endpoint: "Endpoint", free_port: Callable[[], int]) -> Iterator[str]:
    """`battlefield dashboard` as a process, over the endpoint."""
    port = free_port()
    environment = {
        **os.environ,
        "CLICKHOUSE_PORT": str(endpoint.settings.clickhouse_port),
        "DASHBOARD_PORT": str(port),
        "DATA_DIR": str(endpoint.settings.data_dir),
    }
    process = subprocess.Popen([sys.executable, "-m", "services", "dashboard"], cwd=PROJECT_ROOT, env=environment)
    deadline = time.monotonic() + START_TIMEOUT
    while not answers(port):
        assert process.poll() is None, "the dashboard ended at its start; its error stands above"
        assert time.monotonic() < deadline, "the dashboard does not answer"
        time.sleep(0.1)
    yield f"http://127.0.0.1:{port}"
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=15)


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """A headless Chromium."""
    with headless_chromium() as browser:
        yield browser


class Visit:
    """A viewer's page, with what the browser complained of and whom else it asked."""

    def __init__(self, page: "Page", address: str) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.asked: set[str] = set()
        page.set_default_timeout(PATIENCE)
        page.on("console", self.hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(f"a script ran: {dialog.message}"))
        page.on("request", lambda request: self.asked.add(request.url))
        self.address = address

    def hear(self, message: "ConsoleMessage") -> None:
        """Remember an error of the console."""
        # Opened at a page's address, Streamlit's own script does not know below which folder its server answers, and
        # tries the page's folder first (getPossibleBaseUris). Nothing but its index.html could tell it.
        probing = PROBED.search(message.location.get("url", ""))
        if message.type == "error" and not probing:
            self.complaints.append(f"{message.text} {message.location}")

    def figure(self, label: str) -> "Locator":
        """A figure's value."""
        figure = self.page.locator("[data-testid=stMetric]").filter(has_text=label)
        return figure.locator("[data-testid=stMetricValue]")

    def strangers(self) -> set[str]:
        """Addresses asked that are not the board's own."""
        return {url for url in self.asked if not url.startswith((self.address, "data:", "blob:"))}


@pytest.fixture
def visit(browser: "Browser", address: str, endpoint: "Endpoint") -> Iterator[Visit]:
    """A new viewer, and 20 minutes of live edits with reverts whose titles and editors are hostile."""
    now = datetime.now(UTC).replace(microsecond=0)
    times = [now - timedelta(seconds=10 * n) for n in range(120)]
    edit(endpoint.settings, *({"timestamp": moment, "source_topic": LIVE} for moment in times))
    hostile = [{"title": w, "reverter": w, "reverted": f"{w}2", "rev_id": n} for n, w in enumerate(HOSTILE.values())]
    insert(endpoint.settings, "reverts", *({**row, "timestamp": now} for row in hostile))
    minutes = {"opened": 30, "declared": 20, "updated": 1}
    war = {name: now - timedelta(minutes=number) for name, number in minutes.items()}
    fighters = [(HOSTILE["emoji"], "person", "first", 2, 2, 1), (HOSTILE["markup"], "person", "second", 2, 1, 2)]
    insert(endpoint.settings, "battles", {**war, "title": HOSTILE["markup"], "fighters": fighters})
    sizes = {"title": HOSTILE["markup"], "user": HOSTILE["markup"], "length_old": 9, "length_new": 99}
    insert(endpoint.settings, "edits", {**sizes, "timestamp": war["updated"], "source_topic": LIVE, "actor": "bot"})
    page = browser.new_page(viewport={"width": 1280, "height": 1800})
    yield Visit(page, address)
    page.close()
    empty(endpoint.settings)


def test_a_new_edit_appears_without_a_reload_and_without_a_new_chart(visit: Visit, endpoint: "Endpoint") -> None:
    visit.page.goto(visit.address)
    visit.figure("People").filter(has_text="120 edits").wait_for()
    # a table is a canvas; for screen readers its cells stand inside of it
    visit.page.locator("canvas td").filter(has_text=HOSTILE["markup"]).first.wait_for(state="attached")
    chart = visit.page.locator("[data-testid=stVegaLiteChart]").first
    chart.locator("canvas, svg").first.wait_for()
    visit.page.wait_for_timeout(3000)  # one refresh at least, so that the first is not mistaken for the new edit's
    chart.locator("canvas, svg").first.evaluate("drawn => { drawn.isTheSame = true; window.wasNotReloaded = true }")

    edit(endpoint.settings, {"timestamp": datetime.now(UTC), "source_topic": LIVE, "wiki": "dewiki"})

    visit.figure("People").filter(has_text="121 edits").wait_for()
    assert visit.page.evaluate("window.wasNotReloaded")
    assert chart.locator("canvas, svg").first.evaluate("drawn => drawn.isTheSame")
    visit.page.set_viewport_size({"width": 400, "height": 860})
    drawn = "document.querySelector('[data-testid=stVegaLiteChart] :is(canvas, svg)')"
    visit.page.wait_for_function(f"{drawn}?.getBoundingClientRect().width <= 400")
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 400  # a telephone scrolls down alone
    assert Image.open(io.BytesIO(picture(visit.page))).size == (400, 860)
    assert visit.complaints == []
    assert visit.strangers() == set()


def test_the_viewers_choice_stays_in_the_address_over_refreshes_pages_and_reloads(visit: Visit) -> None:
    visit.page.goto(f"{visit.address}/?wiki=enwiki")
    visit.figure("People").filter(has_text="120 edits").wait_for()

    visit.page.get_by_role("radio", name="15m").click()
    visit.page.wait_for_url("**range=15m*")
    visit.figure("People").filter(has_not_text="120 edits").wait_for()
    for page, figure in (("Health", "Dead letters"), ("Patrol", "Bursts"), ("Three-revert watch", "Warnings")):
        visit.page.get_by_role("link", name=page).first.click()
        visit.figure(figure).wait_for()
    visit.page.get_by_role("link", name="Theatres").first.click()
    visit.page.get_by_role("heading", name="Territory").wait_for()
    visit.page.get_by_role("radio", name="reverts").click()
    visit.page.get_by_role("button", name="Filter").click()
    visit.page.get_by_role("combobox", name="Namespaces").fill("Article")
    visit.page.get_by_role("option", name="Article").click()
    visit.page.wait_for_url("**ns=Article*")
    visit.page.keyboard.press("Escape")
    visit.page.locator("[data-testid=stVegaLiteChart]").nth(2).locator("canvas, svg").first.wait_for()
    open_the_battle(visit)
    visit.page.get_by_role("link", name="All battles").click()
    visit.figure("At war").wait_for()
    visit.page.get_by_role("link", name="Front line").first.click()
    visit.figure("People").wait_for()
    visit.page.reload()
    visit.figure("People").wait_for()

    assert "range=15m" in visit.page.url
    assert "wiki=enwiki" in visit.page.url
    assert "ns=Article" in visit.page.url
    assert visit.page.get_by_role("radio", name="15m").is_checked()
    assert visit.complaints == []


def open_the_battle(visit: Visit) -> None:
    """Choose the one battle of the page Battles, by a click on its title."""
    visit.page.get_by_role("link", name="Battles").first.click()
    visit.figure("At war").filter(has_text="1").wait_for()
    table = visit.page.locator("[data-testid=stDataFrame]").first
    table.locator("td").filter(has_text=HOSTILE["markup"]).first.wait_for(state="attached")
    table.click(position={"x": 250, "y": 50})
    visit.page.wait_for_url("**/battle?*battle=*")
    visit.page.get_by_role("heading", name=HOSTILE["markup"]).wait_for()
    visit.page.locator("[data-testid=stVegaLiteChart]").first.locator("canvas, svg").first.wait_for()


def test_a_link_shows_the_same_story_whose_table_can_be_taken_along_and_whose_links_lead_to_the_wiki(
    visit: Visit,
) -> None:
    hostile = HOSTILE["markup"]
    then = (datetime.now(UTC) + timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M")
    # where the browser has it, Streamlit asks by a dialog of the system where to save, which nobody answers here
    visit.page.add_init_script("delete window.showSaveFilePicker")
    visit.page.context.route("https://en.wikipedia.org/**", lambda route: route.fulfill(body="the wiki"))
    visit.page.goto(f"{visit.address}/look_up?{urlencode({'page': hostile, 'on': 'enwiki', 'until': then})}")
    visit.page.get_by_role("heading", name=hostile).wait_for()
    visit.figure("Battles").filter(has_text="1 battle").wait_for()
    visit.page.get_by_text(f"as it was at {then.replace('T', ' ')}:00 UTC").wait_for()

    with visit.page.expect_popup() as opened:
        visit.page.get_by_role("link", name="Page history").click()
    assert opened.value.url == links.history("en.wikipedia.org", hostile)
    opened.value.close()

    table = visit.page.locator("[data-testid=stDataFrame]").last
    table.locator("td").filter(has_text=hostile).first.wait_for(state="attached")
    table.hover()
    with visit.page.expect_download() as saved:
        table.get_by_role("button", name="Download as CSV").click()
    (row,) = csv.DictReader(io.StringIO(saved.value.path().read_text(encoding="utf-8-sig")))
    assert hostile in row.values()
    assert datetime.fromisoformat(next(iter(row.values()))).utcoffset() == timedelta(0)  # its zone stands in it

    visit.page.get_by_placeholder("Page or editor").fill("nobody has this name")
    visit.page.keyboard.press("Enter")
    visit.page.get_by_text("begins with “nobody has this name”").wait_for()
    visit.page.wait_for_url("**q=nobody*")
    assert "page=" not in visit.page.url
    assert visit.complaints == []


def test_when_clickhouse_goes_the_page_says_so_and_comes_back_by_itself(visit: Visit, endpoint: "Endpoint") -> None:
    visit.page.goto(visit.address)
    visit.figure("People").wait_for()

    endpoint.stop()
    visit.page.get_by_text("does not answer. Start it").wait_for()
    endpoint.start()

    visit.figure("People").filter(has_text="120 edits").wait_for()
    assert visit.complaints == []
