"""What is said of mistakes in Liquid: those of a template with their line, those of a message without its values."""

from __future__ import annotations

import re

from liquid.exceptions import LiquidError, LiquidSyntaxError, ResourceLimitError, UndefinedError

from assets.messages.liquid import environment

_TAG = re.compile(r"\{%-?\s*(end)?(\w+)")
_PATH = re.compile(r"[\w.\[\]'\"?-]+")


def mistake(error: LiquidError, source: str) -> tuple[str, int | None]:
    """What is wrong with a template in one sentence, and the line it is on."""
    if isinstance(error.__cause__, RecursionError):
        return "goes too deep", None
    token = error.token
    if token and token.start_index >= 0:
        return str(error.message), source.count("\n", 0, token.start_index) + 1
    opened = _unclosed(source)  # what misses its end is told of the end of the file
    if not opened:
        return str(error.message or type(error).__name__), None
    return f"'{{% {opened[2]} %}}' has no '{{% end{opened[2]} %}}'", source.count("\n", 0, opened.start()) + 1


def reason(error: LiquidError) -> str:
    """Why a template cannot be rendered for somebody: what it says itself, and nothing of theirs."""
    if isinstance(error, ResourceLimitError | LiquidSyntaxError):
        return str(error.message)  # which have no values
    token = error.token
    written = _PATH.match(token.source, token.start_index) if token else None
    if isinstance(error, UndefinedError):
        return f"'{written[0]}' is not there" if written else "something is not there"
    return f"'{token.value}' cannot work with what it is given" if token else "a filter cannot work"


def _unclosed(source: str) -> re.Match[str] | None:
    """The innermost block that is open at the end."""
    tags, opened = environment(html=False).tags, list[re.Match[str]]()
    for found in _TAG.finditer(source):
        if found[1] and opened:
            opened.pop()
        elif not found[1] and found[2] in tags and tags[found[2]].block:
            opened.append(found)
    return opened[-1] if opened else None
