"""Texts for a terminal."""


def printable(text: str) -> str:
    """A stranger's text, made harmless: escape sequences could rewrite the terminal. Line breaks go, too."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
