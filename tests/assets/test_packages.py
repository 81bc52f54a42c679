"""The links by which dbt finds a company's packages: whoever makes them at once, they are there."""

from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from assets import packages
from models.errors import ConfigError
from models.settings import Settings

AT_ONCE, INSTALLED = 3, 60


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A project with one package, which installed many of its own."""
    ours, company = tmp_path / "ours", tmp_path / "acme"
    (ours / "dbt_project").mkdir(parents=True)
    (ours / "sources.yml").write_text("packages: {acme: ../acme}\nsources: {}\n")
    (ours / "dbt_project/dbt_project.yml").write_text(
        "name: tailrace\npackages-install-path: \"{{ var('packages_path', 'dbt_packages') }}\"\n"
    )
    for number in range(INSTALLED):
        (company / f"dbt_packages/installed{number}").mkdir(parents=True)
    (company / "dbt_project.yml").write_text("name: acme\n")
    return Settings(ours, tmp_path / "home")


def link_nightly(settings: Settings, folders: list[Path], together: Barrier) -> None:
    """What one process does: the links of each home, made at the moment at which others make them."""
    for home in folders:
        together.wait(30)
        packages.linked(replace(settings, home=home))


def test_whoever_links_at_once_finds_all(settings: Settings) -> None:
    """Made by several at a time, or led elsewhere before: every link is right, nothing else is there, nobody fails."""
    places = {f"installed{n}": settings.project.parent / f"acme/dbt_packages/installed{n}" for n in range(INSTALLED)}
    places["acme"] = settings.project.parent / "acme"
    homes = [settings.home / str(number) for number in range(20)]
    for home in homes[::2]:
        folder = replace(settings, home=home).dbt_target / "packages"
        folder.mkdir(parents=True)
        for name in [*places, "of before"]:
            (folder / name).symlink_to(settings.home / "elsewhere")
    spawn = get_context("spawn")
    arguments = (settings, homes, spawn.Barrier(AT_ONCE))
    processes = [spawn.Process(target=link_nightly, args=arguments) for _ in range(AT_ONCE)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * AT_ONCE
    for home in homes:
        target = replace(settings, home=home).dbt_target
        assert {link.name: link.readlink() for link in (target / "packages").iterdir()} == places
        assert [path.name for path in target.iterdir()] == ["packages"]


def test_what_is_no_link_is_refused(settings: Settings) -> None:
    """A folder among the links is nobody's to take away, and dbt would read it: the error names it."""
    folder = packages.linked(settings)
    assert folder
    (folder / "acme").unlink()
    (folder / "acme").mkdir()
    with pytest.raises(ConfigError, match=r"packages/acme: only links"):
        packages.linked(settings)
