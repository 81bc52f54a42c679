"""The fingerprint of a sync changes when what it would send does, and only then."""

from datetime import UTC, datetime

import pytest

from assets.fingerprints import fingerprints
from assets.syncs import load_syncs
from models.policy import Policy
from tests.assets.syncs.test_withdrawals import night
from warehouse.duckdb import DuckDB

PEOPLE = "select 'p' || i as profile_id, i || '@x' as email, i as orders, 'DE' as country from range(5) as numbers (i)"
YES = "select profile_id, 'email' as channel, email as contact_point, 'marketing' as purpose, granted, suppressed"
AS_OF = datetime(2026, 9, 30, tzinfo=UTC)
FIELDS, MAIL = "crm/seg_x", "crm/seg_x/mail"


@pytest.fixture
def shop(world):
    """A segment of three of five people: their orders to one audience, to another their address where they agreed."""
    world.sql(
        f"create table profiles as {PEOPLE}",
        f"create table consent as {YES} from (select *, orders <> 1 as granted, false as suppressed from profiles)",
        "create table seg_x as select profile_id from profiles where orders < 3",
    )
    mail = {"name": "mail", "audience": "mail", "fields": ["email", "country"], "purpose": "marketing"}
    world.declare("profiles", columns=["profile_id", "email", "orders", "country"])
    world.declare("consent", columns=["profile_id"])
    world.declare("seg_x", {"sink": "crm", "fields": ["orders"]}, {"sink": "crm", **mail}, columns=["profile_id"])
    return world


def told(world, salt: str = "test") -> dict[str, str]:
    with DuckDB(world.settings.warehouse) as warehouse:
        return fingerprints(warehouse, Policy(salt=salt), load_syncs(world.settings, world.manifest), AS_OF)


@pytest.mark.parametrize(
    ("change", "moved"),
    [
        ("update profiles set orders = 7 where profile_id = 'p0'", {FIELDS}),
        ("update profiles set country = null where profile_id = 'p0'", {MAIL}),
        ("update profiles set country = 'FR' where profile_id = 'p1'", set()),  # who never agreed
        ("update profiles set country = 'FR' where profile_id = 'p4'", set()),  # who is not in the segment
        ("update consent set granted = false where profile_id = 'p2'", {MAIL}),
        ("update consent set suppressed = true where profile_id = 'p2'", {MAIL}),
        ("update consent set granted = true where profile_id = 'p1'", {MAIL}),
        ("insert into seg_x values ('p3')", {FIELDS, MAIL}),
        ("delete from seg_x where profile_id = 'p1'", {FIELDS}),
        ("create or replace table profiles as select * from profiles order by email desc", set()),
        ("create or replace table seg_x as select * from seg_x order by profile_id desc", set()),
    ],
)
def test_it_changes_with_what_would_be_sent(shop, change, moved) -> None:
    """Members, fields that are sent and consent count; who may not be written to, other fields and the order do not."""
    before = told(shop)
    shop.sql(change)
    after = told(shop)
    assert {name for name in before if before[name] != after[name]} == moved


def test_it_changes_with_every_entry_to_a_segment(world) -> None:
    """A message is due for each entry: who left and came back is another one, and a night without news is none."""
    world.declare("seg_x", {"sink": "crm", "mode": "send_on_entry"}, columns=["profile_id"])
    nights = []
    for members in ((), ("a",), ("a",), (), ("a",)):
        night(world, *members)
        nights.append(told(world)[FIELDS])
    nobody, entered, stayed, left, back = nights
    assert (stayed, left) == (entered, nobody)
    assert len({nobody, entered, back}) == 3


def test_it_tells_nothing_of_the_people(shop) -> None:
    """It is keyed by the project's salt: who guesses a row cannot see whether it is one."""
    assert told(shop)[FIELDS] != told(shop, salt="other")[FIELDS]


def test_what_cannot_be_planned_has_none(shop) -> None:
    """A sync of a model that is not built is left out; the others are told."""
    shop.declare("seg_y", {"sink": "crm", "audience": "y"}, columns=["profile_id"])
    assert set(told(shop)) == {FIELDS, MAIL}
