"""The canonical Event and what it is made of; ``read_event.py`` makes one of what a merchant sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, ClassVar, TypeVar

from tracklayer.domain.normalise import Matchable

MAX_EVENT_ID = 255  # characters
MAX_EVENT_NAME = 255  # characters
MAX_PROPERTIES = 8 * 1024  # bytes of JSON
MAX_EVENT = 256 * 1024  # bytes of JSON: the largest orders are not the ones to lose
MAX_MORE = 9  # further emails, or phones, of one person
MAX_DEVICE_TEXT = 255  # characters
MAX_AHEAD = timedelta(minutes=5)  # what clocks of merchants' servers are forgiven
UNNAMED = "CustomEvent"  # in place of an event name that no platform may get

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
_LANGUAGE = re.compile(r"([A-Za-z]{2})(?:[_-]|\Z)")


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


Made = TypeVar("Made", UserData, CustomData, Content, Device, Event)


_new, _set = object.__new__, object.__setattr__  # looked up once: several times an event


def made_of(kind: type[Made], values: dict[str, Any]) -> Made:
    """An instance of the given fields alone: the others stay the class's defaults, for a fraction of its ``__init__``.

    ``properties`` of CustomData has no such default and must be among the values. The dict is the instance's from now on.
    """
    made = _new(kind)
    _set(made, "__dict__", values)
    return made


USER_FIELDS = tuple(f.name for f in fields(UserData))
MATCHABLE_LISTS = ("emails", "phones")
PLAIN_USER_FIELDS = tuple(name for name in USER_FIELDS if name not in ("email", "phone", *MATCHABLE_LISTS))
# Ids that one platform gave, or TrackLayer, for itself: its cookies, and the clicks on its ads.
GIVEN_IDS = frozenset(
    "browser_id fbp fbc fbclid ttp ttclid gclid gbraid wbraid ga_client_id ga_session_id epik sc_click_id sc_cookie1 "
    "li_fat_id rdt_cid rdt_uuid msclkid twclid".split()
)
CUSTOM_FIELDS = tuple(f.name for f in fields(CustomData))
CONTENT_FIELDS = tuple(f.name for f in fields(Content))
CONSENT_FIELDS = tuple(f.name for f in fields(Consent))
DEVICE_FIELDS = tuple(f.name for f in fields(Device))
EVENT_FIELDS = tuple(f.name for f in fields(Event))
# Texts, but for the currency and the id of a product, and amounts of money: of custom data, and of a line of the basket.
TEXT_FIELDS = ("order_id", "content_name", "content_category", "content_type", "search_string", "status")
AMOUNTS = ("value", "predicted_ltv")
LINE_TEXTS = ("title", "brand", "category", "variant", "coupon")
LINE_AMOUNTS = ("item_price", "discount")


@lru_cache(maxsize=256)
def line_path(name: str, index: int) -> tuple[str, ...]:
    return ("custom_data", name, str(index))
