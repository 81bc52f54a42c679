"""What Twilio calls back: the status of a message, and what somebody answered.

Nothing in these requests says when something happened (`RawDlrDoneDate` is the carrier's, to the minute, in no stated
zone), so it is `Undated`. Signatures have no date either: a replay is not refused, its `event_id` makes it harmless.
Those of a webhook rule, with a shared key, are not taken.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import ClassVar, Literal
from urllib.parse import parse_qs, parse_qsl, quote, urlsplit

import httpx

from models.outcome import Report, Told
from sinks.base import form_request
from sinks.callbacks import LARGEST_FORM, MOST_FIELDS, RECEIVED, Checked, Setup, Undated
from sinks.reporting import Heard

_SIGNATURE = "x-twilio-signature"
_FORM = "application/x-www-form-urlencoded"
_DEV_ACCOUNT, _DEV_NUMBER = "AC" + "0" * 32, "+15005550006"  # what only fills a request in dev
_SHORT_CODE_DIGITS = 8
_ACCOUNT, _MESSAGE = re.compile(r"AC[0-9a-fA-F]{32}"), re.compile(r"[SM]M[0-9a-fA-F]{32}")  # a text, or with pictures

Form = Sequence[tuple[str, str]]


class TwilioReports(Undated, Checked):
    """Status callbacks come to the `StatusCallback` of each message, answers to the number's or the service's webhook.

    A list of codes is never whole: Twilio adds codes, and splits them.
    """

    webhook_secrets = ("auth_token",)
    statuses: ClassVar[Mapping[str, Told]] = {
        "accepted": Told.ACCEPTED,
        "queued": Told.ACCEPTED,
        "sending": Told.ACCEPTED,
        "sent": Told.ACCEPTED,
        "delivered": Told.DELIVERED,
        "read": Told.OPENED,  # of channels with receipts
        "undelivered": Told.BOUNCED,
        "failed": Told.BOUNCED,
    }
    errors: ClassVar[Mapping[str, Told]] = {  # where the code says more than the status
        "21610": Told.UNSUBSCRIBED,  # they had answered STOP; a messaging service finds out only now
        "30001": Told.REJECTED,  # the queue was full
        "30002": Told.REJECTED,  # the account was suspended
        "30036": Told.REJECTED,  # it waited longer than its validity
    }
    dead: ClassVar[frozenset[str]] = frozenset(
        {
            "21211",  # not a number
            "21265",  # a short code
            "21614",  # not a mobile number
            "21635",  # a landline
            "30005",  # unknown or out of service
            "30006",  # a landline; from a short code also a carrier that it does not reach
        }
    )  # not 30003: a phone that is switched off
    keywords: ClassVar[Mapping[str, Told]] = {  # an `OptOutType`, or the whole of a message
        **dict.fromkeys(
            ("STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"), Told.UNSUBSCRIBED
        ),
        **dict.fromkeys(("START", "UNSTOP"), Told.RESUBSCRIBED),
    }  # not YES, which Twilio takes for START: it may answer another question
    spoken: ClassVar[Mapping[tuple[Told, str | None], tuple[str, str]]] = {  # what the recorder tells: status, error
        (Told.ACCEPTED, None): ("sent", ""),
        (Told.REJECTED, None): ("failed", "30001"),
        (Told.DELIVERED, None): ("delivered", ""),
        (Told.OPENED, None): ("read", ""),
        (Told.BOUNCED, "hard"): ("undelivered", "30005"),
        (Told.BOUNCED, "soft"): ("undelivered", "30003"),
        (Told.BOUNCED, None): ("undelivered", "30003"),
    }
    answered: ClassVar[Mapping[Told, str]] = {Told.UNSUBSCRIBED: "STOP", Told.RESUBSCRIBED: "START"}

    @classmethod
    def is_signed(cls, heard: Heard, secrets: Mapping[str, str], now: datetime) -> bool:  # noqa: ARG003 - undated
        given = heard.headers.get(_SIGNATURE, "").encode(errors="replace")
        try:
            signed, addresses = _signed(heard), _addresses(heard.url)
        except ValueError:
            return False
        expected = [signature(secrets["auth_token"], address, signed).encode() for address in addresses]
        return any([hmac.compare_digest(each, given) for each in expected])  # noqa: C419 - all, whichever fits

    @classmethod
    def mistakes(cls, setup: Setup) -> Iterator[tuple[tuple[str, str], str]]:
        """Twilio signs the address that it was told, and the gateway knows itself by one alone. A token is any text."""
        told = setup.options.get("callback_url")
        if told and _addresses(told) != _addresses(setup.url):
            message = f"{told} is not where the gateway is reached, by TAILRACE_GATEWAY: {setup.url}"
            yield ("options", "callback_url"), message

    @classmethod
    def reports(cls, heard: Heard) -> Iterable[Report]:
        fields = parse_qsl(heard.body.decode(), keep_blank_values=True, strict_parsing=True, max_num_fields=MOST_FIELDS)
        form = _whole(dict(fields))
        at = datetime.fromisoformat(heard.headers[RECEIVED])
        report = cls._status(form, heard.url, at) if "MessageStatus" in form else cls._answer(form, at)
        return [report] if report else []

    @classmethod
    def _status(cls, form: Mapping[str, str], url: str, at: datetime) -> Report | None:
        sid, status, error = form["MessageSid"], form["MessageStatus"], form.get("ErrorCode", "")
        told = cls.statuses.get(status)
        if told is None:
            return None
        if told is Told.BOUNCED:
            told = cls.errors.get(error, told)
        return Report(
            event_id=f"{sid}:{status}",
            told=told,
            at=at,
            send_key=next(iter(parse_qs(urlsplit(url).query).get("send_key", ())), None),
            contact=form.get("To"),
            bounce=cls._bounce(error, form.get("From", "")) if told is Told.BOUNCED else None,
            reason=f"{error} {form.get('ErrorMessage', '')}".strip() or None,
            provider_id=sid,
        )

    @classmethod
    def _bounce(cls, error: str, sender: str) -> Literal["hard", "soft"]:
        perhaps_the_carrier = error == "30006" and is_short_code(sender)
        return "hard" if error in cls.dead and not perhaps_the_carrier else "soft"

    @classmethod
    def _answer(cls, form: Mapping[str, str], at: datetime) -> Report | None:
        """Only Advanced Opt-Out sends an `OptOutType`; otherwise Twilio knows the same words by the text alone."""
        if form.get("SmsStatus", "received") != "received" or not form["To"] or not form["From"]:
            raise ValueError("neither a status nor an answer")
        sid, contact = form["MessageSid"], form["From"]
        word = (form.get("OptOutType") or form.get("Body", "")).strip().upper()
        told = cls.keywords.get(word)
        if told is None:
            return None
        return Report(f"{sid}:{word.lower()}", told, at, contact=contact, reason=word, provider_id=sid)

    @classmethod
    def tell(cls, url: str, reports: Sequence[Report], at: datetime) -> Iterator[httpx.Request]:  # noqa: ARG003 - undated
        """Left out: a click and a complaint, for which Twilio has no word, and an answer from nobody's number."""
        for report in reports:
            if status := cls.spoken.get((report.told, report.bounce)):
                address = callback(url, report.send_key) if report.send_key else url
                yield _request(address, _status_form(report, *status))
            elif (word := cls.answered.get(report.told)) and report.contact:
                yield _request(url, _answer_form(report, report.contact, word))


def callback(url: str, send_key: str) -> str:
    """Where Twilio tells what becomes of this message: its query is all that comes back with it."""
    return f"{url}?send_key={quote(send_key, safe='')}"


def is_short_code(sender: str) -> bool:
    return sender.isdecimal() and len(sender) <= _SHORT_CODE_DIGITS


def dev_sid(name: str) -> str:
    """A message's name at Twilio, in dev: the same for the same `name`."""
    return f"SM{hashlib.blake2b(name.encode(), digest_size=16).hexdigest()}"


def signature(token: str, url: str, form: Iterable[tuple[str, str]]) -> str:
    """Base64 of HMAC-SHA1 over the address and the sorted fields, name and value; a repeated field counts once."""
    text = url + "".join(name + value for name, value in sorted(set(form)))
    return base64.b64encode(hmac.new(token.encode(), text.encode(errors="replace"), "sha1").digest()).decode()


def _whole(form: Mapping[str, str]) -> Mapping[str, str]:
    """A form with the two names that are in all of them. Raises LookupError or ValueError.

    What is signed does not say where a field ends: a name that runs into the next field is none, and no new event.
    """
    if not _ACCOUNT.fullmatch(form["AccountSid"]) or not _MESSAGE.fullmatch(form["MessageSid"]):
        raise ValueError("not a form of Twilio's")
    return form


def _signed(heard: Heard) -> Form:
    """The fields that are signed beside the address; none of another body, whose hash is in the address.

    Raises ValueError where that hash is another body's, or the form larger than any of Twilio's.
    """
    digest = parse_qs(urlsplit(heard.url).query).get("bodySHA256")
    if digest is None or heard.headers.get("content-type", "").startswith(_FORM):
        if len(heard.body) > LARGEST_FORM:
            raise ValueError("too large")
        return parse_qsl(heard.body.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    if not hmac.compare_digest(hashlib.sha256(heard.body).hexdigest().encode(), digest[0].encode(errors="replace")):
        raise ValueError("the body is not the one that was signed")
    return ()


def _addresses(url: str) -> Sequence[str]:
    """Without and with a port: Twilio signs now one and now the other, and its own validators take both.

    Raises ValueError where the port is no port.
    """
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    host = parts.netloc.removesuffix(f":{port}")
    return [parts._replace(netloc=netloc).geturl() for netloc in (host, f"{host}:{port}")]


def _request(url: str, form: Form) -> httpx.Request:
    return form_request(url, form, {"X-Twilio-Signature": signature("dev-auth_token", url, form)})


def _status_form(report: Report, status: str, error: str) -> Form:
    name = report.provider_id or dev_sid(report.send_key or report.event_id)
    form = {"MessageSid": name, "SmsSid": name, "MessageStatus": status, "SmsStatus": status, "From": _DEV_NUMBER}
    form |= {"To": report.contact} if report.contact else {}
    form |= {"ErrorCode": error} if error else {}
    return [("AccountSid", _DEV_ACCOUNT), *form.items()]


def _answer_form(report: Report, contact: str, word: str) -> Form:
    name = report.provider_id or dev_sid(report.event_id)
    form = {"MessageSid": name, "SmsSid": name, "SmsStatus": "received", "From": contact, "To": _DEV_NUMBER}
    return [("AccountSid", _DEV_ACCOUNT), *form.items(), ("Body", word), ("OptOutType", word)]
