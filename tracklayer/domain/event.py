"""The canonical Event, and ``read_event``: what a merchant sent, judged field by field.

Shape of a draft: the snake_case JSON of the data model page. A wrong required field or custom value rejects the event
with every Problem named at once; a wrong optional identifier is kept as sent and becomes a warning.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import orjson

from tracklayer.domain import identifiers, normalise
from tracklayer.domain.card import (
    card_name,
    find_card_data,
    may_hold_card_data,
    may_hold_card_number,
    may_name_card_data,
)
from tracklayer.domain.normalise import Matchable
from tracklayer.domain.problem import Choice, Name, Part, Problem

MAX_EVENT_ID = 255  # characters
MAX_EVENT_NAME = 255  # characters
MAX_PROPERTIES = 8 * 1024  # bytes of JSON
MAX_EVENT = 32 * 1024  # bytes of JSON
MAX_PROBLEMS = 20  # are told of one event: a basket of thousands of wrong lines has one mistake, not thousands
MAX_UNKNOWN = 3  # fields that do not exist are named of one object: finding what was meant takes its time
MAX_AHEAD = timedelta(minutes=5)  # what clocks of merchants' servers are forgiven

ACTION_SOURCES = (
    "website",
    "app",
    "email",
    "phone_call",
    "chat",
    "physical_store",
    "system_generated",
    "business_messaging",
    "other",
)
CONSENT_STATES = ("granted", "denied", "unspecified")

_BACKSLASH, _DELETE = ord("\\"), 0x7F  # looked for in bytes as numbers: five times as fast
_CARD_DATA = "This looks like payment card data. TrackLayer never takes it: remove it and send the event again."
# What PostgreSQL cannot store, what breaks a log line, and half a character.
_UNUSABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True)
class UserData:
    """Identifiers of the person. ``email`` and ``phone`` are plain or digests; the rest is text as sent."""

    email: Matchable | None = None
    phone: Matchable | None = None
    first_name: str | None = None
    last_name: str | None = None
    date_of_birth: str | None = None
    gender: str | None = None
    street: str | None = None
    city: str | None = None
    state: str | None = None
    zip: str | None = None
    country: str | None = None
    external_id: str | None = None
    client_ip: str | None = None
    client_user_agent: str | None = None
    browser_id: str | None = None
    fbp: str | None = None
    fbc: str | None = None
    fbclid: str | None = None
    ttp: str | None = None
    ttclid: str | None = None
    gclid: str | None = None
    gbraid: str | None = None
    wbraid: str | None = None
    ga_client_id: str | None = None
    ga_session_id: str | None = None
    epik: str | None = None
    sc_click_id: str | None = None
    sc_cookie1: str | None = None
    li_fat_id: str | None = None
    rdt_cid: str | None = None
    rdt_uuid: str | None = None
    msclkid: str | None = None
    twclid: str | None = None

    def __repr__(self) -> str:
        """Which identifiers are there, never what they are: a repr ends up in logs."""
        given = [f.name for f in fields(self) if getattr(self, f.name) is not None]
        return f"UserData({', '.join(given)})"


@dataclass(frozen=True)
class Content:
    """One line of the basket. ``item_price`` is the price of one unit in major units."""

    id: str
    quantity: int = 1
    item_price: Decimal | None = None
    title: str | None = None
    brand: str | None = None
    category: str | None = None


@dataclass(frozen=True)
class CustomData:
    """Business context. Money is in major units of ``currency`` (ISO 4217, upper case)."""

    value: Decimal | None = None
    currency: str | None = None
    order_id: str | None = None
    product_ids: tuple[str, ...] = ()
    contents: tuple[Content, ...] = ()
    num_items: int | None = None
    content_name: str | None = None
    content_category: str | None = None
    content_type: str | None = None
    search_string: str | None = None
    status: str | None = None
    predicted_ltv: Decimal | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Consent:
    ad_user_data: str = "unspecified"
    ad_personalization: str = "unspecified"
    limited_data_use: bool = False


NO_CONSENT = Consent()  # of an event that says nothing of it


@dataclass(frozen=True)
class Event:
    """One business action. ``event_id`` is the merchant's own; ``occurred_at`` is aware and in UTC."""

    event_name: str
    event_id: str
    occurred_at: datetime
    action_source: str = "website"
    event_source_url: str | None = None
    user_data: UserData = UserData()
    custom_data: CustomData = CustomData()
    consent: Consent = NO_CONSENT


@dataclass(frozen=True, slots=True)
class Misfit:
    """Something that was sent for an event and has not even its shape. ``draft``: as far as it can be read; ``problems``:
    what is wrong besides, and no longer to be seen in it. It is refused like any event, and costs its neighbours nothing.
    """

    draft: Any
    problems: tuple[Problem, ...] = ()


class ReadEvent(NamedTuple):
    event: Event
    warnings: tuple[Problem, ...]


Made = TypeVar("Made", UserData, CustomData, Content, Event)


def made_of(kind: type[Made], values: Mapping[str, Any]) -> Made:
    """An instance of the given fields alone: the others stay the class's defaults, for a fraction of its ``__init__``.

    ``properties`` of CustomData has no such default and must be among the values.
    """
    made = object.__new__(kind)
    made.__dict__.update(values)
    return made


USER_FIELDS = tuple(f.name for f in fields(UserData))
_USER_FIELDS = frozenset(USER_FIELDS)
PLAIN_USER_FIELDS = tuple(name for name in USER_FIELDS if name not in ("email", "phone"))
CUSTOM_FIELDS = tuple(f.name for f in fields(CustomData))
CONTENT_FIELDS = tuple(f.name for f in fields(Content))
_EVENT_FIELDS = frozenset(f.name for f in fields(Event))
_CUSTOM_FIELDS = frozenset(CUSTOM_FIELDS)
_CONTENT_FIELDS = frozenset(CONTENT_FIELDS)
CONSENT_FIELDS = tuple(f.name for f in fields(Consent))
EVENT_FIELDS = tuple(f.name for f in fields(Event))
_TEXTS = ("order_id", "content_name", "content_category", "content_type", "search_string", "status")


def read_event(draft: Any, now: datetime, default_countries: frozenset[str] = frozenset()) -> ReadEvent | list[Problem]:
    """The Event, with warnings, or every reason why there is none. ``default_countries`` read national phones."""
    if type(draft) is not dict and not isinstance(draft, Mapping):
        if isinstance(draft, Misfit):
            return _read_misfit(draft, now, default_countries)
        return [Problem((), "INVALID_TYPE", "An event must be a JSON object.")]
    written = _written(draft)
    size = len(written) if written is not None else _size(draft)
    # JSON escapes control characters: where nothing is escaped, no field of it need be searched for them.
    reader = _Reader(written is not None and _BACKSLASH not in written and _DELETE not in written, size)
    if size <= MAX_EVENT:
        event = _read(reader, draft, now, default_countries)
    else:
        event = None
        message = f"An event may have {MAX_EVENT:,} bytes of JSON; this one has {size:,}."
        reader.problems.append(Problem((), "TOO_LARGE", message))
    # An event without a problem has known fields with values of their kinds: what in those could be card data, the
    # reader has noticed in numbers and names, and the quick look over the bytes sees in texts.
    may_hold_card = reader.problems or reader.may_hold_card or written is None or may_hold_card_data(draft, written)
    if may_hold_card and (path := find_card_data(draft)):
        return [Problem(path, "CARD_DATA", _CARD_DATA)]
    if event is None:
        return _in_order(reader.problems)
    return ReadEvent(event, tuple(_in_order(reader.warnings)) if reader.warnings else ())


def _read_misfit(misfit: Misfit, now: datetime, default_countries: frozenset[str]) -> list[Problem]:
    read = read_event(misfit.draft, now, default_countries)
    found = read if isinstance(read, list) else []
    if any(problem.code == "CARD_DATA" for problem in found):
        return found
    return _in_order([*misfit.problems, *found]) or [
        Problem((), "INVALID_TYPE", "The event is not what the schema asks for: one of its lists may hold null.")
    ]


def readable_event_id(draft: Any, problems: Sequence[Problem]) -> str | None:
    """The event id of something that was refused, where it had a good one."""
    if isinstance(draft, Misfit):
        draft = draft.draft
    found = draft.get("event_id") if isinstance(draft, Mapping) else None
    is_good = isinstance(found, str) and 0 < len(found) <= MAX_EVENT_ID and not _UNUSABLE.search(found)
    return found if is_good and not any(problem.field[:1] == ("event_id",) for problem in problems) else None


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
    **{("consent", name): place for place, name in enumerate(CONSENT_FIELDS)},
}


def _read(reader: _Reader, draft: Mapping[str, Any], now: datetime, default_countries: frozenset[str]) -> Event | None:
    if not draft.keys() <= _EVENT_FIELDS:
        reader.known((), draft, EVENT_FIELDS)
    name = reader.text((), draft, "event_name", MAX_EVENT_NAME, required=True)
    event_id = reader.text((), draft, "event_id", MAX_EVENT_ID, required=True)
    occurred_at = reader.instant((), draft, "occurred_at", now)
    action_source = "website"
    if "action_source" in draft:
        action_source = reader.choice((), draft, "action_source", ACTION_SOURCES) or action_source
    url = reader.text((), draft, "event_source_url") if "event_source_url" in draft else None
    if url is not None:
        reader.may_hold_card = "=" in url and may_name_card_data(url)
        if not (reader.clean and identifiers.is_everyday_url(url)) and not identifiers.is_web_url(url):
            reader.warn(("event_source_url",), "must be an absolute URL that starts with http:// or https://")
    user_data = _read_user_data(reader, draft, default_countries)
    custom_data = _read_custom_data(reader, draft)
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
            "consent": consent,
        },
    )


def _written(draft: Mapping[str, Any]) -> bytes | None:
    """The draft as JSON, or None for what cannot be written: half a surrogate pair, a number beyond 64 bits."""
    try:
        return orjson.dumps(draft)
    except TypeError:
        pass  # out of the ordinary
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


def _read_user_data(reader: _Reader, draft: Mapping[str, Any], default_countries: frozenset[str]) -> UserData:
    given = draft.get("user_data")
    if type(given) is not dict:
        given = reader.mapping((), draft, "user_data", required=True)
    if not given.keys() <= _USER_FIELDS:
        reader.known(("user_data",), given, USER_FIELDS)
    values: dict[str, Any] = {}
    clean, everyday = reader.clean, _EVERYDAY_IDENTIFIERS
    for name, text in given.items():
        is_everyday = everyday.get(name)
        if is_everyday is None:
            continue
        if not (clean and type(text) is str and is_everyday(text)):
            text = reader.identifier(name, text)
            if text is None:
                continue
        values[name] = text
    if "phone" in values:
        if not _is_usable_phone(values["phone"], default_countries):
            reader.warn(("user_data", "phone"), "must be written with + and the country code, such as +16505550123")
        values["phone"] = Matchable.read(values["phone"])
    if "email" in values:
        values["email"] = Matchable.read(values["email"])
    return made_of(UserData, values)


# By name of a field: the quick test that most values pass. Where there is no format, what is not blank passes.
_EVERYDAY_IDENTIFIERS: Mapping[str, Callable[[str], object]] = {
    name: identifiers.FORMATS[name].is_everyday if name in identifiers.FORMATS else str.strip for name in USER_FIELDS
}


def _is_usable_phone(text: str, default_countries: frozenset[str]) -> bool:
    if normalise.is_sha256(text) or normalise.phone_e164(text):
        return True
    return any(normalise.phone_e164(text, country) for country in default_countries)


def _read_custom_data(reader: _Reader, draft: Mapping[str, Any]) -> CustomData:
    at = ("custom_data",)
    given = draft.get("custom_data")
    if type(given) is not dict:
        given = reader.mapping((), draft, "custom_data")
    if not given:
        return CustomData()
    if not given.keys() <= _CUSTOM_FIELDS:
        reader.known(at, given, CUSTOM_FIELDS)
    values: dict[str, Any] = {}
    for name, value in given.items():
        read = _CUSTOM_READERS.get(name)
        if read is not None and value is not None:
            values[name] = read(reader, at, given, name)
    values.setdefault("properties", {})
    return made_of(CustomData, values)


def _read_product_ids(reader: _Reader, at: tuple[str, ...], given: Mapping[str, Any], name: str) -> tuple[str, ...]:
    items = reader.items(at, given, name)
    return tuple(
        [text for index, item in enumerate(items) if (text := reader.text_of(_line(name, index), item)) is not None]
    )


def _read_contents(reader: _Reader, at: tuple[str, ...], given: Mapping[str, Any], name: str) -> tuple[Content, ...]:
    items = reader.items(at, given, name)
    return tuple([_read_content(reader, _line(name, index), item) for index, item in enumerate(items)])


@lru_cache(maxsize=256)
def _line(name: str, index: int) -> tuple[str, ...]:
    return ("custom_data", name, str(index))


def _read_content(reader: _Reader, at: tuple[str, ...], item: Any) -> Content:
    if type(item) is not dict and not isinstance(item, Mapping):
        reader.problem(at, "INVALID_TYPE", "must be an object such as {id, quantity, ", Name(("item_price",)), "}")
        return Content("")
    if not item.keys() <= _CONTENT_FIELDS:
        reader.known(at, item, CONTENT_FIELDS)
    quantity = reader.count(at, item, "quantity")
    values: dict[str, Any] = {
        "id": reader.text(at, item, "id", required=True) or "",
        "quantity": 1 if quantity is None else quantity,
    }
    if "item_price" in item:
        values["item_price"] = reader.decimal(at, item, "item_price")
    for name in ("title", "brand", "category"):
        if name in item:
            values[name] = reader.text(at, item, name)
    return made_of(Content, values)


def _read_consent(reader: _Reader, draft: Mapping[str, Any]) -> Consent:
    at = ("consent",)
    given = reader.mapping((), draft, "consent")
    if not given:
        return NO_CONSENT
    reader.known(at, given, CONSENT_FIELDS)
    limited = given.get("limited_data_use")
    if limited is not None and not isinstance(limited, bool):
        reader.problem((*at, "limited_data_use"), "INVALID_TYPE", "must be true or false")
    return Consent(
        reader.choice(at, given, "ad_user_data", CONSENT_STATES) or "unspecified",
        reader.choice(at, given, "ad_personalization", CONSENT_STATES) or "unspecified",
        limited is True,
    )


@lru_cache(maxsize=1024)  # the same slip in every event of a shop
def _nearest(key: str, names: tuple[str, ...]) -> str | None:
    return next(iter(difflib.get_close_matches(key, names, n=1, cutoff=0.6)), None)


def _shown(key: str) -> str:
    """A key is the caller's text: one that is no plain word could be anything, a value in the wrong place too."""
    is_plain = re.fullmatch(r"[A-Za-z_][A-Za-z_0-9]{0,63}", key) and sum(map(str.isdigit, key)) < 4
    return key if is_plain else "(a key)"


def unknown_field(at: tuple[str, ...], key: str, names: Sequence[str]) -> Problem:
    """What is wrong with a field that is none of ``names``, which those of ``at`` are."""
    shown = _shown(key)
    near = _nearest(key, tuple(names)) if shown == key else None
    hint: tuple[Part, ...] = ("; ", Name(("custom_data", "properties")), " takes fields of your own.")
    if near:
        hint = (", did you mean ", Name((near,)), "?")
    what = f"{shown} is not a field of "
    where: tuple[Part, ...] = (Name(at), ".", what, Name(at)) if at else (what, "an event")
    return Problem.said((*at, shown), "UNKNOWN_FIELD", *where, *hint)


class _Reader:
    """Takes fields out of a draft and collects what is wrong with them. Paths in, values or None out."""

    __slots__ = ("clean", "may_hold_card", "problems", "size", "warnings")

    def __init__(self, clean: bool, size: int) -> None:
        self.clean = clean  # known to hold no character that PostgreSQL or a log could not take
        self.size = size  # of the draft, bytes of JSON
        self.may_hold_card = False  # a number, or a name of the merchant's own, that must be looked at closely
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []

    def problem(self, path: tuple[str, ...], code: str, *what: Part) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem.said(path, code, Name(path) if path else "The event", " ", *what, "."))

    def warn(self, path: tuple[str, ...], what: str) -> None:
        rest = f" {what}. The event is taken without it: platforms that would refuse it do not get it."
        self.warnings.append(Problem.said(path, "IDENTIFIER_MALFORMED", Name(path), rest))

    def known(self, at: tuple[str, ...], given: Mapping[str, Any], names: Sequence[str]) -> None:
        unknown = (key for key in given if key not in names)
        if len(self.problems) < MAX_PROBLEMS:
            self.problems += [unknown_field(at, str(key), names) for key in islice(unknown, MAX_UNKNOWN)]

    def mapping(
        self, at: tuple[str, ...], given: Mapping[str, Any], name: str, *, required: bool = False
    ) -> Mapping[str, Any]:
        value = given.get(name)
        if value is None:
            if required:
                self.problem((*at, name), "REQUIRED", "is required")
            return {}
        if type(value) is dict or isinstance(value, Mapping):
            return value
        self.problem((*at, name), "INVALID_TYPE", "must be an object")
        return {}

    def items(self, at: tuple[str, ...], given: Mapping[str, Any], name: str) -> Sequence[Any]:
        value = given.get(name)
        if type(value) is list:
            return value
        if value is None:
            return ()
        if isinstance(value, str) or not isinstance(value, Sequence):
            self.problem((*at, name), "INVALID_TYPE", "must be a list")
            return ()
        return value

    def text(
        self,
        at: tuple[str, ...],
        given: Mapping[str, Any],
        name: str,
        max_length: int | None = None,
        *,
        required: bool = False,
    ) -> str | None:
        value = given.get(name)
        if type(value) is str and self.clean and 0 < len(value) <= (max_length or MAX_EVENT) and not value.isspace():
            return value
        path = (*at, name)
        value = self.text_of(path, value)
        if value is None:
            if required and not any(p.field == path for p in self.problems):
                self.problem(path, "REQUIRED", "is required and must not be empty")
        elif max_length is not None and len(value) > max_length:
            self.problem(path, "TOO_LONG", f"may have {max_length} characters, this has {len(value)}")
            return None
        return value

    def text_of(self, path: tuple[str, ...], value: Any) -> str | None:
        """Text as sent; None for what is absent or blank. A blank optional field is the same as none."""
        if self.clean and type(value) is str and value and not value.isspace():
            return value
        if value is None:
            return None
        if not isinstance(value, str):
            self.problem(path, "INVALID_TYPE", "must be text")
            return None
        if self._is_unusable(value):
            self.problem(path, "INVALID_CHARACTER", "holds a control character or half a character")
            return None
        return value if value.strip() else None

    def _is_unusable(self, text: str) -> bool:
        return not self.clean and _UNUSABLE.search(text) is not None

    def identifier(self, name: str, value: Any) -> str | None:
        """A field of ``user_data`` that the quick tests did not pass: as sent, with a warning where it is malformed."""
        path = ("user_data", name)
        text = self.text_of(path, value)
        wanted = identifiers.FORMATS.get(name)
        if text is not None and wanted is not None and not wanted.is_right(text):
            self.warn(path, wanted.what)
        return text

    def instant(self, at: tuple[str, ...], given: Mapping[str, Any], name: str, now: datetime) -> datetime | None:
        value = given.get(name)
        if value is None or value == "":
            self.problem((*at, name), "REQUIRED", "is required: when it happened, such as 2026-04-23T14:12:33.000Z")
            return None
        instant = read_instant(value)
        if isinstance(instant, str):
            self.problem((*at, name), "INVALID_TIME", instant)
            return None
        if instant > now and instant > now + MAX_AHEAD:
            self.problem(
                (*at, name), "TIME_IN_FUTURE", "is more than 5 minutes ahead: check the server's clock and the offset"
            )
            return None
        return instant

    def choice(self, at: tuple[str, ...], given: Mapping[str, Any], name: str, choices: Sequence[str]) -> str | None:
        value = given.get(name)
        if value is None:
            return None
        if value not in choices:
            first, *others = choices
            listed = [part for choice in others for part in (", ", Choice(choice))]
            self.problem((*at, name), "INVALID_VALUE", "must be one of ", Choice(first), *listed)
            return None
        return str(value)

    def currency(self, at: tuple[str, ...], given: Mapping[str, Any], name: str) -> str | None:
        text = given.get(name)
        if type(text) is str and text in normalise.currencies():
            return text
        text = self.text(at, given, name)
        if text is None:
            return None
        code = text.strip().upper()
        if code not in normalise.currencies():
            self.problem((*at, name), "INVALID_CURRENCY", "must be an ISO 4217 code such as USD")
            return None
        return code

    def decimal(self, at: tuple[str, ...], given: Mapping[str, Any], name: str) -> Decimal | None:
        value = given.get(name)
        if value is None:
            return None
        number = read_decimal(value)
        if number is None:
            self.problem(
                (*at, name),
                "INVALID_NUMBER",
                "must be a number of at most 20 digits before the point, or one written as text: 129.99",
            )
        elif may_hold_card_number(number):
            self.may_hold_card = True
        return number

    def count(self, at: tuple[str, ...], given: Mapping[str, Any], name: str) -> int | None:
        value = given.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
            self.problem((*at, name), "INVALID_NUMBER", "must be a whole number from 0 to 2147483647")
            return None
        return value

    def properties(self, at: tuple[str, ...], given: Mapping[str, Any], name: str) -> dict[str, Any]:
        path = (*at, name)
        value = self.mapping(at, given, name)
        kept: dict[str, Any] = {}
        clean = self.clean
        for key, inner in value.items():
            if not isinstance(key, str) or len(key) > 255 or not key.strip() or (not clean and _UNUSABLE.search(key)):
                self.problem(path, "INVALID_TYPE", "must have names of 1 to 255 plain characters")
                continue
            if card_name(key):
                self.may_hold_card = True
            if isinstance(inner, str):
                if not clean and _UNUSABLE.search(inner):
                    self.problem(
                        (*path, _shown(key)), "INVALID_CHARACTER", "holds a control character or half a character"
                    )
                kept[key] = inner
            elif isinstance(inner, bool) or inner is None:
                kept[key] = inner
            elif isinstance(inner, _NUMBERS):
                if read_decimal(inner) is None or (isinstance(inner, int) and not -(2**63) <= inner < 2**64):
                    self.problem((*path, _shown(key)), "INVALID_NUMBER", "must be a finite number of 64 bits at most")
                else:
                    kept[key] = inner
                    self.may_hold_card = self.may_hold_card or may_hold_card_number(inner)
            else:
                self.problem((*path, _shown(key)), "INVALID_TYPE", "must be text, a number, true, false or null")
        # No part of a draft is longer than the whole.
        if not self.problems and self.size > MAX_PROPERTIES and len(orjson.dumps(kept, default=str)) > MAX_PROPERTIES:
            self.problem(path, "TOO_LARGE", f"may have {MAX_PROPERTIES:,} bytes of JSON")
        return kept


_CUSTOM_READERS: Mapping[str, Callable[[_Reader, tuple[str, ...], Mapping[str, Any], str], Any]] = {
    **dict.fromkeys(_TEXTS, _Reader.text),
    "currency": _Reader.currency,
    "value": _Reader.decimal,
    "predicted_ltv": _Reader.decimal,
    "num_items": _Reader.count,
    "product_ids": _read_product_ids,
    "contents": _read_contents,
    "properties": _Reader.properties,
}


def read_instant(value: Any) -> datetime | str:
    """An aware UTC datetime from RFC 3339 text, or the end of a sentence that says what is wrong."""
    how = "such as 2026-04-23T14:12:33.000Z or 2026-04-23T16:12:33+02:00"
    if isinstance(value, str):
        try:
            # RFC 3339 allows t and z in lower case; Python would stop reading at a NUL.
            text = value.strip().upper()
            value = datetime.fromisoformat(text) if text.isprintable() else None
        except ValueError:
            return f"must be an RFC 3339 date and time {how}"
    if not isinstance(value, datetime):
        return f"must be an RFC 3339 date and time {how}"
    if value.tzinfo is UTC:
        return value
    if value.tzinfo is None:
        return f"has no offset: end it with Z or an offset, {how}"
    try:
        return value.astimezone(UTC)
    except OverflowError:
        return f"must be an RFC 3339 date and time {how}"


_NUMBERS = (int, float, Decimal)
_EVERYDAY_AMOUNT = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,9})?")


def read_decimal(value: Any) -> Decimal | None:
    """A finite Decimal from a JSON number or decimal text; a float by its shortest form, so 129.9 stays 129.9."""
    kind = type(value)
    # The everyday amounts, which are within every bound below.
    if kind is float and 1e-9 < abs(value) < 1e15:
        return Decimal(repr(value))
    if (kind is int and -(10**15) < value < 10**15) or (kind is str and _EVERYDAY_AMOUNT.fullmatch(value)):
        return Decimal(value)
    if isinstance(value, bool) or not isinstance(value, (*_NUMBERS, str)):
        return None
    if isinstance(value, str) and ("_" in value or len(value) > 64):
        return None
    try:
        number = Decimal(repr(value) if isinstance(value, float) else value)
    except (InvalidOperation, ValueError):
        return None
    if not number.is_finite():
        return None
    # Twenty digits before the point is beyond any money; an exponent of thousands would fill pages when written out.
    return number if -32 <= number.adjusted() <= 20 and int(number.as_tuple().exponent) >= -64 else None
