"""Journeys that cannot work: what is wrong → the file, the line and key of the mistake, words that its message has.

SHAPES is for the contract alone to see, REFERENCES for what stands around the journey.
"""

from __future__ import annotations

Bad = tuple[str, int, str, tuple[str, ...]]

SHORT = """\
journey: bad
entry: {event: Cart Updated}
steps:
"""


def steps(*lines: str) -> str:
    """A journey entered by an event, whose steps begin on line 4."""
    return SHORT + "".join(f"  {line}\n" for line in lines)


def entered(entry: str, *rest: str) -> str:
    """A journey with this entry on line 2, and these lines from line 3 on."""
    return "\n".join(["journey: bad", f"entry: {entry}", *rest, "steps: [{exit: done}]", ""])


SHAPES: dict[str, Bad] = {
    "unknown key of the file": (entered("{event: Cart Updated}", "exits: []"), 3, "exits", ("did you mean 'exit'?",)),
    "no steps": (SHORT, 3, "steps", ("has no value: it must be a list",)),
    "a number as a key": (entered("{event: Cart Updated}", "2: 2"), 3, "2", ("unknown key", "allowed: description")),
    "a key that YAML takes for true": (entered("{event: Cart Updated}", "on: 2"), 3, "on", ("unknown key",)),
    "nothing as a policy": (
        entered("{event: Cart Updated}", "on_publish:"),
        3,
        "on_publish",
        ("has no value; allowed: drain, exit",),
    ),
    "a name with a capital": (
        steps("- {name: Ask, wait: 1 day}"),
        4,
        "steps[0].name",
        ("'Ask' must be small letters, digits and _, and begin with a letter",),
    ),
    "a name that is no segment's": (entered("{segment: lapsed}"), 2, "entry.segment", ("like seg_lapsed",)),
    "a time before midnight": (steps("- wait: {until: -1}"), 4, "steps[0].wait.until", ("'-1' is not a time of day",)),
    "a number as a time of day": (steps("- wait: {until: 900}"), 4, "steps[0].wait.until", ("'900' is not a time",)),
    "a time of day without its zero": (steps("- wait: {until: 9:00}"), 4, "steps[0].wait.until", ("'9:00' is not",)),
    "a moment with a zone": (
        entered("{segment: seg_new, at: 2026-10-01 09:00+02:00}"),
        2,
        "entry.at",
        ("without a zone; `zone` says which",),
    ),
    "a moment by weeks": (entered("{segment: seg_new, at: 2026-W49-2}"), 2, "entry.at", ("is not a moment",)),
    "a moment at the end of time": (entered("{segment: seg_new, at: 9999-12-31 23:59}"), 2, "entry.at", ("2999",)),
    "a bound without an end": (
        steps("- branch: {property: total, less_than: .inf, then: exit}"),
        4,
        "steps[0].branch.less_than",
        ("must be a number, not inf",),
    ),
    "a value that is no number": (
        steps("- branch: {property: total, is: .nan, then: exit}"),
        4,
        "steps[0].branch.is",
        ("'nan' is not text, a number",),
    ),
    "a value without an end": (
        steps("- branch: {property: total, in: [1, .inf], then: exit}"),
        4,
        "steps[0].branch.in[1]",
        ("'inf' is not text, a number",),
    ),
    "empty steps": ("journey: bad\nentry: {event: Cart Updated}\nsteps: []\n", 3, "steps", ("at least 1 item",)),
    "unknown step": (steps("- wat: 1 day"), 4, "steps[0].wat", ("unknown key; did you mean 'wait'?", "branch, exit")),
    "two kinds in one step": (
        steps("- wait: 1 day", "  exit: a"),
        4,
        "steps[0]",
        ("exactly one of send", "wait, exit"),
    ),
    "a step of no kind": (steps("- name: a"), 4, "steps[0]", ("exactly one of send, wait", "here are none")),
    "a step that is a word": (steps("- exit"), 4, "steps[0]", ("must be a mapping", "not text")),
    "unknown key of a send": (
        steps("- send: {sink: mail, template: cart_sms, prority: 3}"),
        4,
        "steps[0].send.prority",
        ("unknown key; did you mean 'priority'? allowed: expires, priority, purpose, sink, template",),
    ),
    "unknown key in an arm's step": (
        steps(
            "- branch:",
            "    segment: seg_new",
            "    then:",
            "      - send:",
            "          sink: mail",
            "          template: cart_sms",
            "          expire: 1 day",
        ),
        10,
        "steps[0].branch.then[0].send.expire",
        ("unknown key; did you mean 'expires'?",),
    ),
    "unknown step in a step in a step": (
        steps(
            "- split:",
            "    a: 50",
            "    b: 50",
            "    steps:",
            "      a: next",
            "      b:",
            "        - wait: 1 day",
            "        - wait_for:",
            "            event: Order Completed",
            "            timeout: 1 day",
            "            else:",
            "              - exitt: a",
        ),
        15,
        "steps[0].split.steps.b[1].wait_for.else[0].exitt",
        ("unknown key; did you mean 'exit'?",),
    ),
    "unknown key of an arm": (
        steps("- branch: {segmnt: seg_new, then: exit}"),
        4,
        "steps[0].branch.segmnt",
        ("unknown key; did you mean 'segment'?", "at_least, else, in, is"),
    ),
    "unknown key of a listed arm": (
        steps(
            "- branch:",
            "    arms:",
            "      - {segment: seg_new, then: exit}",
            "      - {segment: seg_new, then: exit, less_then: 1}",
        ),
        7,
        "steps[0].branch.arms[1].less_then",
        ("did you mean 'less_than'?",),
    ),
    "a target that is a number": (
        steps("- branch: {segment: seg_new, then: 3}"),
        4,
        "steps[0].branch.then",
        ("must be a list of steps, a step's name, `exit` or `next`, not 3",),
    ),
    "a duration that is none": (
        steps("- wait: 1 dya"),
        4,
        "steps[0].wait",
        ("'1 dya' is not a duration", "30 minutes"),
    ),
    "a duration without a unit": (steps("- wait: 3"), 4, "steps[0].wait", ("3 of what?", "4 hours")),
    "two kinds of wait": (steps("- wait: {for: 1 day, date: last_order_at}"), 4, "steps[0].wait", ("give one of",)),
    "a time beside a duration": (
        steps('- wait: {for: 1 day, at: "10:00"}'),
        4,
        "steps[0].wait",
        ("`at` belongs to a `date`", "`until`"),
    ),
    "a time beside a time": (steps("- wait: {until: 09:00, at: 10:00}"), 4, "steps[0].wait", ("`at` belongs to",)),
    "a zone beside a duration": (
        steps("- wait: {for: 1 day, zone: Europe/Berlin}"),
        4,
        "steps[0].wait",
        ("`zone` belongs to `until` and `date`",),
    ),
    "true as a holdout": (entered("{event: Cart Updated}", "holdout: true"), 3, "holdout", ("number, not true",)),
    "a share that is none": (
        entered("{event: Cart Updated}", "holdout: ten%"),
        3,
        "holdout",
        ("'ten%' is not a share",),
    ),
    "true as a priority": (
        steps("- send: {sink: mail, template: cart_sms, priority: true}"),
        4,
        "steps[0].send.priority",
        ("must be a number, not true",),
    ),
    "true as a time": (steps("- wait: {until: true}"), 4, "steps[0].wait.until", ("'True' is not a time of day",)),
    "true as a weight": (
        steps("- split: {a: true, b: 99, steps: {a: exit, b: exit}}"),
        4,
        "steps[0].split.a",
        ("must be a number, not true",),
    ),
    "a wait for a month": (steps("- wait: {until: month 09:00}"), 4, "steps[0].wait", ("`until` takes a time of day",)),
    "a day that is none": (
        steps("- wait: {until: mnday 09:00}"),
        4,
        "steps[0].wait.until",
        ("'mnday' is no day", "monday"),
    ),
    "an hour that is none": (
        steps("- wait: {until: 25:00}"),
        4,
        "steps[0].wait.until",
        ("'25:00' is not a time of day",),
    ),
    "a zone that is none": (
        steps("- wait: {until: 09:00, zone: Europe/Berln}"),
        4,
        "steps[0].wait.zone",
        ("'Europe/Berln' is not a time zone", "`recipient`"),
    ),
    "a zone of the machine": (
        entered("{segment: seg_new, every: 09:00, zone: localtime}"),
        2,
        "entry.zone",
        ("'localtime' is not a time zone", "Europe/Berlin"),
    ),
    "a zone of leap seconds": (
        steps("- wait: {until: 09:00, zone: right/Europe/Berlin}"),
        4,
        "steps[0].wait.zone",
        ("not a time zone",),
    ),
    "a zone that is a folder": (steps("- wait: {until: 09:00, zone: Europe}"), 4, "steps[0].wait.zone", ("'Europe'",)),
    "a wait of millions of years": (
        steps("- wait: 999999999 days"),
        4,
        "steps[0].wait",
        ("'999999999 days' is longer than ten years", "at most 3650 days"),
    ),
    "a gap past what can be counted": (
        entered("{segment: seg_new, reentry: always, gap: 1000000000 days}"),
        2,
        "entry.gap",
        ("longer than ten years",),
    ),
    "a goal in eleven years": (
        entered("{event: Cart Updated}", "goal: {event: Order Completed, within: 3651 days}"),
        3,
        "goal.within",
        ("longer than ten years",),
    ),
    "a wait_for without a timeout": (
        steps("- wait_for: {event: Order Completed}"),
        4,
        "steps[0].wait_for.timeout",
        ("is missing: No longer than this",),
    ),
    "weights that are not 100": (
        steps("- split: {a: 50, b: 40, steps: {a: exit, b: exit}}"),
        4,
        "steps[0].split",
        ("add up to 90, not 100",),
    ),
    "weights that are nearly 100": (
        steps("- split: {a: 33.3333, b: 33.3333, c: 33.3333, steps: {a: exit, b: exit, c: exit}}"),
        4,
        "steps[0].split",
        ("add up to 99.9999, not 100",),
    ),
    "a weight without steps": (
        steps("- split: {a: 50, b: 50, steps: {a: exit}}"),
        4,
        "steps[0].split",
        ("a weight: b",),
    ),
    "a weight that is a word": (
        steps("- split: {a: half, b: 50, steps: {a: exit, b: exit}}"),
        4,
        "steps[0].split.a",
        ("must be a number, not 'half'",),
    ),
    "an arm about nothing": (steps("- branch: {then: exit}"), 4, "steps[0].branch", ("`segment` or a `property`",)),
    "an arm that asks nothing": (
        steps("- branch: {property: value, then: exit}"),
        4,
        "steps[0].branch",
        ("what of the property?", "`at_least`"),
    ),
    "an arm that asks for a date": (
        steps("- branch: {property: value, is: 2026-01-01, then: exit}"),
        4,
        "steps[0].branch.is",
        ("needs quotes",),
    ),
    "an operation that is none": (
        steps("- sync: {audience: vip, op: entr}"),
        4,
        "steps[0].sync.op",
        ("did you mean 'enter'? allowed: enter, leave",),
    ),
    "per_key by a segment": (
        entered("{segment: seg_new, reentry: per_key}"),
        2,
        "entry",
        ("`reentry: per_key` needs a `key`",),
    ),
    "a key by a segment": (
        entered("{segment: seg_new, key: cart_id}"),
        2,
        "entry",
        ("`key` is a property of an `event`",),
    ),
    "entry by both": (entered("{segment: seg_new, event: Cart Updated}"), 2, "entry", ("an `event` or a `segment`",)),
    "always without a gap": (entered("{event: Cart Updated, reentry: always}"), 2, "entry", ("needs a `gap`",)),
    "a re-entry that is none": (
        entered("{event: Cart Updated, reentry: per_kye}"),
        2,
        "entry.reentry",
        ("did you mean 'per_key'?", "after_exit"),
    ),
    "a policy that is none": (
        entered("{event: Cart Updated}", "on_publish: drian"),
        3,
        "on_publish",
        ("did you mean 'drain'? allowed: drain, exit",),
    ),
    "an unknown key of a map": (
        entered("{event: Cart Updated}", "on_publish: {migrate: {a: exit}, migrat: {}}"),
        3,
        "on_publish.migrat",
        ("did you mean 'migrate'?",),
    ),
    "a holdout above everybody": (
        entered("{event: Cart Updated}", "holdout: 110%"),
        3,
        "holdout",
        ("less than or equal to 1",),
    ),
}

REFERENCES: dict[str, Bad] = {
    "the name of another file": (
        SHORT.replace("bad", "badd") + "  - exit: a\n",
        1,
        "journey",
        ("'badd'", "`journey: bad`", "badd.yml"),
    ),
    "a missing segment at entry": (
        entered("{segment: seg_nwe}"),
        2,
        "entry.segment",
        ("no segment 'seg_nwe'; did you mean 'seg_new'?", "seg_lapsed"),
    ),
    "a model that is no segment": (
        entered("{segment: seg_profiles}"),
        2,
        "entry.segment",
        ("no segment 'seg_profiles'", "in models/segments: seg_active"),
    ),
    "a missing segment in an exit": (
        entered("{event: Cart Updated}", "exit:", "  - {segment: seg_new}", "  - {segment: seg_unsubscrbed}"),
        5,
        "exit[1].segment",
        ("did you mean 'seg_unsubscribed'?",),
    ),
    "a missing segment in an arm": (
        steps(
            "- branch:",
            "    arms:",
            "      - {segment: seg_new, then: exit}",
            "      - segment: seg_high",
            "        then: next",
        ),
        7,
        "steps[0].branch.arms[1].segment",
        ("no segment 'seg_high'",),
    ),
    "a missing segment in a short arm": (
        steps("- branch:", "    then: exit", "    segment: seg_high"),
        6,
        "steps[0].branch.segment",
        ("no segment 'seg_high'",),
    ),
    "a missing sink": (
        steps("- send: {sink: mial, template: cart_sms}"),
        4,
        "steps[0].send.sink",
        ("no sink 'mial'; did you mean 'mail'? in sinks.yml: mail, text",),
    ),
    "a sink that reaches nobody": (
        steps("- send: {sink: crm, template: cart_sms}"),
        4,
        "steps[0].send.sink",
        ("'crm' reaches nobody", "no `channel`", "mail, text"),
    ),
    "a missing template": (
        steps("- send:", "    sink: mail", "    template: cart_remindr"),
        6,
        "steps[0].send.template",
        ("no template 'cart_remindr'; did you mean 'cart_reminder'?", "cart_sms, receipt"),
    ),
    "a purpose that nobody knows": (
        steps("- send: {sink: mail, template: cart_sms, purpose: marketting}"),
        4,
        "steps[0].send.purpose",
        ("about 'marketting'; did you mean 'marketing'? known: marketing, transactional", "front matter"),
    ),
    "a template of another purpose": (
        steps("- send: {sink: mail, template: receipt, purpose: news}"),
        4,
        "steps[0].send.purpose",
        ("'news' is not what receipt.txt is for; allowed: transactional",),
    ),
    "a template of another purpose than the default": (
        steps("- wait: 1 day", "- send: {sink: mail, template: receipt}"),
        5,
        "steps[1].send",
        ("'marketing'", "transactional"),
    ),
    "a message that expires undecided": (
        steps("- send: {sink: mail, template: cart_sms, expires: 10 minutes}"),
        4,
        "steps[0].send.expires",
        ("could never be sent", "15 minutes"),
    ),
    "an entry by an unknown event": (
        entered("{event: Cart Updatd}"),
        2,
        "entry.event",
        ("no source sends 'Cart Updatd'; did you mean 'Cart Updated'?", "Page Viewed", "`events` in sources.yml"),
    ),
    "an exit by an unknown event": (
        entered("{event: Cart Updated}", "exit: [{event: Order}]"),
        3,
        "exit[0].event",
        ("no source sends 'Order'",),
    ),
    "a goal of an unknown event": (
        entered("{event: Cart Updated}", "goal:", "  event: Order completed"),
        4,
        "goal.event",
        ("'Order Completed'?",),
    ),
    "a wait for an unknown event": (
        steps("- wait_for: {event: Orders, timeout: 1 day}"),
        4,
        "steps[0].wait_for.event",
        ("no source sends 'Orders'",),
    ),
    "a match after a segment": (
        entered("{segment: seg_new}", "goal: {event: Order Completed, match: cart_id}"),
        3,
        "goal.match",
        ("`match` compares with the entry event", "the segment seg_new", "enter by an `event`"),
    ),
    "an arm about an event after a segment": (
        "journey: bad\nentry: {segment: seg_new}\nsteps:\n  - branch: {property: value, is: 1, then: exit}\n",
        4,
        "steps[0].branch.property",
        ("`property` compares with the entry event",),
    ),
    "a key that the event has not": (
        entered("{event: Cart Updated, key: order_id}"),
        2,
        "entry.key",
        ("'Cart Updated' has a property 'order_id'", "they have: cart_id, value"),
    ),
    "a match that the awaited event has not": (
        entered("{event: Cart Updated}", "goal: {event: Order Completed, match: value}"),
        3,
        "goal.match",
        ("'Order Completed' has a property 'value'", "cart_id, order_id, revenue"),
    ),
    "a match that the entry event has not": (
        entered("{event: Cart Updated}", "exit: [{event: Order Completed, match: order_id}]"),
        3,
        "exit[0].match",
        ("'Cart Updated' has a property 'order_id'", "cart_id, value"),
    ),
    "an arm about a property that is not there": (
        steps("- branch: {property: vlue, is: 1, then: exit}"),
        4,
        "steps[0].branch.property",
        ("'vlue'; did you mean 'value'?",),
    ),
    "a date that is no column": (
        steps("- wait: {date: last_orderd_at}"),
        4,
        "steps[0].wait.date",
        ("is no column of profiles; did you mean 'last_order_at'?", "first_seen_at"),
    ),
    "a date that is a number": (
        steps("- wait: {date: orders}"),
        4,
        "steps[0].wait.date",
        ("'orders' has type bigint", "last_order_at"),
    ),
    "an audience that nobody delivers": (
        steps("- sync: {audience: vipp, op: enter}"),
        4,
        "steps[0].sync.audience",
        ("write dbt_project/models/syncs/sync_journey_vipp.sql", "`meta.syncs`", "did you mean 'vip'?"),
    ),
    "a name twice": (
        steps("- {name: a, wait: 1 day}", "- branch: {segment: seg_new, then: [{name: a, wait: 1 day}]}"),
        5,
        "steps[1].branch.then[0].name",
        ("a step 'a' already",),
    ),
    "a step called exit": (
        steps("- {name: exit, wait: 1 day}"),
        4,
        "steps[0].name",
        ("'exit' has a meaning of its own",),
    ),
    "a step called next": (
        steps("- wait: 1 day", "- name: next", "  wait: 1 day"),
        5,
        "steps[1].name",
        ("'next' has a",),
    ),
    "a way of a split called next": (
        steps("- split: {next: 50, b: 50, steps: {next: exit, b: exit}}"),
        4,
        "steps[0].split.steps.next",
        ("'next' has a meaning of its own",),
    ),
    "a way of a split called exit": (
        steps("- split: {a: 50, exit: 50, steps: {a: exit, exit: [{wait: 1 day}]}}"),
        4,
        "steps[0].split.steps.exit",
        ("'exit' has a meaning of its own",),
    ),
    "a gap for who enters once": (
        entered("{event: Cart Updated, gap: 1 day}"),
        2,
        "entry.gap",
        ("they enter once", "after_exit, always"),
    ),
    "an exit for who enters": (
        entered("{segment: seg_new}", "exit: [{segment: seg_lapsed}, {segment: seg_new}]"),
        3,
        "exit[1].segment",
        ("'seg_new' is who enters: everybody would leave at once",),
    ),
    "a way to no step": (
        steps("- {name: again, wait: 1 day}", "- wait_for: {event: Order Completed, timeout: 1 day, else: agian}"),
        5,
        "steps[1].wait_for.else",
        ("no step 'agian'; did you mean 'again'? allowed: again, exit, next",),
    ),
    "a way of a split to no step": (
        steps("- split: {a: 50, b: 50, steps: {a: exit, b: later}}"),
        4,
        "steps[0].split.steps.b",
        ("no step 'later'",),
    ),
    "a way over no steps": (
        steps("- branch:", "    segment: seg_new", "    then: []"),
        6,
        "steps[0].branch.then",
        ("has no steps", "`next`"),
    ),
    "a split with one way": (steps("- split: {a: 100, steps: {a: exit}}"), 4, "steps[0].split", ("two or more",)),
    "a step after the exit": (
        steps("- exit: done", "- wait: 1 day", "- wait: 2 days"),
        5,
        "steps[1]",
        ("nobody comes to this step",),
    ),
    "a step after a branch that all leave by": (
        steps("- branch: {segment: seg_new, then: exit, else: [{exit: done}]}", "- wait: 1 day"),
        5,
        "steps[1]",
        ("nobody comes",),
    ),
    "a step that every way goes past": (
        steps("- split: {a: 50, b: 50, steps: {a: last, b: last}}", "- wait: 1 day", "- {name: last, wait: 1 day}"),
        5,
        "steps[1]",
        ("nobody comes",),
    ),
    "a step after an exit in an arm": (
        steps("- branch:", "    segment: seg_new", "    then:", "      - exit: a", "      - wait: 1 day"),
        8,
        "steps[0].branch.then[1]",
        ("nobody comes",),
    ),
    "a loop that never rests": (
        steps("- {name: again, wait: {until: 09:00}}", "- branch: {segment: seg_new, then: again}"),
        5,
        "steps[1].branch.then",
        ("goes round to 'again'", "`wait: 1 day`"),
    ),
    "a loop of a step with itself": (
        steps("- name: again", "  wait_for: {event: Order Completed, timeout: 1 day, then: again}"),
        5,
        "steps[0].wait_for.then",
        ("goes round to 'again'",),
    ),
    "a loop that rests on one way only": (
        steps(
            "- name: again",
            "  split: {a: 50, b: 50, steps: {a: next, b: [{wait: 1 day}]}}",
            "- branch: {segment: seg_new, then: again}",
        ),
        6,
        "steps[1].branch.then",
        ("goes round to 'again'",),
    ),
    "a map to a step that is gone": (
        steps("- {name: first, wait: 1 day}", "- exit: done").replace(
            "steps:", "on_publish:\n  migrate:\n    old: first\n    older: frist\nsteps:"
        ),
        6,
        "on_publish.migrate.older",
        ("no step 'frist'; did you mean 'first'? allowed: first, 2, exit",),
    ),
}
