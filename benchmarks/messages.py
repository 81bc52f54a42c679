"""Messages composed, and composed and delivered, against bare python-liquid rendering the same texts in one process.

MJML is compiled once a template in both. Figures are of the whole machine, divided by its cores where all of them work.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import report
from liquid import Environment

from assets.messages.compiling import compiled
from assets.messages.composing import Composer, Letterhead
from assets.messages.text import Text, written
from models.delivery import Delivery
from models.links import Links
from models.settings import Settings
from models.sync import Op
from sinks import spool
from sinks.http import deliver
from sinks.journal import Journal
from sinks.limiter import Limiters
from sinks.smtp import SmtpOptions, SmtpSink

AT = datetime(2026, 3, 1, tzinfo=UTC)
CORES = os.cpu_count() or 1
BODY = """\
---
subject: "{{ t.subject }}"
locales:
  en: {subject: "Your cart, {{ first_name | default: 'you' }}", hello: "Hi {{ first_name | default: 'there' }},"}
  de: {subject: "Dein Warenkorb, {{ first_name | default: 'du' }}", hello: "Hallo {{ first_name | default: 'du' }},"}
---
<mjml lang="{{ locale }}"><mj-head><mj-attributes><mj-all font-family="Arial"/></mj-attributes></mj-head><mj-body>
<mj-section><mj-column><mj-text>{{ t.hello }}</mj-text>
<mj-text>{% if orders > 3 %}Thank you for {{ orders }} orders.{% else %}Good to have you.{% endif %}</mj-text>
<mj-button href="https://shop.example/cart/{{ cart_id }}">To the cart</mj-button></mj-column></mj-section>
<mj-section><mj-column><mj-text>{{ cart_id }}: {{ value | times: 1.0 | round: 2 }} EUR</mj-text>
</mj-column></mj-section>
<mj-section><mj-column><mj-text><a href="{{ unsubscribe_url }}">Unsubscribe</a> ·
<a href="{{ preferences_url }}">Preferences</a></mj-text></mj-column></mj-section></mj-body></mjml>
--- text
{{ t.hello }}
{% if orders > 3 %}Thank you for {{ orders }} orders.{% else %}Good to have you.{% endif %}
https://shop.example/cart/{{ cart_id }}
{{ unsubscribe_url }} {{ preferences_url }}
"""
CAMPAIGN = {"utm_source": "shop", "utm_campaign": "{{ journey }}"}


def cases(options: report.Options) -> Iterator[report.Case]:
    """Composed in one process, in all of them, and delivered by SMTP."""
    text = written("cart", ".mjml", Path("cart.mjml"), BODY)
    for size in options.pick((5_000, 20_000), (200, 400)):
        rows = people(size, text)
        listed = rows.to_dicts()

        def bare(size: int = size, listed: list[dict[str, Any]] = listed) -> float:
            return size / report.seconds(lambda: bare_once(text, listed))

        def alone(size: int = size, listed: list[dict[str, Any]] = listed) -> float:
            head = letterhead(text)
            return size / report.seconds(lambda: [head.made(row) for row in listed])

        def pooled(size: int = size, rows: pl.DataFrame = rows) -> float:
            with Composer(letterhead(text)) as composer:
                composer(rows.head(1_000))  # the processes begin
                return size / report.seconds(lambda: composer(rows)) / CORES

        yield report.Case(
            "composed, one process", size, *report.alternate(alone, bare, options.rounds), "messages/s", 0.5,
            "ratio at least",
        )  # fmt: skip
        yield report.Case(
            "composed, all processes, a core", size, *report.alternate(pooled, bare, options.rounds), "messages/s", 0.4,
            "ratio at least",
        )  # fmt: skip
        with relay() as port, tempfile.TemporaryDirectory(prefix="bench-messages-") as folder:

            def sent(size: int = size, rows: pl.DataFrame = rows, port: int = port, folder: str = folder) -> float:
                run = Path(tempfile.mkdtemp(dir=folder))
                return size / report.seconds(lambda: sent_once(run, port, rows, text)) / CORES

            yield report.Case(
                "composed and delivered by SMTP, a core", size, *report.alternate(sent, bare, options.rounds),
                "messages/s", 0.15, "ratio at least",
            )  # fmt: skip


def letterhead(text: Text) -> Letterhead:
    links = Links("https://t.shop.example", ("a key of sixteen letters",))
    return Letterhead("email", "marketing", "email", {text.digest: text}, links, CAMPAIGN, AT)


def people(count: int, text: Text) -> pl.DataFrame:
    """Planned messages of a journey."""
    number = pl.int_range(count)
    return pl.select(
        number.alias(spool.ROW),
        pl.lit(str(Op.SEND)).alias(spool.OP),
        pl.format("p{}", number).alias(spool.PROFILE),
        pl.format("{}", number).str.zfill(32).alias(spool.SEND_KEY),
        pl.format("person{}@shop.example", number).alias("email"),
        pl.format("First{}", number % 1000).alias("first_name"),
        (number % 7).alias("orders"),
        pl.format('{{"cart_id": "c{}", "value": "{}"}}', number, number % 300).alias("variables"),
        pl.lit("cart").alias("template"),
        pl.lit(text.digest).alias("template_version"),
        pl.when(number % 2 == 0).then(pl.lit("en")).otherwise(pl.lit("de")).alias("locale"),
        pl.lit("cart_recovery").alias("journey"),
        pl.lit("1").alias("node"),
    )


def bare_once(text: Text, rows: list[dict[str, Any]]) -> None:
    """The same texts by the library as it comes: no limits, no links of ours, no campaign."""
    plain: dict[str, list[Any]] = {}
    template = compiled(text)
    for locale in template.languages:
        plain[locale] = [Environment(autoescape=html).from_string(part) for part, html in sources(text, locale)]
    links = {"unsubscribe_url": "https://t.shop.example/u/x", "preferences_url": "https://t.shop.example/p/x"}
    for row in rows:
        values: Mapping[str, Any] = {**row, "cart_id": "c1", "value": "3", **links}
        for part in plain[row["locale"]]:
            part.render(values)


def sources(text: Text, locale: str) -> Iterator[tuple[str, bool]]:
    """Subject, HTML and text of a language before Liquid, without marks on links."""
    from assets.messages import compiling  # noqa: PLC0415 - what is measured against

    given = text.template.locales[locale]
    yield compiling._put(text.template.subject or "", given), False  # noqa: SLF001
    yield compiling._page(text, given), True  # noqa: SLF001
    yield compiling._put(text.words, given).strip(), False  # noqa: SLF001


def sent_once(folder: Path, port: int, rows: pl.DataFrame, text: Text) -> None:
    """A delivery as a run makes it, with a journal of its own, to a relay in another process."""
    settings = Settings(folder, folder, target="prod")
    path = folder / "rows.parquet"
    spool.write(path, rows.to_arrow().to_reader())
    sink = SmtpSink(
        SmtpOptions(host="127.0.0.1", port=port, tls="none", sender="The Shop <hello@shop.example>", connections=8), {}
    )
    with Journal(settings.journal) as journal, Composer(letterhead(text)) as compose:
        delivery = Delivery("run1", "plan1", "mail/bench", 1, len(rows), path.name, AT, AT)
        journal.open_delivery(delivery)
        summary = deliver(
            sink, spool.Spool(path), delivery, journal,
            settings=settings, key=["send_key"], limiters=Limiters(1), compose=compose,
        )  # fmt: skip
        assert summary.counts == {"accepted": len(rows)}, summary


@contextmanager
def relay() -> Iterator[int]:
    """The quick relay's port."""
    script = Path(__file__).with_name("quick_mail.py")
    process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE)
    assert process.stdout
    try:
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    report.main("messages", cases, (__doc__ or "").splitlines()[0])
