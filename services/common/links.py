"""Addresses on the wiki itself. Everything in them comes from strangers: hosts are checked, the rest is quoted."""

import re
from urllib.parse import quote

# A DNS name of two labels or more: no port, no user, no path can hide in it
_HOSTNAME = re.compile(r"(?=.{4,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]\Z")


def _address(server_name: str, path: str) -> str | None:
    return f"https://{server_name}{path}" if _HOSTNAME.match(server_name) else None


def _quoted(name: str) -> str:
    # MediaWiki writes spaces as underscores; half of a surrogate pair cannot be UTF-8 and becomes a question mark
    return quote(name.replace(" ", "_"), safe="", errors="replace")


def diff(server_name: str, rev_id: int) -> str | None:
    """What a revision changed; None where there is no revision or the host is none."""
    return _address(server_name, f"/wiki/Special:Diff/{int(rev_id)}") if rev_id > 0 else None


def history(server_name: str, title: str) -> str | None:
    """A page's history; None where the host is none."""
    return _address(server_name, f"/w/index.php?title={_quoted(title)}&action=history")


def log(server_name: str, title: str) -> str | None:
    """What administrators did to a page or, of a user's page, to its user; None where the host is none."""
    return _address(server_name, f"/w/index.php?title=Special:Log&page={_quoted(title)}")


def contributions(server_name: str, user: str) -> str | None:
    """An editor's contributions; None where the name is hidden or the host is none."""
    return _address(server_name, f"/wiki/Special:Contributions/{_quoted(user)}") if user else None
