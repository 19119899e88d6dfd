"""Whether merchants still send, all in all and each name: ``tracking_stopped``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from tracklayer.db import monitors as db
from tracklayer.db import names as db_names
from tracklayer.db.names import QuietName
from tracklayer.domain.alert import AlertKind, Finding, Subject
from tracklayer.domain.facts import OTHERS
from tracklayer.domain.monitors import judge_merchant
from tracklayer.domain.monitors.learn import LEARN_FROM
from tracklayer.domain.monitors.tracking_stopped import (
    LEAST_SILENCE,
    TIMES_USUAL_OF_A_NAME,
    is_hushed,
    judge_name_stopped,
    may_have_stopped,
)
from tracklayer.domain.monitors.views import LEVEL_OF, MerchantView, NameView
from tracklayer.services.watches.names import rhythm_of
from tracklayer.services.watches.page import Page, Verdicts

MINUTE = timedelta(minutes=1)
WHOLE = Subject(AlertKind.TRACKING_STOPPED)
REFUSED = Subject(AlertKind.EVENTS_REJECTED)


def look_at_silence(page: Page) -> Verdicts:
    """A merchant's own silence, then that of its names.

    While the merchant's own is open, or may be about to be, its names are not judged: what is open of them stays as it is.
    What is refused at the door has arrived: where an alert tells of that, none tells of silence.
    """
    verdicts = Verdicts()
    views = _views(page.merchant_ids, page.now)
    sending = []
    for merchant_id, view in views.items():
        found = judge_merchant(view, page.now)
        if found and _is_open(page, merchant_id, REFUSED) and db.rejected_since(merchant_id, page.now - LEAST_SILENCE):
            found = []
        verdicts.add(merchant_id, [WHOLE], found)
        if not found and not _is_open(page, merchant_id, WHOLE) and not is_hushed(view, page.now):
            sending.append(merchant_id)
    if sending:
        _look_at_names(page, sending, verdicts)
    return verdicts


def _views(merchant_ids: Sequence[int], now: datetime) -> dict[int, MerchantView]:
    views = {}
    for merchant_id, learned, minute in db.last_events(merchant_ids, now - LEARN_FROM):
        rhythm = rhythm_of(learned)
        if minute is None:
            continue  # silent for weeks: whoever is to know does, and an open alert stays
        last = minute + MINUTE  # somewhere in that minute
        view = MerchantView(rhythm, last)
        if may_have_stopped(rhythm, last, now):
            spans = [(last - length, last) for length in LEVEL_OF]
            level = rhythm.level(spans, db.minutes_with_events(merchant_id, spans))
            view = MerchantView(rhythm, last, level, db.rejected_since(merchant_id, last))
        views[merchant_id] = view
    return views


def _is_open(page: Page, merchant_id: int, subject: Subject) -> bool:
    known = page.lately.get((merchant_id, subject))
    return known is not None and known[1] is None


# Names ---------------------------------------------------------------------------------------------------------------


def _look_at_names(page: Page, merchant_ids: Sequence[int], verdicts: Verdicts) -> None:
    """An open one is judged in any case: where its name has no rhythm any more, nothing is usual, and it resolves."""
    wanted = set(merchant_ids)
    open_names = [
        (merchant_id, subject.event_name)
        for (merchant_id, subject), (_, resolved_at) in page.lately.items()
        if merchant_id in wanted
        and subject.kind is AlertKind.TRACKING_STOPPED
        and subject.event_name is not None
        and resolved_at is None
    ]
    for merchant_id, name in open_names:
        verdicts.add(merchant_id, [_subject(name)])
    quiet: dict[int, list[QuietName]] = defaultdict(list)
    for found in db_names.quiet_names(merchant_ids, open_names, page.now - LEARN_FROM, page.now):
        quiet[found.merchant_id].append(found)
    for merchant_id, names in quiet.items():
        for each in names:
            finding = _judge(page, each)
            if finding is not None:
                verdicts.add(merchant_id, [finding.subject], [finding])


def _subject(name: str) -> Subject:
    return Subject(AlertKind.TRACKING_STOPPED, event_name=name)


def _judge(page: Page, found: QuietName) -> Finding | None:
    merchant_id, name, now = found.merchant_id, found.name, page.now
    rhythm, last = rhythm_of(found.rhythm), found.minute + MINUTE
    known = page.lately.get((merchant_id, _subject(name)))
    if known is not None and known[1] is None:
        if last > known[0]:
            return None
        rejected = db_names.rejected_of_name(merchant_id, name, last)
        return judge_name_stopped(NameView(name, rhythm, last, rejected=rejected), is_open=True, now=now)
    refused = Subject(AlertKind.EVENTS_REJECTED, event_name=name)
    if _is_open(page, merchant_id, refused) or _is_open(page, merchant_id, REFUSED):
        return None
    whole = page.lately.get((merchant_id, WHOLE))
    since = last if whole is None or whole[1] is None else max(last, whole[1])
    if not may_have_stopped(rhythm, since, now, TIMES_USUAL_OF_A_NAME):
        return None
    return judge_name_stopped(_view(merchant_id, name, last, since, now), is_open=False, now=now)


def _view(merchant_id: int, name: str, last: datetime, since: datetime, now: datetime) -> NameView:
    rhythms = {other: rhythm_of(learned) for other, learned in db_names.rhythms_of(merchant_id).items()}
    rhythm = rhythms.pop(name)
    spans = [(last - length, last) for length in LEVEL_OF]
    found = [db_names.minutes_of_names(merchant_id, [name], *span).get(name, 0) for span in spans]
    meanwhile = db_names.minutes_of_names(merchant_id, [*rhythms, OTHERS], since, now)
    # Whoever has more names than are counted by themselves: this one may be among the others.
    others = [(other.expected(since, now), meanwhile.get(each, 0)) for each, other in rhythms.items()]
    level = 0.0 if OTHERS in meanwhile else rhythm.level(spans, found)
    return NameView(name, rhythm, since, level, others, db_names.rejected_of_name(merchant_id, name, since))
