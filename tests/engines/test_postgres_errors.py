"""PostgreSQL's errors are said in words that a person can act on, and nothing shows the password."""

from urllib.parse import urlsplit

import pytest

from models.errors import NeedsPerson, UserError
from models.postgres_server import refusal
from warehouse.postgres import Postgres
from warehouse.postgres_errors import translated

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    ("url", "kind", "says"),
    [
        ("postgresql://postgres:{secret}@127.0.0.1:1/postgres", NeedsPerson, "127.0.0.1:1/postgres: no PostgreSQL"),
        ("postgresql://nobody:{secret}@{place}/postgres", UserError, "user and password"),
        ("postgresql://postgres:{secret}@{place}/nowhere", UserError, '"nowhere" does not exist'),
        ("postgresql://postgres:{secret} x@{place}/postgres", UserError, "address of a server"),
        ("postgresql://postgres:{secret}@{place}x/postgres", UserError, "address of a server"),
        ("postgresql://no.such.host.invalid/x?password={secret}", NeedsPerson, "no PostgreSQL"),
        ("{secret}", UserError, "address of a server"),
    ],
)
def test_a_server_that_does_not_let_us_in_is_told_of_without_the_password(server, url, kind, says):
    """In the message and in whatever a traceback shows of it."""
    place = server.split("@")[-1].split("/")[0]
    with pytest.raises(kind, match=says) as caught:
        Postgres(url.format(secret=SECRET, place=place))
    error = caught.value
    assert SECRET not in f"{error}{error!r}{error.__cause__!r}"
    assert error.__suppress_context__


@pytest.mark.parametrize(
    "said",
    [
        "the database system is starting up",
        "the database system is in recovery mode",
        "the database system is not yet accepting connections",
        "terminating connection due to administrator command",
        "sorry, too many clients already",
    ],
)
def test_a_server_that_comes_back_is_waited_for(said):
    """It is no mistake of whoever asked, who may ask again."""
    refused = refusal(f'connection to server at "db" failed: FATAL:  {said}\n', "postgresql://db/shop")
    assert type(refused) is NeedsPerson
    assert str(refused) == f"postgresql://db/shop: {said}; try again later"


def test_nothing_shows_the_password(server, schemas):
    """Of a connection that was opened with one."""
    parts = urlsplit(server)
    secret = parts.password or SECRET  # one that lets everybody in takes any
    place = f"{parts.username}:{secret}@{parts.netloc.split('@')[-1]}"
    with Postgres(parts._replace(netloc=place).geturl(), schemas=schemas) as opened:
        assert secret not in repr(opened) + repr(vars(opened))


@pytest.mark.parametrize(
    ("state", "text", "kind"),
    [
        ("53100", "could not extend file", "StorageFull"),
        ("", "ERROR:  could not write to file: No space left on device", "StorageFull"),
        ("53200", "out of memory", "NeedsPerson"),
        ("57P01", "terminating connection due to administrator command", "NeedsPerson"),
        ("", "server closed the connection unexpectedly", "NeedsPerson"),
        ("22P02", "invalid input syntax", "UserError"),
        ("42501", "permission denied for schema x", "UserError"),
    ],
)
def test_what_a_person_can_act_on_is_said_in_words(state, text, kind):
    """By the server's code, or its words where the driver lost that."""
    error = OSError(text)
    error.sqlstate = state
    assert type(translated(error, None)).__name__ == kind


def test_a_connection_that_was_ended_is_told(server, schemas):
    """By an administrator, or with the server."""
    with Postgres(server, schemas=schemas) as victim, Postgres(server, schemas=schemas) as other:
        pid = victim.rows("select pg_backend_pid() as pid")[0]["pid"]
        other.rows("select pg_terminate_backend(?)", [pid])
        with pytest.raises(NeedsPerson, match="ended the connection"):
            victim.rows("select 1 as n")


def test_a_value_is_not_told(server, schemas):
    """Neither in the sentence nor in what is kept with it: both are kept, and shown."""
    with Postgres(server, schemas=schemas) as opened, pytest.raises(UserError) as caught:
        opened.rows("select cast(said as integer) from (values ('anna@shop.example')) as people (said)")
    assert "anna" not in f"{caught.value}{caught.value.__cause__}"
    assert 'invalid input syntax for type integer: "…"' in str(caught.value)
