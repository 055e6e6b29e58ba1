"""What the pages read: named queries as data frames, shared between viewers, and their errors in plain words."""

import json
import re
from typing import NamedTuple

import pandas as pd
import streamlit as st
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from services.common.clickhouse import reader_client, refusal
from services.common.queries import BadParameter, bind, load
from services.common.settings import get_settings

# Seconds that viewers share a result. Under the fastest refresh, so that each refresh sees new rows; ten viewers of
# one range then cost little more than one.
SHARED_FOR = 1.5

# ClickHouse's error codes
_OVER_LIMIT = {158, 159, 202, 241, 307, 396}  # rows, time, queries at once, memory, bytes, rows or bytes

_WRAPPED = r"(?:Nullable\(|LowCardinality\()*"
_TIME = re.compile(_WRAPPED + "DateTime")
_NUMBER = re.compile(_WRAPPED + "(?:U?Int|Float)")


class Source(NamedTuple):
    """What plays; see clickhouse/queries/source.sql."""

    kind: str  # live, replay, war game
    name: str
    oldest_event: pd.Timestamp
    newest_event: pd.Timestamp
    now: pd.Timestamp  # the board's now
    quiet_seconds: float


class Trouble(NamedTuple):
    """Why there is no data, and what to do."""

    what: str
    remedy: str
    detail: str  # as ClickHouse or the connection said it; not for markdown


@st.cache_resource(show_spinner=False)
def _client() -> Client:
    # A wall screen must notice within seconds that ClickHouse is away, and that it is back
    return reader_client(get_settings(), connect_timeout=3, send_receive_timeout=15)


@st.cache_data(ttl=SHARED_FOR, max_entries=500, show_spinner=False)
def rows(name: str, **params: object) -> pd.DataFrame:
    """A query's rows; times are aware, in UTC. Raises clickhouse-connect's DatabaseError."""
    query = load(name)
    bound = bind(query, params, _no_relative_time)
    return _frame(_client().raw_query(query.sql, parameters=bound, fmt="JSONCompact"))


def _frame(answer: bytes) -> pd.DataFrame:
    """ClickHouse's JSONCompact as a frame.

    Not query_df: the Native format says no columns where there are no rows, and its counts are unsigned, where
    3 - 4 is 18446744073709551615.
    """
    parsed = json.loads(answer)
    frame = pd.DataFrame(parsed["data"], columns=[column["name"] for column in parsed["meta"]])
    for column in parsed["meta"]:
        name = column["name"]
        # arrays stay lists, of whatever they hold
        if _TIME.match(column["type"]):
            frame[name] = pd.to_datetime(frame[name], utc=True)
        elif _NUMBER.match(column["type"]):
            frame[name] = pd.to_numeric(frame[name])  # some versions of ClickHouse quote 64-bit numbers
    return frame


def _no_relative_time() -> pd.Timestamp:
    # two queries of one picture would otherwise stand at two moments
    raise BadParameter("The board gives `since` and `until` itself; pass them.")


def what_plays() -> Source | None:
    """What plays now; None while nothing is stored. Raises DatabaseError."""
    found = rows("source")
    return None if found.empty else Source(**found.iloc[0][list(Source._fields)])


def explain(error: DatabaseError) -> Trouble:
    """An error of ClickHouse or of the connection to it, in plain words."""
    if error.code in _OVER_LIMIT:
        what = "ClickHouse stopped the query at one of its limits (time, memory or rows)."
        remedy = "Choose a shorter range or fewer wikis; if that does not help, the machine is overloaded."
        return Trouble(what, remedy, str(error))
    found = refusal(get_settings(), error, reader=True)
    return Trouble(found.what, found.remedy, str(error))
