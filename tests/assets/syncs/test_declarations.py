"""What a model may declare in `meta.syncs`, and what is refused before anything is planned."""

import pytest
import yaml

from assets.syncs import load_syncs
from models.errors import ConfigError
from models.sync import Sync

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


@pytest.mark.parametrize("made", ["view", "ephemeral"])
def test_what_is_synced_is_a_table(world, made) -> None:
    """On a server a view goes with what it reads while that is replaced, and a sync would find nothing."""
    world.declare("seg_x", {"sink": "crm"}, columns=["profile_id"])
    world.models["seg_x"]["config"]["materialized"] = made
    with pytest.raises(ConfigError, match=rf"its model is a {made}.*materialized='table'") as refused:
        load_syncs(world.settings, world.manifest)
    assert refused.value.key == "seg_x.syncs[0]"


LETTERS = {"sink": "smtp", "options": {"host": "smtp.example.com", "sender": "The Shop <hello@shop.example>"}}
OUT = "{{ unsubscribe_url }} {{ preferences_url }}"


def letters(world, **entry) -> list[Sync]:
    """The sync of a segment that sends a template by a sink of messages."""
    project = world.settings.project
    sinks = {"letters": LETTERS, "crm": {"sink": "recorder"}}
    (project / "sinks.yml").write_text(yaml.safe_dump({"sinks": sinks}))
    folder = world.settings.dbt_project / "templates"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "hello.txt").write_text(f"---\nsubject: Hello\n---\n{{{{ email }}}} {OUT}\n")
    (folder / "cart.txt").write_text(f"---\nsubject: Hello\n---\n{{{{ cart_id }}}} {OUT}\n")
    (folder / "bare.txt").write_text("---\nsubject: Hello\n---\nHello\n")
    given = {"sink": "letters", "template": "hello", "purpose": "marketing", **SEND} | entry
    kept = {name: value for name, value in given.items() if value is not None}
    world.declare("seg_x", kept, columns=["profile_id", "email"])
    return load_syncs(world.settings, world.manifest)


def test_a_segment_may_send_a_template(world) -> None:
    """The columns that it needs, its contact point and the version of its text come from the template."""
    (sync,) = letters(world)
    assert sync.entry.fields == ("profile_id", "template", "template_version", "locale", "email")
    assert (sync.entry.contact, list(sync.texts.values())) == ("email", [("en",)])


@pytest.mark.parametrize(
    ("entry", "key", "says"),
    [
        ({"template": "helo"}, "template", "no template 'helo'; did you mean 'hello'?"),
        ({"template": None}, "template", "is missing: what is sent to who enters"),
        ({"purpose": None}, "purpose", "is missing: what the message is for"),
        ({"template": "bare"}, "template", "needs {{ unsubscribe_url }} and {{ preferences_url }}"),
        ({"template": "cart"}, "template", "its text uses 'cart_id', which is no column of seg_x or profiles"),
        ({"fields": ["email"]}, "fields", "a message has the columns that its template uses; leave `fields` out"),
        ({"sink": "crm"}, "template", "sends rows, no messages: it needs no template"),
        ({"mode": "mirror"}, "mode", "cannot mirror; allowed: send_on_entry"),
    ],
)
def test_a_segment_that_cannot_send_says_why(world, entry, key, says) -> None:
    """Each mistake names the key that somebody wrote, or left out."""
    with pytest.raises(ConfigError) as refused:
        letters(world, **entry)
    assert refused.value.key == f"seg_x.syncs[0].{key}", str(refused.value)
    assert says in str(refused.value)


def test_a_purpose_is_the_one_that_consent_names(world) -> None:
    """A purpose is read as decisions are, whatever its case and spaces; an empty one asks for none and is refused."""
    world.declare("seg_x", {"sink": "crm", "purpose": " Marketing"}, columns=["profile_id", "email"])
    (sync,) = load_syncs(world.settings, world.manifest)
    assert sync.entry.purpose == "marketing"
    world.declare("seg_x", {"sink": "crm", "purpose": " "}, columns=["profile_id", "email"])
    with pytest.raises(ConfigError, match="purpose"):
        load_syncs(world.settings, world.manifest)
