"""Who leaves an audience because they said no, and who because nobody knows what they said."""

import pytest

X = "crm/seg_x"
PEOPLE = 100
DECIDED = "profile_id, 'email' as channel, email as contact_point, 'marketing' as purpose, granted, suppressed"


@pytest.fixture(params=[["email", "n"], ["n"]], ids=["address sent", "address not sent"])
def mailed(world, request):
    """A hundred people who said yes, all of them at the vendor."""
    numbers = f"from range({PEOPLE}) as numbers (i)"
    world.sql(
        f"create table seg_x as select 'p' || i as profile_id, i || '@x' as email, i as n {numbers}",
        f"create table consent as select {DECIDED} from (select *, true as granted, false as suppressed from seg_x)",
    )
    world.declare("consent", columns=["profile_id"])
    declare(world, fields=request.param)
    assert world.sync()[0].counts == {"accepted": PEOPLE}
    return world


def declare(world, **entry) -> None:
    world.declare("seg_x", {"sink": "crm", "purpose": "marketing", **entry}, columns=["profile_id", "email", "n"])


def failed(plan) -> list[str]:
    return [guard.name for guard in plan.guards if not guard.ok]


@pytest.mark.parametrize("no", ["granted = false", "suppressed = true"])
def test_a_no_passes_every_guard(mailed, no) -> None:
    """However many withdraw, complain or bounce: the next sync removes them."""
    mailed.sql(f"update consent set {no} where contact_point <> '0@x'")
    plan = mailed.plan(X)
    assert (plan.remove, plan.audience, failed(plan)) == (PEOPLE - 1, 1, [])
    mailed.sync()
    assert set(mailed.recorder.audience(X)) == {"p0"}


def test_a_no_passes_where_its_person_left_the_model_too(mailed) -> None:
    """Of those who leave the model, who said no at the address that the vendor has counts for no guard either."""
    (entry,) = mailed.models["seg_x"]["config"]["meta"]["syncs"]
    mailed.sql(
        "update consent set granted = false where contact_point <> '0@x'", "delete from seg_x where n between 1 and 60"
    )
    plan = mailed.plan(X)
    assert plan.remove == PEOPLE - 1
    assert failed(plan) == ([] if "email" in entry["fields"] else ["max_remove"])


def test_who_may_not_be_written_to_is_counted(mailed) -> None:
    """They are no part of the audience, new or not: the plan says how many of the model these are."""
    mailed.sql(
        "update consent set suppressed = true where contact_point in ('0@x', '1@x')",
        "insert into seg_x values ('p100', '100@x', 100), ('p101', '101@x', 101)",
        f"insert into consent select {DECIDED} from (select *, n = 100 as granted, false as suppressed from seg_x) "
        "where profile_id in ('p100', 'p101')",
    )
    plan = mailed.plan(X)
    assert plan.held == {"rejected": 0, "unknown": 0, "suppressed": 3}
    assert (plan.audience, plan.upsert, plan.remove) == (PEOPLE - 1, 1, 2)
    mailed.sync()
    assert set(mailed.recorder.audience(X)) == {f"p{number}" for number in range(2, PEOPLE + 1)}
    assert mailed.plan(X).held["suppressed"] == 3


@pytest.mark.parametrize(
    ("lost", "purpose"),
    [
        ("delete from consent", "marketing"),
        ("delete from consent where contact_point <> '0@x'", "marketing"),
        ("update consent set granted = true", "marketting"),
        ("update seg_x set email = 'new-' || email", "marketing"),
        ("update seg_x set email = null", "marketing"),
    ],
    ids=["consent is empty", "most of it is gone", "a mistyped purpose", "other addresses", "no addresses"],
)
def test_want_of_a_decision_counts_for_max_remove(mailed, lost, purpose) -> None:
    """Who is left out because nothing is known of them did not say no: so many wait for a person."""
    (entry,) = mailed.models["seg_x"]["config"]["meta"]["syncs"]
    declare(mailed, **{**entry, "purpose": purpose})
    mailed.sql(lost)
    plan = mailed.plan(X)
    assert (plan.remove, failed(plan)) == (PEOPLE - plan.audience, ["max_remove"])
    assert mailed.sync()[0].error
    assert len(mailed.recorder.audience(X)) == PEOPLE
