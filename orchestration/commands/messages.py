"""Commands about messages: look at one, try one out, what came of them."""
# ruff: noqa: PLC0415 - imported when the command runs: `tailrace --help` must not wait for dbt

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestration import clocks, console
from orchestration.commands.options import AsJson, AsOf, ShowPii
from orchestration.environment import settings


def register(app: typer.Typer) -> None:
    for command in (message, sent, results):
        app.command()(command)


def message(
    template: Annotated[str, typer.Argument(metavar="TEMPLATE", help="A file of dbt_project/templates.")],
    person: Annotated[str, typer.Argument(help="An e-mail address, a phone number, a user id, a profile id.")],
    *,
    locale: Annotated[str | None, typer.Option(help="Another language than the person's.")] = None,
    file: Annotated[Path | None, typer.Option(metavar="PATH", help="Write the HTML (or the text) there.")] = None,
    browser: Annotated[bool, typer.Option("--browser", help="Open it in the browser.")] = False,
    send_to: Annotated[
        str | None, typer.Option(metavar="CONTACT", help="Send it there, outside of every sync.")
    ] = None,
    sink: Annotated[str | None, typer.Option(metavar="NAME", help="By which destination of sinks.yml.")] = None,
    as_of: AsOf = None,
    show_pii: ShowPii = False,
    as_json: AsJson = False,
) -> None:
    """The message a person would get, as the template is written now; with --send-to really sent, to you.

    Examples: `tailrace message welcome ann@shop.example` · `tailrace message welcome ann@shop.example --browser` ·
    `tailrace message welcome ann@shop.example --send-to me@shop.example --sink mail`
    """
    from orchestration import message_view as view

    now = settings()
    clock = clocks.clock(now, as_of)
    chosen = view.destination_for(now, sink, template, is_sent=send_to is not None)
    made = view.make(now, template, person, clock, locale=locale, channel=chosen.channel, to=send_to, show_pii=show_pii)
    if file:
        view.write(made, file)
    if browser:
        view.browse(made)
    done = view.send(now, chosen, made, clock.as_of) if send_to else {}
    if as_json:
        console.print_json({**view.document(made, show_pii=show_pii), **done})
        return
    view.show(made, show_pii=show_pii)
    if done:
        console.out().print(done["note"], markup=False)


def sent(
    send_key: Annotated[
        str, typer.Argument(metavar="SEND_KEY", help="As `tailrace why` and the table `message` have it.")
    ],
    *,
    file: Annotated[Path | None, typer.Option(metavar="PATH", help="Write the HTML (or the text) there.")] = None,
    browser: Annotated[bool, typer.Option("--browser", help="Open it in the browser.")] = False,
    show_pii: ShowPii = False,
    as_json: AsJson = False,
) -> None:
    """A message that was sent, as it was: the template's text of then, with what was known of the person then.

    Examples: `tailrace sent 84140cf48d36c1c6fc2766e3c1a5c646 --browser` ·
    `tailrace sent 84140cf48d36c1c6fc2766e3c1a5c646 --json`
    """
    from orchestration import message_view as view

    found = view.find(settings(), send_key)
    if file:
        view.write(found.message, file)
    if browser:
        view.browse(found.message)
    if as_json:
        console.print_json(view.history(found, show_pii=show_pii))
    else:
        view.show(found.message, show_pii=show_pii, beside=view.became(found))


def results(
    journey: Annotated[str | None, typer.Argument(metavar="[JOURNEY]", help="Only this one; default: all.")] = None,
    *,
    by: Annotated[
        str,
        typer.Option(
            metavar="COLUMNS", help="What a row is: of journey, node, template, version, locale, channel, day."
        ),
    ] = "journey,node,template",
    days: Annotated[int | None, typer.Option(min=1, help="Only messages of so many days, up to the last.")] = None,
    as_json: AsJson = False,
) -> None:
    """What came of messages: sent, delivered, opened, clicked, bounced, complained, unsubscribed, converted.

    Examples: `tailrace results` · `tailrace results welcome --by template,locale` ·
    `tailrace results --by day --days 7`
    """
    from assets.messages import results as told
    from orchestration import results_view

    found = told.results(settings(), journey, [name.strip() for name in by.split(",")], days)
    if as_json:
        console.print_json(found)
    else:
        results_view.show(found)
