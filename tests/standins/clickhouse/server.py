"""The embedded ClickHouse endpoint as a server in a container: on all its interfaces, behind accounts with passwords.

The accounts are those of clickhouse/users.d, each with its password from CLICKHOUSE_<NAME>_PASSWORD, or the one that
CLICKHOUSE_USER and CLICKHOUSE_PASSWORD make. `default` without a password is refused, as users.d has it. Grants are
the endpoint's own: the reader may SELECT within its limits, all others may write, each in any database.
"""

import asyncio
import hmac
import os
import re
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web
from multidict import CIMultiDict

from services.common.clickhouse import writer_password_path
from services.common.logs import set_up_logs
from services.common.settings import Settings, get_settings
from services.embedded.access import Account, credentials
from services.embedded.endpoint import serve
from services.embedded.errors import Code, QueryError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def accounts(environment: Mapping[str, str]) -> dict[str, tuple[str, Account]]:
    """User -> password and what it may do."""
    found = {}
    for name, password in environment.items():
        if (match := re.fullmatch(r"CLICKHOUSE_([A-Z]+)_PASSWORD", name)) and password:
            user = match[1].lower()
            found[user] = (password, Account.READER if user == Account.READER.value else Account.WRITER)
    if environment.get("CLICKHOUSE_SKIP_USER_SETUP") != "1" and (user := environment.get("CLICKHOUSE_USER")):
        found[user] = (environment.get("CLICKHOUSE_PASSWORD", ""), Account.WRITER)
    return found


def door(settings: Settings, known: Mapping[str, tuple[str, Account]]) -> Callable[..., Awaitable[web.StreamResponse]]:
    """Lets in who gives a known account's password, and hands it on as the endpoint's own account."""

    @web.middleware
    async def let_in(request: web.Request, handler: Handler) -> web.StreamResponse:
        headers = CIMultiDict(request.headers)
        # the endpoint refuses foreign names, which are its only guard against a browser; here it is the passwords
        headers["Host"] = "127.0.0.1"
        # health checks are anybody's, at ClickHouse too
        if request.path == "/ping" or (request.method == "GET" and request.path_qs == "/"):
            return await handler(request.clone(headers=headers))
        given = credentials(request.headers, request.query)
        password, account = known.get(given.user if given else "default", ("", None))
        if account is None or given is None or not hmac.compare_digest(given.password.encode(), password.encode()):
            raise QueryError(
                Code.AUTHENTICATION_FAILED,
                f"{given.user if given else 'default'}: Authentication failed: password is incorrect, or there is no "
                "user with such name.",
            )
        for name in ("X-ClickHouse-User", "X-ClickHouse-Key", "Authorization"):
            headers.popall(name, None)
        if account is Account.WRITER:
            headers["X-ClickHouse-User"] = Account.WRITER.value
            headers["X-ClickHouse-Key"] = writer_password_path(settings.data_dir).read_text("ascii").strip()
        url = request.rel_url.without_query_params("user", "password")
        return await handler(request.clone(headers=headers, rel_url=url))

    return let_in


def main() -> None:
    """Serve until SIGTERM."""
    settings = get_settings()
    set_up_logs(settings, "clickhouse")
    print("This is the embedded endpoint (chDB), standing in for ClickHouse server.", flush=True)
    asyncio.run(serve(settings, address="0.0.0.0", door=door(settings, accounts(os.environ))))


if __name__ == "__main__":
    main()
