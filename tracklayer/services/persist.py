"""What of an Event is kept and in which form, and the way back for a mapper.

With hashing on, email and phone are kept as SHA-256 only: one digest for show and for telling repeats, and beside it
the digests of other rules where some platform's differs. Names, date of birth, gender and address are sealed.
With hashing off all is kept plain. IP, user agent, cookies and click ids stay readable: one debugs with them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

import orjson

from tracklayer.db.events import EventRow, EventToMap
from tracklayer.db.stored_json import dumps, loads
from tracklayer.domain import normalise
from tracklayer.domain.contact import may_hold_contact
from tracklayer.domain.event import (
    AMOUNTS,
    CONTENT_FIELDS,
    CUSTOM_FIELDS,
    DEVICE_FIELDS,
    LINE_AMOUNTS,
    MATCHABLE_LISTS,
    NO_CONSENT,
    NO_DEVICE,
    PLAIN_USER_FIELDS,
    USER_FIELDS,
    Consent,
    Content,
    CustomData,
    Device,
    Event,
    UserData,
    made_of,
)
from tracklayer.domain.facts import host_of
from tracklayer.domain.identifiers import is_plain_url
from tracklayer.domain.normalise import Matchable, Rule
from tracklayer.domain.person import country_of
from tracklayer.domain.personal import without_personal_properties, without_personal_url
from tracklayer.sealing import Sealer
from tracklayer.services.credentials import HIDDEN

_USER_FIELDS = frozenset(USER_FIELDS)
_CUSTOM_FIELDS = frozenset(CUSTOM_FIELDS)
_CONTENT_FIELDS = frozenset(CONTENT_FIELDS)
_DEVICE_FIELDS = frozenset(DEVICE_FIELDS)

SEALED_FIELDS = (
    "first_name",
    "last_name",
    "date_of_birth",
    "gender",
    "street",
    "city",
    "state",
    "zip",
    "job_title",
    "company_name",
)

# Two spellings of one value are one content: how each sealed field is read before it is compared.
_COMPARED_BY: Mapping[str, Rule] = {
    "first_name": normalise.name,
    "last_name": normalise.name,
    "date_of_birth": normalise.date_of_birth_digits,
    "gender": normalise.lower_trimmed,
    "street": normalise.lower_trimmed,
    "city": normalise.city,
    "state": normalise.state,
    "zip": normalise.zip_code,
    "job_title": normalise.lower_trimmed,
    "company_name": normalise.lower_trimmed,
}


def to_record(
    event: Event,
    merchant_id: int,
    now: datetime,
    sealer: Sealer,
    hash_user_data: bool,
    default_countries: frozenset[str],
) -> dict[str, Any]:
    """A row of ``events`` as JSON values, for ``store_events``."""
    user_data: dict[str, Any] = dict(vars(event.user_data))
    digests: dict[str, Any] = {}
    for name in ("email", "phone"):
        if name in user_data and (given := user_data[name]) is not None:
            user_data[name], found = _keep_matchable(name, given, hash_user_data, default_countries)
            if found is not None:
                digests[name] = found
    for name in MATCHABLE_LISTS:
        if given := user_data.get(name):
            kept = [_keep_matchable(name[:-1], one, hash_user_data, default_countries) for one in given]
            user_data[name] = [shown for shown, _ in kept]
            digests[name] = [found for _, found in kept]
    if None in user_data.values():  # of an Event that was not read from a draft
        user_data = {name: value for name, value in user_data.items() if value not in (None, ())}
    sealed: dict[str, str] = {}
    if hash_user_data and (names := _to_seal(tuple(user_data))):
        sealed = dict(zip(names, map(user_data.__getitem__, names), strict=True))
        user_data |= dict.fromkeys(names, HIDDEN)
    url, custom_data = event.event_source_url, event.custom_data
    if hash_user_data and event.may_hold_personal:
        url, custom_data = _impersonal(url, custom_data)
    consent = event.consent
    record = {
        "merchant_id": merchant_id,
        "event_id": event.event_id,
        "event_name": event.event_name,
        "occurred_at": event.occurred_at,
        "received_at": now,
        "times_received": 1,
        "action_source": event.action_source,
        "event_source_url": url,
        "user_data": user_data,
        "digests": digests or None,
        "sealed": _seal(sealer, merchant_id, event.event_id, sealed),
        "custom_data": custom_json(custom_data),
        "consent": None if consent is NO_CONSENT or consent == NO_CONSENT else asdict(consent),
    }
    if event.device is not NO_DEVICE and event.device != NO_DEVICE:
        record["device"] = device_json(event.device)
    return record


@lru_cache(maxsize=4096)  # a merchant's events carry the same few sets of identifiers
def _to_seal(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in SEALED_FIELDS if name in names)


def without_person(record: dict[str, Any], event: Event) -> dict[str, Any]:
    """A row of somebody who is to be left alone: that it happened on which site, with what and for how much, and nothing that
    says who it was. Words that anybody wrote are left out, such as what was searched for, and so is the order's number.

    Consent counts as denied, so that no later delivery of it goes out either.
    """
    given, host = event.custom_data, host_of(event.event_source_url)
    custom_data = CustomData(
        given.value,
        given.currency,
        product_ids=given.product_ids,
        contents=tuple(Content(one.id, one.quantity, one.item_price, discount=one.discount) for one in given.contents),
        num_items=given.num_items,
    )
    kept = {
        **record,
        "event_source_url": f"https://{host}/" if host else None,
        "user_data": {},
        "digests": {},  # of nothing: what nobody else's row has, see ``is_left_alone``
        "sealed": None,
        "custom_data": custom_json(custom_data),
        "consent": {**asdict(event.consent), "ad_user_data": "denied", "ad_personalization": "denied"},
    }
    if "device" in record:
        kept["device"] = {name: value for name, value in record["device"].items() if name not in _DEVICE_IDS}
    return kept


def is_left_alone(row: EventRow) -> bool:
    """Whether ``without_person`` made it. Of one that a version before this one stored only its deliveries say so."""
    return row.digests == "{}"


_DEVICE_IDS = ("advertising_id", "vendor_id")


def _impersonal(url: str | None, custom_data: CustomData) -> tuple[str | None, CustomData]:
    """Without the personal data in plain text that no platform gets: with hashing on it is not kept either."""
    if url is not None:
        url = without_personal_url(url)[0]
    if custom_data.properties:
        kept, taken = without_personal_properties(custom_data.properties)
        if taken:
            custom_data = made_of(CustomData, {**vars(custom_data), "properties": kept})
    return url, custom_data


def device_json(device: Device) -> dict[str, Any]:
    """``device`` as given: keys without a value are left out."""
    return {name: value for name, value in vars(device).items() if value is not None}


def _keep_matchable(
    name: str,
    given: Matchable,
    hash_user_data: bool,
    default_countries: frozenset[str],
) -> tuple[str, dict[str, str] | None]:
    """(what stands in ``user_data``, the digests of the rules; none of them fits it where that is empty)."""
    if given.plain is None:
        return given.digests["as_given"], None
    if not hash_user_data:
        return given.plain, None
    found = (
        normalise.email_digests(given.plain)
        if name == "email"
        else normalise.phone_digests_to_keep(given.plain, default_countries, given.country)
    )
    shown = found.get("basic") or found.get("digits") or _first_sent(found)
    # What is no address or number is of no use to any platform, and still personal: only its digest stays.
    return shown or normalise.sha256_hex(given.plain.strip().lower()), found


def _first_sent(digests: Mapping[str, str]) -> str | None:
    return next((digest for rule, digest in digests.items() if not rule.startswith(normalise.UNSENT)), None)


def _seal(sealer: Sealer, merchant_id: int, event_id: str, values: dict[str, str]) -> str | None:
    if not values:
        return None
    return "\\x" + sealer.seal(orjson.dumps(values), _context(merchant_id, event_id)).hex()


def _context(merchant_id: int, event_id: str) -> str:
    return f"event/{merchant_id}/{event_id}"


_COLLECTIONS = ("product_ids", "contents", "properties")


def custom_json(custom_data: CustomData) -> dict[str, Any]:
    """``custom_data`` as given: keys without a value are left out. Money stands in it as finished JSON, exact."""
    given = vars(custom_data)
    found = dict(given)
    for name in AMOUNTS:
        if (amount := given.get(name)) is not None:
            found[name] = _exact_json(amount)
    for name in _COLLECTIONS:
        if name in given and not given[name]:
            del found[name]
    if "contents" in found:
        found["contents"] = [
            {
                key: _exact_json(part) if type(part) is Decimal else part
                for key, part in vars(content).items()
                if part is not None
            }
            for content in found["contents"]
        ]
    if "properties" in found:
        found["properties"] = {
            key: _exact_json(part) if isinstance(part, Decimal) else part for key, part in found["properties"].items()
        }
    if None in found.values():  # of custom data that was not read from a draft
        found = {name: value for name, value in found.items() if value is not None}
    return found


def _exact_json(value: Decimal) -> orjson.Fragment:
    """Digit by digit, without an exponent."""
    text = str(value)
    return orjson.Fragment(format(value, "f") if "E" in text else text)


def opened_user_data(row: EventRow | EventToMap, sealer: Sealer) -> dict[str, Any]:
    """``user_data`` as it is kept, sealed identifiers opened. Raises SealError."""
    user_data: dict[str, Any] = orjson.loads(row.user_data)
    if row.sealed is not None:
        user_data |= orjson.loads(sealer.open(row.sealed, _context(row.merchant_id, row.event_id)))
    return user_data


def to_event(row: EventRow | EventToMap, sealer: Sealer) -> Event:
    """The Event of a row, sealed identifiers opened: for a mapper. Raises SealError."""
    user_data = opened_user_data(row, sealer)
    if not user_data.keys() <= _USER_FIELDS:
        raise TypeError("user_data holds a field that this version does not know")
    digests = orjson.loads(row.digests) if row.digests else {}
    country = country_of(user_data) if "phone" in user_data or "phones" in user_data else None
    for name in ("email", "phone"):
        if name in user_data:
            user_data[name] = _to_matchable(user_data[name], digests.get(name), country if name == "phone" else None)
    for name in MATCHABLE_LISTS:
        if name in user_data:
            kept = digests.get(name) or [None] * len(user_data[name])
            pairs = zip(user_data[name], kept, strict=True)
            own = country if name == "phones" else None
            user_data[name] = tuple([_to_matchable(shown, found, own) for shown, found in pairs])
    url = row.event_source_url
    written = row.event_id, row.event_name, row.user_data.replace(HIDDEN, ""), row.custom_data, row.device or ""
    sealed = _to_seal(tuple(user_data)) if row.sealed is not None else ()
    return made_of(
        Event,
        {
            "event_name": row.event_name,
            "event_id": row.event_id,
            "occurred_at": row.occurred_at,
            "action_source": row.action_source,
            "event_source_url": url,
            "has_plain_url": url is not None and is_plain_url(url) is not None,
            "may_hold_contact": may_hold_contact(" ".join((*written, *map(user_data.__getitem__, sealed)))),
            "user_data": made_of(UserData, user_data),
            "custom_data": _to_custom_data(row.custom_data),
            "device": _to_device(row.device) if row.device else NO_DEVICE,
            "consent": Consent(**orjson.loads(row.consent)) if row.consent else NO_CONSENT,
        },
    )


def _to_matchable(shown: str, digests: Mapping[str, str] | None, country: str | None) -> Matchable:
    return Matchable(None, digests, country) if digests is not None else Matchable.read(shown, country)


def _to_device(text: str) -> Device:
    given = orjson.loads(text)
    if not given.keys() <= _DEVICE_FIELDS:
        raise TypeError("device holds a field that this version does not know")
    return made_of(Device, given)


def _to_custom_data(text: str) -> CustomData:
    custom = _exact(text)
    if not custom.keys() <= _CUSTOM_FIELDS:
        raise TypeError("custom_data holds a field that this version does not know")
    for name in AMOUNTS:
        if name in custom:
            custom[name] = Decimal(custom[name])
    # A merchant's own, money or not: as JSON numbers are read everywhere.
    custom["properties"] = orjson.loads(text)["properties"] if "properties" in custom else {}
    if "product_ids" in custom:
        custom["product_ids"] = tuple(custom["product_ids"])
    if "contents" in custom:
        custom["contents"] = tuple([_to_content(given) for given in custom["contents"]])
    return made_of(CustomData, custom)


def _to_content(given: dict[str, Any]) -> Content:
    if not given.keys() <= _CONTENT_FIELDS:
        raise TypeError("contents hold a field that this version does not know")
    for name in LINE_AMOUNTS:
        if given.get(name) is not None:
            given[name] = Decimal(given[name])
    return made_of(Content, given)


def _exact(text: str) -> Any:
    """Stored JSON, numbers with a fraction digit by digit."""
    return _EXACT.raw_decode(text)[0]


_EXACT = json.JSONDecoder(parse_float=Decimal)


def _in_ms(at: datetime) -> datetime:
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def differences(
    stored: EventRow, repeat: Event, sealer: Sealer, default_countries: frozenset[str]
) -> list[tuple[str, ...]]:
    """Paths of the fields in which a repeat differs from the stored event, values normalised and hashed first."""
    first = to_event(stored, sealer)
    # However the first was kept, and whatever the merchant has set since: only what is not personal is compared.
    (first_url, first_custom), (url, custom) = (
        _impersonal(event.event_source_url, event.custom_data) for event in (first, repeat)
    )
    found: list[tuple[str, ...]] = []
    # The API shows milliseconds: what was read there and sent again is the same time.
    if _in_ms(first.occurred_at) != _in_ms(repeat.occurred_at):
        found.append(("occurred_at",))
    if first.action_source != repeat.action_source:
        found.append(("action_source",))
    if first_url != url:
        found.append(("event_source_url",))
    if not _same_matchable(first.user_data.email, repeat.user_data.email, stored, "email", frozenset()):
        found.append(("user_data", "email"))
    if not _same_matchable(first.user_data.phone, repeat.user_data.phone, stored, "phone", default_countries):
        found.append(("user_data", "phone"))
    for name in MATCHABLE_LISTS:
        if not _same_list(
            getattr(first.user_data, name), getattr(repeat.user_data, name), name[:-1], default_countries
        ):
            found.append(("user_data", name))
    for name in PLAIN_USER_FIELDS:
        if not _same_text(name, getattr(first.user_data, name), getattr(repeat.user_data, name)):
            found.append(("user_data", name))
    before, after = (_exact(dumps(custom_json(one))) for one in (first_custom, custom))
    found.extend(("custom_data", name) for name in CUSTOM_FIELDS if before.get(name) != after.get(name))
    for name in DEVICE_FIELDS:
        if getattr(first.device, name) != getattr(repeat.device, name):
            found.append(("device", name))
    for consent in fields(Consent):
        if getattr(first.consent, consent.name) != getattr(repeat.consent, consent.name):
            found.append(("consent", consent.name))
    return found


def _same_matchable(
    first: Matchable | None, second: Matchable | None, stored: EventRow, name: str, countries: frozenset[str]
) -> bool:
    """The same address or number. Two plain ones by the basic rule; one that came as a digest by whichever fits."""
    if first is None or second is None:
        return first is second
    kept, given = _all_digests(first, name, countries), _all_digests(second, name, countries)
    if not kept or not given:  # no address or number at all: compared as text
        text = _digest_of_text(first) if first.plain is not None else loads(stored.user_data)[name]
        return bool(kept == given and text == _digest_of_text(second))
    for rule in ("basic", "digits"):
        if rule in kept and rule in given:
            return kept[rule] == given[rule]
    return bool(set(kept.values()) & set(given.values()) - {""})


def _same_list(first: Sequence[Matchable], second: Sequence[Matchable], name: str, countries: frozenset[str]) -> bool:
    """Each the same address or number as the one in its place."""
    if len(first) != len(second):
        return False
    for one, other in zip(first, second, strict=True):
        kept, given = _all_digests(one, name, countries), _all_digests(other, name, countries)
        if kept != given and not set(kept.values()) & set(given.values()) - {""}:
            return False
    return True


def _all_digests(value: Matchable, name: str, countries: frozenset[str]) -> Mapping[str, str]:
    if value.plain is None:
        return value.digests
    if name == "email":
        return normalise.email_digests(value.plain)
    return normalise.phone_digests_to_keep(value.plain, countries, value.country)


def _digest_of_text(value: Matchable) -> str:
    return normalise.sha256_hex((value.plain or "").strip().lower())


def _same_text(name: str, first: str | None, second: str | None) -> bool:
    if first == second or first is None or second is None:
        return first == second
    rule = _COMPARED_BY.get(name)
    return rule is not None and normalise.hashed(first, rule) == normalise.hashed(second, rule) is not None
