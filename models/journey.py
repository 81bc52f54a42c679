"""A journey as a marketer writes it in `dbt_project/journeys/NAME.yml`, and the words the engine answers with.

Shapes only: what a journey names (segments, sinks, templates, events) is checked in assets/journeys/.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time, timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    GetJsonSchemaHandler,
    Tag,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema

from models.sync import Purpose, Share, SinkName, is_finite, number
from models.times import DURATION_SCHEMA, RECIPIENT, Duration, LocalMoment, TimeOfDay, When, Zone

NINE = time(9)  # when a date begins for who did not say
EXIT, NEXT = "exit", "next"  # where a step may lead besides a step's name: out of the journey, or to what follows
EXACT, ROUNDING = 1e-9, 1e-6  # percent by which weights miss 100 that are exact, or rounded: three of 33.3333333
MAX_HOPS = 1_000  # of one run: a loop that a person never leaves ends here


class Moved(StrEnum):
    """Why a run moved: the `kind` of a transition. Of several at one moment the first here counts."""

    ENTERED = "entered"
    MERGED = "merged"  # the person became another, whose own run of the journey goes on
    RETIRED = "retired"  # a new version was published with `on_publish: exit`
    MIGRATED = "migrated"  # … or with a map of its steps
    EXITED = "exited"  # a condition of `exit` came true
    GOAL = "goal"
    SENT = "sent"  # a message became a candidate; the outbox says what became of it
    WAITED = "waited"
    MATCHED = "matched"  # the awaited event came
    TIMED_OUT = "timed_out"
    STALE = "stale"  # nobody can say any more whether it came
    BRANCHED = "branched"
    SPLIT = "split"
    SYNCED = "synced"
    FINISHED = "finished"  # an `exit` step
    NO_DATE = "no_date"  # the person has no such date to wait for
    LOOPED = "looped"  # MAX_HOPS steps


class Ended(StrEnum):
    """Why a run is over: the `ended` of its last transition."""

    COMPLETED = "completed"  # no step was left
    EXIT_STEP = "exit_step"
    EXIT_CONDITION = "exit_condition"
    GOAL = "goal"
    MERGED = "merged"
    RETIRED = "retired"
    STALE = "stale"
    NO_DATE = "no_date"
    LOOPED = "looped"


class NotEntered(StrEnum):
    """Why somebody did not enter."""

    NO_KEY = "no_key"  # the event has no such property
    ONCE = "once"
    KEY_SEEN = "key_seen"
    STILL_IN = "still_in"  # of `after_exit`: an earlier run is not over
    TOO_SOON = "too_soon"  # the minimum gap
    NOT_DATA = "not_data"  # the segment's membership changed by its first evaluation, its definition, or a merge


class Refusal(StrEnum):
    """Why a message is not sent. Of several the first here counts."""

    GLOBAL_HOLDOUT = "global_holdout"
    HOLDOUT = "holdout"
    WITHDRAWN = "withdrawn"  # the run was left, or the awaited event came after all, before it was decided
    NO_CONTACT = "no_contact"
    SUPPRESSED = "suppressed"
    NO_CONSENT = "no_consent"
    EXPIRED = "expired"
    REPEATED = "repeated"  # the same template, whatever journey said it
    CAPPED = "capped"


class Account(StrEnum):
    """What a line of `tailrace why` tells: its `kind`. Of several at one moment the first here comes first."""

    CONSENT = "consent"  # the person decided about a contact point; `decision`: granted, denied, suppressed, forgotten
    MERGED = "merged"  # two profiles were found to be one person
    ENTERED = "entered"  # `decision`: the arm
    NOT_ENTERED = "not_entered"  # `reason`: a NotEntered
    STEP = "step"  # `decision`: a Moved; `reason`: an Ended, where the run is over by it
    WAITING = "waiting"  # `decision`: until when; `reason`: a Gate, where that is past
    PAUSED = "paused"  # a pause held a message; `decision`: until when, or nothing yet
    DECIDED = "decided"  # `decision`: admitted or refused; `reason`: a Refusal
    WITHDRAWN = "withdrawn"  # `reason`: an Ended, or `late_event`
    DELIVERED = "delivered"  # `decision`: the outcome; `reason`: the vendor's words


class Gate(StrEnum):
    """Why a wait that is past its time goes on."""

    NOT_LOADED = "not_loaded"  # a source that may send the awaited event is not loaded that far
    NO_TICK = "no_tick"  # no tick came since


class Stance(StrEnum):
    """What a line about consent says was decided."""

    GRANTED = "granted"
    DENIED = "denied"
    SUPPRESSED = "suppressed"  # a complaint or a hard bounce forbids it
    FORGOTTEN = "forgotten"  # nobody knows of it any more


WITHDRAWING = (Ended.EXIT_CONDITION, Ended.GOAL, Ended.MERGED, Ended.RETIRED)
"""Who leaves in one of these ways gets no message of the run any more that has not gone; transactional ones do go. Nor
does who did what a timed out wait waited for, when it becomes known too late (`late_event`)."""

Reentry = Literal["once", "after_exit", "per_key", "always"]


NodeName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Segment = Annotated[str, Field(pattern=r"^seg_[a-z0-9_]+$", description="A model of dbt_project/models/segments")]
Property = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="A property of the event")]
EventName = Annotated[str, Field(min_length=1, description="As sources name it: `Order Completed`")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _besides(form: Mapping[str, Any], core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
    """The JSON Schema of a part that may also be written in a shorter form."""
    return {"anyOf": [dict(form), handler(core)]}


class Condition(_Part):
    """A segment the person is in, or an event that came after the entry."""

    segment: Segment | None = None
    event: EventName | None = None
    match: Property | None = Field(default=None, description="Its value equals the entry event's")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.segment is None) == (self.event is None):
            raise ValueError("name either a `segment` or an `event`")
        if self.match and not self.event:
            raise ValueError("`match` belongs to an `event`")
        return self


class Goal(_Part):
    """What the journey is for."""

    event: EventName
    match: Property | None = Field(default=None, description="Its value equals the entry event's")
    within: Duration = Field(default=timedelta(days=7), description="Counted from the entry")


class Entry(_Part):
    """Who enters, when: on an event, on entering a segment, or at a time for those who are in a segment then."""

    event: EventName | None = None
    key: Property | None = Field(default=None, description="One run a value of this property: a cart, an order")
    segment: Segment | None = None
    existing: bool = Field(default=False, description="Take in who is in the segment when the journey is published")
    at: LocalMoment | None = Field(default=None, description="Once, at this local time: 2026-12-01 09:00")
    every: When | None = Field(default=None, description="Again and again: `day 09:00`, `monday 09:00`, `month 09:00`")
    zone: Zone = Field(default=RECIPIENT, description="Of `at` and `every`: `recipient`, or one zone for all")
    reentry: Reentry | None = Field(default=None, description="Default: once; with a key per_key; with `every` always")
    gap: Duration | None = Field(default=None, description="At least so long between two entries of a person")

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.event is None) == (self.segment is None):
            raise ValueError("name either an `event` or a `segment`")
        if self.event and (self.existing or self.at or self.every):
            raise ValueError("`existing`, `at` and `every` belong to a `segment`")
        if self.at and self.every:
            raise ValueError("`at` is once and `every` again and again: give one of them")
        if self.existing and (self.at or self.every):
            raise ValueError("`existing` takes in members when the journey is published; with `at` or `every` all are")
        if self.key and not self.event:
            raise ValueError("`key` is a property of an `event`")
        if not (self.at or self.every) and self.zone != RECIPIENT:
            raise ValueError("`zone` belongs to `at` and `every`")
        if self.reentry == "per_key" and not self.key:
            raise ValueError("`reentry: per_key` needs a `key`")
        if self.policy == "always" and not self.gap and not self.every:
            raise ValueError("`reentry: always` needs a `gap`, such as 1 day: nobody wants the same at every event")
        return self

    @property
    def policy(self) -> Reentry:
        """`reentry`, or its default."""
        return self.reentry or ("per_key" if self.key else "always" if self.every else "once")


class Send(_Part):
    """A message becomes a candidate; whether it is sent is decided against all others."""

    sink: SinkName = Field(description="A destination in sinks.yml with a `channel`")
    template: NodeName = Field(description="A file of dbt_project/templates, without its ending")
    purpose: Purpose = Field(default="marketing", description="What consent is about; `transactional` needs none")
    priority: Annotated[int, BeforeValidator(number)] = Field(
        default=50, ge=0, le=100, description="Of two that compete the higher is sent"
    )
    expires: Duration = Field(default=timedelta(days=1), description="Not sent later than so long after the step")


class Wait(_Part):
    """For a duration; until a time of day or weekday; or until a date of the person's. Local times are theirs."""

    duration: Duration | None = Field(default=None, alias="for")
    until: When | None = Field(default=None, description='The next "09:00", or `monday 09:00`')
    date: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")] | None = Field(
        default=None, description="A column of profiles with a date or moment"
    )
    before: Duration | None = Field(default=None, description="So long before the date …")
    after: Duration | None = Field(default=None, description="… or after it")
    at: TimeOfDay = Field(default=NINE, description="The time of day of a date that has none")
    zone: Zone = Field(default=RECIPIENT, description="Of local times: `recipient`, or one zone for all")

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if isinstance(value, int | float):
            message = f"{value} of what? write a duration like 30 minutes, 4 hours, 1 day or 2 weeks"
            raise ValueError(message)  # noqa: TRY004 - Pydantic tells people of ValueErrors
        return {"for": value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return _besides(DURATION_SCHEMA, core, handler)

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if sum(each is not None for each in (self.duration, self.until, self.date)) != 1:
            raise ValueError("give one of: a duration, `until`, `date`")
        if self.until and self.until.day == "month":
            raise ValueError('`until` takes a time of day or a weekday: "09:00", monday 09:00')
        if (self.before or self.after) and not self.date:
            raise ValueError("`before` and `after` belong to a `date`")
        if self.before and self.after:
            raise ValueError("`before` or `after`, not both")
        if self.at != NINE and not self.date:
            raise ValueError("`at` belongs to a `date`; a time of day to wait for is `until`")
        if self.duration and self.zone != RECIPIENT:
            raise ValueError("`zone` belongs to `until` and `date`: a duration is as long in every zone")
        return self


class WaitFor(_Part):
    """Until an event comes, but no longer than the timeout."""

    event: EventName
    match: Property | None = Field(default=None, description="Its value equals the entry event's")
    since: Literal["entry", "arrival"] | None = Field(
        default=None, description="From when on it counts. Default: with `match` the entry, without it the arrival"
    )
    timeout: Duration = Field(description="No longer than this, such as 4 hours")
    then: Target = Field(default=NEXT, description="Where to when it came")
    otherwise: Target = Field(default=NEXT, alias="else", description="Where to when it did not")

    @property
    def from_entry(self) -> bool:
        return (self.since or ("entry" if self.match else "arrival")) == "entry"


def _value(value: object) -> object:
    if not isinstance(value, str | int | float) or not is_finite(value):
        message = f"'{str(value)[:40]}' is not text, a number, true or false; a date needs quotes"
        raise ValueError(message)
    return value


Value = Annotated[str | int | float | bool, BeforeValidator(_value)]
Number = Annotated[float, BeforeValidator(number), Field(allow_inf_nan=False)]


class Arm(_Part):
    """One way of a branch: for who is in a segment, or whose entry event says so."""

    segment: Segment | None = None
    property: Property | None = Field(default=None, description="A property of the entry event")
    equals: Value | None = Field(default=None, alias="is")
    one_of: tuple[Value, ...] | None = Field(default=None, alias="in", min_length=1)
    at_least: Number | None = None
    less_than: Number | None = None
    then: Target

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.segment is None) == (self.property is None):
            raise ValueError("name either a `segment` or a `property`")
        tests = [self.equals, self.one_of, self.at_least, self.less_than]
        given = sum(each is not None for each in tests)
        if self.segment and given:
            raise ValueError("`is`, `in`, `at_least` and `less_than` belong to a `property`")
        if self.property and not given:
            raise ValueError("what of the property? give `is`, `in`, `at_least` or `less_than`")
        return self


class Branch(_Part):
    """The first arm that holds is taken; else `else`."""

    arms: tuple[Arm, ...] = Field(min_length=1, description="Or a single one, without the list")
    otherwise: Target = Field(default=NEXT, alias="else")

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        """One arm may be written without the list."""
        if isinstance(value, dict) and "arms" not in value:
            arm = {key: given for key, given in value.items() if key != "else"}
            rest = {key: given for key, given in value.items() if key not in arm}
            return {"arms": [arm], **rest} if arm else value
        return value

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        full = handler.resolve_ref_schema(handler(core))["properties"]
        arm = handler.resolve_ref_schema(full["arms"]["items"])
        return _besides({**arm, "properties": {**arm["properties"], "else": full["else"]}}, core, handler)


class Split(_Part):
    """At random, but always the same for one person: shares in percent that add up to 100, and their steps."""

    weights: dict[NodeName, Annotated[Number, Field(gt=0)]]
    steps: dict[NodeName, Target]

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        """`{a: 50, b: 50, steps: {a: […], b: […]}}`."""
        if isinstance(value, dict) and "weights" not in value:
            return {
                "weights": {name: share for name, share in value.items() if name != "steps"},
                **({"steps": value["steps"]} if "steps" in value else {}),
            }
        return value

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        full = handler.resolve_ref_schema(handler(core))["properties"]
        short = {
            "type": "object",
            "properties": {"steps": full["steps"]},
            "required": ["steps"],
            "propertyNames": {"pattern": "^[a-z][a-z0-9_]*$"},
            "additionalProperties": {"type": "number", "exclusiveMinimum": 0},
        }
        return _besides(short, core, handler)

    @field_validator("weights")
    @classmethod
    def _hundred(cls, weights: dict[str, float]) -> dict[str, float]:
        """Where they are rounded, the last way gets the rest: everybody has one."""
        missing = 100 - sum(weights.values())
        if abs(missing) > ROUNDING:
            message = f"the weights add up to {100 - missing:.10g}, not 100"
            raise ValueError(message)
        last = list(weights)[-1]
        return weights if abs(missing) <= EXACT else {**weights, last: weights[last] + missing}

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if missing := sorted(set(self.weights) ^ set(self.steps)):
            message = f"every weight needs its `steps` and every one of `steps` a weight: {', '.join(missing)}"
            raise ValueError(message)
        return self


class Audience(_Part):
    """Enter or leave an audience that a sync delivers: the model `sync_journey_AUDIENCE`."""

    audience: NodeName
    op: Literal["enter", "leave"]


class Step(_Part):
    """One step: exactly one of the kinds, and a name where another step leads to it."""

    name: NodeName | None = None
    send: Send | None = None
    wait: Wait | None = None
    wait_for: WaitFor | None = None
    branch: Branch | None = None
    split: Split | None = None
    sync: Audience | None = None
    exit: NodeName | None = Field(default=None, description="Out of the journey; the word says why")

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            message = f"a step is exactly one of {', '.join(KINDS)}; here are {', '.join(given) or 'none'}"
            raise ValueError(message)
        return self

    @property
    def kind(self) -> str:
        return next(kind for kind in KINDS if getattr(self, kind) is not None)


KINDS = ("send", "wait", "wait_for", "branch", "split", "sync", "exit")


def _kind_of_target(value: object) -> str | None:
    return "name" if isinstance(value, str) else "steps" if isinstance(value, list | tuple) else None


Target = Annotated[
    Annotated[str, Tag("name")] | Annotated[tuple[Step, ...], Tag("steps")],
    Discriminator(
        _kind_of_target,
        custom_error_type="target",
        custom_error_message="Input should be a list of steps, a step's name, `exit` or `next`",
    ),
]
"""Steps, the name of a step to go on with, `exit`, or `next`: what follows here."""


def _kind_of_publishing(value: object) -> str:
    return "map" if isinstance(value, dict | Migration) else "word"


class Migration(_Part):
    """Runs under way go on with the new version: old step → new step. Who stands elsewhere stays with the old one."""

    migrate: dict[str, str] = Field(min_length=1)


class Journey(_Part):
    """The whole file."""

    journey: NodeName = Field(description="Its name: the file's, without the ending")
    description: str = ""
    entry: Entry
    exit: tuple[Condition, ...] = Field(default=(), description="Who meets one of these leaves at once")
    goal: Goal | None = None
    holdout: Share = Field(default=0.0, le=1, description="Share of people who get nothing, to compare with")
    max_stale: Duration = Field(
        default=timedelta(days=3),
        description="A `wait_for` whose sources stay silent is given up so long after it was due",
    )
    on_publish: Annotated[
        Annotated[Literal["drain", "exit"], Tag("word")] | Annotated[Migration, Tag("map")],
        Discriminator(_kind_of_publishing),
    ] = Field(default="drain", description="Runs of the version before: go on, leave, or move to these steps")
    steps: tuple[Step, ...] = Field(min_length=1)


for _model in (Step, WaitFor, Arm, Branch, Split, Journey):
    _model.model_rebuild()
