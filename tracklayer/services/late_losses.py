"""What is lost when its alert is over already: it had failed while that was open, and no later attempt was taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from tracklayer.db import alert_changes, alert_mails
from tracklayer.db import alerts as db
from tracklayer.db.alert_mails import Due
from tracklayer.db.connection import in_transaction
from tracklayer.db.models import AlertRow
from tracklayer.runtime import Runtime
from tracklayer.services import channels
from tracklayer.services.alert import LOOK_AFTER, balance_of, end_of, loss_of, mailed_end
from tracklayer.services.alone import alone

MOST_LOOKED_AT = 20  # alerts of one page of merchants by one look; up to 1,000 deliveries that wait are read of each
LOOK_AGAIN = 0.1  # when it has been over for so much longer
SWEPT = timedelta(minutes=10)  # by then what has waited for as long as it may is dropped


def tell_late_losses(runtime: Runtime, merchant_ids: Sequence[int]) -> None:
    """Tells once of each alert that is over what was lost since of what had failed, when nothing of that waits any more.

    Whoever was told of its end is told. Safe with any number of processes at once.
    """
    now = runtime.clock.now()
    due: list[tuple[int, int]] = []
    with alone(runtime, "looking for alerts that are over"), in_transaction():
        due = db.to_look_at(merchant_ids, now, MOST_LOOKED_AT)
    for merchant_id, alert_id in due:
        with (
            alone(runtime, f"looking what was lost after an alert of merchant {merchant_id} was over"),
            in_transaction(),
        ):
            db.lock_alerts(merchant_id)
            row = db.alerts_by_id(merchant_id, [alert_id]).get(alert_id)
            if row is not None and row.resolved_at is not None and row.told and row.told.get("look_at"):
                _look(runtime, row, row.resolved_at, now)


def _look(runtime: Runtime, row: AlertRow, over_at: datetime, now: datetime) -> None:
    loss, told = loss_of(row), row.told or {}
    if loss is None:
        db.keep_failing(row.merchant_id, row.alert_id, None, None)
        return
    failing = loss.failing(over_at)
    if failing.count or not failing.worth.is_all:
        look_at = None
        if now < over_at + runtime.settings.retry_window + SWEPT:
            look_at = now + max(LOOK_AFTER, (now - over_at) * LOOK_AGAIN)
        elif now > datetime.fromisoformat(told["look_at"]) + SWEPT:
            look_at = now + SWEPT  # nobody looked for a while: nobody may have dropped what is to be, either
        if look_at is not None:
            db.keep_failing(row.merchant_id, row.alert_id, told.get("failing"), look_at)
            return
    db.keep_failing(row.merchant_id, row.alert_id, None, None)
    lost = loss.lost_later(over_at, now)
    if lost.count:
        db.keep_balance(row.merchant_id, row.alert_id, *balance_of(loss, over_at, now, later=lost))
    elif not (loss.others_later and replace(loss, others_later=()).lost_later(over_at, now).count):
        return
    db.keep_late(row.merchant_id, row.alert_id, (*loss.failed(over_at), now))
    _tell(runtime, row.merchant_id, row.alert_id, now, is_news=bool(lost.count))


def _tell(runtime: Runtime, merchant_id: int, alert_id: int, now: datetime, *, is_news: bool) -> None:
    """``is_news``: to all who were told of its end; else to those who do not hear it from another alert."""
    row = db.alerts_by_id(merchant_id, [alert_id])[alert_id]
    url = channels.alert_url(runtime.settings.public_url, merchant_id, alert_id)
    end = end_of(row, now)
    channels.note_late(row, url, end, now, is_news=is_news)
    if row.acknowledged_at is not None:
        return
    heard, waiting = alert_mails.heard(merchant_id, alert_id), alert_mails.waiting(merchant_id, alert_id)
    as_told = mailed_end(row, end, now)
    due = [
        Due(one, now)
        for one in alert_mails.recipients(merchant_id)
        if (one in waiting or ((known := heard.get(one)) is not None and known.state == "resolved"))
        and (is_news or channels.has_lost_later(as_told(one)))
    ]
    # A number as a change has, and no change: whoever follows the alerts has been told that it is over.
    alert_mails.insert_mails(merchant_id, alert_id, alert_changes.next_number(), "resolved", due)
