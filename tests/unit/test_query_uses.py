"""A query that builds on another: its SELECT comes in front, its parameters come along."""

import pytest

from services.common.queries import BadQueryFile, build_on, load, parse_query

BASE = parse_query("base", "-- Base.\n-- param since: begin [default now-1h]\nSELECT {since:DateTime('UTC')} AS t")


def test_the_base_becomes_a_common_table_expression() -> None:
    query = build_on(parse_query("top", "-- Top.\n-- uses base\nSELECT * FROM base"), BASE)

    assert query.sql == "WITH\nbase AS\n(\nSELECT {since:DateTime('UTC')} AS t\n)\nSELECT * FROM base"
    assert query.parameters == BASE.parameters


def test_expressions_of_its_own_follow_and_its_own_words_on_a_parameter_count() -> None:
    header = "-- Top.\n-- uses base\n-- param since: begin [default now-2h]\n"

    query = build_on(parse_query("top", header + "WITH 1 AS one\nSELECT {since:DateTime('UTC')}, one"), BASE)

    assert query.sql.endswith("\n), 1 AS one\nSELECT {since:DateTime('UTC')}, one")
    assert query.parameters["since"].default == "now-2h"


def test_one_name_must_not_have_two_types() -> None:
    top = parse_query("top", "-- Top.\n-- uses base\n-- param since: begin\nSELECT {since:String}")

    with pytest.raises(BadQueryFile, match=r"since is DateTime\('UTC'\) in base.sql"):
        build_on(top, BASE)


def test_both_definitions_stand_on_the_same_reverts() -> None:
    resolved = load("resolved_reverts")

    for name in ("recomputed_reverts", "recomputed_fronts"):
        assert load(name).uses == resolved.name
        assert resolved.sql in load(name).sql
