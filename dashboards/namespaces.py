"""MediaWiki's namespaces by name, as far as most wikis share them."""

NAMESPACES = {
    0: "Article",
    1: "Talk",
    2: "User",
    3: "User talk",
    4: "Project",
    5: "Project talk",
    6: "File",
    7: "File talk",
    8: "MediaWiki",
    9: "MediaWiki talk",
    10: "Template",
    11: "Template talk",
    12: "Help",
    13: "Help talk",
    14: "Category",
    15: "Category talk",
    100: "Portal",
    101: "Portal talk",
    118: "Draft",
    119: "Draft talk",
    120: "Property",
    146: "Lexeme",
    828: "Module",
    829: "Module talk",
}


def namespace_name(number: int) -> str:
    """`Talk`; of a namespace that wikis use differently, its number: `namespace 104`."""
    return NAMESPACES.get(number, f"namespace {number}")


def ground(number: int) -> str:
    """Which of the four grounds of charts/territory.py a namespace is."""
    if number % 2 and number > 0:
        return "Talk"
    return {0: "Content", 120: "Content", 146: "Content", 2: "Users"}.get(number, "Workshop")
