"""Whether merchants still send, all in all and each name: ``tracking_stopped``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from tracklayer.db import looks as db_looks
from tracklayer.db import monitors as db
from tracklayer.db import names as db_names
from tracklayer.db.names import QuietName
from tracklayer.domain.alert import AlertKind, Finding, Subject
from tracklayer.domain.facts import OTHERS
from tracklayer.domain.monitors import judge_merchant
from tracklayer.domain.monitors.learn import LEARN_FROM, Rhythm
from tracklayer.domain.monitors.tracking_stopped import (
    LEAST_SILENCE,
    TIMES_USUAL,
    TIMES_USUAL_OF_A_NAME,
    carrier,
    fell_silent_before,
    is_hushed,
    judge_carrier_missing,
    judge_name_stopped,
    may_have_stopped,
    most_frequent,
    told_at_the_earliest,
)
from tracklayer.domain.monitors.views import LEVEL_OF, MerchantView, NameView
from tracklayer.services.watches.names import rhythm_of
from tracklayer.services.watches.page import Page, Verdicts

MINUTE = timedelta(minutes=1)
LONGEST_REST = timedelta(hours=6)  # between two looks at a merchant of whom nothing can be told before
RELOOK = timedelta(minutes=5)
WHOLE = Subject(AlertKind.TRACKING_STOPPED)
REFUSED = Subject(AlertKind.EVENTS_REJECTED)


def look_at_silence(page: Page) -> Verdicts:
    """A merchant's own silence, then that of its names.

    While the merchant's own is open its names are not judged: what is open of them stays as it is. While it may be about
    to be, only those are that are open, or that had fallen silent long before. A name with an open alert is none of what
    is expected of the merchant: it is silent only if the others are. So the two never take turns.
    What is refused at the door has arrived: where an alert tells of that, none tells of silence.

    It writes down until when there is nothing to tell of each: no other look is needed before then, however busy it is.
    """
    verdicts = Verdicts()
    open_names = _open_names(page)
    sending: list[int] = []
    hushed: dict[int, datetime] = {}  # its last event
    again: dict[int, datetime] = {}
    for merchant_id, view, names in _views(page, open_names):
        if view.last_event_at is None:
            if view.rhythm is not None:
                again[merchant_id] = _again(view.rhythm, page.now, page.now)
            continue  # silent for weeks: whoever is to know does, and an open alert stays
        open_now = page.open_subjects(merchant_id)
        found, is_open = judge_merchant(view, page.now), WHOLE in open_now
        if found and REFUSED in open_now and db.rejected_since(merchant_id, page.now - LEAST_SILENCE):
            found = []
        elif not found and is_open and view.rhythm is not None:
            found = _without_its_carrier(page, merchant_id, view.rhythm, names)
        verdicts.add(merchant_id, [WHOLE], found)
        if found or is_open:
            continue  # it is looked at as long as an alert is open
        sending.append(merchant_id)
        if names is None and view.rhythm is not None:
            again[merchant_id] = _again(view.rhythm, view.last_event_at, page.now)
        if is_hushed(view, page.now):
            hushed[merchant_id] = view.last_event_at
    if sending:
        _look_at_names(page, sending, hushed, open_names, verdicts, again)
    db_looks.put_silence_off(again, page.now)
    return verdicts


def _again(rhythm: Rhythm, last: datetime, now: datetime, times: float = TIMES_USUAL) -> datetime:
    """When a silence is to be looked at that is not told now.

    One that may be told already, but for how little came before it or of others, has waited and may wait a little more.
    """
    at = told_at_the_earliest(rhythm, last, now, LONGEST_REST, times)
    return at if at > now else now + min(RELOOK, (now - last) / 50)


Names = Mapping[str, Rhythm]


def _views(page: Page, open_names: Mapping[int, Collection[str]]) -> list[tuple[int, MerchantView, Names | None]]:
    """(merchant, what is judged of it, the names without an open alert where there is one about another)."""
    views: list[tuple[int, MerchantView, Names | None]] = []
    now = page.now
    for merchant_id, learned, minute in db.last_events(page.merchant_ids, now - LEARN_FROM):
        rhythm: Rhythm | None = rhythm_of(learned)
        if minute is None:
            views.append((merchant_id, MerchantView(rhythm, None), None))
            continue
        names: Names | None = None
        name: str | None = None
        if merchant_id in open_names:
            names = _names_of(merchant_id, open_names[merchant_id])
            name = most_frequent(names)
            rhythm = names[name] if name is not None else None
        last = minute + MINUTE  # somewhere in that minute
        view = MerchantView(rhythm, last)
        if rhythm is not None and may_have_stopped(rhythm, last, now):
            spans = [(last - length, last) for length in LEVEL_OF]
            level = rhythm.level(spans, _active(merchant_id, name, spans))
            view = MerchantView(rhythm, last, level, db.rejected_since(merchant_id, last))
        views.append((merchant_id, view, names))
    return views


def _names_of(merchant_id: int, without: Collection[str] = ()) -> Names:
    learned = db_names.rhythms_of(merchant_id)
    return {name: rhythm_of(found) for name, found in learned.items() if name not in without}


def _active(merchant_id: int, name: str | None, spans: Sequence[tuple[datetime, datetime]]) -> list[int]:
    """In how many minutes of each span an event arrived: of one name, or (None) of any."""
    if name is None:
        return db.minutes_with_events(merchant_id, spans)
    return [db_names.minutes_of_names(merchant_id, [name], *span).get(name, 0) for span in spans]


def _without_its_carrier(page: Page, merchant_id: int, whole: Rhythm, names: Names | None) -> list[Finding]:
    """Of a merchant whose alert is open and of which something came again: whether what carries it did not."""
    if names is not None:
        return []  # an alert is open about the name that is missing: the merchant's own is about the others
    opened, _ = page.lately[merchant_id, WHOLE]
    rhythms = _names_of(merchant_id)
    also = [(merchant_id, name) for name in rhythms]
    quiet, _ = db_names.quiet_names([], also, page.now - LEARN_FROM, page.now)
    last = {one.name: one.minute + MINUTE for one in quiet}
    name = carrier(whole, rhythms, {name: at for name, at in last.items() if at <= opened}, page.now)
    refused = Subject(AlertKind.EVENTS_REJECTED, event_name=name)
    if name is None or refused in page.open_subjects(merchant_id):
        return []
    rejected = db_names.rejected_of_name(merchant_id, name, last[name])
    return [judge_carrier_missing(NameView(name, rhythms[name], last[name], rejected=rejected), page.now)]


# Names ---------------------------------------------------------------------------------------------------------------


def _open_names(page: Page) -> dict[int, set[str]]:
    """Merchant -> the names about whose silence an alert is open."""
    found: dict[int, set[str]] = {}
    for (merchant_id, subject), (_, resolved_at) in page.lately.items():
        if subject.kind is AlertKind.TRACKING_STOPPED and subject.event_name is not None and resolved_at is None:
            found.setdefault(merchant_id, set()).add(subject.event_name)
    return found


def _look_at_names(
    page: Page,
    merchant_ids: Sequence[int],
    hushed: Mapping[int, datetime],
    open_names: Mapping[int, Collection[str]],
    verdicts: Verdicts,
    again: dict[int, datetime],
) -> None:
    """An open one is judged in any case: where its name has no rhythm any more, nothing is usual, and it resolves."""
    also = [(merchant_id, name) for merchant_id in merchant_ids for name in open_names.get(merchant_id, ())]
    for merchant_id, name in also:
        verdicts.add(merchant_id, [_subject(name)])
    quiet: dict[int, list[QuietName]] = defaultdict(list)
    found_quiet, others = db_names.quiet_names(merchant_ids, also, page.now - LEARN_FROM, page.now)
    for found in found_quiet:
        quiet[found.merchant_id].append(found)
    for merchant_id, at in others.items():
        _sooner(again, merchant_id, at)
    for merchant_id, names in quiet.items():
        for each in names:
            _sooner(again, merchant_id, _again_of_name(page, each))
            finding = _judge(page, each, hushed.get(merchant_id))
            if finding is not None:
                verdicts.add(merchant_id, [finding.subject], [finding])


def _sooner(again: dict[int, datetime], merchant_id: int, at: datetime) -> None:
    """Of those that are looked at for an open alert anyway, nothing is noted."""
    if merchant_id in again:
        again[merchant_id] = min(again[merchant_id], at)


def _again_of_name(page: Page, found: QuietName) -> datetime:
    return _again(rhythm_of(found.rhythm), found.minute + MINUTE, page.now, TIMES_USUAL_OF_A_NAME)


def _subject(name: str) -> Subject:
    return Subject(AlertKind.TRACKING_STOPPED, event_name=name)


def _judge(page: Page, found: QuietName, hushed_since: datetime | None) -> Finding | None:
    merchant_id, name, now = found.merchant_id, found.name, page.now
    rhythm, last = rhythm_of(found.rhythm), found.minute + MINUTE
    known = page.lately.get((merchant_id, _subject(name)))
    if known is not None and known[1] is None:
        if last > known[0]:
            return None
        rejected = db_names.rejected_of_name(merchant_id, name, last)
        return judge_name_stopped(NameView(name, rhythm, last, rejected=rejected), is_open=True, now=now)
    refused = Subject(AlertKind.EVENTS_REJECTED, event_name=name)
    if not {refused, REFUSED}.isdisjoint(page.open_subjects(merchant_id)):
        return None
    whole = page.lately.get((merchant_id, WHOLE))
    since = last if whole is None or whole[1] is None else max(last, whole[1])
    if not may_have_stopped(rhythm, since, now, TIMES_USUAL_OF_A_NAME):
        return None
    if hushed_since is not None and not fell_silent_before(NameView(name, rhythm, since), hushed_since):
        return None
    return judge_name_stopped(_view(merchant_id, name, last, since, now), is_open=False, now=now)


def _view(merchant_id: int, name: str, last: datetime, since: datetime, now: datetime) -> NameView:
    rhythms = dict(_names_of(merchant_id))
    rhythm = rhythms.pop(name)
    spans = [(last - length, last) for length in LEVEL_OF]
    found = _active(merchant_id, name, spans)
    meanwhile = db_names.minutes_of_names(merchant_id, [*rhythms, OTHERS], since, now)
    # Whoever has more names than are counted by themselves: this one may be among the others.
    others = [(other.expected(since, now), meanwhile.get(each, 0)) for each, other in rhythms.items()]
    level = 0.0 if OTHERS in meanwhile else rhythm.level(spans, found)
    return NameView(name, rhythm, since, level, others, db_names.rejected_of_name(merchant_id, name, since))
