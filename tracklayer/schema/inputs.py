"""What callers send. ``to_draft`` turns an input into the snake_case JSON that ``domain.read_event`` reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum
from functools import cache, lru_cache
from typing import Any, ClassVar

import strawberry
from strawberry import ID
from strawberry.types.base import StrawberryList, StrawberryOptional

from tracklayer.db.delivery_search import DeliverySearch
from tracklayer.db.event_search import EventSearch
from tracklayer.domain.event_fields import MAX_PROBLEMS, MAX_UNKNOWN, unknown_field
from tracklayer.domain.problem import Part, Problem
from tracklayer.domain.problem import worded as in_words
from tracklayer.domain.read_event import Misfit
from tracklayer.domain.spelling import camel
from tracklayer.domain.text import bare
from tracklayer.domain.values import as_list, is_numbered, write_instant
from tracklayer.schema.compiled.coercion import Alone, Drafted, draft_of
from tracklayer.schema.enums import (
    ActionSource,
    AlertChannelKind,
    AlertKind,
    AlertSeverity,
    AlertState,
    ApiKeyScope,
    ConsentRule,
    ConsentState,
    DeliveryStatus,
    DropReason,
    Platform,
    RetentionDays,
)
from tracklayer.schema.scalars import JSON, DateTime, Decimal
from tracklayer.services.ingest import MAX_EVENTS

UNSET = strawberry.UNSET


def _given(description: str, default: Any = None) -> Any:
    return strawberry.field(default=default, description=description)


def _needed(description: str) -> Any:
    return strawberry.field(description=description)


@strawberry.input(
    description="Who did it. Identifiers may arrive plain or as SHA-256 of the normalised value; both are recognised."
)
class UserDataInput(Drafted):
    email: str | None = _given("E-mail address, or its SHA-256.")
    phone: str | None = _given("Phone number with + and country code, or its SHA-256.")
    emails: list[str] | None = _given("Further e-mail addresses of the same person, or their SHA-256; nine at most.")
    phones: list[str] | None = _given("Further phone numbers of the same person, or their SHA-256; nine at most.")
    first_name: str | None = _given("First name.")
    last_name: str | None = _given("Last name.")
    date_of_birth: str | None = _given("Date of birth, YYYY-MM-DD.")
    gender: str | None = _given("f or m.")
    street: str | None = _given("Street and house number.")
    city: str | None = _given("City.")
    state: str | None = _given("State or region; in the US its two-letter code.")
    zip: str | None = _given("Postal code.")
    country: str | None = _given("Two-letter ISO 3166-1 code.")
    external_id: str | None = _given("The merchant's own id of the person.")
    client_ip: str | None = _given("IPv4 or IPv6 address of the browser.")
    client_user_agent: str | None = _given("The browser's User-Agent header.")
    browser_id: str | None = _given("The value of TrackLayer's own first-party cookie.")
    fbp: str | None = _given("Meta's _fbp cookie.")
    fbc: str | None = _given("Meta's _fbc cookie.")
    fbclid: str | None = _given("Meta's click id, as in the URL.")
    ttp: str | None = _given("TikTok's _ttp cookie.")
    ttclid: str | None = _given("TikTok's click id, as in the URL.")
    gclid: str | None = _given("Google's click id, as in the URL.")
    gbraid: str | None = _given("Google's click id of app campaigns, as in the URL.")
    wbraid: str | None = _given("Google's click id of web campaigns on iOS, as in the URL.")
    ga_client_id: str | None = _given("Google Analytics client id, from the _ga cookie.")
    ga_session_id: str | None = _given("Google Analytics session id, from the _ga_<stream> cookie.")
    epik: str | None = _given("Pinterest's click id.")
    sc_click_id: str | None = _given("Snapchat's click id (ScCid).")
    sc_cookie1: str | None = _given("Snapchat's _scid cookie.")
    li_fat_id: str | None = _given("LinkedIn's first-party ad tracking id.")
    rdt_cid: str | None = _given("Reddit's click id.")
    rdt_uuid: str | None = _given("Reddit's _rdt_uuid cookie.")
    msclkid: str | None = _given("Microsoft's click id.")
    twclid: str | None = _given("X's click id.")
    lead_id: str | None = _given("The id of a lead form's entry at the platform, such as Meta's lead id.")
    job_title: str | None = _given("The person's job title.")
    company_name: str | None = _given("The company the person works for.")


@strawberry.input(description="One line of the basket.")
class ContentInput(Drafted):
    id: str = _needed("The product's id, as in the catalogue.")
    quantity: int | None = _given(
        'How many. In variables also with a fraction, for goods by weight (1.85), and as text ("2").', 1
    )
    item_price: Decimal | None = _given("Price of one unit, in major units of the currency.")
    title: str | None = _given("The product's name.")
    brand: str | None = _given("The product's brand.")
    category: str | None = _given("The product's category.")
    variant: str | None = _given("The product's variant, such as its size or colour.")
    coupon: str | None = _given("The coupon that was used for this line.")
    discount: Decimal | None = _given("What one unit was reduced by, in major units of the currency.")


@strawberry.input(description="What an app's event happened on.")
class DeviceInput(Drafted):
    os: str | None = _given("iOS or Android.")
    os_version: str | None = _given("The system's version: 18.5.")
    app_id: str | None = _given("The app's id: its bundle or package name.")
    app_name: str | None = _given("The app's name.")
    app_version: str | None = _given("The app's version.")
    model: str | None = _given("The device's model: iPhone17,1.")
    locale: str | None = _given("Language and country: en_US.")
    time_zone: str | None = _given("IANA name: Europe/Berlin.")
    carrier: str | None = _given("The mobile network.")
    screen_width: int | None = _given("Pixels.")
    screen_height: int | None = _given("Pixels.")
    advertising_id: str | None = _given("IDFA or Google advertising id.")
    vendor_id: str | None = _given("The vendor's id of the device (IDFV).")
    tracking_allowed: bool | None = _given("Whether the person allowed tracking; null: was not asked.")


@strawberry.input(description="What the action was worth and about.")
class CustomDataInput(Drafted):
    value: Decimal | None = _given("Value in major units: 129.99.")
    currency: str | None = _given("ISO 4217 code.")
    order_id: str | None = _given("The order's id.")
    product_ids: list[str] | None = _given("Ids of the products, where there are no contents.")
    contents: list[ContentInput] | None = _given("The basket, line by line.")
    num_items: int | None = _given("How many items.")
    content_name: str | None = _given("Name of the page or product.")
    content_category: str | None = _given("Category of the page or product.")
    content_type: str | None = _given("product or product_group.")
    search_string: str | None = _given("What was searched for.")
    status: str | None = _given("Status of a registration.")
    predicted_ltv: Decimal | None = _given("Predicted lifetime value, in major units.")
    properties: JSON | None = _given("Fields of your own: a flat object of scalars, at most 8 KiB.")


@strawberry.input(description="What the person agreed to.")
class ConsentInput(Drafted):
    ad_user_data: ConsentState | None = _given("Use of their data for ads.", ConsentState.UNSPECIFIED)
    ad_personalization: ConsentState | None = _given("Personalised ads.", ConsentState.UNSPECIFIED)
    limited_data_use: bool | None = _given("Limited data use, as US state laws demand.", False)


@strawberry.input(description="One business action.")
class IngestEventInput(Alone):
    event_name: str = _needed("Purchase, Lead, AddToCart and so on, or a name of your own.")
    event_id: str = _needed("Your own durable id of the action, 1 to 255 characters: sent twice, it counts once.")
    occurred_at: DateTime = _needed("When it happened.")
    action_source: ActionSource | None = _given("Where it took place.", ActionSource.WEBSITE)
    event_source_url: str | None = _given("The page it happened on.")
    user_data: UserDataInput = _needed("Who did it.")
    custom_data: CustomDataInput | None = _given("What it was worth and about.")
    device: DeviceInput | None = _given("What an app's event happened on.")
    consent: ConsentInput | None = _given("What the person agreed to.")

    most: ClassVar[int] = MAX_EVENTS

    @classmethod
    def misfit(cls, sent: Any) -> Misfit:
        """What was sent, in the words of a draft as far as it can be read, and which of its fields do not exist."""
        unknown: list[Problem] = []
        draft = _as_far_as_it_goes(cls, sent, (), unknown)
        return Misfit(draft, tuple(unknown))

    @classmethod
    def stand_in(cls, misfit: Misfit) -> dict[str, Any]:
        """An event whose time is the misfit: a DateTime is passed on as it came."""
        return {"eventName": "", "eventId": "", "occurredAt": misfit, "userData": {}}

    @classmethod
    def misfit_in_draft(cls, draft: Mapping[str, Any]) -> Misfit | None:
        """The misfit that it holds."""
        at = draft.get("occurred_at")
        return at if isinstance(at, Misfit) else None


@strawberry.input(description="Narrows a list of events.")
class EventFilter:
    event_name: str | None = _given("This name.")
    event_id_prefix: str | None = _given("Event ids that begin so.")
    received_since: DateTime | None = _given("Received at this time or later.")
    received_until: DateTime | None = _given("Received before this time.")
    occurred_since: DateTime | None = _given("Happened at this time or later.")
    occurred_until: DateTime | None = _given("Happened before this time.")
    delivery_status: DeliveryStatus | None = _given("With a delivery in this status.")
    delivery_statuses: list[DeliveryStatus] | None = _given(
        "With a delivery in one of these statuses; empty: in any. Together with platform or platforms: to one of those."
    )
    platform: Platform | None = _given("With a delivery to this platform.")
    platforms: list[Platform] | None = _given("With a delivery to one of these platforms; empty: to any.")
    filtered_at: Platform | None = _given(
        "Not taken by the destination on this platform, because of its event names: without a delivery there, though there "
        "was a destination when the event was received. What the ledger counts as filtered."
    )


@strawberry.input(description="Narrows a list of deliveries.")
class DeliveryFilter:
    platform: Platform | None = _given("To this platform.")
    status: list[DeliveryStatus] | None = _given("In one of these statuses.")
    drop_reason: list[DropReason] | None = _given("Dropped for one of these reasons.")
    queued_since: DateTime | None = _given("Queued at this time or later.")
    queued_until: DateTime | None = _given("Queued before this time.")
    error_contains: str | None = _given("With this text in the last error, case ignored.")
    received_since: DateTime | None = _given(
        "Of events received at this time or later: what the ledger counts by, however late a delivery was queued."
    )
    received_until: DateTime | None = _given("Of events received before this time.")
    held: bool | None = _given(
        "true: those that wait because their destination is paused or held now; false: all others."
    )
    error_code: str | None = _given(
        "With exactly this code of the last refusal, as a group or an explanation has it; empty: without one. Without status: "
        "of what failed or was dropped; of what is delivered, none."
    )


_CHOICES = ("platform", "platforms", "filtered_at", "status", "drop_reason", "delivery_status", "delivery_statuses")
_NOT_GIVEN = ("after", "untouched_since")  # what a search has besides what a filter says


def filter_of(search: DeliverySearch | EventSearch) -> dict[str, Any]:
    """A search as the filter that it was made of, without what narrows nothing: as it can be given again."""
    found: dict[str, Any] = {}
    for name, value in dataclasses.asdict(search).items():
        if name in _NOT_GIVEN or value is None or value == ():
            continue
        if isinstance(value, datetime):
            value = write_instant(value)
        elif name in _CHOICES:
            value = value.upper() if isinstance(value, str) else [one.upper() for one in value]
        found[camel(name)] = value
    return found


@strawberry.input(description="Narrows a list of alerts.")
class AlertFilter:
    kind: list[AlertKind] | None = _given("Of one of these kinds.")
    platform: Platform | None = _given("About this platform.")
    state: AlertState | None = _given("Open or resolved.")
    opened_since: DateTime | None = _given("Opened at this time or later.")
    opened_until: DateTime | None = _given("Opened before this time.")


@strawberry.input(description="Creates a channel, or changes it: what is left out stays as it is.")
class SetAlertChannelInput:
    id: ID | None = _given("The channel that changes; left out: a new one.")
    kind: AlertChannelKind | None = _given("Its form, which it keeps; needed for a new one.")
    url: str | None = _given(
        "Where it is told: https or http. Needed for a new one; shown without its path afterwards.", UNSET
    )
    topics: list[str] | None = _given(
        "What it is told of: kinds of alerts in lower case, delivery.dropped, destination.held, destination.resumed, "
        "redelivery.finished; * is all alerts, and what a new one has where this is left out.",
        UNSET,
    )
    min_severity: AlertSeverity | None = _given("Alerts below it are not told there; WARNING of a new one.", UNSET)
    rotate_secret: bool | None = _given(
        "Makes a new signing secret, which is shown once; for 24 hours both of them sign.", False
    )


@strawberry.input(description="Creates a destination, or changes it: what is left out stays as it is.")
class SetDestinationInput:
    platform: Platform = _needed("The platform.")
    settings: JSON | None = _given(
        "Its settings, as `platforms` lists them. One that is left out stays, one that is null is removed.", UNSET
    )
    event_names: list[str] | None = _given("Only events of these names; null: every event.", UNSET)


@strawberry.input(description="What changes of the collector, which a shop's pages call; what is left out stays.")
class CollectorInput:
    enabled: bool | None = _given(
        "Whether pages may call. From the first time on, new events get what is known of their browser.", UNSET
    )
    origins: list[str] | None = _given(
        "The shop's own pages, such as https://www.shop.example.com; no others may call. At most 20.", UNSET
    )
    cookie_domain: str | None = _given(
        "Whose hosts share the cookie, such as shop.example.com; never a suffix that anybody can register under. Left out "
        "where none was set: the domain that all origins have in common. Empty or null: the collector's own host alone.",
        UNSET,
    )
    consent_required: bool | None = _given(
        "Whether nothing is set or kept before a page says that its visitor agreed, whatever its tag says.", UNSET
    )


@strawberry.input(description="Changes the merchant's settings; what is left out stays.")
class UpdateMerchantInput:
    name: str | None = _given("The merchant's name.", UNSET)
    retention_days: RetentionDays | None = _given("How long events are kept; applies to stored ones too.", UNSET)
    hash_user_data: bool | None = _given(
        "Whether email and phone are kept as SHA-256 only; applies to new events.", UNSET
    )
    alert_emails: list[str] | None = _given(
        "Who gets alerts by e-mail; empty or null: nobody. It is taken also where no mail server is set: `sendsMail` says so, and then nobody gets one.",
        UNSET,
    )
    default_currency: str | None = _given(
        "ISO 4217 code of values that come without one, on every platform; null: none is filled in.", UNSET
    )
    default_page_url: str | None = _given("The page of website events that come without one; null: none.", UNSET)
    require_consent: ConsentRule | None = _given(
        "Whose events are sent only with ad_user_data granted, on every platform.", UNSET
    )
    collector: CollectorInput | None = _given("What the shop's pages may tell.", UNSET)


@strawberry.input(description="Who is meant: whoever fits any of these. At least one is needed.")
class ErasePersonInput:
    email: str | None = _given("Plain, or SHA-256 of its usual form.")
    phone: str | None = _given("With its country code, or SHA-256 of its digits.")
    external_id: str | None = _given("As it was sent, or SHA-256 of it.")
    browser_id: str | None = _given("As it was sent.")
    event_ids: list[str] | None = _given("Events by their eventIds: at most 1,000.")


@strawberry.input(description="A new API key.")
class CreateApiKeyInput:
    name: str = _needed("What it is for.")
    scopes: list[ApiKeyScope] = _needed("What it may do.")


def path_in_api(path: Sequence[str]) -> list[str]:
    """A path of the data model in the spelling of this API. Keys of ``properties`` and of ``settings`` stay."""
    first = path[0] if path else None
    if first == "settings":
        return list(path)
    if first == "custom_data" and len(path) > 1 and path[1] == "properties":
        return ["customData", "properties", *path[2:]]
    return [camel(part) for part in path]


def dotted_path(path: Sequence[str]) -> str:
    return ".".join(path_in_api(path))


def worded(problem: Problem) -> str:
    """What is wrong, in the spelling of this API."""
    return _spelt(problem.parts) if problem.parts else problem.message


@lru_cache(maxsize=1024)
def _spelt(parts: tuple[Part, ...]) -> str:
    return in_words(parts, dotted_path, str.upper)


@cache
def _fields_of(cls: type) -> dict[str, Any]:
    return {camel(field.name): field for field in dataclasses.fields(cls)}


def _as_far_as_it_goes(cls: type, sent: Any, at: tuple[str, ...], unknown: list[Problem]) -> Any:
    """Something that is no input of ``cls`` with the names of a draft where there are any; fields that do not exist are
    left out and named in ``unknown``. Its values are as they were sent: ``domain.read_event`` says what is wrong with them.
    """
    if not isinstance(sent, dict):
        return sent
    fields = _fields_of(cls)
    found: dict[str, Any] = {}
    here = 0  # fields of this very object that do not exist
    for name, value in sent.items():
        field = fields.get(name)
        if field is None:
            if here < MAX_UNKNOWN and len(unknown) < MAX_PROBLEMS:
                unknown.append(unknown_field(at, str(name), tuple(fields), sent))
            here += 1
            continue
        found[field.name] = _value_as_it_goes(field, value, (*at, field.name), unknown)
    return found


def _value_as_it_goes(field: Any, value: Any, at: tuple[str, ...], unknown: list[Problem]) -> Any:
    kind = _kind_of(field)
    if value is None or not isinstance(kind, type):
        return value
    if issubclass(kind, Enum):
        # A name of the enum is what it stands for, and a blank for none; anything else is no value of it, whatever it looks like.
        if not isinstance(value, str):
            return _NO_MEMBER
        name = bare(value)
        if not name:
            return None
        return kind[name].value if name in kind.__members__ else _NO_MEMBER
    if not issubclass(kind, Drafted):
        return value
    if _is_list(field) and isinstance(value, list | dict):
        items = as_list(value)
        if items is None:
            if isinstance(value, dict) and is_numbered(value):
                return value
            items = [value]
        return [_as_far_as_it_goes(kind, item, (*at, str(index)), unknown) for index, item in enumerate(items)]
    return _as_far_as_it_goes(kind, value, at, unknown)


_NO_MEMBER = object()  # for a field that takes one of a list: something else


def _is_list(field: Any) -> bool:
    kind = field.type.of_type if isinstance(field.type, StrawberryOptional) else field.type
    return isinstance(kind, StrawberryList)


def _kind_of(field: Any) -> Any:
    """The class of a field's values, or of the items of its list."""
    kind = field.type
    while hasattr(kind, "of_type"):
        kind = kind.of_type
    return getattr(kind, "wrapped_cls", kind)


@strawberry.input(description="A browser and whoever uses it.")
class IdentifyInput(Drafted):
    browser_id: str = _needed("The value of TrackLayer's own first-party cookie.")
    user_data: UserDataInput = _needed(
        "Who it is: an email, a phone, or both. Whatever else it holds is judged, and not kept."
    )


def to_draft(value: Any) -> Any:
    """An input, or a list of inputs, as dictionaries with the data model's snake_case keys; what was left out, or null,
    is missing. Of those that are taken as drafts it is there already. It is shared: nobody changes a draft.
    """
    return draft_of(value)


def values_of(items: list[Any] | None) -> tuple[Any, ...]:
    return tuple(item.value for item in items or ())


def value_of(item: Any) -> Any:
    return item.value if item is not None else None
