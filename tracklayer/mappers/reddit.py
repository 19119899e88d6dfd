"""Reddit Conversions API v3. Merchant's page: reddit.md.

Source: Reddit for Business help, "Manual Advanced Matching", "Event Deduplication" and "Event Metadata"; the v3
direct-integration guide and schema as quoted by public connectors that agree with each other. Read 2026-11-28. v2 names
its fields differently and takes no part here but for the shapes of its errors.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from tracklayer.domain import normalise
from tracklayer.domain.delivery import (
    Acknowledged,
    BatchRejected,
    BearerToken,
    CredentialsRefused,
    DropReason,
    PlatformReply,
    PlatformRequest,
    Rejected,
    Unreachable,
    Verdict,
)
from tracklayer.domain.event import NO_DEVICE, CustomData, Device, Event, UserData
from tracklayer.domain.identifiers import FORMATS, is_uuid, machine_address, usable
from tracklayer.domain.normalise import Matchable, hashed
from tracklayer.mappers.base import (
    COMMON_SETTINGS,
    CONSENT_OK,
    Explanation,
    Mapped,
    Mapper,
    NoPlace,
    Refused,
    RuleVerdict,
    Setting,
    Settings,
    Verdicts,
    advertising_id,
    by_status,
    click_id,
    first_email,
    first_phone,
    no_answer_of_the_platform,
    number,
    omit_empty,
    only_the_first,
    plain_text,
    plain_words,
    safe_message,
    unix_milliseconds,
    within,
)

EVENT_NAMES = {
    "Purchase": "PURCHASE",
    "AddToCart": "ADD_TO_CART",
    "Lead": "LEAD",
    "CompleteRegistration": "SIGN_UP",
    "ViewContent": "VIEW_CONTENT",
    "Search": "SEARCH",
    "AddToWishlist": "ADD_TO_WISHLIST",
    "PageView": "PAGE_VISIT",
    # Reddit has no type for these; any other name but Refund goes out as CUSTOM as well.
    "InitiateCheckout": "CUSTOM",
    "AddPaymentInfo": "CUSTOM",
    "Subscribe": "CUSTOM",
    "StartTrial": "CUSTOM",
    "Contact": "CUSTOM",
}
MAX_CUSTOM_NAME = 64  # characters
MOST_FIELDS = 20  # of an answer that are read

MAX_AGE = timedelta(hours=168)
MAX_BATCH_BYTES = 1_000_000

_SOURCES = {"website": "WEBSITE", "app": "APP", "physical_store": "PHYSICAL_STORE"}  # all others are OTHER
_WITH_COUNT = frozenset({"PURCHASE", "ADD_TO_CART", "ADD_TO_WISHLIST", "CUSTOM"})
_WITH_VALUE = _WITH_COUNT | {"LEAD", "SIGN_UP"}
_IDENTITY = frozenset({"uuid", "email", "external_id", "phone_number", "idfa", "aaid"})


def _email(value: str, settings: Settings) -> str | None:
    return Matchable.read(value).email_sha256("alphanumeric")


def _phone(value: str, settings: Settings) -> str | None:
    return Matchable.read(value).phone_sha256("e164", settings.get("default_country"))


def _external_id(value: str, settings: Settings) -> str | None:
    """Also of an id that looks like an MD5, an address or a number: it is an id all the same, and leaves as a digest."""
    return None if normalise.is_placeholder(value) else hashed(value, normalise.trimmed)


def _ip(value: str, settings: Settings) -> str | None:
    """Of the canonical form: one address of a machine is one digest."""
    return hashed(value, machine_address)


def _idfa(value: str) -> str | None:
    return value.upper() if is_uuid(value) else None


def _aaid(value: str) -> str | None:
    return value.lower() if is_uuid(value) else None


def _uuid(value: str, settings: Settings) -> str | None:
    """What stands behind the dot of the cookie: Reddit's id without the time it was set."""
    return value.strip().rpartition(".")[2] if FORMATS["rdt_uuid"].is_right(value) else None


def _click_id(value: str) -> str | None:
    return usable("rdt_cid", value)


def _country(value: str, settings: Settings) -> str | None:
    code = normalise.country(value)
    return code.upper() if code else None


def _region(value: str, country: str | None) -> str | None:
    """ISO 3166-2, such as US-CA; None unless it is an assigned code."""
    text = value.strip().upper()
    if text in normalise.regions():
        return text if country is None or text.startswith(f"{country}-") else None
    if country is None:
        return None
    return normalise.region(value, country) or normalise.region(normalise.state(value, country) or "", country)


NORMALISE: dict[str, Callable[[str, Settings], str | None]] = {
    "email": _email,
    "phone": _phone,
    "external_id": _external_id,
    "client_ip": _ip,
    "client_user_agent": lambda value, settings: plain_text(value),
    "rdt_uuid": _uuid,
    "rdt_cid": lambda value, settings: _click_id(value),
    # Country and state go out with limited data use only.
    "country": _country,
    "state": lambda value, settings: _region(value, None),
}
# By system: the key of ``user``, and how its ids are written before they are hashed.
_ADVERTISING_IDS: Mapping[str, tuple[str, normalise.Rule]] = {"ios": ("idfa", _idfa), "android": ("aaid", _aaid)}
# Key of ``user``, field of user_data; email, phone and the click id follow by themselves.
_USER = (
    ("external_id", "external_id"),
    ("ip_address", "client_ip"),
    ("user_agent", "client_user_agent"),
    ("uuid", "rdt_uuid"),
)

_TEMPORARY = Explanation("A temporary fault at Reddit.", "Nothing to do: it is tried again.")
_WRONG_EVENT = Explanation(
    "Reddit refused the event: a field is missing, has the wrong form, or its time is out of range.",
    "Compare the event with the field table of this page; it is tried again with your mended settings.",
)
EXPLANATIONS: Mapping[str, Explanation] = {
    "200": _WRONG_EVENT,  # an error inside a good answer
    "unconfirmed": Explanation(
        "The answer is none of Reddit's: something in between wrote it, such as a proxy.",
        "It is tried again. Where it stays so, let the operator of TrackLayer look at the way out to the internet.",
    ),
    "400": _WRONG_EVENT,
    "422": _WRONG_EVENT,
    "WRONG_TYPE": Explanation(
        "Reddit could not read a field: it has the wrong type.",
        "Tell the operator of TrackLayer: the field's name is in the message.",
    ),
    "401": Explanation(
        "The conversion access token is wrong or was revoked.",
        "Generate a new token in Events Manager, Conversions API, and set it on the destination.",
    ),
    "403": Explanation(
        "The token may not write to this pixel.",
        "Use a token of the business that owns the pixel, generated by an admin of it.",
    ),
    "404": Explanation(
        "Reddit does not know the pixel.",
        "Compare the pixel ID with Events Manager: it begins with a2_ or t2_.",
    ),
    "413": Explanation("A single event was too large.", "Send fewer contents in one event.", "custom_data.contents"),
    "429": Explanation("Too many requests.", "Nothing to do: TrackLayer waits and goes on by itself."),
    **dict.fromkeys(("408", "425", "500", "502", "503", "504"), _TEMPORARY),
}

_NAME_OK = RuleVerdict("event_name", True, "an event type of Reddit", "event_name")
_NAME_CUSTOM = RuleVerdict("event_name", True, "no event type of Reddit: goes out as a custom event", "event_name")
_AGE_OK = RuleVerdict("event_age", True, "less than 168 hours old", "occurred_at")
_IDENTIFIERS_OK = RuleVerdict("identifiers", True, "enough customer information to be matched", "user_data")


def map_event(event: Event, settings: Settings, now: datetime) -> Mapped | Refused:
    """One element of ``data.events``: time in Unix milliseconds, value in major units as a number."""
    verdicts = Verdicts()
    if event.consent.ad_user_data == "denied":
        return verdicts.refuse_denied()
    verdicts.ok(CONSENT_OK)
    no_refund = "Reddit has no refund: as a custom event it would take nothing off the purchase"
    if refused := verdicts.refuse_refund(event.event_name, settings, "custom_event_names", no_refund):
        return refused
    kind = {"tracking_type": EVENT_NAMES.get(event.event_name, "CUSTOM")}
    if kind["tracking_type"] == "CUSTOM":
        name = _custom_name(event.event_name, settings)
        if not name.strip() or len(name) > MAX_CUSTOM_NAME:
            return verdicts.refuse(
                DropReason.INVALID_FIELD,
                "event_name",
                "event_name",
                f"a custom event's name must have 1 to {MAX_CUSTOM_NAME} characters",
            )
        kind["custom_event_name"] = name
        verdicts.ok(_NAME_CUSTOM)
    else:
        verdicts.ok(_NAME_OK)
    if now - event.occurred_at > _age_limit(event.action_source, settings):
        return verdicts.refuse(
            DropReason.EVENT_TOO_OLD, "event_age", "occurred_at", "not less than 168 hours (7 days) old"
        )
    verdicts.ok(_AGE_OK)
    source = _SOURCES.get(event.action_source, "OTHER")
    url = verdicts.page_of(event) if source == "WEBSITE" else None
    why = "left out: nothing that Reddit takes as a click id"
    click = click_id(event.user_data, "rdt_cid", event.clicked_url, _click_id, verdicts, why)
    user = _user(event.user_data, settings, verdicts)
    if event.device is not NO_DEVICE:
        user |= _device(event.device, verdicts)
    if not (click or user.keys() & _IDENTITY or {"ip_address", "user_agent"} <= user.keys()):
        return verdicts.refuse(
            DropReason.MISSING_IDENTIFIERS,
            "identifiers",
            "user_data",
            "Reddit wants a click id, its cookie, an email, a phone, an external id, an advertising id, or the IP "
            "address together with the user agent",
        )
    verdicts.ok(_IDENTIFIERS_OK)
    if event.consent.limited_data_use:
        user["data_processing_options"] = _limited_use(event.user_data, verdicts)
    item: dict[str, Any] = {"event_at": unix_milliseconds(event.occurred_at), "action_source": source}
    if url is not None:
        item["event_source_url"] = url
    item["type"] = kind
    if click:
        item["click_id"] = click
    if user:
        item["user"] = user
    details = _metadata(event.custom_data, kind["tracking_type"], verdicts)
    verdicts.own_left_out(event.custom_data.properties, "Reddit")
    item["metadata"] = {"conversion_id": event.event_id, **details}
    return Mapped(item, tuple(verdicts))


def build_request(group: str, items: Sequence[dict[str, Any]], settings: Settings) -> PlatformRequest:
    """``{"data": {"test_id"?, "events": [...]}}``: with a test id none of the request's events counts."""
    data: dict[str, Any] = {"events": list(items)}
    if settings.get("test_id"):
        data["test_id"] = settings["test_id"]
    return PlatformRequest(
        f"https://ads-api.reddit.com/api/v3/pixels/{settings['pixel_id']}/conversion_events",
        {"data": data},
        BearerToken(str(settings.get("access_token", ""))),
    )


def read_reply(reply: PlatformReply, count: int) -> Verdict:
    """One verdict for the whole request: a bad event fails all of it, and then nothing is stored."""
    body = reply.json if isinstance(reply.json, Mapping) else {}
    status = reply.status
    is_good = 200 <= status < 300
    if is_good and (nothing := no_answer_of_the_platform(reply)):
        return [nothing] * count
    if is_good and not isinstance(reply.json, Mapping) and (reply.json is not None or reply.text.strip()):
        # Reddit answers with an object, or with nothing at all.
        return [Unreachable("the answer is none of Reddit's", status, code="unconfirmed")] * count
    if is_good and not _has_error(body):
        return [Acknowledged(status)] * count
    message = _words(body, status)
    if status == 403 and _WRONG_TYPE.search(message):
        refused = Rejected("WRONG_TYPE", message, status)
    elif is_good or status in (400, 413, 422):
        refused = Rejected(str(status), message, status)
    elif status == 404:
        return [CredentialsRefused("404", message, status)] * count
    else:
        return [by_status(reply, message=message)] * count
    return BatchRejected(refused) if count > 1 else [refused]


def _has_error(body: Mapping[str, Any]) -> bool:
    """An error in any of the shapes that Reddit's answers have had, also inside ``data``."""
    data = body.get("data")
    return any(
        found.get("success") is False or any(found.get(name) for name in ("error", "errors", "invalid_events"))
        for found in (body, data if isinstance(data, Mapping) else {})
    )


# v2 answers 403 UNAUTHORIZED to a field of the wrong type: only its text tells the two apart.
_WRONG_TYPE = re.compile(r"unexpected type|json error|wrong type|invalid type|cannot unmarshal", re.IGNORECASE)


def _words(body: Mapping[str, Any], status: int) -> str:
    """Code and reason from v3's error, from v2's, or from v2's list of invalid events.

    That list repeats the events: only the first one's message is taken.
    """
    data = body.get("data")
    if not body.get("error") and isinstance(data, Mapping):
        body = {**body, **data}
    error = body.get("error")
    given: Mapping[str, Any] = error if isinstance(error, Mapping) else {}
    code = _first(given, "code", "reason")
    texts = [code] if code != str(status) else []
    texts.append(_first(given, "message", "explanation") or plain_words(body.get("message")))
    if isinstance(error, str):
        texts.append(plain_words(error))
    texts += [
        f"{plain_words(entry.get('field')) or 'a field'}: {plain_words(entry.get('message')) or 'refused'}"
        for entry in _objects(given.get("fields"))[:MOST_FIELDS]
    ]
    invalid = _objects(body.get("invalid_events") or given.get("invalid_events"))
    texts += [plain_words(entry.get("error_message")) for entry in invalid[:1]]
    return safe_message("; ".join(text for text in texts if text)) or "Reddit gave no reason"


def _first(given: Mapping[str, Any], *names: str) -> str:
    """What the first of some fields says that says anything."""
    return next((words for name in names if (words := plain_words(given.get(name)))), "")


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []


def _age_limit(action_source: str, settings: Settings) -> timedelta:
    return MAX_AGE - timedelta.resolution  # younger than that, not just as old


def _custom_name(given: str, settings: Settings) -> str:
    names = settings.get("custom_event_names") or {}
    return str(names.get(given) or names.get("*") or given)


def _user(person: UserData, settings: Settings, verdicts: Verdicts) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if person.email is not None or person.emails:
        _put(found, verdicts, "email", "email", first_email(person, "alphanumeric"))
    if person.phone is not None or person.phones:
        _put(found, verdicts, "phone_number", "phone", first_phone(person, "e164", settings.get("default_country")))
    if person.emails or person.phones:
        only_the_first(person, "Reddit", verdicts)
    for key, name in _USER:
        value = getattr(person, name)
        if value is not None:
            _put(found, verdicts, key, name, NORMALISE[name](value, settings))
    return found


def _device(device: Device, verdicts: Verdicts) -> dict[str, Any]:
    """The advertising id, hashed, and the size of the screen, which goes out whole or not at all."""
    found: dict[str, Any] = {}
    given = advertising_id(device, verdicts)
    if given is not None:
        key, rule = _ADVERTISING_IDS[given[0]]
        digest = hashed(given[1], rule)
        if digest is not None:
            found[key] = digest
        else:
            message = f"left out: nothing that Reddit could match as {key}"
            verdicts.left_out("advertising_id", "device.advertising_id", message)
    if device.screen_width and device.screen_height:
        found["screen_dimensions"] = {"width": device.screen_width, "height": device.screen_height}
    elif device.screen_width or device.screen_height:
        given_one = "screen_width" if device.screen_width else "screen_height"
        message = "left out: Reddit takes the screen's width and height together"
        verdicts.left_out("screen_dimensions", f"device.{given_one}", message)
    return found


def _put(found: dict[str, Any], verdicts: Verdicts, key: str, name: str, value: str | None) -> None:
    if value is not None:
        found[key] = value
    else:
        verdicts.left_out(name, f"user_data.{name}", f"left out: nothing that Reddit could match as {key}")


def _limited_use(person: UserData, verdicts: Verdicts) -> dict[str, Any]:
    """LDU for this person, with country and region where they are known by their codes."""
    options: dict[str, Any] = {"modes": ["LDU"]}
    if person.country is not None:
        country = _country(person.country, {})
        if country is None:
            verdicts.left_out("country", "user_data.country", "left out: not a two-letter country code")
            return options
        options["country"] = country
        region = _region(person.state, country) if person.state is not None else None
        if region is not None:
            options["region"] = region
        elif person.state is not None:
            verdicts.left_out("state", "user_data.state", "left out: not a region of the country")
    elif person.state is not None:
        region = _region(person.state, None)  # its code names the country as well
        if region is not None:
            options |= {"country": region[:2], "region": region}
        else:
            verdicts.left_out(
                "state", "user_data.state", "left out: a region goes out with its country, and none is given"
            )
    return options


def _metadata(given: CustomData, tracking_type: str, verdicts: Verdicts) -> dict[str, Any]:
    """What Reddit takes with this type of event; the rest is left out."""
    found: dict[str, Any] = {}
    if tracking_type in _WITH_VALUE:
        found = {"currency": given.currency, "value": number(given.value)}
    elif given.value is not None or given.currency is not None:
        verdicts.left_out("value", "custom_data.value", f"left out: Reddit takes no value with {tracking_type}")
    if tracking_type in _WITH_COUNT:
        found["item_count"] = given.num_items
    elif given.num_items is not None:
        verdicts.left_out("num_items", "custom_data.num_items", f"left out: Reddit takes no count with {tracking_type}")
    found["products"] = [
        omit_empty(
            {
                "id": content.id,
                "name": content.title,
                "category": content.category,
                # One piece without a price is what a line says by itself.
                "quantity": content.whole_quantity if content.item_price is not None or content.quantity != 1 else None,
                "item_price": number(content.item_price),
            }
        )
        for content in given.contents
    ] or [{"id": product_id} for product_id in given.product_ids]
    return omit_empty(found)


def _pixel(value: Any) -> str | None:
    fits = re.fullmatch(r"[at]2_[A-Za-z0-9]{1,64}", str(value))
    return None if fits else "must begin with a2_ or t2_, as Events Manager shows it"


def _event_names(value: Any) -> str | None:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) and name.strip() for name in value):
        return 'must be an object of event name and custom name, such as {"Contact": "ContactForm"}'
    for name in value:
        if EVENT_NAMES.get(name, "CUSTOM") != "CUSTOM" or name == "Refund":
            return f"must name custom events only: {name} is not one"
    if not all(
        isinstance(name, str) and 0 < len(name.strip()) <= len(name) <= MAX_CUSTOM_NAME for name in value.values()
    ):
        return f"must give names of 1 to {MAX_CUSTOM_NAME} characters"
    return None


def _no_place_in(event: Event, mapped: Mapped) -> Sequence[NoPlace]:
    found = () if event.consent.limited_data_use else _NO_LIMITED_USE
    return found if mapped.item["action_source"] == "WEBSITE" else (*found, _NO_PAGE)


_NO_PAGE = NoPlace(frozenset({"event_source_url"}), "left out: Reddit takes it of a website's event only")
_NO_LIMITED_USE = (
    NoPlace(within("user_data", "state country"), "left out: Reddit takes it with limited data use only"),
)
MAPPER = Mapper(
    title="Reddit",
    settings=(
        Setting(
            "pixel_id",
            "Pixel ID",
            "Reddit Ads, Events Manager: the ID of the pixel, normally the same as the ad account's. It begins with "
            "a2_ or t2_.",
            example="a2_abcd1234",
            check=_pixel,
        ),
        Setting(
            "access_token",
            "Conversion access token",
            "Reddit Ads, Events Manager, Conversions API, Generate access token. It is shown once and does not "
            "expire; a business has five at most.",
            secret=True,
            example="sandbox-access-token",
        ),
        Setting(
            "test_id",
            "Test ID",
            "Events Manager, Test events. Events then show up there only and do not count: remove it when done.",
            required=False,
            example="t2_2example",
        ),
        Setting(
            "custom_event_names",
            "Custom event names",
            "Event name to the name that Events Manager shows, for events that Reddit has no type for. * stands for "
            "every other such name; without an entry the event keeps its own.",
            required=False,
            example={"InitiateCheckout": "Checkout"},
            check=_event_names,
        ),
        *COMMON_SETTINGS,
    ),
    event_names=EVENT_NAMES,
    batch_size=1000,
    max_event_age=MAX_AGE,
    normalise=NORMALISE,
    explanations=EXPLANATIONS,
    map_event=map_event,
    build_request=build_request,
    read_reply=read_reply,
    identifiers=("email", "phone", "external_id", "client_ip", "client_user_agent", "rdt_cid", "rdt_uuid"),
    no_place_for=within(
        "user_data", "first_name last_name date_of_birth gender street city zip lead_id job_title company_name"
    )
    | within("custom_data", "order_id content_name content_category content_type search_string status predicted_ltv")
    | within("custom_data.contents", "brand variant coupon discount")
    | within("device", "os_version app_id app_name app_version model locale time_zone carrier vendor_id")
    | {"consent.ad_personalization"},
    no_place_in=_no_place_in,
    deduplication="Reddit recognises a copy for two days.",
    copy_memory=lambda event_name, action_source: timedelta(hours=48),
    age_limit=_age_limit,
    supports_test_events=True,
    test_mode={"test_id": None},
    test_effect="they show up under Test events only, and no conversion is counted.",
    max_batch_bytes=MAX_BATCH_BYTES,
)
