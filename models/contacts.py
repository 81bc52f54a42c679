"""How a contact point is written so that equal ones are equal: what every engine's SQL does to it, done here.

`Dialect.normalized` and the macro `normalized` are the same in SQL.
"""

from __future__ import annotations

# every kind of space, but no tab and no end of a line: what DuckDB's trim takes off
SPACES = "\u0020\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"


def normalized(contact: str) -> str:
    """Without spaces around it, and in small letters."""
    text = contact.strip(SPACES)
    if text.isascii():
        return text.lower()
    # letter by letter, as engines do; Python would look at a letter's neighbours, and write one as two
    return "".join("i" if char == "İ" else char.lower() for char in text)
