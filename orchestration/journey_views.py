"""How journeys are shown: a table of all, the steps of one as a tree with the people at each of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich.text import Text
from rich.tree import Tree

from assets import store
from assets.journeys import funnel
from assets.journeys.funnel import Drawing, Place, Summary
from models.journey import Entry, Journey, Step
from models.settings import Settings
from models.times import in_words
from orchestration import console

BAR = 24  # characters of the longest bar


def summaries(settings: Settings) -> list[Summary]:
    """Every journey that is written or published."""
    with store.reading_any(settings) as copy:
        return funnel.summaries(settings, copy)


def drawn(settings: Settings, name: str) -> tuple[Summary, list[Drawing]]:
    """One journey, its versions the newest first. Raises UserError where there is none of this name."""
    with store.reading_any(settings) as copy:
        drawings = funnel.drawings(settings, copy, name)
        summary = next(each for each in funnel.summaries(settings, copy) if each.journey == name)
    return summary, drawings


def all_drawn(settings: Settings, written: Iterable[Journey]) -> dict[str, tuple[Summary, Drawing]]:
    """Each of these journeys by name, in its newest version; counted once for all."""
    with store.reading_any(settings) as copy:
        summed = {each.journey: each for each in funnel.summaries(settings, copy)}
        newest = funnel.newest(copy)
    return {
        each.journey: (summed.get(each.journey, Summary(each.journey)), newest.get(each.journey) or funnel.draw(each))
        for each in written
    }


def show_all(found: Sequence[Summary], *, as_json: bool) -> None:
    """A row a journey."""
    rows = [_row(summary) for summary in found]
    if as_json:
        console.print_json(rows)
    elif rows:
        console.out().print(console.table(rows))
    else:
        console.out().print("there are no journeys; they are files of dbt_project/journeys")


def show_one(summary: Summary, drawings: Sequence[Drawing], *, as_json: bool) -> None:
    """The newest version as a tree, and older ones that people are still in."""
    newest, *older = drawings
    if as_json:
        document = {**_row(summary), "published": newest.version is not None, "differs": summary.differs}
        document |= {"written": summary.is_written, "steps": _document(newest.places)}
        document["older"] = [{"version": each.version, "steps": _document(each.places)} for each in older]
        console.print_json(document)
        return
    screen = console.out()
    if newest.version is None:
        screen.print(
            f"{summary.journey} is not published: nobody is in it; `tailrace publish {summary.journey}` begins it"
        )
    if summary.differs:
        screen.print("the working copy says something else than the published version, which is drawn here")
    if not summary.is_written:
        screen.print("there is no file of it any more")
    if summary.blocked:
        screen.print(summary.blocked, markup=False)
    for drawing in (newest, *(each for each in older if each.now)):
        screen.print(_tree(drawing))


def chart(drawing: Drawing) -> str:
    """The steps as a table in Markdown, with a bar a step as long as the share that entered it: for the Dagster UI."""
    lines = ["| step | what | entered | | here | sent | converted |", "|---|---|--:|---|--:|--:|--:|"]
    places = list(_flat(drawing.places))
    most = max((int((place.counts or {}).get("entered", 0)) for place in places), default=0)
    for place in places:
        told = dict(place.counts or {})
        entered = int(told.get("entered", 0))
        bar = "█" * round(BAR * entered / most) if most else ""
        numbers = [
            told.get(name, "") if name != "sent" or place.step.send else "" for name in ("waiting", "sent", "converted")
        ]
        lines.append(f"| {place.node} | {said(place.step)} | {entered} | {bar} | {' | '.join(map(str, numbers))} |")
    return "\n".join(lines)


def _flat(places: Sequence[Place]) -> Iterator[Place]:
    for place in places:
        yield place
        for inner in place.ways.values():
            yield from _flat(inner)


def _row(summary: Summary) -> dict[str, Any]:
    return {
        "journey": summary.journey,
        "version": summary.version,
        "published_at": summary.published_at,
        "entered": summary.entered,
        "now": summary.now,
        "sent": summary.sent,
        "converted": summary.converted,
        "waiting": summary.blocked,
    }


def _document(places: Sequence[Place]) -> list[dict[str, Any]]:
    return [
        {
            "node": place.node,
            "kind": place.step.kind,
            "what": said(place.step),
            **(dict(place.counts) if place.counts else {}),
            "ways": {**{way: _document(inner) for way, inner in place.ways.items()}, **place.leads_to},
        }
        for place in places
    ]


def _tree(drawing: Drawing) -> Tree:
    version = f", version {drawing.version}" if drawing.version else ""
    tree = Tree(Text(f"{drawing.journey.journey}{version}: {_entry(drawing.journey.entry)}"))
    _grow(tree, drawing.places)
    return tree


def _grow(tree: Tree, places: Sequence[Place]) -> None:
    for place in places:
        counts = f"  {_counts(place)}" if place.counts else ""
        branch = tree.add(Text(f"{place.node}  {said(place.step)}{counts}"))
        for way, inner in place.ways.items():
            _grow(branch.add(Text(f"{way}:")), inner)
        for way, target in place.leads_to.items():
            branch.add(Text(f"{way}: {target}"))


def _counts(place: Place) -> str:
    told = dict(place.counts or {})
    shown = {"here": told["waiting"], "entered": told["entered"]}
    if place.step.send:
        shown |= {"sent": told["sent"], "refused": told["refused"]}
    return (
        "[" + ", ".join(f"{count:,} {word}" for word, count in {**shown, "converted": told["converted"]}.items()) + "]"
    )


def _entry(entry: Entry) -> str:
    what = f"on {entry.event}" if entry.event else f"on entering {entry.segment}"
    if entry.every or entry.at:
        when = f"{entry.every.day} {entry.every.at:%H:%M}" if entry.every else str(entry.at)
        return f"who is in {entry.segment}, {when}"
    return f"{what}, one run a {entry.key}" if entry.key else what


def said(step: Step) -> str:  # noqa: PLR0911 - one answer a kind
    """A step in a few words."""
    if step.send:
        return f"send {step.send.template} by {step.send.sink}"
    if step.wait_for:
        return f"wait for {step.wait_for.event}, {in_words(step.wait_for.timeout)} at most"
    if step.branch:
        return "branch: " + ", ".join(arm.segment or f"{arm.property}" for arm in step.branch.arms)
    if step.split:
        return "split: " + ", ".join(f"{name} {weight:g} %" for name, weight in step.split.weights.items())
    if step.sync:
        return f"{step.sync.op} the audience {step.sync.audience}"
    if step.exit:
        return f"exit: {step.exit}"
    wait = step.wait
    if wait and wait.duration:
        return f"wait {in_words(wait.duration)}"
    if wait and wait.until:
        return f"wait until {wait.until.day} {wait.until.at:%H:%M}".replace("until day", "until")
    return f"wait until {wait.date if wait else ''}"
