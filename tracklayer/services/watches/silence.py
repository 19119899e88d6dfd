"""Whether merchants still send: ``tracking_stopped``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from tracklayer.db import monitors as db
from tracklayer.domain.alert import AlertKind, Subject
from tracklayer.domain.monitors import judge_merchant
from tracklayer.domain.monitors.learn import LEARN_FROM, Rhythm
from tracklayer.domain.monitors.tracking_stopped import may_have_stopped
from tracklayer.domain.monitors.views import LEVEL_OF, MerchantView
from tracklayer.services.watches.page import Page, Verdicts


def look_at_silence(page: Page) -> Verdicts:
    verdicts = Verdicts()
    for merchant_id, view in _views(page.merchant_ids, page.now).items():
        verdicts.add(merchant_id, [Subject(AlertKind.TRACKING_STOPPED)], judge_merchant(view, page.now))
    return verdicts


def rhythm_of(learned: dict[str, Any]) -> Rhythm:
    return Rhythm(tuple(learned["rates"]), learned["usual"])


def _views(merchant_ids: Sequence[int], now: datetime) -> dict[int, MerchantView]:
    views = {}
    for merchant_id, learned, minute in db.last_events(merchant_ids, now - LEARN_FROM):
        rhythm = rhythm_of(learned)
        if minute is None:
            continue  # silent for weeks: whoever is to know does, and an open alert stays
        last = minute + timedelta(minutes=1)  # somewhere in that minute
        view = MerchantView(rhythm, last)
        if may_have_stopped(rhythm, last, now):
            spans = [(last - length, last) for length in LEVEL_OF]
            level = rhythm.level(spans, db.minutes_with_events(merchant_id, spans))
            view = MerchantView(rhythm, last, level, db.rejected_since(merchant_id, last))
        views[merchant_id] = view
    return views
