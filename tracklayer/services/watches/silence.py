"""Whether merchants still send, all in all and each name: ``tracking_stopped``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from tracklayer.db import alerts as db_alerts
from tracklayer.db import looks as db_looks
from tracklayer.db import monitors as db
from tracklayer.db import names as db_names
from tracklayer.db.heartbeats import api_away
from tracklayer.db.names import QuietName
from tracklayer.domain.alert import AlertKind, Finding, Subject
from tracklayer.domain.alert_members import member_name
from tracklayer.domain.facts import OTHERS
from tracklayer.domain.monitors import judge_merchant
from tracklayer.domain.monitors.learn import LEARN_FROM, Away, Rhythm
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
    What is refused at the door has arrived: where an alert tells of that, none that is new tells of silence. One that is open
    is over with an event that is accepted and with nothing else, whatever was learned or forgotten meanwhile.

    While no API process lives nothing can come in: no silence is told then that was not told before, nor for as long again
    afterwards, LEAST_SILENCE at most, and such a span is no part of one that is told later.

    It writes down until when there is nothing to tell of each: no other look is needed before then, however busy it is.
    """
    verdicts = Verdicts()
    away = _away(page)
    open_names = _open_names(page)
    sending: list[int] = []
    hushed: dict[int, datetime] = {}  # its last event
    again: dict[int, datetime] = {}
    for merchant_id, view, names in _views(page, open_names, away):
        if view.last_event_at is None:
            if view.rhythm is not None:
                again[merchant_id] = _again(view.rhythm, page.now, page.now)
            continue  # silent for weeks: whoever is to know does, and an open alert stays
        open_now = page.open_subjects(merchant_id)
        is_open = WHOLE in open_now
        is_silent = is_open and view.last_event_at <= page.lately[merchant_id, WHOLE][0]  # since it was told
        if is_silent and view.rhythm is None:
            continue  # no event came: what is told stays, whether or not anything is usual now
        found = judge_merchant(view, page.now, is_open=is_silent)
        is_new = bool(found) and not is_silent
        if is_new and (away.is_fresh or _is_refused(page, merchant_id, view)):
            found = []
        elif not found and is_open and view.rhythm is not None:
            found = _without_its_carrier(page, merchant_id, view.rhythm, names, away)
        verdicts.add(merchant_id, [WHOLE], found)
        if found or is_open:
            continue  # it is looked at as long as an alert is open
        sending.append(merchant_id)
        if names is None and view.rhythm is not None:
            again[merchant_id] = _again(view.rhythm, view.last_event_at, page.now)
        if is_hushed(view, page.now):
            hushed[merchant_id] = view.last_event_at
    if sending:
        _look_at_names(page, sending, hushed, open_names, verdicts, again, away)
    db_looks.put_silence_off(again, page.now)
    return verdicts


def _is_refused(page: Page, merchant_id: int, view: MerchantView) -> bool:
    """Whether events come all the same, as often as is usual there, and an alert tells that they are refused."""
    if REFUSED not in page.open_subjects(merchant_id) or view.rhythm is None or view.last_event_at is None:
        return False
    last = db.last_rejected(merchant_id, view.last_event_at, page.now)
    return last is not None and not may_have_stopped(view.rhythm, last + MINUTE, page.now)


class _Away(NamedTuple):
    """When nothing could come in, as TrackLayer itself was away. ``is_fresh``: it is so now, or was a moment ago."""

    spans: Sequence[Away]
    is_fresh: bool


def _away(page: Page) -> _Away:
    spans = api_away(page.now - LEARN_FROM, page.now)
    # No longer than it was away: one that comes and goes would else keep all silences from being told.
    return _Away(spans, any(ended > page.now - min(LEAST_SILENCE, ended - began) for began, ended in spans))


def _again(rhythm: Rhythm, last: datetime, now: datetime, times: float = TIMES_USUAL) -> datetime:
    """When a silence is to be looked at that is not told now.

    One that may be told already, but for how little came before it or of others, has waited and may wait a little more.
    """
    at = told_at_the_earliest(rhythm, last, now, LONGEST_REST, times)
    return at if at > now else now + min(RELOOK, (now - last) / 50)


Names = Mapping[str, Rhythm]


def _views(
    page: Page, open_names: Mapping[int, Collection[str]], away: _Away
) -> list[tuple[int, MerchantView, Names | None]]:
    """(merchant, what is judged of it, the names without an open alert where there is one about another)."""
    views: list[tuple[int, MerchantView, Names | None]] = []
    now = page.now
    for merchant_id, learned, minute in db.last_events(page.merchant_ids, now - LEARN_FROM, now):
        rhythm: Rhythm | None = rhythm_of(learned, away.spans)
        if minute is None:
            views.append((merchant_id, MerchantView(rhythm, None), None))
            continue
        names: Names | None = None
        name: str | None = None
        if merchant_id in open_names:
            names = _names_of(merchant_id, away, open_names[merchant_id])
            name = most_frequent(names)
            rhythm = names[name] if name is not None else None
        last = minute + MINUTE  # somewhere in that minute
        view = MerchantView(rhythm, last)
        is_told = WHOLE in page.open_subjects(merchant_id)
        if rhythm is not None and (is_told or may_have_stopped(rhythm, last, now)):
            spans = [(last - length, last) for length in LEVEL_OF]
            level = rhythm.level(spans, _active(merchant_id, name, spans))
            view = MerchantView(rhythm, last, level, db.rejected_since(merchant_id, last))
        views.append((merchant_id, view, names))
    return views


def _names_of(merchant_id: int, away: _Away, without: Collection[str] = ()) -> Names:
    learned = db_names.rhythms_of(merchant_id)
    return {name: rhythm_of(found, away.spans) for name, found in learned.items() if name not in without}


def _active(merchant_id: int, name: str | None, spans: Sequence[tuple[datetime, datetime]]) -> list[int]:
    """In how many minutes of each span an event arrived: of one name, or (None) of any."""
    if name is None:
        return db.minutes_with_events(merchant_id, spans)
    return [db_names.minutes_of_names(merchant_id, [name], *span).get(name, 0) for span in spans]


def _without_its_carrier(
    page: Page, merchant_id: int, whole: Rhythm, names: Names | None, away: _Away
) -> list[Finding]:
    """Of a merchant whose alert is open and of which something came again: whether what carries it did not."""
    if names is not None:
        return []  # an alert is open about the name that is missing: the merchant's own is about the others
    opened, _ = page.lately[merchant_id, WHOLE]
    rhythms = _names_of(merchant_id, away)
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
    away: _Away,
) -> None:
    """An open one, be it by itself or one of several, is judged in any case, and over with an event of its name alone."""
    listed = _listed_names(page, merchant_ids)
    also = [(merchant_id, name) for merchant_id in merchant_ids for name in open_names.get(merchant_id, ())]
    also += [key for key in listed if key[1] not in open_names.get(key[0], ())]
    for merchant_id in {key[0] for key in listed}:
        verdicts.add(merchant_id, [_subject(OTHERS)])
    quiet: dict[int, list[QuietName]] = defaultdict(list)
    found_quiet, others = db_names.quiet_names(merchant_ids, also, page.now - LEARN_FROM, page.now)
    for found in found_quiet:
        quiet[found.merchant_id].append(found)
    unknown = set(also).difference((found.merchant_id, found.name) for found in found_quiet)
    for merchant_id, name in also:
        if name in open_names.get(merchant_id, ()) and (
            (merchant_id, name) not in unknown or _came(page, merchant_id, name)
        ):
            verdicts.add(merchant_id, [_subject(name)])
    for merchant_id, at in others.items():
        _sooner(again, merchant_id, at)
    for merchant_id, names in quiet.items():
        for each in names:
            rhythm = rhythm_of(each.rhythm, away.spans)
            _sooner(again, merchant_id, _again(rhythm, each.minute + MINUTE, page.now, TIMES_USUAL_OF_A_NAME))
            finding = _judge(page, each, rhythm, away, hushed.get(merchant_id), listed.get((merchant_id, each.name)))
            if finding is not None:
                verdicts.add(merchant_id, [finding.subject], [finding])


def _listed_names(page: Page, merchant_ids: Sequence[int]) -> dict[tuple[int, str], datetime]:
    """(merchant, name) -> since when an alert is open that is about several names, this one among them."""
    gathered = [each for each in merchant_ids if (each, AlertKind.TRACKING_STOPPED) in page.gathered]
    if not gathered:
        return {}
    names = db_alerts.open_names(gathered, AlertKind.TRACKING_STOPPED)
    return {
        (merchant_id, name): page.gathered[merchant_id, AlertKind.TRACKING_STOPPED]
        for merchant_id in gathered
        for name in sorted(db_names.rhythms_of(merchant_id))
        if member_name(name) in names.get(merchant_id, ())
        and page.lately.get((merchant_id, _subject(name)), (None, page.now))[1] is not None
    }


def _came(page: Page, merchant_id: int, name: str) -> bool:
    """Whether an event came of a name without a rhythm, since an alert tells of its silence."""
    opened, _ = page.lately[merchant_id, _subject(name)]
    return bool(db_names.minutes_of_names(merchant_id, [name], opened, page.now))


def _sooner(again: dict[int, datetime], merchant_id: int, at: datetime) -> None:
    """Of those that are looked at for an open alert anyway, nothing is noted."""
    if merchant_id in again:
        again[merchant_id] = min(again[merchant_id], at)


def _subject(name: str) -> Subject:
    return Subject(AlertKind.TRACKING_STOPPED, event_name=name)


def _judge(
    page: Page,
    found: QuietName,
    rhythm: Rhythm,
    away: _Away,
    hushed_since: datetime | None,
    listed_since: datetime | None,
) -> Finding | None:
    """``listed_since``: since when an alert about several names is open that lists this one."""
    merchant_id, name, now = found.merchant_id, found.name, page.now
    last = found.minute + MINUTE
    known = page.lately.get((merchant_id, _subject(name)))
    is_known = known is not None and known[1] is None
    if known is not None and is_known and last > known[0]:
        return None
    if is_known or (listed_since is not None and last <= listed_since):
        rejected = db_names.rejected_of_name(merchant_id, name, last)
        return judge_name_stopped(NameView(name, rhythm, last, rejected=rejected), is_open=True, now=now)
    refused = Subject(AlertKind.EVENTS_REJECTED, event_name=name)
    if away.is_fresh or not {refused, REFUSED}.isdisjoint(page.open_subjects(merchant_id)):
        return None
    whole = page.lately.get((merchant_id, WHOLE))
    since = last if whole is None or whole[1] is None else max(last, whole[1])
    if not may_have_stopped(rhythm, since, now, TIMES_USUAL_OF_A_NAME):
        return None
    if hushed_since is not None and not fell_silent_before(NameView(name, rhythm, since), hushed_since):
        return None
    return judge_name_stopped(_view(merchant_id, name, last, since, now, away), is_open=False, now=now)


def _view(merchant_id: int, name: str, last: datetime, since: datetime, now: datetime, away: _Away) -> NameView:
    rhythms = dict(_names_of(merchant_id, away))
    rhythm = rhythms.pop(name)
    spans = [(last - length, last) for length in LEVEL_OF]
    found = _active(merchant_id, name, spans)
    meanwhile = db_names.minutes_of_names(merchant_id, [*rhythms, OTHERS], since, now)
    # Whoever has more names than are counted by themselves: this one may be among the others.
    others = [(other.expected(since, now), meanwhile.get(each, 0)) for each, other in rhythms.items()]
    level = 0.0 if OTHERS in meanwhile else rhythm.level(spans, found)
    return NameView(name, rhythm, since, level, others, db_names.rejected_of_name(merchant_id, name, since))
