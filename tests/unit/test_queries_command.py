"""`battlefield query` where no ClickHouse is needed; tests/sql runs it against one."""

import json
from collections.abc import Iterator

import pytest
from click.testing import CliRunner
from rich.console import Console

from services.common.query_command import as_table, command
from services.common.settings import get_settings


@pytest.fixture(autouse=True)
def _no_clickhouse(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("CLICKHOUSE_PORT", "1")  # nothing listens on port 1
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


def test_without_a_name_it_lists_every_query_with_its_parameters() -> None:
    listed = json.loads(CliRunner().invoke(command, ["--json"]).stdout)

    front = next(query for query in listed if query["name"] == "front")
    assert front["description"].startswith("People, bots")
    step = next(parameter for parameter in front["parameters"] if parameter["name"] == "step")
    assert (step["type"], step["default"]) == ("UInt32", "60")
    assert "wikis Array(String): only these wikis" in CliRunner().invoke(command).stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "There is no query 'nothing'"),
        (["wikis", "--param", "limit"], "expected NAME=VALUE, got 'limit'"),
        (["wikis"], "does not answer. Start it, or correct CLICKHOUSE_HOST and _PORT."),
    ],
)
def test_an_error_says_what_to_do(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(command, arguments)

    assert result.exit_code != 0
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_a_title_cannot_drive_the_terminal() -> None:
    console = Console(width=80, force_terminal=True, color_system="standard")
    with console.capture() as capture:
        console.print(as_table(["title"], [["\x1b[2J[red]x[/red]\u202e"]]))

    assert "\\x1b[2J[red]x[/red]\\u202e" in capture.get()
