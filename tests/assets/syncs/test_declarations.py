"""What a model may declare in `meta.syncs`, and what is refused before anything is planned."""

import pytest
import yaml

from assets.syncs import load_syncs
from models.errors import ConfigError

MIRROR, UPSERT, SEND = {"mode": "mirror"}, {"mode": "upsert"}, {"mode": "send_on_entry"}


def declared(world, one, two) -> list[str]:
    """The names of the syncs of two models, where `crm` and `mail` are one account and `drop` is a folder."""
    sinks = {"crm": {"sink": "recorder"}, "mail": {"sink": "recorder"}, "drop": {"sink": "file"}}
    (world.settings.project / "sinks.yml").write_text(yaml.safe_dump({"sinks": sinks}))
    world.declare("seg_x", {"sink": "crm", **one}, columns=["profile_id"])
    world.declare("seg_y", {"sink": "crm", **two}, columns=["profile_id"])
    return [sync.name for sync in load_syncs(world.settings, world.manifest)]


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (MIRROR, MIRROR),
        (MIRROR, UPSERT),
        ({"mode": "append"}, MIRROR),
        (MIRROR, {**MIRROR, "sink": "mail"}),
        ({**MIRROR, "audience": "VIP"}, {**MIRROR, "audience": "VIP", "rows": 7}),
    ],
)
def test_a_mirror_shares_its_audience_with_no_other_sync(world, one, two) -> None:
    """What one would add, the other would remove: the second is refused where it is written, naming the first."""
    with pytest.raises(ConfigError, match="another `audience` or `account`") as refused:
        declared(world, one, two)
    path = world.settings.dbt_project / "models" / "models.yml"
    first, second = [number for number, line in enumerate(path.read_text().splitlines(), 1) if "sink:" in line]
    assert (refused.value.key, refused.value.file, refused.value.line) == ("seg_y.syncs[0]", str(path), second)
    assert f"crm/seg_x ({path}:{first})" in str(refused.value)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (MIRROR, {**MIRROR, "audience": "VIP"}),
        (MIRROR, {**MIRROR, "account": "other"}),
        (UPSERT, UPSERT),
        (MIRROR, SEND),
        ({**MIRROR, "sink": "drop"}, {**MIRROR, "sink": "drop"}),
    ],
)
def test_what_is_no_shared_audience_is_accepted(world, one, two) -> None:
    """Another audience or account, messages, syncs that remove nobody, and files, which are named by their sync."""
    assert len(declared(world, one, two)) == 2


def test_a_purpose_is_the_one_that_consent_names(world) -> None:
    """A purpose is read as decisions are, whatever its case and spaces; an empty one asks for none and is refused."""
    world.declare("seg_x", {"sink": "crm", "purpose": " Marketing"}, columns=["profile_id", "email"])
    (sync,) = load_syncs(world.settings, world.manifest)
    assert sync.entry.purpose == "marketing"
    world.declare("seg_x", {"sink": "crm", "purpose": " "}, columns=["profile_id", "email"])
    with pytest.raises(ConfigError, match="purpose"):
        load_syncs(world.settings, world.manifest)
