"""Whether events bring what campaigns need: a value, one id for each conversion, names that destinations take.

What costs conversions now is an alert: ``value_lost``, ``likely_duplicates``, ``event_name_unknown``. What is about to is
advice, which is written down here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import orjson

from tracklayer.db import advice as db_advice
from tracklayer.db import quality as db
from tracklayer.db.advice import Judged
from tracklayer.db.coverage import names_of
from tracklayer.db.quality import Counts, Place, Sampled, Shop
from tracklayer.domain.advice import Advice, AdviceCode
from tracklayer.domain.alert import AlertKind, Finding, Subject
from tracklayer.domain.delivery import DropReason
from tracklayer.domain.event import Event
from tracklayer.domain.event_names import is_sale, may_be_purchase, meant
from tracklayer.domain.facts import OTHERS
from tracklayer.domain.monitors.event_name_unknown import (
    Fate,
    Spelling,
    advise_on_spelling,
    judge_event_name_unknown,
)
from tracklayer.domain.monitors.habits import (
    LEAST_REPEATS,
    Day,
    Recent,
    advise_on_events,
    dropped_by_removal,
    ids_reused,
    takes_nothing,
    too_old,
)
from tracklayer.domain.monitors.learn import LEARN_FROM
from tracklayer.domain.monitors.likely_duplicates import Conversion, judge_likely_duplicates
from tracklayer.domain.monitors.value_lost import Measure, Sample, Usual, judge_value_lost, learn_usual
from tracklayer.domain.normalise import is_placeholder
from tracklayer.domain.read_event import read_event
from tracklayer.mappers import PLATFORMS, mapper_for, title_of
from tracklayer.mappers.base import Mapped, Mapper, Refused
from tracklayer.mappers.outgoing import map_event
from tracklayer.services.alone import alone
from tracklayer.services.watches.memory import MERCHANTS, Remembered
from tracklayer.services.watches.page import Page, Verdicts

LOOK_EVERY = timedelta(seconds=55)  # at one merchant: what it is judged by are minutes
HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)
RECENT = HOUR
ADVISE_EVERY = timedelta(minutes=10)
ADVISED = 5  # merchants of a page by one look: each is read a day
LEARNED = 10  # names of a page by one look, of which four weeks are read; beside them so many
SALES_LEARNED = 40  # names of sales, which must not wait until all that never brings a value was read
LEARN_EVERY = timedelta(hours=6)  # of a name that usually brings no value
MOST_LEARNED = 20_000  # names that a process remembers: of those that usually bring a value, with the hours of a day
MOST_OPEN = 1000  # with the hours of a week
SAMPLED = 20  # merchants of a page by one look, of whose newest events a sample is read
DUPLICATES_WITHIN = timedelta(minutes=10)
LEAST_CONVERSIONS = 20  # within these minutes; of a shop that has fewer,
LEAST_OF_SLOW, MOST_OF_SLOW = 6, 120  # within an hour, and no more than a busy one has then,
SLOW_EVERY = 5  # a sample of the hour is read every so many minutes
EXAMPLES_OF = 300  # newest events
GONE_AFTER = timedelta(days=7)  # of an alert about a name that comes no more


@dataclass(frozen=True, slots=True)
class _Learned:
    """What is usual of a name as of ``until``, an hour's start; ``day``: its last 24 hours before that, where anything is."""

    until: datetime
    value: Usual | None
    currency: Usual | None
    day: Sequence[Counts]


class _Hours(NamedTuple):
    """Whole hours of a name about which an alert is open."""

    since: datetime
    until: datetime
    counts: Sequence[Counts]


class Quality:
    """The looks of one process. It remembers whom it looked at when, and what is usual of names that gave reason to ask."""

    def __init__(self) -> None:
        self._looked: Remembered[int, datetime] = Remembered(MERCHANTS)
        self._advised: Remembered[int, datetime] = Remembered(MERCHANTS)
        self._sampled: Remembered[int, datetime] = Remembered(MERCHANTS)
        self._learned: Remembered[tuple[int, str], _Learned] = Remembered(MOST_LEARNED)
        self._open: Remembered[tuple[int, str], _Hours] = Remembered(MOST_OPEN)

    def __call__(self, page: Page) -> Verdicts:
        now, verdicts = page.now, Verdicts()
        due = [one for one in page.merchant_ids if one not in self._looked or now - self._looked[one] >= LOOK_EVERY]
        if not due:
            return verdicts
        minute = now.replace(second=0, microsecond=0)
        counts = db.counts_by_minute(due, minute - RECENT, minute + timedelta(minutes=1))
        shops = db.shops(due)
        found: dict[int, list[Advice]] = {}
        judged: dict[int, set[Judged]] = {}
        budget = _Budget(SALES_LEARNED, LEARNED)
        for merchant_id in due:
            names, shop = counts.get(merchant_id, {}), shops.get(merchant_id)
            if shop is None:
                continue
            with alone(page.runtime, f"judging what merchant {merchant_id}'s events bring"):
                advice = _judge_names(page, merchant_id, shop, names, verdicts)
                found[merchant_id] = advice
                judged[merchant_id] = {(place.platform, AdviceCode.NAME_MISSPELT) for place in shop.places}
            self._judge_values(page, merchant_id, shop, names, budget, verdicts)
        self._judge_duplicates(page, due, counts, verdicts)
        self._advise(page, due, shops, found, judged)
        db_advice.write_advice(found, now)
        db_advice.forget_advice(judged, now)
        self._looked.note_all(due, now)  # where it failed, the next call looks again
        return verdicts

    # Values -----------------------------------------------------------------------------------------------------------

    def _judge_values(
        self,
        page: Page,
        merchant_id: int,
        shop: Shop,
        names: Mapping[str, Sequence[Counts]],
        budget: _Budget,
        verdicts: Verdicts,
    ) -> None:
        needs_currency = not _has_currency(shop)
        for subject, (since, until) in page.of_kind(merchant_id, AlertKind.VALUE_LOST).items():
            if until is None and subject.event_name not in names and page.now - since > GONE_AFTER:
                verdicts.add(merchant_id, [subject])
        for name, minutes in names.items():
            subject = Subject(AlertKind.VALUE_LOST, None, name)
            told = page.lately.get((merchant_id, subject))
            opened_at = told[0] if told is not None and told[1] is None else None
            if name == OTHERS or (opened_at is None and not _lacks(minutes, needs_currency)):
                continue
            learned = self._learn(merchant_id, name, opened_at, page.now, budget)
            if learned is None:
                continue
            since_open = self._since_open(merchant_id, name, learned.until, page.now) if opened_at is not None else ()
            samples = [*learned.day, *since_open, *(one for one in minutes if one.minute >= learned.until)]
            measures = [Measure("value", _values(samples), learned.value)]
            if needs_currency:
                measures.append(Measure("currency", _currencies(samples), learned.currency))
            with alone(page.runtime, f"judging the values of merchant {merchant_id}"):
                finding = judge_value_lost(
                    name,
                    measures,
                    is_open=opened_at is not None,
                    told_until=told[1] if told is not None else None,
                    now=page.now,
                )
                verdicts.add(merchant_id, [subject], [finding] if finding is not None else [])

    def _learn(
        self, merchant_id: int, name: str, opened_at: datetime | None, now: datetime, budget: _Budget
    ) -> _Learned | None:
        """What is usual of a name, before the alert about it opened; None where it is not this look's turn to read it."""
        key = merchant_id, name
        until = (opened_at or now).replace(minute=0, second=0, microsecond=0)
        known = self._learned.get(key)
        if known is not None:
            nothing = known.value is None and known.currency is None
            if known.until == until or (opened_at is None and nothing and now - known.until < LEARN_EVERY):
                return known
        if not budget.takes_one(name):
            return None
        hours = db.counts_by_hour(merchant_id, name, until - LEARN_FROM, until)
        before = [one for one in hours if one.minute < until - DAY]
        value = learn_usual(_values(before)) or learn_usual(_values(hours))
        currency = learn_usual(_currencies(before)) or learn_usual(_currencies(hours))
        is_usual = value is not None or currency is not None
        day = [one for one in hours if is_usual and one.minute >= until - DAY]
        learned = _Learned(until, value, currency, day)
        self._learned.note(key, learned)
        return learned

    def _since_open(self, merchant_id: int, name: str, since: datetime, now: datetime) -> list[Counts]:
        """From the hour in which the alert about it opened, a week at most, up to the minutes that every look reads."""
        until = now.replace(second=0, microsecond=0) - RECENT
        hour, since = until.replace(minute=0), max(since, until - WEEK)
        if until <= since:
            return []
        read = self._open.get((merchant_id, name))
        if read is None or read.since > since:
            read = _Hours(since, since, [])
        if hour > read.until:
            added = db.counts_by_hour(merchant_id, name, read.until, hour)
            read = _Hours(since, hour, [*(one for one in read.counts if one.minute >= since), *added])
        self._open.note((merchant_id, name), read)
        return [*read.counts, *db.counts_by_hour(merchant_id, name, read.until, until)]

    # Duplicates -------------------------------------------------------------------------------------------------------

    def _judge_duplicates(
        self,
        page: Page,
        merchant_ids: Sequence[int],
        counts: Mapping[int, Mapping[str, Sequence[Counts]]],
        verdicts: Verdicts,
    ) -> None:
        now = page.now
        wanted: dict[int, tuple[datetime, list[str]]] = {}
        for merchant_id in merchant_ids:
            names = counts.get(merchant_id, {})
            open_ones = {
                subject
                for subject, (_, resolved_at) in page.of_kind(merchant_id, AlertKind.LIKELY_DUPLICATES).items()
                if resolved_at is None
            }
            within, conversions = DUPLICATES_WITHIN, _conversions(names, now - DUPLICATES_WITHIN)
            if sum(conversions.values()) < LEAST_CONVERSIONS:
                hour = _conversions(names, now - HOUR)
                if LEAST_OF_SLOW <= sum(hour.values()) < MOST_OF_SLOW:
                    if now.minute % SLOW_EVERY != merchant_id % SLOW_EVERY:
                        continue  # what is open stays so until it is its turn
                    within, conversions = HOUR, hour
                else:
                    conversions = {}
            # Of a name that hardly brings a conversion any more, nothing is counted twice any more.
            verdicts.add(merchant_id, [one for one in open_ones if one.event_name not in conversions])
            if conversions:
                wanted[merchant_id] = now - within, sorted(conversions)
        longest_ago = sorted(wanted, key=lambda one: self._sampled.get(one, datetime.min.replace(tzinfo=now.tzinfo)))
        for merchant_id in longest_ago[:SAMPLED]:
            since, chosen = wanted[merchant_id]
            newest = db.newest_events(merchant_id, now - HOUR, chosen)
            sample = [_conversion(one) for one in newest if one.received_at >= since]
            before = [_conversion(one) for one in newest if one.received_at < since]
            with alone(page.runtime, f"looking for duplicates of merchant {merchant_id}"):
                for name in chosen:
                    subject = Subject(AlertKind.LIKELY_DUPLICATES, None, name)
                    finding = judge_likely_duplicates(
                        name,
                        [one for one in sample if one.event_name == name],
                        is_open=subject in page.open_subjects(merchant_id),
                        since=since,
                        before=before,
                    )
                    verdicts.add(merchant_id, [subject], [finding] if finding is not None else [])
            self._sampled.note(merchant_id, now)

    # Advice -----------------------------------------------------------------------------------------------------------

    def _advise(
        self,
        page: Page,
        merchant_ids: Sequence[int],
        shops: Mapping[int, Shop],
        found: dict[int, list[Advice]],
        judged: dict[int, set[Judged]],
    ) -> None:
        """What a day of their events says, of those whose day was read the longest ago."""
        now = page.now
        never = datetime.min.replace(tzinfo=now.tzinfo)
        due = [one for one in merchant_ids if one in shops and now - self._advised.get(one, never) >= ADVISE_EVERY]
        chosen = sorted(due, key=lambda one: self._advised.get(one, never))[:ADVISED]
        if not chosen:
            return
        days = db.days_of(chosen, now - DAY, now + timedelta(minutes=1))
        received = db.received(chosen, now - HOUR, now + timedelta(minutes=1))
        db_advice.forget_of_removed(chosen)
        for merchant_id in chosen:
            shop = shops[merchant_id]
            lost = {
                subject.event_name or ""
                for subject in page.open_subjects(merchant_id)
                if subject.kind is AlertKind.VALUE_LOST
            }
            of_events: dict[str, Any] = {"has_currency": _has_currency(shop), "lost": lost, "now": now}
            advice = advise_on_events(days.get(merchant_id, []), [], **of_events)
            if advice:  # then examples are worth reading
                newest = [_recent(one) for one in db.newest_events(merchant_id, now - DAY, limit=EXAMPLES_OF)]
                advice = advise_on_events(days.get(merchant_id, []), newest, **of_events)
            old = _too_old(merchant_id, shop, now)
            unmet = _takes_nothing(page, merchant_id, shop, days.get(merchant_id, []))
            rare = _rare_spellings(page, merchant_id, shop, days.get(merchant_id, []), found.get(merchant_id, []))
            gone = _dropped_by_removal(page, merchant_id)
            repeats = _ids_reused(merchant_id, *received.get(merchant_id, (0, 0)), now)
            found.setdefault(merchant_id, []).extend([*advice, *old, *unmet, *rare, *repeats, *gone])
            judged.setdefault(merchant_id, set()).update(
                [("", code) for code in _OF_MERCHANT],
                [(place.platform, AdviceCode.EVENTS_TOO_OLD) for place in shop.places],
                [(place.platform, AdviceCode.FILTER_TAKES_NOTHING) for place in shop.places],
            )
        self._advised.note_all(chosen, now)


_OF_MERCHANT = (
    AdviceCode.CLOCK_AHEAD,
    AdviceCode.EVENTS_LATE,
    AdviceCode.VALUE_ALWAYS_ZERO,
    AdviceCode.VALUE_MISSING,
    AdviceCode.CURRENCY_MISSING,
    AdviceCode.EVENT_IDS_REUSED,
    AdviceCode.DROPPED_BY_REMOVAL,
)


class _Budget:
    def __init__(self, sales: int, others: int) -> None:
        self._left = {True: sales, False: others}

    def takes_one(self, name: str) -> bool:
        self._left[is_sale(name)] -= 1
        return self._left[is_sale(name)] >= 0


def _has_currency(shop: Shop) -> bool:
    """Whether a value without a currency gets one everywhere."""
    if shop.default_currency:
        return True
    return bool(shop.places) and all(place.settings.get("default_currency") for place in shop.places)


def _lacks(minutes: Sequence[Counts], needs_currency: bool) -> bool:
    return any(one.value < one.events or (needs_currency and one.currency < one.value + one.zero) for one in minutes)


def _values(counts: Sequence[Counts]) -> list[Sample]:
    return [Sample(one.minute, (one.action_source, one.host), one.events, one.value, one.zero) for one in counts]


def _currencies(counts: Sequence[Counts]) -> list[Sample]:
    """Of the events that have a price."""
    return [
        Sample(one.minute, (one.action_source, one.host), one.value + one.zero, one.currency)
        for one in counts
        if one.value + one.zero
    ]


def _conversions(names: Mapping[str, Sequence[Counts]], since: datetime) -> dict[str, int]:
    """Name -> events since then that bring a value or an order, of names of sales."""
    found = {}
    for name, minutes in names.items():
        if name != OTHERS and is_sale(name):
            count = sum(max(one.value, one.orders) for one in minutes if one.minute >= since - timedelta(minutes=1))
            if count:
                found[name] = count
    return found


_IDENTIFIERS = (
    *("email", "phone", "external_id"),
    *("fbp", "browser_id", "ga_client_id", "ttp"),
    *("fbc", "gclid", "gbraid", "wbraid", "ttclid", "epik", "sc_click_id", "li_fat_id", "rdt_cid", "msclkid", "twclid"),
)


def _conversion(one: Sampled) -> Conversion:
    person = {
        name: value
        for name in _IDENTIFIERS
        if isinstance(value := one.user_data.get(name), str) and not is_placeholder(value)
    }
    if email := person.get("email"):
        person["email"] = email.strip().lower()
    custom = one.custom_data
    return Conversion(
        one.event_id,
        one.event_name,
        one.occurred_at,
        person,
        db.exact(custom.get("value")),
        custom.get("currency"),
        _basket(custom),
        custom.get("order_id"),
        one.action_source,
        (one.user_data.get("client_ip"), one.user_data.get("client_user_agent")),
    )


def _basket(custom: Mapping[str, Any]) -> str:
    if contents := custom.get("contents"):
        lines = [[line.get("id"), line.get("quantity", 1)] for line in contents]
    else:
        lines = [[product, 1] for product in custom.get("product_ids") or ()]
    return orjson.dumps(sorted(lines, key=str)).decode() if lines else ""


def _recent(one: Sampled) -> Recent:
    custom = one.custom_data
    return Recent(
        one.event_id, one.event_name, one.occurred_at - one.received_at, custom.get("value"), custom.get("currency")
    )


def _ids_reused(merchant_id: int, new: int, repeats: int, now: datetime) -> list[Advice]:
    if ids_reused(new, repeats, None, now) is None:
        return []
    example = db.most_repeated(merchant_id, now - DAY, now - HOUR, LEAST_REPEATS)
    found = ids_reused(new, repeats, example, now)
    return [found] if found is not None else []


def _too_old(merchant_id: int, shop: Shop, now: datetime) -> list[Advice]:
    found = []
    places = {place.platform: place for place in shop.places if place.platform in PLATFORMS}
    if not places:
        return []
    for platform, (count, example) in db.too_old_events(merchant_id, now, DAY).items():
        if platform in places and count:
            mapper = mapper_for(platform)
            limit = mapper.oldest_age("website", places[platform].settings)
            found.append(too_old(platform, mapper.title, count, limit, example, now))
    return [advice for advice in found if advice is not None]


def _dropped_by_removal(page: Page, merchant_id: int) -> list[Advice]:
    """For a day after the removal; over as soon as the destination is there again."""
    window = page.runtime.settings.retry_window
    found = db.dropped_by_removal(merchant_id, page.now - DAY, window)
    advice = dropped_by_removal([(title_of(platform), at, count) for platform, at, count in found])
    return [advice] if advice is not None else []


def _takes_nothing(page: Page, merchant_id: int, shop: Shop, days: Sequence[Day]) -> list[Advice]:
    """Of destinations whose event names left out all of a day; not where an alert says so already, of a name that is misspelt."""
    places = {
        place.platform: place for place in shop.places if place.platform in PLATFORMS and place.event_names is not None
    }
    if not places:
        return []
    told = {one.platform for one in page.open_subjects(merchant_id) if one.kind is AlertKind.EVENT_NAME_UNKNOWN}
    left_out = {
        platform: found
        for platform, found in db.filtered_wholly(merchant_id, page.now, DAY).items()
        if platform in places and platform not in told
    }
    if not left_out:
        return []
    ever = set(names_of(merchant_id))
    came = {day.event_name: day.events for day in days if day.event_name != OTHERS}
    found = []
    for platform, (count, first_at) in left_out.items():
        names = places[platform].event_names or ()
        if ever.isdisjoint(names):  # else it waits for a rare one
            title = mapper_for(platform).title
            found.append(takes_nothing(platform, title, names, count, first_at, came, page.now))
    return [advice for advice in found if advice is not None]


# Names ---------------------------------------------------------------------------------------------------------------


_PURCHASE = "Purchase"  # the data model's name of it


def _judge_names(
    page: Page, merchant_id: int, shop: Shop, names: Mapping[str, Sequence[Counts]], verdicts: Verdicts
) -> list[Advice]:
    """Of each destination and each name that it does not take as what it seems to be meant as."""
    open_ones = {one for one in page.open_subjects(merchant_id) if one.kind is AlertKind.EVENT_NAME_UNKNOWN}
    verdicts.add(merchant_id, [one for one in open_ones if not _may_come_back(page, merchant_id, shop, one, names)])
    findings: list[Finding] = []
    advice: list[Advice] = []
    for seen, is_other_word in _spellings(shop, names, page.now):
        subject = Subject(AlertKind.EVENT_NAME_UNKNOWN, seen.platform, seen.name)
        # What another word means is for the shop to say: that is advice, and no alert.
        finding = None if is_other_word else judge_event_name_unknown(seen, is_open=subject in open_ones)
        if finding is not None:
            findings.append(finding)
        elif one := advise_on_spelling(seen, "hour"):
            advice.append(one)
    if findings:
        verdicts.add(merchant_id, [finding.subject for finding in findings], findings)
    return advice


def _rare_spellings(
    page: Page, merchant_id: int, shop: Shop, days: Sequence[Day], said: Sequence[Advice]
) -> list[Advice]:
    """As advice of an hour, of names that come a few times a day, and oftener than the right one: else that has taken over since.
    ``said``: what an hour says already.
    """
    told = {(one.platform, one.event_name) for one in said}
    told |= {
        (one.platform, one.event_name)
        for one in page.open_subjects(merchant_id)
        if one.kind is AlertKind.EVENT_NAME_UNKNOWN
    }
    since = page.now - DAY
    names = {day.event_name: [Counts(since, "", "", day.events, day.value, day.zero, day.currency, 0)] for day in days}
    spellings = [seen for seen, _ in _spellings(shop, names, page.now) if seen.right_events < seen.events]
    advice = [advise_on_spelling(seen, "day") for seen in spellings]
    return [one for one in advice if one is not None and (one.platform, one.event_name) not in told]


def _spellings(shop: Shop, names: Mapping[str, Sequence[Counts]], now: datetime) -> Iterator[tuple[Spelling, bool]]:
    """Of each destination and each name that it does not take as what it seems to be meant as; whether that is another word for it."""
    for place in shop.places:
        if place.platform not in PLATFORMS:
            continue
        mapper = mapper_for(place.platform)
        for name, minutes in names.items():
            if name == OTHERS or _is_meant_so(shop, place, name):
                continue
            taken = _taken(mapper, place)
            right = meant(name, taken)
            is_other_word = right is None and name not in mapper.own_names and may_be_purchase(name)
            if is_other_word and _PURCHASE in taken and _PURCHASE not in names:
                right = _PURCHASE
            if right is None or (fate := _fate(mapper, place, name, right, now)) is Fate.COUNTS:
                continue
            yield _spelling(place, mapper, name, right, fate, minutes, names.get(right, ())), is_other_word


def _may_come_back(
    page: Page, merchant_id: int, shop: Shop, told: Subject, names: Mapping[str, Sequence[Counts]]
) -> bool:
    """Whether a name of which nothing has come for an hour, and of which an alert tells, is not mended by that.

    It is if the right name has taken over since the last wrong one, however long ago that is; if its destination takes it now;
    or if it has not come for a week: then nobody sends it any more.
    """
    name = told.event_name or ""
    opened, _ = page.lately[merchant_id, told]
    place = next((place for place in shop.places if place.platform == told.platform), None)
    if name in names or place is None or place.platform not in PLATFORMS:
        return False
    mapper = mapper_for(place.platform)
    right = meant(name, _taken(mapper, place))
    if right is None or _is_meant_so(shop, place, name):
        return False
    fate = _fate(mapper, place, name, right, page.now)
    gone = page.now - GONE_AFTER
    if opened >= gone and right not in names:
        return fate is Fate.FILTERED
    since = max((opened - HOUR).replace(minute=0, second=0, microsecond=0), gone)
    wrong = db.counts_by_hour(merchant_id, name, since, page.now)
    if not wrong:
        return False
    rightly = db.counts_by_hour(merchant_id, right, since, page.now) if right in names else ()
    seen = _spelling(place, mapper, name, right, fate, wrong, rightly)
    return judge_event_name_unknown(seen, is_open=True) is not None


def _is_meant_so(shop: Shop, place: Place, name: str) -> bool:
    """Whether somebody wrote a name like this, and a destination that is told what becomes of it is not kept from it."""
    return name not in _mapped_names(place) and any(name in _named(each) for each in shop.places)


def _mapped_names(place: Place) -> set[str]:
    """Names that a destination's settings say by name what becomes of."""
    maps = [value for value in place.settings.values() if isinstance(value, dict)]
    return {name for value in maps for name in value if isinstance(name, str) and name != "*"}


def _named(place: Place) -> Iterator[str]:
    """Names that the merchant wrote into a destination's settings."""
    yield from place.event_names or ()
    yield from _mapped_names(place)


def _taken(mapper: Mapper, place: Place) -> set[str]:
    if place.event_names is not None:
        return set(place.event_names)
    return {*mapper.event_names, *_named(place)}


def _fate(mapper: Mapper, place: Place, name: str, right: str, now: datetime) -> Fate:
    """What becomes of an event named ``name``, against the same one named ``right``: the mapper itself is asked."""
    as_right = _mapped(mapper, place, right, now)
    if isinstance(as_right, Refused) and as_right.reason is DropReason.UNSUPPORTED_EVENT:
        return Fate.COUNTS  # the right name would not go there either
    if place.event_names is not None and name not in place.event_names:
        return Fate.FILTERED
    as_given = _mapped(mapper, place, name, now)
    if isinstance(as_given, Refused):
        by_name = as_given.reason is DropReason.UNSUPPORTED_EVENT and as_given.field == "event_name"
        return Fate.FILTERED if by_name else Fate.COUNTS
    if isinstance(as_right, Refused) or (as_given.item, as_given.group) == (as_right.item, as_right.group):
        return Fate.COUNTS
    return Fate.OTHER


_PROBE: dict[str, Any] = {
    "event_id": "name-check",
    "event_source_url": "https://shop.example.com/",
    "consent": {"ad_user_data": "granted", "ad_personalization": "granted"},
    "user_data": {
        "email": "somebody@example.com",
        "phone": "+14155552671",
        "external_id": "somebody",
        "client_ip": "203.0.113.42",
        "client_user_agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64)",
        "country": "US",
        "fbp": "fb.1.1713877200.1234567890",
        "ga_client_id": "1234567890.1713877200",
    },
    "custom_data": {"value": 1, "currency": "USD", "order_id": "name-check"},
}


def _mapped(mapper: Mapper, place: Place, name: str, now: datetime) -> Mapped | Refused:
    read = read_event({**_PROBE, "event_name": name, "occurred_at": now.isoformat()}, now, frozenset())
    if isinstance(read, list):
        return Refused(DropReason.INVALID_FIELD, "not to be tried")
    event: Event = read.event
    return map_event(mapper, event, place.settings, now)


def _spelling(
    place: Place,
    mapper: Mapper,
    name: str,
    right: str,
    fate: Fate,
    minutes: Sequence[Counts],
    right_minutes: Sequence[Counts],
) -> Spelling:
    last_at = max(one.minute for one in minutes)
    return Spelling(
        place.platform,
        mapper.title,
        name,
        right,
        fate,
        sum(one.events for one in minutes),
        min(one.minute for one in minutes),
        last_at,
        sum(one.events for one in right_minutes),
        max((one.minute for one in right_minutes), default=None),
        sum(one.events for one in right_minutes if one.minute > last_at),
        any(one.value or one.orders for one in minutes),
        right in _mapped_names(place),
        name in _mapped_names(place),
        place.event_names is not None and name not in place.event_names,
        place.event_names is not None and name in mapper.event_names and right not in mapper.event_names,
    )
