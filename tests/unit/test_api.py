"""The JSON API: the queries' files, the list, ClickHouse server's rules and the page that describes them are one."""

import json
import re
from xml.etree import ElementTree

from scripts.make_api import PAGE, RULES, page, rules
from services.common.api import api_sql, find, listing
from services.common.queries import QUERIES, all_queries, load, parse_query
from services.common.settings import PROJECT_ROOT

NAMES = sorted(path.stem for path in QUERIES.glob("*.sql"))
HANDLERS = ElementTree.parse(RULES).getroot().find("http_handlers")  # noqa: S314 - our own file


def test_what_is_made_of_the_queries_is_up_to_date() -> None:
    assert RULES.read_text(encoding="utf-8") == rules(), "run `make docs` and commit clickhouse/config.d/api.xml"
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make docs` and commit docs/api.md"


def test_list_rules_and_page_name_every_query_and_no_other() -> None:
    assert HANDLERS is not None
    served = {rule.findtext("url"): rule for rule in HANDLERS.findall("rule")}
    answers = {url: rule.findtext("handler/query") for url, rule in served.items()}
    for name in NAMES:
        assert answers.pop(f"/api/v1/{name}") == api_sql(load(name), "JSON")
        assert answers.pop(f"/api/v1/{name}.csv") == api_sql(load(name), "CSVWithNames")
    assert answers == {"regex:^/api/v1/?$": None, "regex:^/api/v1/.*$": None}
    listed = json.loads(served["regex:^/api/v1/?$"].findtext("handler/response_content") or "")
    assert listed == json.loads(json.dumps(listing()))
    assert [query["name"] for query in listed["queries"]] == NAMES
    assert re.findall(r"^## (\w+)$", PAGE.read_text(), re.MULTILINE) == NAMES


def test_the_server_asks_the_general_rules_last() -> None:
    assert HANDLERS is not None
    # the first rule that fits an address answers
    assert [rule.findtext("url") for rule in HANDLERS.findall("rule")][-2:] == [
        "regex:^/api/v1/?$",
        "regex:^/api/v1/.*$",
    ]
    assert HANDLERS[-1].tag == "defaults", "or there would be no HTTP interface besides"
    assert {rule.findtext("methods") for rule in HANDLERS.findall("rule")} == {"GET"}
    kinds = {rule.findtext("handler/type") for rule in HANDLERS.findall("rule")}
    assert kinds == {"predefined_query_handler", "static"}


def test_the_container_gets_the_rules_and_the_reader_its_database() -> None:
    compose = (PROJECT_ROOT / "compose.yaml").read_text()
    assert "./clickhouse/config.d/api.xml:/etc/clickhouse-server/config.d/api.xml:ro" in compose
    users = ElementTree.parse(PROJECT_ROOT / "clickhouse" / "users.d" / "battlefield.xml").getroot()  # noqa: S314 - our own file
    assert users.findtext("users/reader/default_database") == "battlefield"


def test_every_parameter_that_has_a_default_may_be_missing() -> None:
    for query in all_queries():
        placeholders = dict(re.findall(r"\{(\w+):([^}]+)\}", api_sql(query, "JSON")))
        assert placeholders == dict.fromkeys(query.parameters, "Nullable(String)")


def test_a_default_stays_a_value() -> None:
    query = parse_query("q", "-- Q.\n-- param a: text [default it's \\ here]\nSELECT {a:String}")
    assert "'it\\'s \\\\ here'" in api_sql(query, "JSON")


def test_addresses() -> None:
    assert find("wikis") == (load("wikis"), "JSON")
    assert find("wikis.csv") == (load("wikis"), "CSVWithNames")
    assert [find(path) for path in ("nothing", "wikis.xml", "../wikis", "wikis/", "")] == [None] * 5
