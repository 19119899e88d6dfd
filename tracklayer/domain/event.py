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
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from itertools import islice
from typing import Any, ClassVar, NamedTuple, TypeVar

import orjson

from tracklayer.domain import identifiers, normalise
from tracklayer.domain.card import find_card_data, may_hold_card_data, may_hold_card_number, may_name_card_data
from tracklayer.domain.card_names import card_name
from tracklayer.domain.contact import holds_contact
from tracklayer.domain.event_names import is_refund, is_sale
from tracklayer.domain.identifiers import is_plain_url
from tracklayer.domain.normalise import Matchable, is_everyday_product, is_plain_digest
from tracklayer.domain.personal import MAX_URL, without_personal_properties, without_personal_url
from tracklayer.domain.problem import Choice, Name, Part, Problem
from tracklayer.domain.text import bare, is_blank, without_invisible

MAX_EVENT_ID = 255  # characters
MAX_EVENT_NAME = 255  # characters
MAX_PROPERTIES = 8 * 1024  # bytes of JSON
MAX_EVENT = 256 * 1024  # bytes of JSON: the largest orders are not the ones to lose
MAX_SEARCHED = 2 * MAX_EVENT  # bytes: of a draft that is larger, and refused for that, nothing more is looked at
MAX_MORE = 9  # further emails, or phones, of one person
MAX_DEVICE_TEXT = 255  # characters
MAX_PROBLEMS = 20  # are told of one event: a basket of thousands of wrong lines has one mistake, not thousands
MAX_UNKNOWN = 3  # fields that do not exist are named of one object: finding what was meant takes its time
UNNAMED = "CustomEvent"  # in place of an event name that no platform may get
MAX_AHEAD = timedelta(minutes=5)  # what clocks of merchants' servers are forgiven
_FIRST_YEAR = 2000  # before it no conversion was counted: 0001, 1970 and the like stand for none

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

_MOST_JUDGED = 4 * MAX_PROPERTIES  # characters of properties: of larger ones nothing else is said
_BACKSLASH, _DELETE = ord("\\"), 0x7F  # looked for in bytes as numbers: five times as fast
_CARD_DATA = "This looks like payment card data. TrackLayer never takes it: remove it and send the event again."
# What PostgreSQL cannot store, what breaks a log line, and half a character.
_LANGUAGE = re.compile(r"([A-Za-z]{2})(?:[_-]|\Z)")
_UNUSABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True)
class UserData:
    """Identifiers of the person. ``email`` and ``phone`` are plain or digests; the rest is text as sent.

    ``emails`` and ``phones`` are further ones of the same person: ``all_emails`` and ``all_phones`` begin with the main one.
    """

    email: Matchable | None = None
    phone: Matchable | None = None
    emails: tuple[Matchable, ...] = ()
    phones: tuple[Matchable, ...] = ()
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
    lead_id: str | None = None
    job_title: str | None = None
    company_name: str | None = None

    @property
    def all_emails(self) -> tuple[Matchable, ...]:
        return self.emails if self.email is None else (self.email, *self.emails)

    @property
    def all_phones(self) -> tuple[Matchable, ...]:
        return self.phones if self.phone is None else (self.phone, *self.phones)

    def __repr__(self) -> str:
        """Which identifiers are there, never what they are: a repr ends up in logs."""
        given = [f.name for f in fields(self) if getattr(self, f.name)]
        return f"UserData({', '.join(given)})"


@dataclass(frozen=True)
class Content:
    """One line of the basket. ``item_price`` and ``discount`` are of one unit, in major units. ``quantity`` is whole, or
    has a fraction where goods are sold by weight: ``whole_quantity`` is for platforms that count pieces.
    """

    id: str
    quantity: int | Decimal = 1
    item_price: Decimal | None = None
    title: str | None = None
    brand: str | None = None
    category: str | None = None
    variant: str | None = None
    coupon: str | None = None
    discount: Decimal | None = None

    @property
    def whole_quantity(self) -> int:
        """Pieces, at least one: what is sold by weight is rounded."""
        return self.quantity if isinstance(self.quantity, int) else max(1, round(self.quantity))


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
class Device:
    """What an app's event happened on. Ids are UUIDs as the system gives them; sizes are pixels; ``locale`` is like ``en_US``,
    ``time_zone`` like ``Europe/Berlin``. ``tracking_allowed``: what the person answered, None where nobody asked.
    """

    os: str | None = None
    os_version: str | None = None
    app_id: str | None = None
    app_name: str | None = None
    app_version: str | None = None
    model: str | None = None
    locale: str | None = None
    time_zone: str | None = None
    carrier: str | None = None
    screen_width: int | None = None
    screen_height: int | None = None
    advertising_id: str | None = None
    vendor_id: str | None = None
    tracking_allowed: bool | None = None

    @property
    def system(self) -> str | None:
        """``ios`` or ``android``; None for any other, and where it is not told."""
        name = (self.os or "").strip().lower()
        if name.startswith(("ios", "ipados", "iphone", "ipad", "tvos")):
            return "ios"
        return "android" if name.startswith("android") else None

    @property
    def language(self) -> str | None:
        """``en`` of ``en_US``, as ISO 639-1 has it; None for what is no such code."""
        found = _LANGUAGE.match(self.locale or "")
        return found[1].lower() if found else None


NO_DEVICE = Device()  # of an event that says nothing of it


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
    device: Device = NO_DEVICE
    consent: Consent = NO_CONSENT
    # No field, but kept beside them by who makes an Event of what was sent or stored: ``is_plain_url`` says so of its URL.
    has_plain_url: ClassVar[bool] = False
    # The same: False where no text of it can hold an e-mail address or a phone number.
    may_hold_contact: ClassVar[bool] = True
    # The same: False where its URL and properties were looked through for personal data, and hold none.
    may_hold_personal: ClassVar[bool] = True
    # The same: the URL that it came with, where the default page stands in for that.
    sent_url: ClassVar[str | None] = None

    @property
    def clicked_url(self) -> str | None:
        """Where its click ids are: the URL as it came, which need not be one that a platform takes for a page."""
        return self.sent_url or self.event_source_url


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


Made = TypeVar("Made", UserData, CustomData, Content, Device, Event)


_new, _set = object.__new__, object.__setattr__  # looked up once: several times an event
_tuple = tuple.__new__  # a NamedTuple, of all its fields: its own way to make one takes a call of Python's more


def made_of(kind: type[Made], values: dict[str, Any]) -> Made:
    """An instance of the given fields alone: the others stay the class's defaults, for a fraction of its ``__init__``.

    ``properties`` of CustomData has no such default and must be among the values. The dict is the instance's from now on.
    """
    made = _new(kind)
    _set(made, "__dict__", values)
    return made


USER_FIELDS = tuple(f.name for f in fields(UserData))
_USER_FIELDS = frozenset(USER_FIELDS)
MATCHABLE_LISTS = ("emails", "phones")
_HASHED_FIELDS = frozenset({"email", "phone"})
_DIGESTS_OF_NOTHING = normalise.digests_of_nothing()
PLAIN_USER_FIELDS = tuple(name for name in USER_FIELDS if name not in ("email", "phone", *MATCHABLE_LISTS))
CUSTOM_FIELDS = tuple(f.name for f in fields(CustomData))
CONTENT_FIELDS = tuple(f.name for f in fields(Content))
_EVENT_FIELDS = frozenset(f.name for f in fields(Event))
_CUSTOM_FIELDS = frozenset(CUSTOM_FIELDS)
_CONTENT_FIELDS = frozenset(CONTENT_FIELDS)
CONSENT_FIELDS = tuple(f.name for f in fields(Consent))
DEVICE_FIELDS = tuple(f.name for f in fields(Device))
EVENT_FIELDS = tuple(f.name for f in fields(Event))
_TEXTS = ("order_id", "content_name", "content_category", "content_type", "search_string", "status")
_OWN_IDS = ("event_id", "order_id", "id")  # the merchant's own, which many a shop keeps as numbers
_TEXTS_OF_CUSTOM = frozenset(_TEXTS)
_AMOUNTS = frozenset({"value", "predicted_ltv"})
# Of texts that people read: a product may be called N/A or Nil, and a category Other or 0.
_PRINTED_FOR_NOTHING = frozenset({"null", "undefined", "NaN", "None", "[object Object]"})


def read_event(draft: Any, now: datetime, default_countries: frozenset[str] = frozenset()) -> ReadEvent | list[Problem]:
    """The Event, with warnings, or every reason why there is none. ``default_countries`` read national phones."""
    if type(draft) is not dict and not isinstance(draft, Mapping):
        if isinstance(draft, Misfit):
            return _read_misfit(draft, now, default_countries)
        return [Problem((), "INVALID_TYPE", "An event must be a JSON object.")]
    try:
        written: bytes | None = orjson.dumps(draft)
    except TypeError:
        written = _written(draft)  # out of the ordinary
    size = len(written) if written is not None else _size(draft)
    # JSON escapes control characters: where nothing is escaped, no field of it need be searched for them.
    reader = _Reader(written is not None and _BACKSLASH not in written and _DELETE not in written, size)
    reader.may_hold_contact = (
        written is None or b"@" in written or b"+" in written or b"%" in written or b"\xef" in written
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
        if written is None or _may_hold_contact(written, draft, event):
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


def _may_hold_contact(written: bytes, draft: Mapping[str, Any], event: Event) -> bool:
    """Whether there are more signs of an address or a number than stand where they belong, or are looked for of their own."""
    if b"\xef" in written:  # the first byte of full-width signs
        return True
    person = vars(event.user_data)
    email, phone = _signs_of(person.get("email")), _signs_of(person.get("phone"))
    # Nearly every event has one address and one number in plain, and no other sign.
    if written.count(b"@") == email.count("@") and written.count(b"+") == phone.count("+") and b"%" not in written:
        return False
    own = (event.event_source_url or "") + email + phone
    if "emails" in person or "phones" in person:
        own += "".join([one.plain or "" for one in (*person.get("emails", ()), *person.get("phones", ()))])
    if type(occurred_at := draft["occurred_at"]) is str:
        own += occurred_at
    return (
        written.count(b"@") > own.count("@")
        or written.count(b"+") > own.count("+")
        or written.count(b"%") > own.count("%")
    )


def _signs_of(one: Matchable | None) -> str:
    """A digest has none."""
    return one.plain or "" if one is not None else ""


# Fields in which no address and no number belongs, and which leave in plain, or may: nobody gets one that holds such. As do
# all ``_TEXTS``.
_LINES_WITHOUT_CONTACT = ("id", "title", "brand", "category", "variant", "coupon")
_PERSON_WITHOUT_CONTACT = tuple(
    "city state zip client_user_agent fbp fbc fbclid ttp ttclid gclid gbraid wbraid ga_client_id ga_session_id epik sc_click_id "
    "sc_cookie1 li_fat_id rdt_cid rdt_uuid msclkid twclid lead_id job_title company_name".split()
)


def contacts_in(event: Event) -> list[tuple[str, ...]]:
    """The paths of what holds an e-mail address or a phone number where none belongs: what a sender is warned of, and what no
    platform gets.

    Not those in the URL and the properties, which ``personal.py`` finds, nor in what is hashed before it leaves.
    """
    found: list[tuple[str, ...]] = [
        (name,) for name in ("event_name", "event_id") if holds_contact(getattr(event, name))
    ]
    given: Mapping[str, Any] = vars(event.user_data)
    found += [
        ("user_data", name) for name in _PERSON_WITHOUT_CONTACT if (text := given.get(name)) and holds_contact(text)
    ]
    if (text := given.get("external_id")) and holds_contact(text):
        found.append(("user_data", "external_id"))
    custom = event.custom_data
    given = vars(custom)
    found += [("custom_data", name) for name in _TEXTS if (text := given.get(name)) and holds_contact(text)]
    for place, line in enumerate(custom.contents):
        given = vars(line)
        found += [
            (*_line("contents", place), name)
            for name in _LINES_WITHOUT_CONTACT
            if (text := given.get(name)) and holds_contact(text)
        ]
    if any(map(holds_contact, custom.product_ids)):
        found.append(("custom_data", "product_ids"))
    if event.device is not NO_DEVICE:
        given = vars(event.device)
        found += [("device", name) for name, text in given.items() if isinstance(text, str) and holds_contact(text)]
    return found


def read_identifier(name: str, value: str) -> str | None:
    """A text in a field of ``user_data`` as a mapper gets it: None for what is absent, or holds a contact where none belongs."""
    text = _Reader(False, 0)._identifier(("user_data", name), name, value)
    return None if text is None or (name in _PERSON_WITHOUT_CONTACT and holds_contact(text)) else text


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
    found = _digits_of(found) or found
    is_good = isinstance(found, str) and 0 < len(found) <= MAX_EVENT_ID and not _UNUSABLE.search(found)
    return found if is_good and not any(problem.field[:1] == ("event_id",) for problem in problems) else None


def readable_event_name(draft: Any, problems: Sequence[Problem]) -> str:
    """The event name of something that was refused, where it had a good one; else empty."""
    if isinstance(draft, Misfit):
        draft = draft.draft
    found = draft.get("event_name") if isinstance(draft, Mapping) else None
    if not isinstance(found, str) or any(problem.field[:1] == ("event_name",) for problem in problems):
        return ""
    return found if 0 < len(found) <= MAX_EVENT_NAME and not _UNUSABLE.search(found) else ""


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


def _read(reader: _Reader, draft: Mapping[str, Any], now: datetime, default_countries: frozenset[str]) -> Event | None:
    if not draft.keys() <= _EVENT_FIELDS:
        reader.known((), draft, EVENT_FIELDS)
    clean = reader.clean
    # What nearly every event has is looked at here, without a call: the reader's method says what is wrong with the rest.
    name = draft.get("event_name")
    if not (
        clean
        and type(name) is str
        and 0 < len(name) <= MAX_EVENT_NAME
        and (name[0] in _BEGINS_AN_ID or identifiers.is_everyday_id(name))
    ):
        name = reader.named(draft, "event_name", MAX_EVENT_NAME, _NO_NAME)
    reader.event_name = name
    event_id = draft.get("event_id")
    if not (clean and type(event_id) is str and 0 < len(event_id) <= MAX_EVENT_ID and event_id[0] in _BEGINS_AN_ID):
        event_id = reader.named(draft, "event_id", MAX_EVENT_ID, _NO_EVENT_ID)
    occurred_at = _everyday_instant(draft.get("occurred_at"), now) if clean else None
    if occurred_at is None:
        occurred_at = reader.instant((), draft, "occurred_at", now)
    action_source = "website"
    if "action_source" in draft:
        action_source = reader.choice((), draft, "action_source", ACTION_SOURCES) or action_source
    url = draft.get("event_source_url")
    has_plain_url = clean and type(url) is str and len(url) <= MAX_URL and is_plain_url(url) is not None
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


def _everyday_instant(value: Any, now: datetime) -> datetime | None:
    """A time in UTC that has come, as most are, of text that holds no NUL, where Python would stop reading; None: ask closely."""
    if type(value) is not str or not value.isascii() or value[10:11] != "T" or value[7] != "-":
        return None
    try:
        instant = datetime.fromisoformat(value)
    except ValueError:
        return None
    return instant if instant.tzinfo is UTC and instant.year >= _FIRST_YEAR and instant <= now else None


def _read_url(reader: _Reader, draft: Mapping[str, Any]) -> str | None:
    url = reader.text((), draft, "event_source_url")
    if url is None:
        return None
    if len(url) > MAX_URL:
        reader.too_long(("event_source_url",), MAX_URL)
        return None
    reader.may_hold_card = "=" in url and may_name_card_data(url)
    if not (reader.clean and identifiers.is_everyday_url(url)):
        if normalise.is_placeholder(url):
            reader.absent(("event_source_url",))
            return None
        if identifiers.web_url(url) is None:
            reader.warn(("event_source_url",), "must be an absolute URL that starts with http:// or https://")
    if taken := without_personal_url(url)[1]:
        reader.personal(("event_source_url",), f"({', '.join(map(_shown, taken[:MAX_UNKNOWN]))}) holds")
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
    reader: _Reader, draft: Mapping[str, Any], now: datetime, default_countries: frozenset[str]
) -> UserData:
    given = draft.get("user_data")
    if type(given) is not dict:
        given = reader.mapping((), draft, "user_data", required=True)
    everyday = _EVERYDAY_IDENTIFIERS
    if not given.keys() <= _USER_FIELDS:
        reader.known(("user_data",), given, USER_FIELDS)
        given = {name: value for name, value in given.items() if name in everyday}
    values = dict(given)  # most of it stays as it is
    kind = str if reader.clean else None  # no text passes a quick test that has to be searched first
    for name, text in given.items():
        if type(text) is kind:
            # Who sends an address or a number has mostly hashed it: nothing is left to be asked of a digest.
            if len(text) == 64 and name in _HASHED_FIELDS and is_plain_digest(text):
                if text not in _DIGESTS_OF_NOTHING:
                    values[name] = _tuple(Matchable, (None, {"as_given": text}, None))
                    continue
            elif everyday[name](text):
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


def _read_phones(reader: _Reader, values: dict[str, Any], default_countries: frozenset[str]) -> None:
    """Puts Matchables in the place of the texts: of both fields, since a phone may be read in the person's country."""
    country = normalise.country(values["country"]) if "country" in values else None
    country = country.upper() if country else None
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
    reader: _Reader, path: tuple[str, ...], text: str, default_countries: frozenset[str], country: str | None
) -> Matchable:
    if not _is_usable_phone(text, default_countries, country):
        reader.warn(path, "must be written with + and the country code, such as +16505550123")
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


def _is_usable_phone(text: str, default_countries: frozenset[str], country: str | None) -> bool:
    if text[0] == "+" and normalise.phone_e164(text):
        return True
    return normalise.is_sha256(text) or bool(normalise.phone_digests(text, default_countries, country))


def _read_custom_data(reader: _Reader, draft: Mapping[str, Any]) -> CustomData:
    at = ("custom_data",)
    given = draft.get("custom_data")
    if type(given) is not dict:
        given = reader.mapping((), draft, "custom_data")
    if not given:
        return CustomData()
    if not given.keys() <= _CUSTOM_FIELDS:
        reader.known(at, given, CUSTOM_FIELDS)
    values = dict(given)  # most of it stays as it is
    clean = reader.clean
    for name, value in given.items():
        # As for identifiers: first the quick tests that most values pass, told by their kind.
        kind = type(value)
        if kind is str:
            if name in _TEXTS_OF_CUSTOM:
                if (
                    clean
                    and value
                    and not (value.isspace() if value.isascii() else is_blank(value))
                    and value not in _PRINTED_FOR_NOTHING
                    and (name != "order_id" or identifiers.is_everyday_id(value))
                ):
                    continue
            elif name == "currency" and value in normalise.monies():
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
        read = _CUSTOM_READERS.get(name)
        if read is not None and value is not None:
            values[name] = read(reader, at, given, name)
        else:
            del values[name]
    if "properties" not in values:
        values["properties"] = {}
    return made_of(CustomData, values)


def _are_everyday_products(items: list[Any]) -> bool:
    for item in items:  # noqa: SIM110 - all() of a generator takes twice as long, and most events ask
        if type(item) is not str or not is_everyday_product(item):
            return False
    return True


def _read_product_ids(reader: _Reader, at: tuple[str, ...], given: Mapping[str, Any], name: str) -> tuple[str, ...]:
    items = reader.items(at, given, name)
    return tuple(
        [text for index, item in enumerate(items) if (text := reader.product_id(_line(name, index), item)) is not None]
    )


def _read_contents(reader: _Reader, at: tuple[str, ...], given: Mapping[str, Any], name: str) -> tuple[Content, ...]:
    items = reader.items(at, given, name)
    return tuple(
        [
            line
            for index, item in enumerate(items)
            if (line := _read_content(reader, _line(name, index), item)) is not None
        ]
    )


@lru_cache(maxsize=256)
def _line(name: str, index: int) -> tuple[str, ...]:
    return ("custom_data", name, str(index))


def _read_content(reader: _Reader, at: tuple[str, ...], item: Any) -> Content | None:
    """None for a line that has no id, or what only stands for one: no platform could tell what it is of, whatever its other fields
    say. A field that does not exist may be its id under another name. None, too, for one that was not bought: its quantity is below
    zero.
    """
    if type(item) is not dict and not isinstance(item, Mapping):
        if _is_nothing(item) or (isinstance(item, str) and normalise.is_nobodys(item)):
            if len(reader.warnings) < MAX_PROBLEMS:
                reader.absent(at)
            return None
        reader.problem(at, "INVALID_TYPE", "must be an object such as {id, quantity, ", Name(("item_price",)), "}")
        return Content("")
    product = item.get("id")
    is_known = item.keys() <= _CONTENT_FIELDS
    if not (reader.clean and type(product) is str and is_everyday_product(product)):
        wrong = len(reader.problems)
        product = reader.line_id(at, product)
        if product is None and is_known and len(reader.problems) == wrong:
            reader.may_hold_card = True  # in what is not read of it
            return None
    if not is_known:
        reader.known(at, item, CONTENT_FIELDS)
    quantity = reader.quantity(at, item, "quantity")
    values: dict[str, Any] = {"id": product or "", "quantity": 1 if quantity is None else quantity}
    for name in ("item_price", "discount"):
        if name in item:
            values[name] = reader.decimal(at, item, name)
    for name in ("title", "brand", "category", "variant", "coupon"):
        if name in item:
            values[name] = reader.words(at, item, name)
    if values["quantity"] < 0:
        reader.below_zero((*at, "quantity"), " The event is taken without that line, which was not bought.")
        return None
    return made_of(Content, values)


def _read_device(reader: _Reader, draft: Mapping[str, Any]) -> Device:
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


def _read_consent(reader: _Reader, draft: Mapping[str, Any]) -> Consent:
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

    __slots__ = (
        "clean",
        "event_name",
        "gone",
        "left_out",
        "may_hold_card",
        "may_hold_contact",
        "may_hold_personal",
        "problems",
        "size",
        "unusable",
        "warnings",
    )

    def __init__(self, clean: bool, size: int) -> None:
        self.clean = clean  # known to hold no character that PostgreSQL or a log could not take
        self.size = size  # of the draft, bytes of JSON
        self.event_name: str | None = None  # as soon as it is read
        self.may_hold_card = False  # a number, or a name of the merchant's own, that must be looked at closely
        self.may_hold_contact = True
        self.may_hold_personal = False  # in what was read so far
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self.unusable: list[tuple[str, ...]] = []  # of what is kept all the same
        self.gone: list[tuple[str, ...]] = []  # of what is not kept
        self.left_out: list[tuple[str, ...]] = []  # what is so long that it is not even searched

    def problem(self, path: tuple[str, ...], code: str, *what: Part) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem.said(path, code, Name(path) if path else "The event", " ", *what, "."))

    def warn(self, path: tuple[str, ...], what: str) -> None:
        rest = f" {what}. The event is taken, and this is kept with it; platforms that would refuse it do not get it."
        self.warnings.append(Problem.said(path, "IDENTIFIER_MALFORMED", Name(path), rest))
        self.unusable.append(path)

    def left(self, path: tuple[str, ...], what: str) -> None:
        rest = f" {what}. The event is taken without it."
        self.gone.append(path)
        self.warnings.append(Problem.said(path, "IDENTIFIER_MALFORMED", Name(path), rest))

    def personal(self, path: tuple[str, ...], what: str) -> None:
        self.may_hold_personal = True
        rest = (
            f" {what} what looks like personal data in plain text. The event is taken, and no platform gets that part."
        )
        self.warnings.append(Problem.said(path, "PERSONAL_DATA", Name(path), rest))

    def contact(self, path: tuple[str, ...]) -> None:
        rest = _CONTACT_IN.get(path[-1]) if len(path) == 1 else None
        if path == ("user_data", "external_id"):
            rest = _CONTACT_AS_ID
        if rest is None:
            self.unusable.append(path)
        rest = rest or " The event is taken, and no platform gets that field."
        message = f" holds what looks like personal data in plain text.{rest}"
        if len(self.warnings) < MAX_PROBLEMS:
            self.warnings.append(Problem.said(path, "PERSONAL_DATA", Name(path), message))

    def too_long(self, path: tuple[str, ...], most: int) -> None:
        rest = f" may have {most:,} characters. The event is taken without it."
        self.gone.append(path)
        self.warnings.append(Problem.said(path, "IDENTIFIER_MALFORMED", Name(path), rest))
        self.left_out.append(path)

    def absent(self, path: tuple[str, ...]) -> None:
        rest = " stands for no value, or is the digest of one. The event is taken without it."
        self.gone.append(path)
        self.warnings.append(Problem.said(path, "IDENTIFIER_PLACEHOLDER", Name(path), rest))

    def known(self, at: tuple[str, ...], given: Mapping[str, Any], names: Sequence[str]) -> None:
        unknown = (key for key in given if key not in names)
        if len(self.problems) < MAX_PROBLEMS:
            self.problems += [unknown_field(at, str(key), names) for key in islice(unknown, MAX_UNKNOWN)]

    def mapping(
        self, at: tuple[str, ...], given: Mapping[str, Any], name: str, *, required: bool = False
    ) -> Mapping[str, Any]:
        value = given.get(name)
        if value is None or _is_blank(value):
            if required:
                self.problem((*at, name), "REQUIRED", "is required")
            return {}
        if type(value) is dict or isinstance(value, Mapping):
            return value
        if isinstance(value, Sequence) and not isinstance(value, str) and not value:
            return {}  # as PHP writes an object without fields
        self.problem((*at, name), "INVALID_TYPE", "must be an object")
        return {}

    def items(self, at: tuple[str, ...], given: Mapping[str, Any], name: str) -> Sequence[Any]:
        """One that stands there itself is a list of one."""
        value = given.get(name)
        if type(value) is list:
            return value
        if _is_nothing(value):
            return ()
        if isinstance(value, (str, *_NUMBERS)) and name == "product_ids":
            return (value,)
        if (items := as_list(value)) is not None:
            return items
        if isinstance(value, Mapping) and name == "contents" and not is_numbered(value):
            return (value,)
        self.problem((*at, name), "INVALID_TYPE", _must_be_list(value))
        return ()

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
        if type(value) is str and self.clean and 0 < len(value) <= (max_length or MAX_EVENT) and not is_blank(value):
            return value
        path = (*at, name)
        value = self.text_of(path, value)
        if value is None:
            if required and not any(p.field == path for p in self.problems):
                self.problem(path, "REQUIRED", "is required and must not be empty")
        elif max_length is not None and len(value) > max_length:
            self.problem(path, "TOO_LONG", f"may have {max_length} characters, this has {len(value)}")
            if len(value) > identifiers.MAX_IDENTIFIER:
                self.left_out.append(path)
            return None
        return value

    def text_of(self, path: tuple[str, ...], value: Any) -> str | None:
        """Text as sent, of a number in the place of a merchant's own id its digits; None for what is absent or blank. A blank
        optional field is the same as none.
        """
        if self.clean and type(value) is str and not is_blank(value):
            return value
        if value is None:
            return None
        if not isinstance(value, str):
            is_id = path[-1] in _OWN_IDS or path[1:2] == ("product_ids",)
            if is_id and (digits := _digits_of(value)) is not None:
                if may_hold_card_number(int(digits)):
                    self.may_hold_card = True
                return digits
            self.problem(path, "INVALID_TYPE", "must be text or a whole number" if is_id else "must be text")
            return None
        if self._is_unusable(value):
            self.problem(path, "INVALID_CHARACTER", "holds a control character or half a character")
            return None
        return None if is_blank(value) else value

    def _is_unusable(self, text: str) -> bool:
        return not self.clean and _UNUSABLE.search(text) is not None

    def identifier(self, name: str, value: Any) -> Any:
        """A field of ``user_data`` that the quick tests did not pass: as sent, with a warning where it is malformed.

        What only stands for a value, and the digest of nothing, are absent. An address of a machine is made canonical.
        """
        path = ("user_data", name)
        if name in MATCHABLE_LISTS:
            return self.more(path, value)
        return self._identifier(path, name, value)

    def _identifier(self, path: tuple[str, ...], name: str, value: Any) -> str | None:
        text = value if type(value) is str and self.clean else self.identifying(path, name, value)
        if text is None or is_blank(text):
            return None
        if name == "external_id" and not text.isascii() and (seen := without_invisible(text)) != text:
            rest = " holds characters that nobody sees. It is read without them."
            self.warnings.append(Problem.said(path, "IDENTIFIER_MALFORMED", Name(path), rest))
            text = seen
        if len(text) > identifiers.MAX_IDENTIFIER:
            self.too_long(path, identifiers.MAX_IDENTIFIER)
            return None
        if len(text) >= 64 and (digest := normalise.digest_in(text)) is not None:
            if digest in normalise.digests_of_nothing():
                self.absent(path)
                return None
            if len(text.strip()) > 64:  # the tail of a builder is no part of it
                text = digest
        elif identifiers.stands_for_none(name, text):
            self.absent(path)
            return None
        if name == "browser_id":
            text = text.strip()  # compared with others, by who stitches and who erases
        if name == "zip" and (digits := identifiers.zip_of_table(text)) is not None:
            self.read_as_digits(path)
            return digits
        if (alone := identifiers.without_name(name, text)) is not None:
            if not alone or identifiers.stands_for_none(name, alone):
                self.absent(path)
                return None
            rest = " was copied with its name or quotation marks. It is read without them."
            self.warnings.append(Problem.said(path, "IDENTIFIER_MALFORMED", Name(path), rest))
            text = alone
        if name == "gclid" and (cookie := _GCLID_COOKIE.fullmatch(text.strip())):
            return cookie[1]
        wanted = identifiers.FORMATS.get(name)
        if wanted is not None and not wanted.is_right(text):
            if name == "client_ip" and identifiers.is_ip(text):
                rest = (
                    " lies inside of a network, and tells a platform nothing: it should be the visitor's own, which a proxy has in "
                    "X-Forwarded-For. It is sent as it is."
                )
                self.warnings.append(Problem.said(path, "IDENTIFIER_MALFORMED", Name(path), rest))
                self.unusable.append(path)
                return identifiers.machine_address(text)
            if name in ("fbp", "fbc") and identifiers.is_meta_cookie(text):
                rest = " has a time that is not in milliseconds (13 digits), as Meta documents it. It is sent as it is."
                self.warnings.append(Problem.said(path, "IDENTIFIER_MALFORMED", Name(path), rest))
            else:
                self.warn(path, wanted.what)
        elif name == "client_ip":
            return identifiers.machine_address(text)
        return text

    def identifying(self, path: tuple[str, ...], name: str, value: Any) -> str | None:
        """The text of what is none, or is no plain one: of a number its digits, where it has no other; else None, and a warning."""
        if isinstance(value, str):
            if not self._is_unusable(value):
                return value
            self.left(path, "holds a control character or half a character")
            return None
        if value is None:
            return None
        digits = _digits_of(value)
        if digits is None:
            self.may_hold_card = True  # whatever it is: it is searched to its depths
            self.left(path, "must be text")
            return None
        if may_hold_card_number(int(digits)):
            self.may_hold_card = True
        if name in ("phone", "zip"):
            self.read_as_digits(path)
        return digits

    def read_as_digits(self, path: tuple[str, ...]) -> None:
        rest = " is a number, and so has no zeros in front: it is read as its digits. Send it as text."
        self.warnings.append(Problem.said(path, "IDENTIFIER_MALFORMED", Name(path), rest))

    def more(self, path: tuple[str, ...], value: Any) -> tuple[Any, ...] | None:
        """Further emails as Matchables, or phones as (place, text): without a country nobody can read those yet."""
        if value is None or (isinstance(value, str) and not value.strip()):
            return None
        if isinstance(value, str) or (path[-1] == "phones" and _digits_of(value) is not None):
            value = (value,)  # one is a list of one
        items = as_list(value)
        if items is None:
            self.may_hold_card = True
            self.left(path, _must_be_list(value))
            return None
        value = items
        if len(value) > MAX_MORE:
            rest = f" may have {MAX_MORE} entries: the first ones count."
            self.warnings.append(Problem.said(path, "IDENTIFIER_MALFORMED", Name(path), rest))
        kind = path[-1][:-1]
        found = []
        for place, item in enumerate(value[:MAX_MORE]):
            text = self._identifier((*path, str(place)), kind, item)
            if text is not None:
                found.append((place, text))
        if path[-1] == "emails":
            return tuple([Matchable.read(text) for _, text in found]) or None
        return tuple(found) or None

    def named(self, draft: Mapping[str, Any], name: str, most: int, why_not: str) -> str | None:
        """What every event must have, where it is no text that programs write who have none. ``why_not``: of such a one, the end of
        a sentence. Digits are what they say: somebody counts from 0.
        """
        text = self.text((), draft, name, most, required=True)
        if text is None or text.strip().isdigit() or not normalise.is_nobodys(text):
            return text
        self.problem((name,), "REQUIRED", why_not)
        return None

    def instant(self, at: tuple[str, ...], given: Mapping[str, Any], name: str, now: datetime) -> datetime | None:
        value = given.get(name)
        if value is None or value == "":
            self.problem((*at, name), "REQUIRED", "is required: when it happened, such as 2026-04-23T14:12:33.000Z")
            return None
        instant = read_instant(value)
        if isinstance(instant, str):
            self.problem((*at, name), "INVALID_TIME", instant)
            return None
        if instant.year < _FIRST_YEAR:
            self.problem(
                (*at, name),
                "INVALID_TIME",
                f"is before {_FIRST_YEAR}: most programs that write such a time have none; send when it happened",
            )
            return None
        if instant > now and instant > now + MAX_AHEAD:
            self.problem(
                (*at, name), "TIME_IN_FUTURE", "is more than 5 minutes ahead: check the server's clock and the offset"
            )
            return None
        return instant

    def choice(self, at: tuple[str, ...], given: Mapping[str, Any], name: str, choices: Sequence[str]) -> str | None:
        value = given.get(name)
        if value is None or value in choices:
            return value
        text = bare(value) if isinstance(value, str) else None
        if text == "":
            return None
        if text in choices:
            return text
        first, *others = choices
        listed = [part for choice in others for part in (", ", Choice(choice))]
        self.problem((*at, name), "INVALID_VALUE", "must be one of ", Choice(first), *listed)
        return None

    def flag(self, at: tuple[str, ...], given: Mapping[str, Any], name: str) -> bool | None:
        value = given.get(name)
        if value is None or isinstance(value, bool):
            return value
        if not _is_blank(value):
            self.problem((*at, name), "INVALID_TYPE", "must be true or false")
        return None

    def currency(self, at: tuple[str, ...], given: Mapping[str, Any], name: str) -> str | None:
        text = given.get(name)
        if type(text) is str and text in normalise.monies():
            return text
        text = self.text(at, given, name)
        if text is None:
            return None
        if normalise.is_nobodys(text):
            self.absent((*at, name))
            return None
        code = text.strip().upper()
        if code not in normalise.currencies():
            code = without_invisible(code).strip()
        if code not in normalise.currencies():
            self.problem((*at, name), "INVALID_CURRENCY", "must be an ISO 4217 code such as USD")
            return None
        if code not in normalise.monies():
            path = (*at, name)
            rest = " is a code for what nobody pays in. It is sent, and platforms may not count it."
            self.warnings.append(Problem.said(path, "CURRENCY_NO_MONEY", Name(path), rest))
        return code

    def order_id(self, at: tuple[str, ...], given: Mapping[str, Any], name: str) -> str | None:
        """Without what nobody sees around it. One id for all orders that have none would make them one order at the platforms: 0 is
        none, since an order needs no id as an event does.
        """
        text = self.text(at, given, name)
        if text is not None and normalise.is_nobodys(text):
            self.absent((*at, name))
            return None
        return text if text is None else bare(text)

    def words(self, at: tuple[str, ...], given: Mapping[str, Any], name: str) -> str | None:
        """A text for people to read; None, with a warning, for what a program printed where it had none."""
        text = self.text(at, given, name)
        if text in _PRINTED_FOR_NOTHING:
            if len(self.warnings) < MAX_PROBLEMS:
                self.absent((*at, name))
            return None
        return text

    def product_id(self, path: tuple[str, ...], value: Any) -> str | None:
        """As it stands in the catalogue, without blanks around it; None, with a warning, for what only stands for one."""
        text = self.text_of(path, value)
        if text is None:
            return None
        if not text.strip().isdigit() and normalise.is_nobodys(text):  # catalogues begin with 0, too
            if len(self.warnings) < MAX_PROBLEMS:
                self.absent(path)
            return None
        return bare(text)

    def line_id(self, at: tuple[str, ...], value: Any) -> str | None:
        """``product_id`` of a line of the basket, in which it may not be missing; None, with a warning, where it is."""
        path = (*at, "id")
        if value is not None and (not isinstance(value, str) or not is_blank(value)):
            return self.product_id(path, value)
        if len(self.warnings) < MAX_PROBLEMS:
            self.gone.append(path)
            rest = " has no id: the line is left out."
            self.warnings.append(Problem.said(path, "IDENTIFIER_PLACEHOLDER", Name(at), rest))
        return None

    def below_zero(self, path: tuple[str, ...], rest: str) -> None:
        if len(self.warnings) < MAX_PROBLEMS:
            self.gone.append(path)
            self.warnings.append(Problem.said(path, "QUANTITY_NEGATIVE", Name(path), f" is below zero.{rest}"))

    def decimal(self, at: tuple[str, ...], given: Mapping[str, Any], name: str) -> Decimal | None:
        value = given.get(name)
        if value is None or _is_blank(value):
            return None
        number = read_decimal(value)
        if number is None:
            self.problem(
                (*at, name),
                "INVALID_NUMBER",
                "must be a number of at most 21 digits before the point, or one written as text: 129.99",
            )
        elif may_hold_card_number(number):
            self.may_hold_card = True
        return number

    def pieces(self, at: tuple[str, ...], given: Mapping[str, Any], name: str) -> int | None:
        """A sum of quantities, as whole pieces."""
        number = self.quantity(at, given, name)
        if number is not None and number < 0:
            self.below_zero((*at, name), " The event is taken without it.")
            return None
        return number if number is None or isinstance(number, int) else max(1, round(number))

    def pixels(self, at: tuple[str, ...], given: Mapping[str, Any], name: str) -> int | None:
        """Whole; as text, too. Browsers tell fractions, where a screen is zoomed: they are rounded."""
        number = self.quantity(at, given, name)
        return number if number is None or isinstance(number, int) else round(number)

    def quantity(self, at: tuple[str, ...], given: Mapping[str, Any], name: str) -> int | Decimal | None:
        """Whole, or with a fraction where goods are sold by weight: 2, 2.0, "2" and 1.85. Of goods it may be below zero in what is no
        refund, as where one order holds what is bought and what goes back: that costs its line, and not the order.
        """
        value = given.get(name)
        if value is None or (type(value) is int and 0 <= value < 2**31):
            return value
        if _is_blank(value):
            return None
        number = read_decimal(value)
        is_of_goods = name in ("quantity", "num_items")
        if number is not None and number < 0 and is_of_goods and is_refund(self.event_name or ""):
            number = -number  # as shops write what goes back
            if len(self.warnings) < MAX_PROBLEMS:
                rest = " is below zero in a refund. It is read without its minus, as the pieces that go back."
                self.warnings.append(Problem.said((*at, name), "QUANTITY_NEGATIVE", Name((*at, name)), rest))
        # What is rounded up from 2**31 - 1 fits nowhere.
        if number is None or not (1 - 2**31 if is_of_goods else 0) <= number <= 2**31 - 1:
            self.problem((*at, name), "INVALID_NUMBER", "must be a number from 0 to 2147483647, such as 2 or 1.85")
            return None
        if may_hold_card_number(abs(number)):
            self.may_hold_card = True
        return int(number) if number == number.to_integral_value() else number

    def properties(self, at: tuple[str, ...], given: Mapping[str, Any], name: str) -> dict[str, Any]:
        path = (*at, name)
        value = self.mapping(at, given, name)
        kept: dict[str, Any] = {}
        clean = self.clean
        if self.size > _MOST_JUDGED and sum(map(len, filter(_is_text, (*value, *value.values())))) > _MOST_JUDGED:
            self.problem(path, "TOO_LARGE", f"may have {MAX_PROPERTIES:,} bytes of JSON")
            self.left_out.append(path)
            return kept
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
                    # What is no amount is kept as most programs read it.
                    kept[key] = float(inner) if isinstance(inner, Decimal) else inner
                    self.may_hold_card = self.may_hold_card or may_hold_card_number(inner)
            else:
                self.problem((*path, _shown(key)), "INVALID_TYPE", "must be text, a number, true, false or null")
        # No part of a draft is longer than the whole.
        if self.size > MAX_PROPERTIES and not self.problems and len(orjson.dumps(kept, default=str)) > MAX_PROPERTIES:
            self.problem(path, "TOO_LARGE", f"may have {MAX_PROPERTIES:,} bytes of JSON")
        if not self.problems:  # what is refused is kept nowhere: nothing in it need be searched
            for key in without_personal_properties(kept)[1]:
                self.personal((*path, _shown(key)), "holds")
        return kept


_NO_EVENT_ID = "is what programs write where they have no id: all events with it would be counted as one"
_NO_NAME = "is what programs write where they have no name: what happened is not said, and no platform could count it"
_CONTACT_IN = {
    "event_id": " The event is taken, and with hashing on every platform gets the SHA-256 of the whole id in its place: "
    "for deduplication a browser's pixel has to send the same, 64 hexadecimal digits in lower case.",
    "event_name": f" The event is taken, and platforms that it would go to under its own name get {UNNAMED}.",
}
_CONTACT_AS_ID = " The event is taken, and platforms get it as SHA-256 only, or not at all."
_LONGEST = 10**MAX_EVENT_ID  # of numbers that are read as ids
_GCLID_COOKIE = re.compile(r"(?:1\.[0-9]\.k?)?GCL\.[0-9]{10}\.([!-~]+)")  # _gcl_aw, as gtag writes it


def _digits_of(value: Any) -> str | None:
    """Of a whole JSON number that no reader has rounded, however long; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, _NUMBERS) or not 0 <= value < _LONGEST:
        return None
    if isinstance(value, int):
        return str(value)
    whole = int(value)
    return str(whole) if whole == value and (whole < 2**53 or isinstance(value, Decimal)) else None


def _is_blank(value: Any) -> bool:
    return isinstance(value, str) and is_blank(value)


def _is_nothing(value: Any) -> bool:
    """None, a blank text, or an empty list."""
    return value is None or _is_blank(value) or (isinstance(value, Sequence) and not value)


def as_list(value: Any) -> Sequence[Any] | None:
    """A list, also one that PHP wrote as an object: ``{"0": ..., "1": ...}``. None for anything else."""
    if isinstance(value, Mapping):
        keys = [str(place) for place in range(len(value))]
        return [value[key] for key in keys] if value.keys() == set(keys) else None
    return value if isinstance(value, Sequence) and not isinstance(value, str) else None


def is_numbered(value: Mapping[Any, Any]) -> bool:
    """Whether it is an array of PHP's: no key of it is the name of a field."""
    return all(isinstance(key, str) and key.isdecimal() for key in value)


def _must_be_list(value: Any) -> str:
    if isinstance(value, Mapping) and value and is_numbered(value):
        return "must be a list: this is a PHP array whose keys have gaps, of which array_values() makes one"
    return "must be a list"


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


_CUSTOM_READERS: Mapping[str, Callable[[_Reader, tuple[str, ...], Mapping[str, Any], str], Any]] = {
    **dict.fromkeys(_TEXTS, _Reader.words),
    "currency": _Reader.currency,
    "value": _Reader.decimal,
    "predicted_ltv": _Reader.decimal,
    "order_id": _Reader.order_id,
    "num_items": _Reader.pieces,
    "product_ids": _read_product_ids,
    "contents": _read_contents,
    "properties": _Reader.properties,
}


def write_instant(value: Any) -> str:
    """``2026-04-23T14:12:33.000Z``: UTC, milliseconds."""
    instant: datetime = value
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# As RFC 3339, and also without its separators, or without what is zero. Python takes more: any character between date and
# time, and weeks, of which it takes the Monday.
_DATE_AND_TIME = re.compile(
    r"[0-9]{4}(-?)[0-9]{2}\1[0-9]{2}[T ][0-9]{2}(?::?[0-9]{2}(?::?[0-9]{2}(?:[.,][0-9]+)?)?)?(?:Z|[+-][0-9:]+)?"
)


def read_instant(value: Any) -> datetime | str:
    """An aware UTC datetime from RFC 3339 text, or the end of a sentence that says what is wrong."""
    how = "such as 2026-04-23T14:12:33.000Z or 2026-04-23T16:12:33+02:00"
    if isinstance(value, str):
        text = value if value.isascii() else without_invisible(value)
        text = text.strip().upper()  # RFC 3339 allows t and z in lower case
        try:
            value = _from_text(text) if _DATE_AND_TIME.fullmatch(text) else None
        except (ValueError, OverflowError):
            return f"must be a date and time of RFC 3339 or ISO 8601 {how}"
    if not isinstance(value, datetime):
        return f"must be a date and time of RFC 3339 or ISO 8601 {how}"
    if value.tzinfo is UTC:
        return value
    if value.tzinfo is None:
        return f"has no offset: end it with Z or an offset, {how}"
    try:
        return value.astimezone(UTC)
    except OverflowError:
        return f"must be a date and time of RFC 3339 or ISO 8601 {how}"


def _from_text(text: str) -> datetime | None:
    """A leap second, which is the last of a day in UTC, is the first of the next one."""
    if text[16:19] != ":60":
        return datetime.fromisoformat(text)
    last = datetime.fromisoformat(f"{text[:16]}:59{text[19:]}")
    is_leap = last.tzinfo is not None and last.astimezone(UTC).time().replace(microsecond=0) == time(23, 59, 59)
    return last + timedelta(seconds=1) if is_leap else None


_NUMBERS = (int, float, Decimal)
_EVERYDAY_AMOUNT = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,9})?")


def read_decimal(value: Any) -> Decimal | None:
    """A finite Decimal from a JSON number or decimal text; a float by its shortest form, so 129.9 stays 129.9."""
    kind = type(value)
    # The everyday amounts, which are within every bound below.
    if kind is float and 1e-9 < abs(value) < 1e15:
        return Decimal(repr(value))
    if (kind is int and -(10**15) < value < 10**15) or (kind is str and _EVERYDAY_AMOUNT.fullmatch(value)):
        number = Decimal(value)
        return number if number else number.copy_abs()  # nothing has no sign: -0.00
    if isinstance(value, bool) or not isinstance(value, (*_NUMBERS, str)):
        return None
    if isinstance(value, str) and ("_" in value or len(value) > 64):
        return None
    try:
        number = Decimal(repr(value) if isinstance(value, float) else value)
    except (InvalidOperation, ValueError):
        if isinstance(value, str) and (seen := without_invisible(value)) != value:
            return read_decimal(seen)
        return None
    if not number.is_finite():
        return None
    # 21 digits before the point are beyond any money; an exponent of thousands would fill pages when written out.
    if not -32 <= number.adjusted() <= 20 or int(number.as_tuple().exponent) < -64:
        return None
    return number if number else number.copy_abs()
