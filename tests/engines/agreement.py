"""What two engines are asked, and that they say the same; the texts that most often differ."""

import re
from datetime import UTC, datetime

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

# a question takes Spark a third of a second: an example is several values, asked at once (`several`)
SETTINGS = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

TEXTS = [
    None, "", " ", "a", "é", "e\u0301", "🎈 東京", 'it\'s "quoted"', "back\\slash \\n", "line\nand\ttab\r\b\f",
    "--; /*", "\x01\x0b\x1f\x7f\u2028", "null", "true", "{}", "?", "tailrace.x", "a-b-c", "-", "\\u001f", "%_",
]  # fmt: skip
JSON_TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False)
    | JSON_TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(JSON_TEXTS, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from(["a", "b", "c d", "é", 'q"']) | JSON_TEXTS, JSON, max_size=4)


def plain(value):
    """JSON without what Spark spells otherwise (far numbers, nested signs beyond U+FFFF) or has no path to."""
    if isinstance(value, float):
        return round(value % 1000, 2) + 1
    if isinstance(value, str):
        return "".join(sign for sign in value if sign <= "\uffff")
    if isinstance(value, list):
        return [*map(plain, value)]
    if isinstance(value, dict):
        return {re.sub(r"['?*\\]", "", plain(key)).strip() or "_": plain(inner) for key, inner in value.items()}
    return value


def several(strategy):
    """Lists of what the strategy draws."""
    return st.lists(strategy, min_size=1, max_size=8)


def numbers(end):
    """A CTE `numbers` with `n` from 1 to `end`, at most 100,000: not every engine recurses so often."""
    digits = " union all ".join(f"select {digit} as d" for digit in range(10))
    places = " + ".join(f"{10**place} * digit{place}.d" for place in range(5))
    joined = " cross join ".join(f"digits as digit{place}" for place in range(5))
    return f"with digits as ({digits}), numbers as (select 1 + {places} as n from {joined} where {places} < {end}) "


def values(warehouse, expressions):
    """The value of each expression, in order."""
    listed = ", ".join(f"{expression} as v{place}" for place, expression in enumerate(expressions))
    return list(warehouse.rows(f"select {listed}")[0].values())


def agreed(both, written):
    """What both engines say of the expressions that `written` makes with a dialect; they say the same."""
    said = [values(warehouse, written(warehouse.dialect)) for warehouse in both]
    assert [*map(shown, said[1])] == [*map(shown, said[0])]
    return said[0]


def shown(value):
    """A value so that equal ones are equal: not a number, and nothing below nothing, too."""
    if isinstance(value, float):
        return repr(value)
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) and value.tzinfo else value
