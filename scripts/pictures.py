"""Take the pictures of docs/pictures: `make pictures`. Each page of the board, dark and light, wide and on a phone.

A war game of a fixed seed plays at full speed from its own fixed first instant, so the same edits are on the pictures
each time. What differs is when they were read.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from PIL import Image

from services.common.settings import PROJECT_ROOT
from services.embedded.ports import free_port
from tests.browser import headless_chromium

if TYPE_CHECKING:
    from playwright.sync_api import Page

PICTURES = PROJECT_ROOT / "docs" / "pictures"
SEED, EVENTS = 7, 240_000  # two hours at Wikimedia's rate
STREAMS = 2  # a war game tells of each event in recentchange and in revision-create, and the ledger has both
PLAY_LIMIT = 600  # seconds
ROLL_UP_LIMIT = 90  # seconds; hours are summed up once a minute
SIZES = {"wide": (1280, 1000), "phone": (400, 860)}
QUALITY = 62  # of WebP: lines and letters stay sharp
LETTERS = ("ja", "zh-cn", "ko", "ar", "he", "ru", "und-zsye")  # the last is emoji
FONTS = ("fonts-noto-core", "fonts-noto-cjk", "fonts-noto-color-emoji")
MOST_BYTES = 1_500_000
# charts are there, and nothing waits for its first rows
DRAWN = """() => !document.querySelector('[data-testid=stSkeleton]')
    && document.querySelector('[data-testid=stMetric], [data-testid=stVegaLiteChart], [data-testid=stDataFrame]')
    && [...document.querySelectorAll('[data-testid=stVegaLiteChart]')].every(c => c.querySelector('canvas, svg'))
    && [...document.querySelectorAll('[data-testid=stDataFrame]')].every(c => c.querySelector('canvas'))"""


@contextmanager
def war_game() -> Iterator[tuple[Path, int]]:
    """A whole game, stored; gives its data directory and the board's port."""
    data_dir, port = Path(tempfile.mkdtemp(prefix="battlefield-pictures-")), free_port()
    play = ["--source", "simulate", "--seed", str(SEED), "--events", str(EVENTS), "--speed", "max"]
    ports = ["--broker-port", "0", "--clickhouse-port", "0", "--dashboard-port", str(port)]
    command = [sys.executable, "-m", "services", "up", *play, *ports, "--data-dir", str(data_dir)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + PLAY_LIMIT
        while not is_whole(data_dir):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"The game did not come to its end; its logs are in {data_dir}")
            time.sleep(1)
        audit(data_dir)
        deadline = time.monotonic() + ROLL_UP_LIMIT
        while not all(row["known_hours"] for row in ask(data_dir, "hot_pages")) and time.monotonic() < deadline:
            time.sleep(1)
        yield data_dir, port
    finally:
        process.terminate()
        process.wait(timeout=60)
    shutil.rmtree(data_dir)


def ask(data_dir: Path, query: str, **params: str) -> list[dict[str, Any]]:
    """A named query's rows; none while nobody can be asked."""
    given = [word for name, value in params.items() for word in ("--param", f"{name}={value}")]
    command = [sys.executable, "-m", "services", "query", query, "--json", *given]
    asked = subprocess.run(
        command, env={**os.environ, "DATA_DIR": str(data_dir)}, capture_output=True, text=True, check=False
    )
    rows: list[dict[str, Any]] = json.loads(asked.stdout) if asked.returncode == 0 else []
    return rows


def is_whole(data_dir: Path) -> bool:
    """Whether all events are read and stored."""
    if not (data_dir / "stack.env").exists():
        return False
    for row in ask(data_dir, "accounting"):
        return bool(row["read"] == STREAMS * EVENTS and row["kept"] == row["stored"] + row["duplicates"])
    return False


def audit(data_dir: Path) -> None:
    """Hold what was stored against SQL: Health shows the result."""
    command = [sys.executable, "-m", "services", "audit"]
    subprocess.run(command, env={**os.environ, "DATA_DIR": str(data_dir)}, stdout=subprocess.DEVNULL, check=True)


def pages(data_dir: Path) -> dict[str, str]:
    """What is taken: the picture's name, and the address. The fiercest battle of all is the one that is opened."""
    (fiercest,) = ask(data_dir, "battles", since="now-2h", limit="1")
    subject = urlencode({"page": fiercest["title"], "on": fiercest["wiki"]})
    return {
        "front-line": "?range=1h",
        "theatres": "theatres?range=1h",
        "hot-pages": "hot_pages",
        "battles": "battles?range=1h",
        "battle": f"battle?battle={fiercest['battle_id']}",
        "three-reverts": "three_reverts?range=6h",
        "patrol": "patrol?range=6h",
        "look-up": f"look_up?{subject}",
        "health": "health?range=1h",
    }


def take(page: "Page", address: str) -> bytes:
    """The page as it looks when all is drawn, as WebP."""
    page.goto(address)
    page.wait_for_function(DRAWN, timeout=60_000)
    page.wait_for_timeout(
        1_500
    )  # tables and charts are canvases: that they are there does not say that they are painted
    return picture(page)


def picture(page: "Page") -> bytes:
    """What is seen of the page, as WebP."""
    page.mouse.move(0, 0)
    packed = BytesIO()
    Image.open(BytesIO(page.screenshot())).convert("RGB").save(packed, "WEBP", quality=QUALITY, method=6)
    return packed.getvalue()


def missing_fonts() -> list[str]:
    """Languages of the game's titles that this machine has no letters for: they would be boxes."""
    listed = shutil.which("fc-list")
    return [code for code in LETTERS if listed and not subprocess.check_output([listed, f":lang={code}"])]


def main() -> None:
    """Play, look, write."""
    if missing := missing_fonts():
        raise SystemExit(f"No font for {', '.join(missing)}: apt install {' '.join(FONTS)} (Debian), then try again.")
    with war_game() as (data_dir, port), headless_chromium() as browser:
        taken, addresses = {}, pages(data_dir)
        for size, (width, height) in SIZES.items():
            for scheme in ("dark", "light"):
                context = browser.new_context(
                    viewport={"width": width, "height": height}, color_scheme="dark" if scheme == "dark" else "light"
                )
                for name, path in addresses.items():
                    taken[f"{name}-{size}-{scheme}.webp"] = take(context.new_page(), f"http://127.0.0.1:{port}/{path}")
                    print(f"{name} {size} {scheme}", file=sys.stderr)
                context.close()
    total = sum(map(len, taken.values()))
    if total > MOST_BYTES:
        raise SystemExit(f"{total:,} bytes of pictures are too many: lower QUALITY or take fewer.")
    shutil.rmtree(PICTURES, ignore_errors=True)
    PICTURES.mkdir(parents=True)
    for name, picture in taken.items():
        (PICTURES / name).write_bytes(picture)
    print(f"{len(taken)} pictures, {total:,} bytes, in {PICTURES}")


if __name__ == "__main__":
    main()
