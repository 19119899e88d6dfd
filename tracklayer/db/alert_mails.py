"""E-mails about alerts: one row a change and address, leased in a transaction of its own before anything is sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import orjson

from tracklayer.db.connection import execute, rows

SENDER_DIED = "SenderDied"  # says nothing of the server
LOST_LATELY = timedelta(hours=1)
# Of one alert's addresses the server may take one and refuse another, which is a wrong address.
BESIDE = timedelta(minutes=1)
AHEAD = timedelta(minutes=1)  # of a mail that was sent later nobody can know: a clock has been set back since


@dataclass(frozen=True, slots=True)
class Mail:
    """One e-mail in hand. ``recipient`` has no place in a log."""

    merchant_id: int
    mail_id: int
    alert_id: int
    change_id: int
    state: str
    recipient: str
    due_at: datetime
    attempts: int


def cancel_waiting(merchant_id: int, alert_id: int, now: datetime) -> set[tuple[str, str]]:
    """Takes back what has not gone out yet; (recipient, state) of each."""
    found = rows(
        "UPDATE alert_mails SET status = 'cancelled', finished_at = %s "
        "WHERE merchant_id = %s AND alert_id = %s AND status = 'waiting' RETURNING recipient, state",
        (now, merchant_id, alert_id),
    )
    return {(row[0], row[1]) for row in found}


def waiting(merchant_id: int, alert_id: int) -> set[str]:
    """Who is about to be told."""
    found = rows(
        "SELECT recipient FROM alert_mails WHERE merchant_id = %s AND alert_id = %s AND status = 'waiting'",
        (merchant_id, alert_id),
    )
    return {row[0] for row in found}


def told(merchant_id: int, alert_id: int) -> dict[str, str]:
    """Recipient -> the state of the alert that they were told last, or are being told, or may have been told."""
    found = rows(
        "SELECT DISTINCT ON (recipient) recipient, state FROM alert_mails WHERE merchant_id = %s AND alert_id = %s "
        "AND status IN ('sending', 'sent', 'unknown') ORDER BY recipient, mail_id DESC",
        (merchant_id, alert_id),
    )
    return {row[0]: row[1] for row in found}


def recipients(merchant_id: int) -> list[str]:
    """Who gets a merchant's alerts, each once."""
    found = rows("SELECT alert_emails FROM merchants WHERE merchant_id = %s", (merchant_id,))
    return list(dict.fromkeys(found[0][0])) if found else []


def insert_mails(
    merchant_id: int, alert_id: int, change_id: int, state: str, due: Sequence[tuple[str, datetime]]
) -> None:
    """One mail for each (recipient, when it is due)."""
    if due:
        records = [{"recipient": recipient, "due_at": at} for recipient, at in due]
        execute(
            "INSERT INTO alert_mails (merchant_id, alert_id, change_id, state, recipient, due_at, next_attempt_at) "
            "SELECT %s, %s, %s, %s, recipient, due_at, due_at "
            "FROM json_to_recordset(%s::json) AS x(recipient text, due_at timestamptz) ON CONFLICT DO NOTHING",
            (merchant_id, alert_id, change_id, state, orjson.dumps(records).decode()),
        )


# Relevant: the alert is still in the state that the mail tells of, nobody has acknowledged it, and the address is
# still one of the merchant's.
TAKE_NEXT = """
WITH due AS (
    SELECT merchant_id, mail_id FROM alert_mails WHERE status = 'waiting' AND next_attempt_at <= %(now)s
    ORDER BY next_attempt_at LIMIT 1 FOR UPDATE SKIP LOCKED
), judged AS (
    SELECT d.merchant_id, d.mail_id,
           a.acknowledged_at IS NULL AND (a.resolved_at IS NULL) = (m.state = 'open')
           AND m.recipient = ANY(o.alert_emails) AS relevant
    FROM due d
    JOIN alert_mails m ON m.merchant_id = d.merchant_id AND m.mail_id = d.mail_id
    JOIN alerts a ON a.merchant_id = m.merchant_id AND a.alert_id = m.alert_id
    JOIN merchants o ON o.merchant_id = m.merchant_id
)
UPDATE alert_mails m
SET status = CASE WHEN j.relevant THEN 'sending' ELSE 'cancelled' END,
    leased_at = CASE WHEN j.relevant THEN %(now)s::timestamptz END,
    finished_at = CASE WHEN j.relevant THEN NULL ELSE %(now)s::timestamptz END,
    attempts = m.attempts + CASE WHEN j.relevant THEN 1 ELSE 0 END
FROM judged j WHERE m.merchant_id = j.merchant_id AND m.mail_id = j.mail_id
RETURNING m.status, m.merchant_id, m.mail_id, m.alert_id, m.change_id, m.state, m.recipient, m.due_at, m.attempts
"""


def take_next(now: datetime) -> Mail | None:
    """The longest due mail, leased to the caller, who alone may send it; None where nothing is due.

    What nobody needs to be told any more is cancelled on the way.
    """
    while True:
        found = rows(TAKE_NEXT, {"now": now})  # type: ignore[arg-type]
        if not found:
            return None
        if found[0][0] == "sending":
            return Mail(*found[0][1:])


def finish(mail: Mail, status: str, now: datetime, error: str | None = None) -> None:
    """Writes down what became of a mail: sent, failed or unknown."""
    execute(
        "UPDATE alert_mails SET status = %s, finished_at = %s, last_error = coalesce(%s, last_error) "
        "WHERE merchant_id = %s AND mail_id = %s AND attempts = %s AND status IN ('sending', 'unknown')",
        (status, now, error, mail.merchant_id, mail.mail_id, mail.attempts),
    )


def postpone(mail: Mail, until: datetime, now: datetime, error: str) -> None:
    """Gives a mail back that has certainly not gone out."""
    execute(
        "UPDATE alert_mails SET status = 'waiting', leased_at = NULL, next_attempt_at = %s, last_error = %s, "
        "failing_since = coalesce(failing_since, %s) "
        "WHERE merchant_id = %s AND mail_id = %s AND attempts = %s AND status = 'sending'",
        (until, error, now, mail.merchant_id, mail.mail_id, mail.attempts),
    )


def give_up_lost(leased_before: datetime, now: datetime, limit: int) -> int:
    """Mails whose sender is no more: they may have gone out, so they are never sent again. How many."""
    return execute(
        "UPDATE alert_mails m SET status = 'unknown', finished_at = %s, last_error = %s "
        "FROM (SELECT merchant_id, mail_id FROM alert_mails WHERE status = 'sending' AND leased_at < %s "
        "ORDER BY leased_at LIMIT %s FOR UPDATE SKIP LOCKED) AS lost "
        "WHERE m.merchant_id = lost.merchant_id AND m.mail_id = lost.mail_id",
        (now, SENDER_DIED, leased_before, limit),
    )


@dataclass(frozen=True, slots=True)
class MailTrouble:
    """``failing``: mails that wait because an attempt failed. ``lost``: given up, or of unknown fate, lately; the first and the
    latest of these errors.
    """

    failing: int
    since: datetime | None
    last_error: str | None
    lost: int
    lost_at: datetime | None
    lost_error: str | None


def mail_trouble(lost_since: datetime, *, without_dead: bool = False) -> MailTrouble:
    """What an operator should know, without any address. ``without_dead``: those do not count whose sender died."""
    waiting = rows(
        "SELECT count(*), min(failing_since), (array_agg(last_error ORDER BY next_attempt_at DESC))[1] "
        "FROM alert_mails WHERE status = 'waiting' AND failing_since IS NOT NULL"
    )[0]
    lost = rows(
        "SELECT count(*), min(finished_at), (array_agg(last_error ORDER BY finished_at DESC))[1] FROM alert_mails "
        "WHERE status IN ('failed', 'unknown') AND finished_at >= %s AND (last_error IS DISTINCT FROM %s OR NOT %s)",
        (lost_since, SENDER_DIED, without_dead),
    )[0]
    return MailTrouble(*waiting, *lost)


def mails_unsent(now: datetime, within: timedelta) -> MailTrouble | None:
    """What became of mails while the server took none; None where it took one within this time, or nothing failed that long
    ago. Lost counts what was within the last hour.
    """
    trouble = mail_trouble(now - LOST_LATELY, without_dead=True)
    if not trouble.failing and not trouble.lost:
        return None
    last_sent = rows(
        "SELECT max(finished_at) FROM alert_mails WHERE due_at >= %s AND status = 'sent' AND finished_at <= %s",
        (now - timedelta(hours=25), now + AHEAD),
    )[0][0]
    if last_sent is not None:
        if last_sent >= now - within:
            return None
        trouble = mail_trouble(max(now - LOST_LATELY, last_sent + BESIDE), without_dead=True)
    since = [at for at in (trouble.since, trouble.lost_at) if at is not None]
    return trouble if since and now - min(since) >= within else None


def purge_mails(before: datetime, limit: int) -> int:
    """Deletes up to ``limit`` mails that were due before an instant; how many."""
    return execute(
        "DELETE FROM alert_mails m USING (SELECT merchant_id, mail_id FROM alert_mails WHERE due_at < %s "
        "ORDER BY due_at LIMIT %s) AS old WHERE m.merchant_id = old.merchant_id AND m.mail_id = old.mail_id",
        (before, limit),
    )
