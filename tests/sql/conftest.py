"""What the tests of named queries share: tables of their own, and the board's client over them."""

from collections.abc import Iterator

import pytest
from clickhouse_connect.driver.client import Client

from services.common.clickhouse import reader_client
from services.common.settings import Settings
from tests.conftest import empty_database
from tests.dashboards.rows import empty


@pytest.fixture(scope="module")
def database_of_queries(clickhouse: Settings) -> Iterator[Settings]:
    """A database of one module, with the project's tables and nothing in them."""
    with empty_database(clickhouse) as settings:
        yield settings


@pytest.fixture
def tables(database_of_queries: Settings) -> Iterator[Settings]:
    """The same, emptied after the test."""
    yield database_of_queries
    empty(database_of_queries)


@pytest.fixture(scope="module")
def reader(database_of_queries: Settings) -> Iterator[Client]:
    """The board's client."""
    with reader_client(database_of_queries) as client:
        yield client
