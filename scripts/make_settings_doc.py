"""Write docs/settings.md from services/common/settings.py: `make docs`. A test fails where the two differ."""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from services.common.settings import PROJECT_ROOT, Settings

PAGE = PROJECT_ROOT / "docs" / "settings.md"
KINDS: dict[type, str] = {int: "whole number", float: "number", SecretStr: "secret", Path: "path"}
HEAD = """# Settings

Made from `services/common/settings.py` by `make docs`: change it there.

A setting is read from the environment, else from `.env` in the working directory. A value that cannot be used ends
the command at once, with one line that names the setting and what it expects.
"""


def groups() -> Iterator[tuple[str, list[str]]]:
    """Each group's title and its fields, in the order of the source: a comment alone on its line begins a group."""
    title = ""
    names: list[str] = []
    for line in inspect.getsource(Settings).splitlines():
        if begin := re.fullmatch(r"    # (.+)", line):
            if names:
                yield title, names
            title, names = begin[1], []
        elif field := re.match(r"    (\w+): ", line):
            names.append(field[1])
    yield title, names


def values(field: FieldInfo) -> str:
    """What a setting accepts: its choices or its type, with the bounds."""
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{choice}`" if choice else "empty" for choice in get_args(field.annotation))
    if field.annotation is bool:
        return "`true`, `false`"
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    bounds = [
        f"{sign} {getattr(rule, key)}" for rule in field.metadata for key, sign in signs.items() if hasattr(rule, key)
    ]
    kind = KINDS.get(field.annotation, "text") if field.annotation else "text"
    return ", ".join([kind, *bounds])


def default(field: FieldInfo) -> str:
    """The default, as one would write it; secrets have none."""
    value = field.default
    if isinstance(value, SecretStr) or value == "":
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for title, names in groups():
        parts.append(f"\n## {title}\n\n| Setting | Values | Default | Meaning |\n| --- | --- | --- | --- |\n")
        for name in names:
            field = Settings.model_fields[name]
            parts.append(f"| `{name.upper()}` | {values(field)} | {default(field)} | {field.description} |\n")
    return "".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"Wrote {PAGE.relative_to(PROJECT_ROOT)}")
