"""How `tailrace why` speaks: the person as a heading, a short sentence a line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from assets import configuration, store
from assets.diff import mask
from assets.journeys import funnel, why
from assets.journeys.why import Line
from assets.mistakes import suggestion
from models.errors import UserError
from models.journey import Account, Moved
from models.settings import Settings
from orchestration import console


@dataclass(frozen=True)
class Told:
    """Who it is about, as they were asked for, under all their profiles; and everything that was decided."""

    person: str
    profiles: Sequence[str]
    lines: Sequence[Line]
    journey: str | None


def ask(settings: Settings, person: str, journey: str | None, *, show_pii: bool) -> Told:
    """Look the person up in the published copy. Raises UserError for nobody, and for a journey that there is not."""
    window = configuration.policy(settings).cap_window
    with store.reading(settings) as copy:
        people = why.profiles(copy, person, show_pii=show_pii)
        names = sorted({version.name for version in funnel.published(copy)})
        if journey is not None and journey not in names:
            message = f"no journey '{journey}' is published{suggestion(journey, names, 'published')}"
            raise UserError(message)
        lines = why.account(copy, people, cap_window=window, journey=journey, show_pii=show_pii)
    shown = person if show_pii or person.strip() in people else mask(person.strip())
    return Told(shown, people, lines, journey)


def print_told(told: Told) -> None:
    """A row a line."""
    screen = console.out()
    screen.print(f"{told.person}: {', '.join(told.profiles)}", markup=False)
    if not told.lines:
        screen.print("nothing was ever decided about this person")
        return
    rows = [
        {"at": line.at, "journey": line.journey, "step": line.node, "what": sentence(line), "row": line.ref}
        for line in told.lines
    ]
    screen.print(console.table(rows))


def sentence(line: Line) -> str:
    """`not sent: capped`: what a line says, in words."""
    return _SENTENCES[line.kind](line)


def _entered(line: Line) -> str:
    held = "" if line.decision == "treated" else f"; held out ({_words(line.decision)}): gets nothing"
    return f"entered{_for(line)}{held}"


def _step(line: Line) -> str:
    detail = f" ({line.detail})" if line.detail else ""
    what = "offers a message" if line.decision == Moved.SENT else _words(line.decision)
    return f"{what}{detail}" + (f"; out of the journey: {_words(line.reason)}" if line.reason else "")


def _waiting(line: Line) -> str:
    if line.reason == "not_loaded":
        return f"waits for the source {line.detail}; given up at {_moment(line.decision)}"
    if line.reason:
        return f"its time has come; the next tick decides, until {_moment(line.decision)}"
    return f"waits, until {_moment(line.decision)} at the latest"


def _decided(line: Line) -> str:
    if line.decision == "refused":
        return f"{line.detail}: not sent: {_words(line.reason)}"
    return f"{line.detail}: may go from {line.not_before:%Y-%m-%d %H:%M} to {line.expires_at:%Y-%m-%d %H:%M}"


def _paused(line: Line) -> str:
    return f"{line.detail}: held while {line.reason} is paused, " + (
        f"until {_moment(line.decision)}" if line.decision else "still"
    )


def _delivered(line: Line) -> str:
    return f"{line.detail}: {line.decision}" + (f": {line.reason}" if line.reason else "")


def _consent(line: Line) -> str:
    return f"{line.detail}: {line.decision}" + (f" ({line.reason})" if line.reason else "")


def _for(line: Line) -> str:
    return f" for {line.detail}" if line.detail else ""


def _moment(text: str | None) -> str:
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M}" if text else "nobody knows when"


def _words(word: str | None) -> str:
    return (word or "").replace("_", " ")


_SENTENCES: Mapping[Account, Callable[[Line], str]] = {
    Account.CONSENT: _consent,
    Account.MERGED: lambda line: f"{line.ref} became {line.detail}",
    Account.ENTERED: _entered,
    Account.NOT_ENTERED: lambda line: f"did not enter{_for(line)}: {_words(line.reason)}",
    Account.STEP: _step,
    Account.WAITING: _waiting,
    Account.PAUSED: _paused,
    Account.DECIDED: _decided,
    Account.WITHDRAWN: lambda line: f"{line.detail}: taken back: {_words(line.reason)}",
    Account.DELIVERED: _delivered,
}
