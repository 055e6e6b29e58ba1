"""What the documents promise exists: commands, links, tables of reasons."""

import ast
import re
from pathlib import Path

import pytest

from services.cli import COMMANDS, HIDDEN_COMMANDS
from services.common.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES += [ROOT / "deploy" / "README.md"]
TARGETS = set(re.findall(r"^\.PHONY: (\S+)", (ROOT / "Makefile").read_text(), re.MULTILINE))

by_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def code(page: Path) -> list[str]:
    """Every line of a code block and every inline code of a page."""
    text = page.read_text()
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))
    return [line for block in blocks for line in block.splitlines()] + inline


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@by_page
def test_make_targets_exist(page: Path) -> None:
    named = {name for line in code(page) for name in re.findall(r"\bmake ([a-z][a-z-]*)", line)}
    assert named <= TARGETS


@by_page
def test_sub_commands_exist(page: Path) -> None:
    named = {name for line in code(page) for name in re.findall(r"\bbattlefield ([a-z][a-z-]*)", line)}
    assert named <= COMMANDS.keys() | HIDDEN_COMMANDS.keys()


@by_page
def test_settings_exist(page: Path) -> None:
    prefixes = {name.split("_")[0].upper() for name in Settings.model_fields if "_" in name}
    named = {word for text in code(page) for word in re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", text)}
    known = {name.upper() for name in Settings.model_fields} | set(
        re.findall(r"[A-Z_]+", (ROOT / "compose.yaml").read_text())
    )
    assert {name for name in named if name.split("_")[0] in prefixes} <= known


@by_page
def test_links_resolve(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if re.match(r"https?://|mailto:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


@by_page
def test_files_named_in_code_exist(page: Path) -> None:
    pattern = r"\b((?:services|clickhouse|dashboards|scripts|tests|docs)/[\w./-]*\w)"
    named = {path for text in code(page) for path in re.findall(pattern, text)}
    assert {path for path in named if not (ROOT / path).exists()} == set()


def words(node: ast.AST) -> set[str]:
    """The string constants below a node that have the form of a reason."""
    constants = (n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str))
    return {text for text in constants if re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", text)}


def reasons_in_code() -> set[str]:
    """The reasons for which producer and worker drop or refuse, read from the source."""
    found: set[str] = set()
    for path in [*(ROOT / "services" / "producer").glob("*.py"), *(ROOT / "services" / "worker").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                if node.func.id in ("dead_letter", "_refuse", "_refused", "Unreadable"):
                    found |= set().union(
                        *(words(argument) for argument in node.args if isinstance(argument, ast.Constant))
                    )
            elif isinstance(node, ast.FunctionDef) and node.name == "_drop_reason":
                found |= words(node)
    return found


def test_every_reason_is_explained() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    section = text[text.index("## What is not stored, and why") :].split("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == reasons_in_code()


def test_every_table_is_explained() -> None:
    migrations = "".join(path.read_text() for path in (ROOT / "clickhouse" / "migrations").glob("*.sql"))
    text = (ROOT / "docs" / "architecture.md").read_text()
    section = text[text.index("## Tables") :].split("\n## ")[0]
    made = re.findall(r"^CREATE TABLE IF NOT EXISTS (\w+)", migrations, re.MULTILINE)
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == set(made)


def test_the_figures_of_the_readme_are_those_of_the_benchmarks() -> None:
    section = (ROOT / "README.md").read_text().partition("## What it takes")[2].partition("\n## ")[0]
    figures = re.findall(r"\d[\d,]*[.,]\d+", section)
    measured = (ROOT / "docs" / "benchmarks.md").read_text()
    assert len(figures) >= 9
    assert [
        figure for figure in figures if not re.search(rf"(?<![\d.,]){re.escape(figure)}(?![\d]|[.,]\d)", measured)
    ] == []
