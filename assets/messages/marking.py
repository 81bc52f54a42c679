"""Marks the links of a template: those to others get the campaign, and what a value makes of one is looked at.

Which links that are is read off the template once; what becomes of one is up to filters.py.
"""

from __future__ import annotations

import re

from assets.messages.filters import WAYS_OUT
from assets.messages.markup import LIQUID, Attribute, Tag, tags

_FOLLOWED = frozenset({"href", "xlink:href", "action", "formaction", "data"})
_LOADED = frozenset({"src", "background", "poster"})
_LINKS = ("a", "area")
_PICTURES = ("img", "image", "input", "source", "v:fill", "v:image")
_OUTLOOK = "v:"  # its drawings, which are links where they have a `href`
_URL = re.compile(  # not in Liquid, and without what ends a sentence
    rf"(?P<liquid>{LIQUID.pattern})|https?://(?:\{{\{{.*?\}}\}}|[^\s<>\"'{{}}])+(?<![.,;:!?)])", re.DOTALL
)


def page(source: str) -> str:
    """HTML with its links marked. Raises NotMarkup."""
    end, parts = 0, list[str]()
    for tag in tags(source):
        for attribute in tag.attributes:
            if name := _filter(tag, attribute):
                quote = attribute.quote or '"'
                parts += [source[end : attribute.start], quote, _marked(attribute.value.strip(), name), quote]
                end = attribute.end
    return "".join([*parts, source[end:]])


def text(source: str) -> str:
    """A text with its links marked: those that are written as links."""
    return _URL.sub(lambda found: found["liquid"] or _marked(found[0], "campaign"), source)


def _filter(tag: Tag, attribute: Attribute) -> str | None:
    """What the value goes through; nothing for what is no link, or says always the same and needs no campaign."""
    element, value = tag.name.lower(), attribute.value
    is_made = LIQUID.search(value) is not None
    if attribute.name in _FOLLOWED:
        if value.strip("{-} \t\r\n") in WAYS_OUT:
            return None  # ours, as they are; nothing is lost on finding that out for each message
        is_link = attribute.name == "href" and (element in _LINKS or element.startswith(_OUTLOOK))
        if is_link and (is_made or value.lstrip().lower().startswith(("http://", "https://"))):
            return "campaign"
        return "link" if is_made else None
    if attribute.name in _LOADED and is_made:
        return "picture" if element in _PICTURES or attribute.name != "src" else "link"
    return None


def _marked(link: str, name: str) -> str:
    return f"{{% capture _link %}}{link}{{% endcapture %}}{{{{ _link | {name} }}}}"
