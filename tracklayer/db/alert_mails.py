"""E-mails about alerts: one row a change and address, leased in a transaction of its own before anything is sent."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import orjson

from tracklayer.db.connection import execute, rows
from tracklayer.domain.alert import Heard

SENDER_DIED = "SenderDied"
NEVER_TRIED = "NeverTried"
OF_NO_SERVER = [SENDER_DIED, NEVER_TRIED]  # what became of these says nothing of the server
LOST_LATELY = timedelta(hours=1)
# Of one alert's addresses the server may take one and refuse another, which is a wrong address.
BESIDE = timedelta(minutes=1)
AHEAD = timedelta(minutes=1)  # of a mail that was sent later nobody can know: a clock has been set back since


@dataclass(frozen=True, slots=True)
class Mail:
    """One e-mail in hand. ``recipient`` has no place in a log. ``attempts``: this one counts. ``reminds``: of what they know."""

    merchant_id: int
    mail_id: int
    alert_id: int
    change_id: int
    state: str
    recipient: str
    due_at: datetime
    attempts: int
    reminds: bool = False


def cancel_waiting(
    merchant_id: int, alert_id: int, now: datetime, states: Sequence[str] = ("open", "resolved")
) -> set[tuple[str, str]]:
    """Takes back what has not gone out yet; (recipient, state) of each."""
    found = rows(
        "UPDATE alert_mails SET status = 'cancelled', finished_at = %s "
        "WHERE merchant_id = %s AND alert_id = %s AND status = 'waiting' AND state = ANY(%s) RETURNING recipient, state",
        (now, merchant_id, alert_id, list(states)),
    )
    return {(row[0], row[1]) for row in found}


def waiting(merchant_id: int, alert_id: int) -> set[str]:
    """Who is about to be told."""
    found = rows(
        "SELECT recipient FROM alert_mails WHERE merchant_id = %s AND alert_id = %s AND status = 'waiting'",
        (merchant_id, alert_id),
    )
    return {row[0] for row in found}


def undecided(merchant_id: int, alert_id: int) -> set[str]:
    """Who is about to be told, or is being told."""
    found = rows(
        "SELECT recipient FROM alert_mails WHERE merchant_id = %s AND alert_id = %s AND status IN ('waiting', 'sending')",
        (merchant_id, alert_id),
    )
    return {row[0] for row in found}


def told_over(merchant_id: int, alert_id: int, before: datetime) -> dict[str, datetime]:
    """As of when each recipient was told last, or is being told, or may have been, that an alert is over; ``before``: of its earlier ends."""
    found = rows(
        "SELECT recipient, max(due_at) FROM alert_mails WHERE merchant_id = %s AND alert_id = %s AND state = 'resolved' "
        "AND status IN ('sending', 'sent', 'unknown') AND due_at < %s GROUP BY recipient",
        (merchant_id, alert_id, before),
    )
    return {row[0]: row[1] for row in found}


def hears(merchant_id: int, alert_ids: Collection[int], now: datetime) -> dict[str, set[int]]:
    """Recipient -> those of these alerts whose end they were told, or are to be; of one that is open, that it is. None that somebody has
    taken note of.
    """
    found = rows(
        "SELECT m.recipient, m.alert_id FROM (SELECT DISTINCT ON (recipient, alert_id) merchant_id, recipient, alert_id, state "
        "FROM alert_mails WHERE merchant_id = %s AND alert_id = ANY(%s) "
        "AND (status IN ('sending', 'sent', 'unknown') OR (status = 'waiting' AND due_at <= %s)) "
        "ORDER BY recipient, alert_id, mail_id DESC) AS m "
        "JOIN alerts a ON a.merchant_id = m.merchant_id AND a.alert_id = m.alert_id "
        "WHERE a.acknowledged_at IS NULL AND (a.resolved_at IS NULL OR m.state = 'resolved')",
        (merchant_id, sorted(alert_ids), now),
    )
    known: dict[str, set[int]] = {}
    for recipient, alert_id in found:
        known.setdefault(recipient, set()).add(alert_id)
    return known


def heard(merchant_id: int, alert_id: int) -> dict[str, Heard]:
    """What each recipient was told of an alert, or is being told, or may have been told."""
    found = rows(
        "SELECT recipient, state, severity FROM alert_mails WHERE merchant_id = %s AND alert_id = %s "
        "AND status IN ('sending', 'sent', 'unknown') ORDER BY mail_id",
        (merchant_id, alert_id),
    )
    known: dict[str, Heard] = {}
    for recipient, state, severity in found:
        known[recipient] = Heard.after(known.get(recipient), state, severity)
    return known


def recipients(merchant_id: int) -> list[str]:
    """Who gets a merchant's alerts, each once."""
    found = rows("SELECT alert_emails FROM merchants WHERE merchant_id = %s", (merchant_id,))
    return list(dict.fromkeys(found[0][0])) if found else []


def reached(merchant_id: int, alert_ids: Sequence[int], due_since: datetime | None) -> set[int]:
    """Those of these alerts that somebody who is still to be told was told of as open since they were told of their last end, or is
    about to be: what was due before and has not gone out is not about to. None: nobody is.
    """
    found = rows(
        "SELECT DISTINCT alert_id FROM alert_mails m WHERE merchant_id = %s AND alert_id = ANY(%s) AND state = 'open' "
        "AND recipient = ANY(SELECT unnest(alert_emails) FROM merchants WHERE merchant_id = %s) "
        "AND (status IN ('sending', 'sent', 'unknown') OR (status = 'waiting' AND due_at >= %s)) AND NOT EXISTS ("
        "SELECT FROM alert_mails e WHERE e.merchant_id = m.merchant_id AND e.alert_id = m.alert_id AND e.recipient = m.recipient "
        "AND e.mail_id > m.mail_id AND e.state = 'resolved' AND e.status IN ('waiting', 'sending', 'sent', 'unknown'))",
        (merchant_id, list(alert_ids), merchant_id, due_since),
    )
    return {row[0] for row in found}


MOST_ALERTS = 1000  # of one look
# About an alert that is open each address has a mail since the last end that it was told of, from the moment on that it is to be
# told and whatever becomes of it. Where there is none, a version opened it that wrote none as long as it had no mail server.
UNWRITTEN = """
SELECT a.merchant_id, a.alert_id, array_agg(DISTINCT r.recipient)
FROM alerts a JOIN merchants o ON o.merchant_id = a.merchant_id CROSS JOIN LATERAL unnest(o.alert_emails) AS r(recipient)
WHERE a.merchant_id = coalesce(%s, a.merchant_id) AND a.resolved_at IS NULL AND a.acknowledged_at IS NULL AND NOT EXISTS (
    SELECT FROM alert_mails e
    WHERE e.merchant_id = a.merchant_id AND e.alert_id = a.alert_id AND e.recipient = r.recipient AND NOT EXISTS (
        SELECT FROM alert_mails l
        WHERE l.merchant_id = e.merchant_id AND l.alert_id = e.alert_id AND l.recipient = e.recipient AND l.mail_id >= e.mail_id
        AND l.state = 'resolved' AND l.status IN ('sending', 'sent', 'unknown')))
GROUP BY a.merchant_id, a.alert_id LIMIT %s
"""


def unwritten(merchant_id: int | None, limit: int) -> list[tuple[int, int, list[str]]]:
    """(merchant, alert, addresses) of open alerts that nobody acknowledged: to these no mail says, or is to say, that it is open. None: of all
    merchants.
    """
    return [(row[0], row[1], row[2]) for row in rows(UNWRITTEN, (merchant_id, limit))]


def are_untried(merchant_id: int, alert_ids: Sequence[int], due_before: datetime) -> bool:
    """Whether a mail about one of these alerts was due before an instant and nobody has tried to send it yet, or it was not even
    written.
    """
    found = rows(
        "SELECT EXISTS (SELECT FROM alert_mails WHERE merchant_id = %s AND alert_id = ANY(%s) AND status = 'waiting' "
        "AND attempts = 0 AND due_at < %s AND recipient = ANY(SELECT unnest(alert_emails) FROM merchants WHERE merchant_id = %s))",
        (merchant_id, list(alert_ids), due_before, merchant_id),
    )
    return bool(found[0][0]) or any(one[1] in alert_ids for one in unwritten(merchant_id, MOST_ALERTS))


@dataclass(frozen=True, slots=True)
class Due:
    """A mail to be written. ``reminds``: it goes out even where its recipient knows all of it."""

    recipient: str
    at: datetime
    reminds: bool = False


def insert_mails(merchant_id: int, alert_id: int, change_id: int, state: str, due: Sequence[Due]) -> None:
    """One mail each."""
    if due:
        records = [{"recipient": one.recipient, "due_at": one.at, "reminds": one.reminds} for one in due]
        execute(
            "INSERT INTO alert_mails (merchant_id, alert_id, change_id, state, recipient, due_at, next_attempt_at, reminds) "
            "SELECT %s, %s, %s, %s, recipient, due_at, due_at, reminds "
            "FROM json_to_recordset(%s::json) AS x(recipient text, due_at timestamptz, reminds boolean) "
            "ON CONFLICT DO NOTHING",
            (merchant_id, alert_id, change_id, state, orjson.dumps(records).decode()),
        )


# One alert's mails to one address go out in order: the next one waits until it is known what became of the one in hand.
_IN_HAND = """
EXISTS (SELECT 1 FROM alert_mails e WHERE e.merchant_id = m.merchant_id AND e.alert_id = m.alert_id
    AND e.recipient = m.recipient AND e.status = 'sending')"""
NEXT_DUE = f"""
SELECT merchant_id, mail_id, alert_id, change_id, state, recipient, due_at, attempts + 1, reminds FROM alert_mails m
WHERE status = 'waiting' AND next_attempt_at <= %s AND NOT {_IN_HAND} ORDER BY next_attempt_at, mail_id LIMIT 1
"""


def next_due(now: datetime) -> Mail | None:
    """The longest due mail that may be taken; None where there is none. Any number of processes may find the same one."""
    found = rows(NEXT_DUE, (now,))
    return Mail(*found[0]) if found else None


def lease(mail: Mail, severity: str, now: datetime) -> bool:
    """Gives it to the caller, who alone may send it; False where it went to somebody else. Needs ``lock_alerts``.

    ``severity``: of the alert, as it is told now.
    """
    changed = execute(
        "UPDATE alert_mails m SET status = 'sending', leased_at = %s, attempts = %s, severity = %s "
        f"WHERE merchant_id = %s AND mail_id = %s AND status = 'waiting' AND attempts = %s AND NOT {_IN_HAND}",
        (
            now,
            mail.attempts,
            severity if mail.state == "open" else None,
            mail.merchant_id,
            mail.mail_id,
            mail.attempts - 1,
        ),
    )
    return changed > 0


def cancel(mail: Mail, now: datetime) -> None:
    """Takes back one that waits, since nobody needs it."""
    execute(
        "UPDATE alert_mails SET status = 'cancelled', finished_at = %s "
        "WHERE merchant_id = %s AND mail_id = %s AND status = 'waiting'",
        (now, mail.merchant_id, mail.mail_id),
    )


def has_newer(mail: Mail) -> bool:
    """Whether its recipient was, or is to be, told something of the alert that was written later."""
    return bool(
        rows(
            "SELECT 1 FROM alert_mails WHERE merchant_id = %s AND alert_id = %s AND recipient = %s AND mail_id > %s "
            "AND status <> 'cancelled' LIMIT 1",
            (mail.merchant_id, mail.alert_id, mail.recipient, mail.mail_id),
        )
    )


def hold(mail: Mail, until: datetime) -> None:
    """The server has it and takes its time: its sender's lease begins then."""
    execute(
        "UPDATE alert_mails SET leased_at = %s WHERE merchant_id = %s AND mail_id = %s AND attempts = %s AND status = 'sending'",
        (until, mail.merchant_id, mail.mail_id, mail.attempts),
    )


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


def give_up_ends(due_before: datetime, now: datetime, limit: int) -> int:
    """Mails about the end of an alert that nobody has sent since an instant: it is no news any more. How many."""
    return execute(
        "UPDATE alert_mails m SET status = 'failed', finished_at = %s, last_error = coalesce(m.last_error, %s) "
        "FROM (SELECT merchant_id, mail_id FROM alert_mails WHERE status = 'waiting' AND state = 'resolved' "
        "AND next_attempt_at < %s ORDER BY next_attempt_at LIMIT %s FOR UPDATE SKIP LOCKED) AS old "
        "WHERE m.merchant_id = old.merchant_id AND m.mail_id = old.mail_id",
        (now, NEVER_TRIED, due_before, limit),
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


def mail_trouble(lost_since: datetime, *, of_server: bool = False) -> MailTrouble:
    """What an operator should know, without any address. ``of_server``: only what says something of the mail server."""
    waiting = rows(
        "SELECT count(*), min(failing_since), (array_agg(last_error ORDER BY next_attempt_at DESC))[1] "
        "FROM alert_mails WHERE status = 'waiting' AND failing_since IS NOT NULL"
    )[0]
    lost = rows(
        "SELECT count(*), min(finished_at), (array_agg(last_error ORDER BY finished_at DESC))[1] FROM alert_mails "
        "WHERE status IN ('failed', 'unknown') AND finished_at >= %s AND (last_error <> ALL(%s) IS NOT FALSE OR NOT %s)",
        (lost_since, OF_NO_SERVER, of_server),
    )[0]
    return MailTrouble(*waiting, *lost)


def overdue(due_before: datetime) -> tuple[int, datetime | None]:
    """(how many mails were due before an instant and were not tried, since when the longest waits).

    Those that wait behind one to the same address that is in hand do not count, nor those whose address is not one of the
    merchant's any more.
    """
    found = rows(
        "SELECT count(*), min(next_attempt_at) FROM alert_mails m "
        f"WHERE status = 'waiting' AND failing_since IS NULL AND next_attempt_at < %s AND NOT {_IN_HAND} "
        "AND EXISTS (SELECT FROM merchants o WHERE o.merchant_id = m.merchant_id AND m.recipient = ANY(o.alert_emails))",
        (due_before,),
    )
    return found[0][0], found[0][1]


def are_going(since: datetime, now: datetime) -> bool:
    """Whether a mail is in hand, or was finished since an instant: whoever sends them is at it."""
    found = rows(
        "SELECT EXISTS (SELECT FROM alert_mails WHERE status = 'sending') OR EXISTS (SELECT FROM alert_mails "
        "WHERE due_at >= %s AND status IN ('sent', 'failed') AND finished_at >= %s AND finished_at <= %s)",
        (since - timedelta(hours=25), since, now + AHEAD),
    )
    return bool(found[0][0])


def mails_unsent(now: datetime, within: timedelta) -> MailTrouble | None:
    """What became of mails while the server took none; None where it took one within this time, or nothing failed that long
    ago. Lost counts what was within the last hour.
    """
    trouble = mail_trouble(now - LOST_LATELY, of_server=True)
    if not trouble.failing and not trouble.lost:
        return None
    last_sent = rows(
        "SELECT max(finished_at) FROM alert_mails WHERE due_at >= %s AND status = 'sent' AND finished_at <= %s",
        (now - timedelta(hours=25), now + AHEAD),
    )[0][0]
    if last_sent is not None:
        if last_sent >= now - within:
            return None
        trouble = mail_trouble(max(now - LOST_LATELY, last_sent + BESIDE), of_server=True)
    since = [at for at in (trouble.since, trouble.lost_at) if at is not None]
    return trouble if since and now - min(since) >= within else None


def purge_mails(before: datetime, limit: int) -> int:
    """Deletes up to ``limit`` mails that were due before an instant, of alerts that are over; how many.

    Who is told of the end of one that is open is known by them.
    """
    return execute(
        "DELETE FROM alert_mails m USING (SELECT merchant_id, mail_id FROM alert_mails d WHERE due_at < %s AND NOT EXISTS ("
        "SELECT FROM alerts a WHERE a.merchant_id = d.merchant_id AND a.alert_id = d.alert_id AND a.resolved_at IS NULL) "
        "ORDER BY due_at LIMIT %s) AS old WHERE m.merchant_id = old.merchant_id AND m.mail_id = old.mail_id",
        (before, limit),
    )
