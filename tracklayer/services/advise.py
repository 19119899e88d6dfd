"""What settings alone say is about to cost conversions: test modes left on, credentials that end, alerts that reach nobody."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from tracklayer.db import alert_mails, channels
from tracklayer.db.alerts import open_alerts
from tracklayer.db.models import DestinationRow, MerchantRow
from tracklayer.domain.advice import (
    Advice,
    Untold,
    age_advice,
    expiry_advice,
    test_mode_advice,
    token_end,
    untold_advice,
)
from tracklayer.mappers import mapper_for
from tracklayer.mappers.base import Mapper
from tracklayer.runtime import Runtime
from tracklayer.sealing import Sealer, SealError
from tracklayer.services.channels import hearers
from tracklayer.services.credentials import open_secrets

PATIENCE = timedelta(minutes=15)  # what has not arrived by then does not arrive


def advice_of_settings(sealer: Sealer, row: DestinationRow, now: datetime) -> list[Advice]:
    """Of secrets that were sealed with a key that this process lacks, nothing is said."""
    mapper = mapper_for(row.platform)
    try:
        secrets = open_secrets(sealer, row)
    except SealError:
        secrets = {}
    found = [*_test_mode(mapper, row, now), *_credentials(mapper, row, secrets, now)]
    return [advice for advice in found if advice is not None]


def advice_of_telling(runtime: Runtime, merchant: MerchantRow, now: datetime) -> list[Advice]:
    """Of open alerts that nobody was told of, nor is about to be. What somebody acknowledged or snoozed is known. Needs a transaction."""
    found = [
        row
        for row in open_alerts(merchant.merchant_id)
        if row.acknowledged_at is None and (row.snoozed_until is None or row.snoozed_until <= now)
    ]
    if not found:
        return []
    ids, since = [row.alert_id for row in found], now - PATIENCE
    has_server = runtime.settings.smtp_url is not None
    told = alert_mails.reached(merchant.merchant_id, ids, since if has_server else None)
    told |= channels.reached(merchant.merchant_id, ids, since)
    untold = [row for row in found if row.alert_id not in told]
    if not untold:
        return []
    who = hearers(runtime, merchant)
    why = Untold.NOBODY_WANTS_IT
    if any(who.hear(row.kind, row.severity) for row in untold):
        is_late = has_server and alert_mails.are_untried(merchant.merchant_id, ids, since)
        why = Untold.MAILS_ARE_LATE if is_late else Untold.NOTHING_ARRIVES
    elif merchant.alert_emails and not has_server:
        why = Untold.NO_MAIL_SERVER
    return [untold_advice([row.title for row in untold], untold[-1].opened_at, why)]


def _test_mode(mapper: Mapper, row: DestinationRow, now: datetime) -> list[Advice | None]:
    modes = {**mapper.test_mode, **dict.fromkeys(mapper.marks_of_tests)}
    return [
        test_mode_advice(row.platform, mapper.title, name, mapper.test_effect, _set_at(row, name), row.created_at, now)
        for name, value in modes.items()
        if (row.settings.get(name) == value if value is not None else row.settings.get(name))
    ]


def _credentials(mapper: Mapper, row: DestinationRow, secrets: Mapping[str, Any], now: datetime) -> list[Advice | None]:
    found: list[Advice | None] = []
    for setting in mapper.settings:
        if not setting.secret or not secrets.get(setting.name):
            continue
        name, label, set_at = setting.name, setting.label, _set_at(row, setting.name)
        label = label[0].lower() + label[1:] if label[1:2].islower() else label
        ends_at = token_end(secrets[name])
        if ends_at is not None:
            found.append(expiry_advice(row.platform, mapper.title, name, label, ends_at, set_at, now))
        elif lifetime := mapper.lifetimes.get(name):
            found.append(
                age_advice(row.platform, mapper.title, name, label, lifetime.length, lifetime.condition, set_at, now)
            )
    return found


def _set_at(row: DestinationRow, name: str) -> datetime | None:
    noted = row.setting_times.get(name)
    return datetime.fromisoformat(noted) if noted else None
