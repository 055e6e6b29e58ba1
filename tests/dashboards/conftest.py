"""The board's pages in this process, against a database of their own."""

from collections.abc import Callable, Iterator

import pytest
import streamlit as st
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

from services.common.settings import PROJECT_ROOT, Settings, get_settings
from tests.conftest import empty_database
from tests.dashboards.rows import empty

APP = PROJECT_ROOT / "dashboards" / "app.py"


def forget() -> None:
    """What the board keeps between viewers and between tests: settings, client, rows."""
    get_settings.cache_clear()
    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.fixture
def point_at(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Settings], None]]:
    """Points the board at a ClickHouse."""

    def point(settings: Settings) -> None:
        monkeypatch.setenv("CLICKHOUSE_PORT", str(settings.clickhouse_port))
        monkeypatch.setenv("CLICKHOUSE_DATABASE", settings.clickhouse_database)
        forget()

    yield point
    forget()


@pytest.fixture(scope="session")
def board_database(clickhouse: Settings) -> Iterator[Settings]:
    """A database that the tests of pages share."""
    with empty_database(clickhouse) as settings:
        yield settings


@pytest.fixture(scope="session", autouse=True)
def components_are_looked_for_once() -> Iterator[None]:
    """Streamlit's test runner reads what is installed at each run of a page: a third of the time of these tests."""
    found = manifest_scanner.scan_component_manifests()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", lambda: found)
        yield


@pytest.fixture
def board(board_database: Settings, point_at: Callable[[Settings], None]) -> Iterator[Settings]:
    """The settings of an empty database that the board reads."""
    point_at(board_database)
    yield board_database
    empty(board_database)


def open_page(page: str = "views/front_line.py", /, **address: str | list[str]) -> AppTest:
    """A page as a viewer finds it, by its file and the address's parameters; no exception may have come up."""
    app = AppTest.from_file(str(APP), default_timeout=60)
    if page != "views/front_line.py":
        app.switch_page(page)
    for name, value in address.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception, app.exception[0].message
    return app
