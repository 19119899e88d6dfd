"""``read_event``: what a merchant sent, judged field by field.

Shape of a draft: the snake_case JSON of the data model page. A wrong required field or custom value rejects the event
with every Problem named at once; a wrong optional identifier is kept as sent and becomes a warning.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import compress
from operator import call, not_
from typing import Any, NamedTuple

import orjson

from tracklayer.domain import identifiers, normalise
from tracklayer.domain.card import find_card_data, may_hold_card_data, may_name_card_data
from tracklayer.domain.contact import HTML_SIGN, JSON_SIGN
from tracklayer.domain.event import (
    ACTION_SOURCES,
    AMOUNTS,
    CONSENT_FIELDS,
    CONSENT_STATES,
    CONTENT_FIELDS,
    CUSTOM_FIELDS,
    DEVICE_FIELDS,
    EVENT_FIELDS,
    LINE_AMOUNTS,
    LINE_TEXTS,
    MATCHABLE_LISTS,
    MAX_DEVICE_TEXT,
    MAX_EVENT,
    MAX_EVENT_ID,
    MAX_EVENT_NAME,
    NO_CONSENT,
    NO_DEVICE,
    TEXT_FIELDS,
    USER_FIELDS,
    Consent,
    Content,
    CustomData,
    Device,
    Event,
    UserData,
    line_path,
    made_of,
)
from tracklayer.domain.event_contacts import contacts_in, may_hold_more_contacts
from tracklayer.domain.event_fields import (
    FIRST_YEAR,
    MAX_PROBLEMS,
    MAX_UNKNOWN,
    NO_ID,
    PRINTED_FOR_NOTHING,
    UNUSABLE,
    FieldReader,
    digits_of,
)
from tracklayer.domain.event_names import is_sale
from tracklayer.domain.identifiers import is_plain_url
from tracklayer.domain.normalise import Matchable, is_plain_digest
from tracklayer.domain.personal import MAX_URL, without_personal_url
from tracklayer.domain.problem import Name, Problem, shown_name
from tracklayer.domain.values import as_list, is_nothing, read_decimal

MAX_SEARCHED = 2 * MAX_EVENT  # bytes: of a draft that is larger, and refused for that, nothing more is looked at
_BACKSLASH, _DELETE = ord("\\"), 0x7F  # looked for in bytes as numbers: five times as fast
_CARD_DATA = "This looks like payment card data. TrackLayer never takes it: remove it and send the event again."


_NO_EVENT_ID = f"{NO_ID}: all events with it would be counted as one"
_NO_NAME = "is what programs write where they have no name: what happened is not said, and no platform could count it"


@dataclass(frozen=True, slots=True)
class Misfit:
    """Something that was sent for an event, and that a schema cannot say. ``draft``: as far as it can be read; ``problems``:
    what is wrong besides, and no longer to be seen in it. Without those it is judged by its draft, as any event: it may only
    be written otherwise. It costs its neighbours nothing.
    """

    draft: Any
    problems: tuple[Problem, ...] = ()


class ReadEvent(NamedTuple):
    """``size``: bytes of JSON that the event came in. ``unusable``: paths of what stands in the event, was warned of, and is of no
    use to any platform; ``gone``: of what was sent and warned of, and does not stand in it.
    """

    event: Event
    warnings: tuple[Problem, ...]
    size: int = 0
    unusable: tuple[tuple[str, ...], ...] = ()
    gone: tuple[tuple[str, ...], ...] = ()


_tuple = tuple.__new__  # a NamedTuple, of all its fields: its own way to make one takes a call of Python's more
_USER_FIELDS = frozenset(USER_FIELDS)
_HASHED_FIELDS = frozenset({"email", "phone"})
_DIGESTS_OF_NOTHING = normalise.digests_of_nothing()
_EVENT_FIELDS = frozenset(f.name for f in fields(Event))
_CUSTOM_FIELDS = frozenset(CUSTOM_FIELDS)
_CONTENT_FIELDS = frozenset(CONTENT_FIELDS)
_AMOUNTS = frozenset(AMOUNTS)


def read_event(draft: Any, now: datetime, default_countries: frozenset[str] = frozenset()) -> ReadEvent | list[Problem]:
    """The Event, with warnings, or every reason why there is none. ``default_countries`` read national phones.

    ``draft``: as it was sent, or the Problem for which what was sent could not be read.
    """
    if type(draft) is not dict and not isinstance(draft, Mapping):
        if isinstance(draft, Problem):
            return [draft]
        if isinstance(draft, Misfit):
            return _read_misfit(draft, now, default_countries)
        return [Problem((), "INVALID_TYPE", "An event must be a JSON object.")]
    try:
        written: bytes | None = orjson.dumps(draft)
    except TypeError:
        written = _written(draft)  # out of the ordinary
    size = len(written) if written is not None else _size(draft)
    # JSON escapes control characters: where nothing is escaped, no field of it need be searched for them.
    reader = FieldReader(written is not None and _BACKSLASH not in written and _DELETE not in written, size)
    is_escaped = written is not None and (
        (b"&" in written and HTML_SIGN(written)) or (not reader.clean and JSON_SIGN(written))
    )
    reader.may_hold_contact = (
        written is None
        or b"@" in written
        or b"+" in written
        or b"%" in written
        or b"\xef" in written
        or bool(is_escaped)
    )
    if size <= MAX_EVENT:
        event = _read(reader, draft, now, default_countries)
    else:
        event = None
        message = f"An event may have {MAX_EVENT:,} bytes of JSON; this one has {size:,}."
        reader.problems.append(Problem((), "TOO_LARGE", message))
    # An event without a problem has known fields with values of their kinds: what in those could be card data, the
    # reader has noticed in numbers and names, and the quick look over the bytes sees in texts.
    if size <= MAX_SEARCHED:
        may_hold_card = reader.problems or reader.may_hold_card or written is None or may_hold_card_data(draft, written)
        if may_hold_card and (path := find_card_data(_without(draft, reader.left_out) if reader.left_out else draft)):
            return [Problem(path, "CARD_DATA", _CARD_DATA)]
    if event is None:
        return _in_order(reader.problems)
    if reader.may_hold_contact:
        if written is None or is_escaped or may_hold_more_contacts(written, draft, event):
            for path in contacts_in(event):
                reader.contact(path)
        else:
            vars(event)["may_hold_contact"] = False
    if not reader.warnings:
        return _tuple(ReadEvent, (event, (), size, (), ()))
    warnings = tuple(_in_order(reader.warnings))
    return _tuple(ReadEvent, (event, warnings, size, tuple(reader.unusable), tuple(reader.gone)))


def _without(draft: Mapping[str, Any], paths: Sequence[tuple[str, ...]]) -> Mapping[str, Any]:
    """The draft without what stands at these paths: none of it is kept."""
    kept = dict(draft)
    for name, *inner in paths:
        if not inner:
            kept.pop(name)
            continue
        within = kept[name] = dict(kept[name])
        if len(inner) == 1 or isinstance(within[inner[0]], str):
            within.pop(inner[0])
        else:
            items = within[inner[0]] = list(as_list(within[inner[0]]) or ())
            items[int(inner[1])] = None
    return kept


def _read_misfit(misfit: Misfit, now: datetime, default_countries: frozenset[str]) -> ReadEvent | list[Problem]:
    read = read_event(misfit.draft, now, default_countries)
    found = read if isinstance(read, list) else []
    if any(problem.code == "CARD_DATA" for problem in found):
        return found
    if not misfit.problems:
        return read
    return _in_order([*misfit.problems, *found]) or read


def readable_event_id(draft: Any, problems: Sequence[Problem]) -> str | None:
    """The event id of something that was refused, where it had a good one."""
    if isinstance(draft, Misfit):
        draft = draft.draft
    found = draft.get("event_id") if isinstance(draft, Mapping) else None
    found = digits_of(found) or found
    is_good = isinstance(found, str) and 0 < len(found) <= MAX_EVENT_ID and not UNUSABLE.search(found)
    return found if is_good and not any(problem.field[:1] == ("event_id",) for problem in problems) else None


def readable_event_name(draft: Any, problems: Sequence[Problem]) -> str:
    """The event name of something that was refused, where it had a good one; else empty."""
    if isinstance(draft, Misfit):
        draft = draft.draft
    found = draft.get("event_name") if isinstance(draft, Mapping) else None
    if not isinstance(found, str) or any(problem.field[:1] == ("event_name",) for problem in problems):
        return ""
    return found if 0 < len(found) <= MAX_EVENT_NAME and not UNUSABLE.search(found) else ""


def readable_sale(draft: Any, problems: Sequence[Problem]) -> tuple[str, Decimal] | None:
    """(currency, amount) of something that was refused, where it is a sale and brings both as they should be."""
    if isinstance(draft, Misfit):
        draft = draft.draft
    if not is_sale(readable_event_name(draft, problems)):
        return None
    given = draft.get("custom_data")
    if not isinstance(given, Mapping):
        return None
    wrong = {problem.field[:2] for problem in problems}
    if wrong & {("custom_data",), ("custom_data", "value"), ("custom_data", "currency")}:
        return None
    currency, amount = given.get("currency"), read_decimal(given.get("value"))
    if not isinstance(currency, str) or currency not in normalise.currencies() or amount is None or amount <= 0:
        return None
    return currency, amount


def _in_order(problems: list[Problem]) -> list[Problem]:
    """In the order of the data model, whatever the order of what was sent; unknown fields before those of their object."""
    return problems if len(problems) < 2 else sorted(problems, key=lambda problem: _place(problem.field))


def _place(path: tuple[str, ...]) -> tuple[int, ...]:
    whole, *parts = path[:2] or ("",)
    own = [_PLACES.get((whole, part), -1) for part in parts]
    return (_PLACES.get((whole,), -1), *own)


_PLACES: Mapping[tuple[str, ...], int] = {
    **{(name,): place for place, name in enumerate(EVENT_FIELDS)},
    **{("user_data", name): place for place, name in enumerate(USER_FIELDS)},
    **{("custom_data", name): place for place, name in enumerate(CUSTOM_FIELDS)},
    **{("device", name): place for place, name in enumerate(DEVICE_FIELDS)},
    **{("consent", name): place for place, name in enumerate(CONSENT_FIELDS)},
}


def _read(
    reader: FieldReader, draft: Mapping[str, Any], now: datetime, default_countries: frozenset[str]
) -> Event | None:
    if not draft.keys() <= _EVENT_FIELDS:
        reader.known((), draft, EVENT_FIELDS)
    clean = reader.clean
    # What nearly every event has is looked at here, without a call: the reader's method says what is wrong with the rest.
    name = draft.get("event_name")
    if not (
        clean
        and type(name) is str
        and name
        and len(name) <= MAX_EVENT_NAME
        and (name[0] in _BEGINS_AN_ID or identifiers.is_everyday_id(name))
    ):
        name = reader.named(draft, "event_name", MAX_EVENT_NAME, normalise.is_nobodys, _NO_NAME)
    reader.event_name = name
    event_id = draft.get("event_id")
    if not (
        clean
        and type(event_id) is str
        and event_id
        and len(event_id) <= MAX_EVENT_ID
        and event_id[0] in _AROUND_AN_ID
        and ((last := event_id[-1]) in _DIGITS or (last in _AROUND_AN_ID and _has_digit(event_id)))
        and "{" not in event_id
        and "$" not in event_id
        and "%" not in event_id
        and "[" not in event_id
        and "<" not in event_id
        and "+" not in event_id
    ):
        event_id = reader.named(draft, "event_id", MAX_EVENT_ID, normalise.is_one_for_all, _NO_EVENT_ID)
    occurred_at = _everyday_instant(draft.get("occurred_at"), now) if clean else None
    if occurred_at is None:
        occurred_at = reader.instant((), draft, "occurred_at", now)
    action_source = "website"
    if "action_source" in draft:
        action_source = reader.choice((), draft, "action_source", ACTION_SOURCES) or action_source
    url = draft.get("event_source_url")
    has_plain_url = (
        clean and type(url) is str and len(url) <= MAX_URL and "?" not in url and is_plain_url(url) is not None
    )
    if url is not None and not has_plain_url:
        url = _read_url(reader, draft)
    user_data = _read_user_data(reader, draft, now, default_countries)
    custom_data = _read_custom_data(reader, draft)
    device = _read_device(reader, draft) if "device" in draft else NO_DEVICE
    consent = _read_consent(reader, draft) if "consent" in draft else NO_CONSENT
    if reader.problems or name is None or event_id is None or occurred_at is None:
        return None
    return made_of(
        Event,
        {
            "event_name": name,
            "event_id": event_id,
            "occurred_at": occurred_at,
            "action_source": action_source,
            "event_source_url": url,
            "user_data": user_data,
            "custom_data": custom_data,
            "device": device,
            "consent": consent,
            "has_plain_url": has_plain_url,
            "may_hold_contact": reader.may_hold_contact,
            "may_hold_personal": reader.may_hold_personal,
        },
    )


# No placeholder, and nothing blank, begins with one of these: see ``normalise.is_nobodys``.
_BEGINS_AN_ID = frozenset("ABCDEGHIJKLMOPQRSTVWXYZabcdeghijklmopqrstvwxyz123456789")
# What begins and ends so, and has a digit other than 0 but none of {, $, %, [, < and +, in which nothing may bring its own digits, is
# an id: see ``normalise.is_one_for_all``.
_DIGITS = frozenset("123456789")
_AROUND_AN_ID = _BEGINS_AN_ID | frozenset("FNUfnu0")
_has_digit = re.compile("[1-9]").search


# Of a time with its seconds. Of others Python takes more than there is, and what it takes for the fraction of a second is one of a
# minute or an hour: see ``values.read_instant``.
_EVERYDAY_SIGNS = frozenset(("--T::.", "--T::Z", "--T::+"))


def _everyday_instant(value: Any, now: datetime) -> datetime | None:
    """A time in UTC that has come, as most are, of text that holds no NUL, where Python would stop reading; None: ask closely."""
    if type(value) is not str or not value.isascii() or value[4:20:3] not in _EVERYDAY_SIGNS:
        return None
    try:
        instant = datetime.fromisoformat(value)
    except ValueError:
        return None
    return instant if instant.tzinfo is UTC and instant.year >= FIRST_YEAR and instant <= now else None


def _read_url(reader: FieldReader, draft: Mapping[str, Any]) -> str | None:
    url = reader.text((), draft, "event_source_url")
    if url is None:
        return None
    if len(url) > MAX_URL:
        reader.too_long(("event_source_url",), MAX_URL)
        return None
    if (plain := identifiers.unescaped_url(url)) is not url:
        if plain != url:
            reader.mended(("event_source_url",), "holds escapes of HTML, such as &amp; for &. It is read without them.")
        url = plain
    reader.may_hold_card = "=" in url and may_name_card_data(url)
    if not (reader.clean and identifiers.is_everyday_url(url)):
        if normalise.is_placeholder(url):
            reader.absent(("event_source_url",))
            return None
        if identifiers.web_url(url) is None:
            reader.warn(("event_source_url",), "must be an absolute URL that starts with http:// or https://")
    if taken := without_personal_url(url)[1]:
        reader.personal(("event_source_url",), f"({', '.join(map(shown_name, taken[:MAX_UNKNOWN]))}) holds")
    return url


def _written(draft: Mapping[str, Any]) -> bytes | None:
    """A draft that is no plain JSON, or None for what cannot be written: half a surrogate pair, a number beyond 64 bits."""
    try:
        return orjson.dumps(draft, default=_as_json, option=orjson.OPT_NON_STR_KEYS)
    except (TypeError, ValueError):
        return None  # the fields say which


def _as_json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, Sequence) else str(value)


def _size(draft: Mapping[str, Any]) -> int:
    """About as many bytes as it would take, of a draft that orjson does not write."""
    try:
        return len(json.dumps(draft, default=str, ensure_ascii=False, separators=(",", ":")).encode(errors="replace"))
    except (TypeError, ValueError, RecursionError):
        return 0


def _is_unborn(text: str, now: datetime) -> bool:
    """Whether a date of birth has come nowhere on earth."""
    born = normalise.date_of_birth(text)
    return born is not None and born > (now + timedelta(days=1)).date()


def _read_user_data(
    reader: FieldReader, draft: Mapping[str, Any], now: datetime, default_countries: frozenset[str]
) -> UserData:
    given = draft.get("user_data")
    if type(given) is not dict:
        given = reader.mapping((), draft, "user_data", required=True)
    everyday = _EVERYDAY_IDENTIFIERS
    if not given.keys() <= _USER_FIELDS:
        reader.known(("user_data",), given, USER_FIELDS)
        given = {name: value for name, value in given.items() if name in everyday}
    values = dict(given)  # most of it stays as it is
    clean = reader.clean  # no text passes a quick test that has to be searched first
    unusual: Iterable[str] = given
    if clean and _ARE_TEXTS(map(type, given.values())):
        unusual = [*compress(given, map(not_, map(call, _tests_of(tuple(given)), given.values())))]
    for name in unusual:
        text = given[name]
        if clean and type(text) is str:
            # Who sends an address or a number has mostly hashed it: nothing is left to be asked of a digest.
            if name in _HASHED_FIELDS and is_plain_digest(text) and text not in _DIGESTS_OF_NOTHING:
                values[name] = _tuple(Matchable, (None, {"as_given": text}, None))
                continue
            if unusual is given and everyday[name](text):
                continue
        text = reader.identifier(name, text)
        if text is not None:
            values[name] = text
        else:
            del values[name]
    if "date_of_birth" in values and _is_unborn(values["date_of_birth"], now):
        reader.left(("user_data", "date_of_birth"), "lies in the future")
        del values["date_of_birth"]
    if type(values.get("phone")) is str or "phones" in values:
        _read_phones(reader, values, default_countries)
    if type(values.get("email")) is str:
        values["email"] = Matchable.read(values["email"])
    return made_of(UserData, values)


def _read_phones(reader: FieldReader, values: dict[str, Any], default_countries: frozenset[str]) -> None:
    """Puts Matchables in the place of the texts: of both fields, since a phone may be read in the person's country."""
    country = normalise.own_country(values.get("country"))
    if type(values.get("phone")) is str:
        values["phone"] = _read_phone(reader, ("user_data", "phone"), values["phone"], default_countries, country)
    if "phones" in values:
        values["phones"] = tuple(
            [
                _read_phone(reader, ("user_data", "phones", str(place)), text, default_countries, country)
                for place, text in values["phones"]
            ]
        )


def _read_phone(
    reader: FieldReader, path: tuple[str, ...], text: str, default_countries: frozenset[str], country: str | None
) -> Matchable:
    if not _is_usable_phone(text, default_countries, country):
        why = ": the country that came with it cannot be read" if country == normalise.UNREADABLE else ""
        reader.warn(path, f"must be written with + and the country code, such as +16505550123{why}")
    return Matchable.read(text, country)


# By name of a field: the quick test that most values pass. Where there is no format, what is not blank passes.
_EVERYDAY_IDENTIFIERS: Mapping[str, Callable[[str], object]] = {
    name: identifiers.FORMATS[name].is_everyday if name in identifiers.FORMATS else identifiers.is_everyday_text
    for name in USER_FIELDS
} | {
    "phone": identifiers.is_everyday_phone,
    "zip": identifiers.is_everyday_zip,
    **dict.fromkeys(MATCHABLE_LISTS, lambda given: False),
}
_ARE_TEXTS = frozenset({str}).issuperset


@lru_cache(maxsize=4096)  # a merchant's events carry the same few sets of identifiers
def _tests_of(names: tuple[str, ...]) -> tuple[Callable[[str], object], ...]:
    return tuple([_EVERYDAY_IDENTIFIERS[name] for name in names])


def _is_usable_phone(text: str, default_countries: frozenset[str], country: str | None) -> bool:
    """Whether a destination would send it; one without a default country does what it would in the person's own."""
    if (text[0] == "+" and normalise.phone_e164(text)) or normalise.is_sha256(text):
        return True
    digests = normalise.phone_digests(text, default_countries, country)
    if not default_countries or "e164" in digests:
        return bool(digests)
    return any(f"e164:{default}" in digests for default in default_countries)


def _read_custom_data(reader: FieldReader, draft: Mapping[str, Any]) -> CustomData:
    at = ("custom_data",)
    given = draft.get("custom_data")
    if type(given) is not dict:
        given = reader.mapping((), draft, "custom_data")
    if not given:
        return CustomData()
    if not given.keys() <= _CUSTOM_FIELDS:
        reader.known(at, given, CUSTOM_FIELDS)
        given = {name: value for name, value in given.items() if name in _CUSTOM_FIELDS}
    values = dict(given)  # most of it stays as it is
    clean = reader.clean
    for name, value in given.items():
        # As for identifiers: first the quick tests that most values pass, told by their kind.
        kind = type(value)
        if kind is str:
            if clean and (is_everyday := _EVERYDAY_TEXTS.get(name)) and is_everyday(value):
                continue
        elif kind is float:
            if 1e-9 < value < 1e13 and name in _AMOUNTS:  # as read_decimal has it, and fewer digits than a card
                values[name] = Decimal(repr(value))
                continue
        elif kind is int and name == "num_items" and 0 <= value < 2**31:
            continue
        elif kind is list and name == "product_ids" and clean and _are_everyday_products(value):
            values[name] = tuple(value)
            continue
        if value is not None:
            values[name] = _CUSTOM_READERS[name](reader, at, given, name)
        else:
            del values[name]
    if "properties" not in values:
        values["properties"] = {}
    return made_of(CustomData, values)


# By name of a field, as for identifiers: of words, what begins as they do and is not ``PRINTED_FOR_NOTHING``.
_EVERYDAY_TEXTS: Mapping[str, Callable[[str], object]] = {
    **dict.fromkeys(
        TEXT_FIELDS,
        re.compile(rf"(?!(?:{'|'.join(map(re.escape, PRINTED_FOR_NOTHING))})\Z)[^\W_].*", re.DOTALL).fullmatch,
    ),
    "order_id": identifiers.is_everyday_id,
    "currency": lambda given: given in normalise.monies(),
}


def _are_everyday_products(items: list[Any]) -> bool:
    return _ARE_TEXTS(map(type, items)) and all(map(identifiers.is_everyday_id, items))


def _read_product_ids(reader: FieldReader, at: tuple[str, ...], given: Mapping[str, Any], name: str) -> tuple[str, ...]:
    items = reader.items(at, given, name)
    return tuple(
        [
            text
            for index, item in enumerate(items)
            if (text := reader.product_id(line_path(name, index), item)) is not None
        ]
    )


def _read_contents(
    reader: FieldReader, at: tuple[str, ...], given: Mapping[str, Any], name: str
) -> tuple[Content, ...]:
    items = reader.items(at, given, name)
    return tuple(
        [
            line
            for index, item in enumerate(items)
            if (line := _read_content(reader, line_path(name, index), item)) is not None
        ]
    )


def _read_content(reader: FieldReader, at: tuple[str, ...], item: Any) -> Content | None:
    """None for a line that has no id, or what only stands for one: no platform could tell what it is of, whatever its other fields
    say. A field that does not exist may be its id under another name. None, too, for one that was not bought: its quantity is below
    zero.
    """
    if type(item) is not dict and not isinstance(item, Mapping):
        if is_nothing(item) or (isinstance(item, str) and normalise.is_nobodys(item)):
            if len(reader.warnings) < MAX_PROBLEMS:
                reader.absent(at)
            return None
        reader.problem(at, "INVALID_TYPE", "must be an object such as {id, quantity, ", Name(("item_price",)), "}")
        return Content("")
    product = item.get("id")
    is_known = item.keys() <= _CONTENT_FIELDS
    if not (reader.clean and type(product) is str and identifiers.is_everyday_id(product)):
        wrong = len(reader.problems)
        product = reader.line_id(at, product)
        if product is None and is_known and len(reader.problems) == wrong:
            reader.may_hold_card = True  # in what is not read of it
            return None
    if not is_known:
        reader.known(at, item, CONTENT_FIELDS)
    quantity = reader.quantity(at, item, "quantity")
    values: dict[str, Any] = {"id": product or "", "quantity": 1 if quantity is None else quantity}
    for name in LINE_AMOUNTS:
        if name in item:
            values[name] = reader.decimal(at, item, name)
    for name in LINE_TEXTS:
        if name in item:
            values[name] = reader.words(at, item, name)
    if values["quantity"] < 0:
        reader.below_zero((*at, "quantity"), " The event is taken without that line, which was not bought.")
        return None
    return made_of(Content, values)


def _read_device(reader: FieldReader, draft: Mapping[str, Any]) -> Device:
    at = ("device",)
    given = reader.mapping((), draft, "device")
    if not given:
        return NO_DEVICE
    reader.known(at, given, DEVICE_FIELDS)
    values: dict[str, Any] = {}
    for name in DEVICE_FIELDS:
        if given.get(name) is None:
            continue
        path = (*at, name)
        if name == "tracking_allowed":
            values[name] = reader.flag(at, given, name)
        elif name in ("screen_width", "screen_height"):
            values[name] = reader.pixels(at, given, name) or None
        elif (text := reader.text(at, given, name, MAX_DEVICE_TEXT)) is not None:
            if normalise.is_placeholder(text) or identifiers.is_zero_uuid(text):
                reader.absent(path)
                continue
            if name in ("advertising_id", "vendor_id") and not identifiers.is_uuid(text):
                reader.warn(path, "must be a UUID, as the operating system gives it")
            values[name] = text
    return made_of(Device, values) if values else NO_DEVICE


def _read_consent(reader: FieldReader, draft: Mapping[str, Any]) -> Consent:
    at = ("consent",)
    given = reader.mapping((), draft, "consent")
    if not given:
        return NO_CONSENT
    reader.known(at, given, CONSENT_FIELDS)
    limited = reader.flag(at, given, "limited_data_use")
    return Consent(
        reader.choice(at, given, "ad_user_data", CONSENT_STATES) or "unspecified",
        reader.choice(at, given, "ad_personalization", CONSENT_STATES) or "unspecified",
        limited is True,
    )


_CUSTOM_READERS: Mapping[str, Callable[[FieldReader, tuple[str, ...], Mapping[str, Any], str], Any]] = {
    **dict.fromkeys(TEXT_FIELDS, FieldReader.words),
    "currency": FieldReader.currency,
    **dict.fromkeys(AMOUNTS, FieldReader.decimal),
    "order_id": FieldReader.order_id,
    "num_items": FieldReader.pieces,
    "product_ids": _read_product_ids,
    "contents": _read_contents,
    "properties": FieldReader.properties,
}
