"""The life of an alert: opened, seen again, quiet, resolved, opened again, acknowledged.

One alert a merchant and subject is open at a time, however many schedulers look. Each opening and resolving is
written down as a change, and its e-mails as rows that wait, in the same transaction: whoever reads either later finds
both.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from tracklayer.db import alert_changes, alert_mails
from tracklayer.db import alerts as db
from tracklayer.db.connection import in_transaction
from tracklayer.db.models import AlertRow
from tracklayer.domain.alert import REOPEN_WITHIN, Finding, Known, Step, Subject, next_step
from tracklayer.domain.node_id import node_id
from tracklayer.runtime import Runtime

# Who was told that it is over is told that it is back only when it stays: a flapping platform fills no inbox.
TELL_AGAIN_AFTER = timedelta(minutes=5)


def settle_findings(
    runtime: Runtime, merchant_id: int, findings: Sequence[Finding], judged: Collection[Subject], now: datetime
) -> list[int]:
    """Makes a merchant's alerts what the monitors found; ids of those that opened, opened again or resolved.

    ``judged``: the subjects that were looked at. An open alert of one without a finding is quiet, and resolves when
    that has lasted (domain.alert.QUIET); subjects that were not judged stay as they are. One transaction; safe with any
    number of callers at once, and a verdict that comes late undoes no later one. Two findings of one subject: the last
    one counts.
    """
    by_subject: dict[Subject, Finding | None] = dict.fromkeys(judged)
    by_subject.update({finding.subject: finding for finding in findings})
    since = now - REOPEN_WITHIN
    with in_transaction():
        if not any(
            step is not Step.NONE for _, _, step in _steps(db.known_alerts(merchant_id, since), by_subject, now)
        ):
            return []
        db.lock_alerts(merchant_id)
        changed = [
            _take(runtime, merchant_id, known, finding, step, now)
            for known, finding, step in _steps(db.known_alerts(merchant_id, since), by_subject, now)
        ]
    return [alert_id for alert_id in changed if alert_id is not None]


def acknowledge_alert(runtime: Runtime, merchant_id: int, alert_id: int) -> AlertRow | None:
    """The alert, known to somebody since now or since it was first acknowledged: no more e-mail about it goes out.

    None where the merchant has no such alert.
    """
    now = runtime.clock.now()
    with in_transaction():
        row = db.acknowledge(merchant_id, alert_id, now)
        if row is not None:
            alert_mails.cancel_waiting(merchant_id, alert_id, now)
    return row


def alert_url(public_url: str, merchant_id: int, alert_id: int) -> str:
    """An alert's own page, which everything that tells of it links to."""
    return f"{public_url}/notifications/{node_id('Alert', merchant_id, alert_id)}"


def _steps(
    known: dict[Subject, Known], by_subject: dict[Subject, Finding | None], now: datetime
) -> list[tuple[Known | None, Finding | None, Step]]:
    return [
        (known.get(subject), finding, next_step(known.get(subject), finding, now))
        for subject, finding in by_subject.items()
    ]


def _take(
    runtime: Runtime, merchant_id: int, known: Known | None, finding: Finding | None, step: Step, now: datetime
) -> int | None:
    """Does one step; the alert's id where it opened or resolved."""
    if step is Step.OPEN:
        assert finding is not None
        alert_id = db.insert_alert(merchant_id, finding, now)
        if alert_id is not None:
            _note(runtime, merchant_id, alert_id, "open", now)
        return alert_id
    if known is None or step is Step.NONE:
        return None
    match step:
        case Step.QUIET:
            db.quiet_alert(merchant_id, known.alert_id, now)
        case Step.RESOLVE:
            db.resolve_alert(merchant_id, known.alert_id, now)
            _note(runtime, merchant_id, known.alert_id, "resolved", now)
            return known.alert_id
        case _:
            assert finding is not None
            db.see_alert(merchant_id, known.alert_id, finding, now)
            if step is Step.REOPEN:
                _note(runtime, merchant_id, known.alert_id, "open", now)
                return known.alert_id
    return None


def _note(runtime: Runtime, merchant_id: int, alert_id: int, state: str, now: datetime) -> None:
    """Writes the change down, and the e-mails that it makes due.

    A resolving is told to those who were told, or were about to be told, of the opening: nobody learns only the half
    of it. Whoever was told neither, nor is any more, gets nothing.
    """
    change_id = alert_changes.insert_change(merchant_id, alert_id, state, now)
    if runtime.settings.smtp_url is None:
        return
    taken_back = alert_mails.cancel_waiting(merchant_id, alert_id, now)
    told = alert_mails.told(merchant_id, alert_id)
    due = []
    for recipient in alert_mails.recipients(merchant_id):
        last = told.get(recipient)
        if state == "open" and last != "open":
            due.append((recipient, now if last is None else now + TELL_AGAIN_AFTER))
        elif state == "resolved" and (last == "open" or (last is None and (recipient, "open") in taken_back)):
            due.append((recipient, now))
    alert_mails.insert_mails(merchant_id, alert_id, change_id, state, due)
