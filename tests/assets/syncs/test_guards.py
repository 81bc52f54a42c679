"""What holds a plan for a person, at its limits."""

import pytest

from tests.assets.syncs.loop import loop


def people(here, count: int, first: int = 0) -> None:
    rows = [{"profile_id": f"p{number}"} for number in range(first, first + count)]
    here.model({"profile_id": "varchar"}, rows)


def failed(here) -> list[str]:
    return [guard.name for guard in here.plan().guards if not guard.ok]


@pytest.mark.parametrize(
    ("guards", "stay", "holds"),
    [
        ({}, 51, False),  # 49 rows, however large their share
        ({}, 49, True),
        ({"max_remove_rows": 0}, 90, False),  # a tenth
        ({"max_remove_rows": 0}, 89, True),
        ({"max_remove": "60%"}, 40, False),
        ({"max_remove": 0, "max_remove_rows": 0}, 99, True),
        ({"max_remove": 0, "max_remove_rows": 0}, 100, False),
    ],
)
def test_removes(guards, stay, holds) -> None:
    """So many may leave at once: a share of the audience, or a few."""
    with loop(guards=guards) as here:
        people(here, 100)
        here.run()
        people(here, stay)
        assert failed(here) == (["max_remove"] if holds else [])


@pytest.mark.parametrize(
    ("guards", "enter", "holds"),
    [
        ({}, 50, False),  # however few there were
        ({}, 51, True),
        ({"max_add_rows": 0}, 30, False),
        ({"max_add_rows": 0}, 31, True),
        ({"max_add": 0.5, "max_add_rows": 0}, 5, False),
        ({"max_add": 0.5, "max_add_rows": 0}, 6, True),
    ],
)
def test_adds(guards, enter, holds) -> None:
    """So many may enter at once, after the first run: that one may be of any size."""
    with loop(guards=guards) as here:
        people(here, 10)
        assert failed(here) == []
        here.run()
        people(here, 10 + enter)
        assert failed(here) == (["max_add"] if holds else [])


def test_an_audience_that_nobody_was_left_in_fills_again() -> None:
    """A few may enter an audience of none: who is at risk today are few, and yesterday nobody was."""
    with loop() as here:
        people(here, 9)
        here.run()
        people(here, 0)
        here.run()
        people(here, 9)
        assert failed(here) == []


def test_what_changes_is_no_add() -> None:
    """However many rows of the audience change, nobody enters."""
    with loop(guards={"max_add": 0.1}) as here:
        for number in (1, 2):
            here.model(
                {"profile_id": "varchar", "n": "integer"}, [{"profile_id": f"p{i}", "n": number} for i in range(50)]
            )
            assert failed(here) == []
            here.run()


@pytest.mark.parametrize("members", [2, 3])
def test_messages(members) -> None:
    """So many messages may go in a run, from the first on."""
    with loop(mode="send_on_entry", guards={"max_send": 2}) as here:
        here.night()
        here.run()
        here.night(*(f"p{number}" for number in range(members)))
        assert failed(here) == (["max_send"] if members > 2 else [])


def test_an_empty_model_beside_an_empty_audience() -> None:
    """Nobody then and nobody now holds nothing; nobody now and somebody then does."""
    with loop() as here:
        people(here, 0)
        assert failed(here) == []
        people(here, 1)
        here.run()
        people(here, 0)
        assert failed(here) == ["empty_model"]
