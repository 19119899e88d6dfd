"""What all platforms have in common, done before a mapper sees an event, and in one place.

Nobody's event leaves without the consent that is asked for; what the merchant sets for all platforms is filled in; what is
personal and in plain text is taken out of the page's URL, of the merchant's own properties, and of every field where none
belongs; an event id that holds such leaves as its SHA-256; what happened ahead of the clock waits. Each of these is told in a
verdict, and an event of which none is true costs next to nothing here. Who asks what becomes of an event is told besides which
of its fields the platform has no place for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Any

from tracklayer.domain import normalise
from tracklayer.domain.contact import holds_contact
from tracklayer.domain.delivery import CONSENT_MISSING, DropReason
from tracklayer.domain.event import NO_CONSENT, NO_DEVICE, UNNAMED, Content, CustomData, Event, UserData, made_of
from tracklayer.domain.event_contacts import contacts_in
from tracklayer.domain.identifiers import is_everyday_url, web_url
from tracklayer.domain.personal import without_personal_properties, without_personal_url
from tracklayer.domain.problem import shown_name
from tracklayer.domain.sha256 import sha256_hex
from tracklayer.mappers.base import (
    CONSENT_FIELD,
    KEEPS_PLAIN,
    Mapped,
    Mapper,
    Refused,
    RuleVerdict,
    Settings,
    Verdicts,
)

# Where the law asks for consent to ads: the EU, the rest of the EEA, the United Kingdom and Switzerland.
CONSENT_COUNTRIES = frozenset(
    "at be bg hr cy cz dk ee fi fr de gr hu ie it lv lt lu mt nl pl pt ro sk si es se is li no gb ch "
    "ax gp gf mq mf re yt".split()  # and parts of them that have codes of their own
)


def map_event(mapper: Mapper, event: Event, settings: Settings, now: datetime) -> Mapped | Refused:
    """What a platform would get of an event as of ``now``, or why it gets none, with every rule it was held against."""
    if settings.get("require_consent") and event.consent.ad_user_data != "granted":
        refused = _without_consent(event, settings)
        if refused is not None:
            return refused
    said: list[RuleVerdict] = []
    custom = event.custom_data
    # Nothing has to be changed of most events, which these few questions tell.
    if (
        not event.has_plain_url
        or (custom.properties and event.may_hold_personal)
        or event.may_hold_contact
        or (custom.currency is None and settings.get("default_currency"))
    ):
        event = _presentable(mapper, event, settings, said)
    if event.occurred_at > now and event.occurred_at > now + mapper.furthest_ahead(settings):
        said.append(_AHEAD)
        found = mapper.map_event(event, settings, event.occurred_at)
        if isinstance(found, Mapped):
            found = found._replace(not_before=event.occurred_at)
    else:
        found = mapper.map_event(event, settings, now)
    if not said:
        return found
    verdicts = (*said, *found.verdicts)
    return found._replace(verdicts=verdicts) if isinstance(found, Mapped) else replace(found, verdicts=verdicts)


NO_PLACE = "no_place"  # the rule of what only ``show_event`` says
_LINES = "custom_data.contents"
_PAGE = "event_source_url"


def show_event(mapper: Mapper, event: Event, settings: Settings, now: datetime) -> Mapped | Refused:
    """``map_event`` for somebody who asks what becomes of an event: what was given and has no place there is said as well.

    Deliveries do without, since nobody would read it.
    """
    found = map_event(mapper, event, settings, now)
    if isinstance(found, Refused):
        return found
    left_out = _without_place(mapper, event, found)
    left_out += _beside_others(mapper, event, settings, now, found, {one.field for one in left_out})
    return found._replace(verdicts=(*found.verdicts, *left_out)) if left_out else found


def _without_place(mapper: Mapper, event: Event, found: Mapped) -> list[RuleVerdict]:
    """What is given and goes nowhere, without what a verdict names already."""
    left_out = _left_out(event, mapper.no_place_for, f"left out: {mapper.title} has no place for it")
    if mapper.no_place_in is not None:
        for fields, why in mapper.no_place_in(event, found):
            left_out += _left_out(event, fields, why)
    if not left_out:
        return left_out
    # What was taken out of a page's URL says nothing of the rest of it.
    told = {one.field for one in found.verdicts if not one.ok and (one.field != _PAGE or one.rule != "personal_data")}
    return [verdict for verdict in left_out if verdict.field not in told]


# Instead of what was given, to see whether it is sent: another one would be.
_OTHER_IDS = ("another-product", "one-more-product")
_OTHER_CURRENCIES = ("EUR", "USD")
_NO_AMOUNT = "left out: it goes with an amount, and none is sent"


def _beside_others(
    mapper: Mapper, event: Event, settings: Settings, now: datetime, found: Mapped, told: set[str | None]
) -> list[RuleVerdict]:
    """What has a place, and goes nowhere for what came with it, or did not: ids of products beside lines, where the platform takes one
    kind, and a currency of nothing.
    """
    told = told | {verdict.field for verdict in found.verdicts if not verdict.ok}
    custom, said = event.custom_data, list[RuleVerdict]()

    def is_sent(changes: Iterator[dict[str, Any]]) -> bool:
        return any(_is_sent(mapper, event, settings, now, found, change) for change in changes)

    if custom.product_ids and custom.contents and "custom_data.product_ids" not in told:
        lines = [[made_of(Content, {**vars(line), "id": one}) for line in custom.contents] for one in _OTHER_IDS]
        if not is_sent({"product_ids": (one,)} for one in _OTHER_IDS) and is_sent(
            {"contents": (*one,)} for one in lines
        ):
            said.append(_verdict("custom_data", "product_ids", f"left out: {mapper.title} takes the ids of `contents`"))
    with_another = ({"currency": one} for one in _OTHER_CURRENCIES if one != custom.currency)
    if custom.currency is not None and "custom_data.currency" not in told and not is_sent(with_another):
        said.append(_verdict("custom_data", "currency", _NO_AMOUNT))
    return said


def _is_sent(
    mapper: Mapper, event: Event, settings: Settings, now: datetime, found: Mapped, change: Mapping[str, Any]
) -> bool:
    """Whether the platform would get something else of an event with another value."""
    other = made_of(Event, {**vars(event), "custom_data": made_of(CustomData, {**vars(event.custom_data), **change})})
    changed = map_event(mapper, other, settings, now)
    return not isinstance(changed, Mapped) or (changed.item, changed.group) != (found.item, found.group)


def _left_out(event: Event, fields: frozenset[str], why: str) -> list[RuleVerdict]:
    """A verdict on each of these fields that the event has."""
    found: list[RuleVerdict] = []
    for whole, part, names in _by_object(fields):
        one: Any = getattr(event, part) if part else event
        if one is NO_DEVICE or one is NO_CONSENT:
            continue
        lines = one.contents if whole == _LINES else (one,)
        there = [(name, vars(line)[name]) for line in lines for name in names.intersection(vars(line))]
        if there:
            given = sorted({name for name, value in there if _says_something(name, value)})
            found += [_verdict(whole, name, why) for name in given]
    return found


@lru_cache(maxsize=4096)  # there are as many as fields and platforms
def _verdict(whole: str, name: str, why: str) -> RuleVerdict:
    return RuleVerdict(NO_PLACE, False, why, f"{whole}.{name}" if whole else name)


@lru_cache(maxsize=256)
def _by_object(paths: frozenset[str]) -> tuple[tuple[str, str, frozenset[str]], ...]:
    """The object of each path, the part of an event that it is in, and its fields."""
    found: dict[str, set[str]] = {}
    for path in sorted(paths):
        whole, _, name = path.rpartition(".")
        found.setdefault(whole, set()).add(name)
    return tuple((whole, whole.partition(".")[0], frozenset(names)) for whole, names in found.items())


def _says_something(name: str, value: Any) -> bool:
    """Whether a field is more than its default: that nobody limits the use of data says nothing, that tracking is not allowed does."""
    if name == "action_source":
        return bool(value != "website")
    if value is False:
        return name == "tracking_allowed"
    return value is not None and value != () and value != "unspecified" and value is not NO_DEVICE


_AHEAD = RuleVerdict("event_time", True, "ahead of the clock: waits until its time has come", "occurred_at")
_NO_CONSENT = "require_consent asks for consent, and the event says nothing of it: no consent.ad_user_data came with it"
_NO_PAGE = RuleVerdict("event_source_url", True, "none given: the default page stands in", "event_source_url")
_OTHER_PAGE = RuleVerdict(
    "event_source_url", False, "not an absolute http(s) URL: the default page stands in", "event_source_url"
)
_WITH_SCHEME = RuleVerdict(
    "event_source_url",
    True,
    "read as an absolute URL: with https:// in front, without blanks around, and blanks inside percent-encoded",
    "event_source_url",
)


def _without_consent(event: Event, settings: Settings) -> Refused | None:
    rule = settings["require_consent"]
    if rule == "never":
        return None
    if rule == "eea":
        given = event.user_data.country
        country = normalise.country(given) if given else None
        if country is not None and country not in CONSENT_COUNTRIES:
            return None
    if event.consent.ad_user_data == "denied":
        return Verdicts().refuse_denied()
    verdict = RuleVerdict("consent", False, _NO_CONSENT, CONSENT_FIELD)
    return Refused(DropReason.INVALID_FIELD, _NO_CONSENT, CONSENT_FIELD, (verdict,), CONSENT_MISSING)


def _presentable(mapper: Mapper, event: Event, settings: Settings, said: list[RuleVerdict]) -> Event:
    """The event as it may leave; the same one where nothing has to be changed."""
    changes: dict[str, Any] = {}
    url = event.event_source_url
    # Where no page goes out, there is nothing to say of how it does; its click id may still be read.
    shown = _url(url, settings, event, said) if _PAGE not in mapper.no_place_for else _url(url, {}, event, [])
    if shown is not url:
        changes |= {"event_source_url": shown, "has_plain_url": False}
        if url is not None and said and said[-1] is _OTHER_PAGE:
            changes["sent_url"] = without_personal_url(url)[0]  # its query may hold the click
    custom = event.custom_data
    if event.may_hold_contact:
        custom = _without_contacts(event, settings, changes, said)
    if custom.properties and event.may_hold_personal:
        kept, taken = without_personal_properties(custom.properties)
        if taken:
            said += [
                _taken(f"custom_data.properties.{shown_name(name)}", "a part of it" if name in kept else "it")
                for name in taken
            ]
            changes["custom_data"] = custom = made_of(CustomData, {**vars(custom), "properties": kept})
    currency = settings.get("default_currency")
    if currency and custom.currency is None and event.event_name not in mapper.points and _has_amount(custom):
        message = f"none given: {currency}, the default, stands in"
        said.append(RuleVerdict("currency", True, message, "custom_data.currency"))
        changes["custom_data"] = made_of(CustomData, {**vars(custom), "currency": currency})
    return made_of(Event, {**vars(event), **changes}) if changes else event


_HASHED_ID = RuleVerdict(
    "event_id",
    True,
    "sent as the SHA-256 of the whole id: it holds personal data in plain text, which no platform may get",
    "event_id",
)
_UNNAMED = RuleVerdict(
    "personal_data",
    False,
    f"sent as {UNNAMED}: the name looks like personal data in plain text, which no platform may get",
    "event_name",
)


def _without_contacts(event: Event, settings: Settings, changes: dict[str, Any], said: list[RuleVerdict]) -> CustomData:
    """``custom_data`` without what holds somebody's address or number where none belongs; so too the rest of the event."""
    custom = event.custom_data
    person, device, taken = dict[str, None](), dict[str, None](), dict[str, Any]()
    lines: dict[int, dict[str, None]] = {}
    for path in contacts_in(event):
        match path:
            case ("event_id",):
                if not settings.get(KEEPS_PLAIN):
                    changes["event_id"] = sha256_hex(event.event_id)
                    said.append(_HASHED_ID)
                continue
            case ("event_name",):
                # What a setting names, such as a map of names, goes out as it says: the name itself stays here.
                name = event.event_name
                if not any(isinstance(given, Mapping) and name in given for given in settings.values()):
                    changes["event_name"] = UNNAMED
                    said.append(_UNNAMED)
                continue
            case ("user_data", "external_id"):
                continue  # a platform gets its digest, or what the merchant calls the person
            case ("user_data", name):
                person[name] = None
            case ("device", name):
                device[name] = None
            case ("custom_data", "product_ids"):
                taken["product_ids"] = tuple([text for text in custom.product_ids if not holds_contact(text)])
            case ("custom_data", "contents", place, name):
                lines.setdefault(int(place), {})[name] = None
            case ("custom_data", name):
                taken[name] = None
        said.append(_taken(".".join(path)))
    if lines:
        left = [_line(line, lines.get(place, {})) for place, line in enumerate(custom.contents)]
        taken["contents"] = tuple([line for line in left if line is not None])
    if person:
        changes["user_data"] = made_of(UserData, {**vars(event.user_data), **person})
    if device:
        changes["device"] = replace(event.device, **device)
    if taken:
        changes["custom_data"] = custom = made_of(CustomData, {**vars(custom), **taken})
    return custom


def _line(line: Content, taken: Mapping[str, None]) -> Content | None:
    """A line of the basket without these fields; None of one whose id is an address or a number."""
    if not taken:
        return line
    return None if "id" in taken else made_of(Content, {**vars(line), **taken})


def _url(url: str | None, settings: Settings, event: Event, said: list[RuleVerdict]) -> str | None:
    page = settings.get("default_page_url") if event.action_source == "website" else None
    # As it was sent, as the shop was told at its door; only then mended.
    kept, taken = without_personal_url(url) if url is not None and event.may_hold_personal else (url, ())
    shown = kept if kept is None or is_everyday_url(kept) else web_url(kept)
    if shown is None and page:
        said.append(_NO_PAGE if url is None else _OTHER_PAGE)
        return without_personal_url(str(page))[0]
    if shown is not None and shown != kept:
        said.append(_WITH_SCHEME)
        kept, more = without_personal_url(shown)
        taken += more
    said += [_taken("event_source_url", f"{name} in the URL") for name in taken]
    return kept


def _taken(field: str, what: str = "it") -> RuleVerdict:
    message = f"taken out: {what} looks like personal data in plain text, which no platform may get"
    return RuleVerdict("personal_data", False, message, field)


def _has_amount(custom: CustomData) -> bool:
    if custom.value is not None or custom.predicted_ltv is not None:
        return True
    return any(content.item_price is not None for content in custom.contents)
