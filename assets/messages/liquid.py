"""Liquid as templates have it: strict, sandboxed, bounded in time and size whatever a template or a person's name is.

Nothing is loaded, no clock is read; what may be made of a text, and how long it takes, is in bounds.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, TextIO

from liquid import Environment, RenderContext, StrictUndefined
from liquid.ast import Node
from liquid.builtin.expressions import FilteredExpression
from liquid.builtin.expressions.primitive import Blank, RangeLiteral
from liquid.builtin.tags.cycle_tag import CycleNode, CycleTag
from liquid.exceptions import LiquidError, LiquidSyntaxError
from liquid.expression import Expression
from liquid.template import BoundTemplate
from liquid.token import Token
from liquid.utils import ReadOnlyChainMap

from assets.messages import filters
from assets.messages.bounds import LARGEST, MOST, bounded, check_time, deadline, measure, refuse, size


class _Unknown(StrictUndefined):
    """What is not there can be asked for, by `if`, `== nil` and `default`; nothing else can be done with it."""

    force_liquid_default = True
    allowed_properties = StrictUndefined.allowed_properties | {"__class__", "__liquid__"}


class _Context(RenderContext):
    """Looks names up among what the template was given, without the library's clock."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._end = deadline()
        super().__init__(*args, **kwargs)
        self.scope = ReadOnlyChainMap(self.locals, self.globals, self.counters)

    @property
    def disabled_tags(self) -> list[str]:  # read before every node: the one place that all of them pass
        check_time(self._end)
        return []

    @disabled_tags.setter
    def disabled_tags(self, tags: list[str]) -> None:
        assert not tags, "nothing is included, so there is nothing to disable it for"

    def get_size_of_locals(self) -> int:
        """In characters: the library does not look into lists."""
        return sum(map(size, self.locals.values()))


class _Template(BoundTemplate):
    context_class = _Context


class _Blank(Blank):
    """What is not known is blank, too."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return other is None or super().__eq__(other)

    __hash__ = Blank.__hash__


class _Range(RangeLiteral):
    __slots__ = ()

    def _make_range(self, start: Any, stop: Any) -> range:
        made = super()._make_range(start, stop)
        if made.stop - made.start > MOST:  # `len` of it may be too large for Python
            refuse(f"makes a list of more than {MOST:,}")
        return made


class _Cycle(CycleNode):
    """Its arguments become one text, to know the group by."""

    __slots__ = ()

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        measure([each.evaluate(context) for each in self.args])
        return super().render_to_output(context, buffer)


class _CycleTag(CycleTag):
    node_class = _Cycle


class _Bounded(Environment):
    loop_iteration_limit = MOST
    output_stream_limit = LARGEST
    local_namespace_limit = 4 * LARGEST
    context_depth_limit = 15
    template_class = _Template

    def _parse(self, source: str) -> list[Node]:
        """Refuses filters that are not there, which the library does only where one is reached."""
        _check_ends(source)
        nodes = super()._parse(source)
        for expression in _expressions(nodes, RenderContext(BoundTemplate(self, nodes))):
            if isinstance(expression, FilteredExpression):
                for each in expression.filters or ():
                    if each.name not in self.filters:
                        message = f"unknown filter '{each.name}'"
                        raise LiquidSyntaxError(message, token=each.token)
            elif kind := _OURS.get(type(expression)):
                expression.__class__ = kind
        return nodes

    def error(self, exc: type[LiquidError] | LiquidError, msg: str | None = None, token: Token | None = None) -> None:
        """Of a mistake at the end of an expression, which has no place, the place of the expression."""
        if isinstance(exc, LiquidError) and exc.token and exc.token.start_index < 0:
            exc.token = token
        super().error(exc, msg, token)


_VERBATIM = re.compile(r"\bend(raw|doc|comment)\b")  # in which Liquid may have no end


def _check_ends(source: str) -> None:
    """The library looks for a missing end once more at every character."""
    for begin, end in (("{{", "}}"), ("{%", "%}")):
        place = source.rfind(begin)
        if place > source.rfind(end) and not _VERBATIM.search(source):
            message = f"expected '{end}', found end of file"
            raise LiquidSyntaxError(message, token=Token(begin, begin, place, source))


_OURS: Mapping[type[Expression], type[Expression]] = {Blank: _Blank, RangeLiteral: _Range}


def _expressions(nodes: Iterable[Node], context: RenderContext) -> Iterator[Expression]:
    for node in nodes:
        below = list(node.expressions())
        while below:
            expression = below.pop()
            yield expression
            below += expression.children()
        yield from _expressions(node.children(context, include_partials=False), context)


@cache
def environment(*, html: bool) -> Environment:
    """For a part of HTML, where every value is escaped, or of text."""
    made = _Bounded(undefined=_Unknown, autoescape=html)
    for tag in ("include", "render"):
        del made.tags[tag]
    made.add_tag(_CycleTag)
    del made.filters["safe"]  # what a person or an event says is never markup
    made.filters["date"] = filters.dated(made.filters["date"])
    for name, function in list(made.filters.items()):
        made.filters[name] = bounded(name, function)
    made.filters |= {"campaign": filters.campaign, "link": filters.link, "picture": filters.picture}
    return made
