"""Write what ClickHouse server and people need of the JSON API, from clickhouse/queries: `make docs`.

clickhouse/config.d/api.xml holds a rule for each address, docs/api.md describes them. A test fails where either differs
from the query files.
"""

import json
from pathlib import Path
from urllib.parse import urlencode
from xml.sax.saxutils import escape

from services.common.api import FORMATS, PREFIX, api_sql, listing, not_found
from services.common.queries import NamedQuery, Parameter, all_queries
from services.common.settings import PROJECT_ROOT

RULES = PROJECT_ROOT / "clickhouse" / "config.d" / "api.xml"
PAGE = PROJECT_ROOT / "docs" / "api.md"

# What the example of a query asks for, where it has such a parameter
EXAMPLES = {"since": "now-6h", "wikis": "enwiki,dewiki", "limit": "5", "step": "600", "namespaces": "0"}

_HEAD = """# JSON API

Made from `clickhouse/queries` by `make docs`: change it there.

Every question that the board asks is a named query, and each is served as JSON by ClickHouse itself, in the run without
Docker and in the containers alike:

| | |
| --- | --- |
| `GET /api/v1/` | all queries with their parameters, as JSON |
| `GET /api/v1/NAME` | the answer as JSON: `meta` (columns and types), `data` (rows), `rows` |
| `GET /api/v1/NAME.csv` | the same as CSV with a header |

```sh
curl 'http://127.0.0.1:8123/api/v1/wikis?since=now-6h&limit=5'                     # make demo
curl --user reader:PASSWORD 'http://127.0.0.1:8123/api/v1/wikis?since=now-6h&limit=5' # make up: STACK_READER_PASSWORD
```

It is read only. A request may take 30 s, 500 MB of memory, 2 threads, and read 200 million rows; an answer has a
million rows or 256 MB at most. What goes beyond ends with an error.

Parameters stand in the URL; each can be left out. They are values, never part of the SQL.

| Type | In the URL |
| --- | --- |
| `DateTime('UTC')` | `2024-12-07T12:00:00Z`, seconds since 1970, `now`, or before now `now-90m` (`s`, `m`, `h`, `d`) |
| `UInt32` | a whole number from 0 to 4294967295 |
| `String` | a text; a backslash is written twice, a tab as `\\t` |
| `Array(String)` | texts, separated by commas |
| `Array(Int32)` | whole numbers, separated by commas |

`now` is the clock while Wikipedia is live, else the end of the newest event's second. Times in answers are UTC. Counts
are numbers of rows or edits, sizes bytes and durations seconds, unless the description says otherwise. A value that
cannot be read is an error with status 400, an unknown query 404. `make demo` says in one line which value, and what is
expected. ClickHouse server answers in its own words: they tell the value, not the parameter, and go on with the
statement.
"""

_NOTE = """<!--
    Made from clickhouse/queries by `make docs`: change it there.
    The JSON API: each named query at /api/v1/NAME and, as CSV, at /api/v1/NAME.csv. docs/api.md tells how to ask.
-->
"""


def rules() -> str:
    """The server's configuration."""
    parts = [_NOTE, "<clickhouse>\n    <http_handlers>\n"]
    for query in all_queries():
        for ending, format_name in FORMATS.items():
            handler = f"<query>{escape(api_sql(query, format_name))}</query>"
            parts.append(_rule(f"{PREFIX}{query.name}{ending}", "predefined_query_handler", handler))
    listed = json.dumps(listing(), ensure_ascii=False, separators=(",", ":"))
    parts.append(_rule(f"regex:^{PREFIX}?$", "static", _static(200, "application/json; charset=UTF-8", listed)))
    # without it the server might take the rest for something of its own
    parts.append(_rule(f"regex:^{PREFIX}.*$", "static", _static(404, "text/plain; charset=UTF-8", not_found())))
    parts.append("        <!-- the HTTP interface itself, /ping and all else that is there anyway -->\n")
    parts.append("        <defaults/>\n    </http_handlers>\n</clickhouse>\n")
    return "".join(parts)


def _static(status: int, content_type: str, content: str) -> str:
    return (
        f"<status>{status}</status><content_type>{content_type}</content_type>"
        f"<response_content>{escape(content)}</response_content>"
    )


def _rule(url: str, kind: str, handler: str) -> str:
    return (
        f"        <rule>\n            <url>{escape(url)}</url>\n            <methods>GET</methods>\n"
        f"            <handler><type>{kind}</type>{handler}</handler>\n        </rule>\n"
    )


def page() -> str:
    """docs/api.md."""
    return "\n".join([_HEAD, *(_section(query) for query in all_queries())])


def _section(query: NamedQuery) -> str:
    lines = [f"## {query.name}", "", query.description, ""]
    if query.parameters:
        lines += ["| Parameter | Type | Default | Meaning |", "| --- | --- | --- | --- |"]
        lines += [
            f"| `{parameter.name}` | `{parameter.type}` | {_default(parameter)} | {parameter.meaning} |"
            for parameter in query.parameters.values()
        ]
        lines.append("")
    asked = urlencode({name: EXAMPLES[name] for name in query.parameters if name in EXAMPLES}, safe=",")
    lines += ["```sh", f"curl 'http://127.0.0.1:8123{PREFIX}{query.name}{f'?{asked}' if asked else ''}'", "```", ""]
    return "\n".join(lines)


def _default(parameter: Parameter) -> str:
    if parameter.default is None:
        return "must be given"
    return f"`{parameter.default}`" if parameter.default else "none"


def main() -> None:
    """Write both files."""
    for path, text in ((RULES, rules()), (PAGE, page())):
        path.write_text(text, encoding="utf-8")
        print(f"Wrote {Path(path).relative_to(PROJECT_ROOT)}")


if __name__ == "__main__":
    main()
