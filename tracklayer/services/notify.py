"""Alerts by e-mail: one message when an alert opens, one when it becomes critical, one when it resolves, to each address.

A mail is a row, written with the change that it tells of. Its life:

- ``waiting``: due at ``next_attempt_at``. Judged each time it is taken, and cancelled when nobody needs it any more: the
  alert was acknowledged, is not in that state any more, the address is not one of the merchant's any more, knows all that
  it says, or is to be told something that was written later.
- ``sending``: leased by one process, and committed so, before a byte goes out. Nobody else ever takes it, and nothing else
  about that alert goes to that address until its fate is known.
- ``sent``; or back to ``waiting`` with a longer pause, when it has certainly not gone out (no connection, or a
  refusal before the server had the whole message): that an alert is open for as long as it is, an end for 24 hours; then
  ``failed``. An address that the server refuses for good fails at once.
- ``unknown``: the sender died, or the connection was lost, when the server may already have had the message. It is
  never sent again: at the price of a missing mail now and then, no mail ever comes twice.

A server may take ten minutes to answer to a whole message. A thread waits for that; other mails go on.
"""

from __future__ import annotations

import html
import logging
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime
from enum import Enum, auto
from urllib.parse import urlsplit

from tracklayer.db import alert_mails as db
from tracklayer.db.alert_mails import Mail
from tracklayer.db.alerts import alerts_by_id, lock_alerts
from tracklayer.db.connection import DatabaseAwayError, in_transaction
from tracklayer.db.merchants import merchant_by_id
from tracklayer.db.models import AlertRow, MerchantRow
from tracklayer.domain.alert import Severity, is_news, over
from tracklayer.domain.retry import doubling
from tracklayer.runtime import Runtime
from tracklayer.services.alert import end_of, mailed_end
from tracklayer.services.alone import tell_fault
from tracklayer.services.channels import alert_url, told_of
from tracklayer.services.mail import (
    ANSWER_SECONDS,
    WHOLE_SECONDS,
    FateUnknownError,
    Mailer,
    MailError,
    NoAnswerYetError,
    NotSentError,
    NotThisOneError,
    RefusedError,
    SmtpServer,
)
from tracklayer.services.mail import TIMEOUT_SECONDS as PATIENCE_SECONDS

log = logging.getLogger(__name__)

GIVE_UP_AFTER = timedelta(hours=24)
FIRST_PAUSE = timedelta(seconds=15)
LONGEST_PAUSE = timedelta(minutes=30)
LEASE = timedelta(minutes=5)  # three times half a minute (WHOLE_SECONDS), and a slow resolver, are over long before
RUN = timedelta(seconds=20)  # what is left is taken up by the next run
AT_ONCE = 5  # mails of a process: one that is being sent, and those that the server is silent about
LOST_AT_ONCE = 100

_hands = threading.BoundedSemaphore(AT_ONCE)


@dataclass(frozen=True)
class Taken:
    """A mail in hand, and what it tells of, as it was when it was taken."""

    mail: Mail
    alert: AlertRow
    merchant: MerchantRow


def email_alerts(runtime: Runtime, budget: timedelta = RUN) -> int:
    """Sends what is due, one mail after another; how many went out. Any number of processes may call it at once.

    One without a mail server sends nothing, and gives up what is to be given up, as the others do.

    Where the server says no to one mail it goes on with the next. After any other failure it stops: the next run tries the
    next mail, so that a server that hangs holds one thread for one mail's time.
    """
    now = runtime.clock.now()
    with in_transaction():
        lost = db.give_up_lost(now - LEASE, now, LOST_AT_ONCE)
        old = db.give_up_ends(now - GIVE_UP_AFTER, now, LOST_AT_ONCE)
    if lost:
        log.warning("%d e-mails were in the hands of a process that died: they are not sent again", lost)
    if old:
        log.warning("%d e-mails about the end of an alert were not sent for a day: they are given up", old)
    if runtime.settings.smtp_url is None:
        return 0
    server = smtp_server(runtime)
    deadline = time.monotonic() + budget.total_seconds()
    sent = 0
    with Mailer(server, PATIENCE_SECONDS, WHOLE_SECONDS) as mailer:
        while time.monotonic() < deadline and _hands.acquire(blocking=False):
            fate = None
            try:
                taken = take_next(runtime)
                if taken is None:
                    break
                fate = _send(runtime, mailer, server, taken)
            finally:
                if fate is not _Fate.NOT_KNOWN_YET:
                    _hands.release()
            sent += fate is _Fate.SENT
            if fate is _Fate.SERVER_FAILED:
                break
    return sent


def take_next(runtime: Runtime) -> Taken | None:
    """The longest due mail, leased to the caller, who alone may send it; None where nothing is due.

    What nobody needs to be told any more is cancelled on the way.
    """
    while True:
        now = runtime.clock.now()
        with in_transaction():
            mail = db.next_due(now)
            if mail is None:
                return None
            lock_alerts(mail.merchant_id)  # it is judged by what nobody changes meanwhile
            alert = alerts_by_id(mail.merchant_id, [mail.alert_id]).get(mail.alert_id)
            merchant = merchant_by_id(mail.merchant_id)
            if alert is None or merchant is None:
                continue  # gone, and the mail with it
            if not _is_wanted(mail, alert, merchant):
                db.cancel(mail, now)
                continue
            if mail.state == "resolved":
                alert = mailed_end(alert, end_of(alert, now), now)(mail.recipient)
            if db.lease(mail, alert.severity, now):
                return Taken(mail, alert, merchant)


def _is_wanted(mail: Mail, alert: AlertRow, merchant: MerchantRow) -> bool:
    is_open = mail.state == "open"
    if alert.acknowledged_at is not None or (alert.resolved_at is None) is not is_open:
        return False
    if mail.recipient not in merchant.alert_emails or db.has_newer(mail):
        return False
    if not is_open or mail.reminds:
        return True
    return is_news(db.heard(mail.merchant_id, mail.alert_id).get(mail.recipient), alert.severity)


def smtp_server(runtime: Runtime) -> SmtpServer:
    return SmtpServer.from_url(str(runtime.settings.smtp_url), f"tracklayer@{_host(runtime)}")


class _Fate(Enum):
    """``NOT_SENT``: for a reason that is this mail's own. ``NOT_KNOWN_YET``: a thread waits for the server's answer."""

    SENT = auto()
    NOT_KNOWN_YET = auto()
    NOT_SENT = auto()
    SERVER_FAILED = auto()


def _send(runtime: Runtime, mailer: Mailer, server: SmtpServer, taken: Taken) -> _Fate:
    """Sends one leased mail and writes down what became of it."""
    mail = taken.mail
    try:
        message = compose(runtime, mail, taken.alert, taken.merchant, server.sender)
    except Exception as error:  # noqa: BLE001 - told; it waits for the mended version, and the next one goes
        tell_fault(runtime, f"writing an e-mail of merchant {mail.merchant_id}", error)
        if isinstance(error, ValueError):  # an address that no header can hold
            _finish(runtime, mail, "failed", type(error).__name__)
        else:
            _put_off(runtime, mail, type(error).__name__)
        return _Fate.NOT_SENT
    try:
        mailer.send(message, mail.recipient, lambda error: _settle_late(runtime, server, mail, error))
    except NoAnswerYetError:
        # Where that cannot be written, the mail counts as lost until the answer comes.
        with suppress(DatabaseAwayError), in_transaction():
            db.hold(mail, runtime.clock.now() + timedelta(seconds=ANSWER_SECONDS))
        return _Fate.NOT_KNOWN_YET
    except (MailError, ValueError) as error:
        return _settle(runtime, server, mail, error)
    return _settle(runtime, server, mail, None)


def _settle_late(runtime: Runtime, server: SmtpServer, mail: Mail, error: MailError | None) -> None:
    try:
        _settle(runtime, server, mail, error)
    except DatabaseAwayError:
        pass  # the lease ends, and its fate is unknown
    except Exception as fault:  # noqa: BLE001 - told; the lease ends
        tell_fault(runtime, f"an answer to an e-mail of merchant {mail.merchant_id}", fault)
    finally:
        _hands.release()


def _settle(runtime: Runtime, server: SmtpServer, mail: Mail, error: MailError | ValueError | None) -> _Fate:
    """Writes down what became of a mail. ``error``: why it did not go out, or may not have; ValueError: no header can hold its address."""
    match error:
        case None:
            _finish(runtime, mail, "sent", None)
            return _Fate.SENT
        case NotSentError():
            _put_off(runtime, mail, error.reason)
            log.warning("an e-mail about an alert did not go out through %s (%s)", server.host, error.reason)
            return _Fate.NOT_SENT if isinstance(error, NotThisOneError) else _Fate.SERVER_FAILED
        case FateUnknownError():
            _finish(runtime, mail, "unknown", error.reason)
            log.warning(
                "%s fell silent with an e-mail in its hands (%s): it is not sent again", server.host, error.reason
            )
            return _Fate.SERVER_FAILED
        case _:
            reason = error.reason if isinstance(error, RefusedError) else type(error).__name__
            _finish(runtime, mail, "failed", reason)
            log.warning("%s takes no e-mail for an address of merchant %d (%s)", server.host, mail.merchant_id, reason)
            return _Fate.NOT_SENT


def _put_off(runtime: Runtime, mail: Mail, reason: str) -> None:
    """What has certainly not gone out is tried again later: that an alert is open for as long as it is, an end for a day."""
    now = runtime.clock.now()
    until = now + doubling(FIRST_PAUSE, LONGEST_PAUSE, mail.attempts)
    with in_transaction():
        if mail.state != "open" and until - mail.due_at > GIVE_UP_AFTER:
            db.finish(mail, "failed", now, reason)
        else:
            db.postpone(mail, until, now, reason)


def _finish(runtime: Runtime, mail: Mail, status: str, error: str | None) -> None:
    with in_transaction():
        db.finish(mail, status, runtime.clock.now(), error)


def compose(runtime: Runtime, mail: Mail, alert: AlertRow, merchant: MerchantRow, sender: str) -> EmailMessage:
    """The message: plain text and HTML that say the same. Its Message-ID is the change's, whenever it is sent.

    The subject is the alert's title: it says what happened and who must act, where its kind alone does not. The end is
    told in the words of the opening, or of when it became critical or lost something, behind what was lost meanwhile.
    """
    resolved = mail.state == "resolved"
    told = told_of(alert)
    title, text = told["title"], told["message"]
    link = alert_url(runtime.settings.public_url, mail.merchant_id, mail.alert_id)
    facts = [f"Open since {_instant(alert.opened_at)}."]
    if resolved and alert.resolved_at is not None:
        facts = [f"Open from {_instant(alert.opened_at)} until {_instant(alert.resolved_at)}."]
    head = f"Resolved: {title}" if resolved else title
    said = [over(text) if resolved else text, *facts]
    foot = (
        "You get this because your address is one of the merchant's alert addresses."
        if resolved
        else "Acknowledge the alert and no more e-mail is sent about it."
    )
    message = EmailMessage(policy=policy.SMTP)
    mark = "[Resolved] " if resolved else "[Critical] " if told["severity"] == Severity.CRITICAL else ""
    message["Subject"] = _one_line(f"{mark}{title} - {merchant.name}")
    message["From"] = sender
    message["To"] = mail.recipient
    message["Date"] = format_datetime(runtime.clock.now())
    thread = f"alert.{mail.merchant_id}.{mail.alert_id}"
    host = _host(runtime)
    message["Message-ID"] = f"<{thread}.{mail.change_id}.{mail.state}@{host}>"
    message["References"] = f"<{thread}@{host}>"  # mail programs show an alert's messages together
    message["Auto-Submitted"] = "auto-generated"
    message.set_content("\n\n".join([head, *said, link, foot]) + "\n")
    paragraphs = "".join(f"<p>{html.escape(text)}</p>" for text in said)
    message.add_alternative(
        f'<!doctype html><html><body><h1 style="font-size:1.2em">{html.escape(head)}</h1>{paragraphs}'
        f'<p><a href="{html.escape(link)}">Look at the alert</a></p><p><small>{html.escape(foot)}</small></p>'
        "</body></html>\n",
        subtype="html",
    )
    return message


def _host(runtime: Runtime) -> str:
    return urlsplit(runtime.settings.public_url).hostname or "localhost"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _instant(value: datetime) -> str:
    return f"{value:%Y-%m-%d %H:%M:%S} UTC"
