"""GA4 Measurement Protocol, web streams. Merchant's page: ga4.md.

Source: Google Analytics, "Send Measurement Protocol events", "Measurement Protocol reference", "Validate events", "Send
user-provided data with User-ID", "Changelog"; limits of values and reserved names also from public connectors. Read
2026-11-23. GA4 says 2xx to nearly anything, so whatever is wrong has to be caught here: nothing comes back.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import unquote_plus, urlsplit, urlunsplit

import orjson

from tracklayer.domain import normalise
from tracklayer.domain.delivery import (
    Acknowledged,
    BatchRejected,
    DropReason,
    Outcome,
    PlatformReply,
    PlatformRequest,
    QueryToken,
    Rejected,
    Unreachable,
    Verdict,
)
from tracklayer.domain.email_address import holds_email
from tracklayer.domain.event import Content, Event, UserData
from tracklayer.domain.identifiers import FORMATS, is_ip, is_web_url
from tracklayer.domain.normalise import Matchable
from tracklayer.mappers.base import (
    COMMON_SETTINGS,
    Explanation,
    Mapped,
    Mapper,
    Refused,
    RuleVerdict,
    Setting,
    Settings,
    Verdicts,
    by_status,
    number,
    omit_empty,
    plain_words,
    retry_after,
    safe_message,
    unix_seconds,
)

EVENT_NAMES = {
    "Purchase": "purchase",
    "AddToCart": "add_to_cart",
    "InitiateCheckout": "begin_checkout",
    "AddPaymentInfo": "add_payment_info",
    "Lead": "generate_lead",
    "CompleteRegistration": "sign_up",
    "ViewContent": "view_item",
    "Search": "search",
    "AddToWishlist": "add_to_wishlist",
    "PageView": "page_view",
    "Refund": "refund",
    # Not among GA4's recommended events: they arrive as custom ones, as every other name does unchanged.
    "Subscribe": "subscribe",
    "StartTrial": "start_trial",
    "Contact": "contact",
}
_RESERVED_NAMES = frozenset(
    "ad_activeview ad_click ad_exposure ad_query ad_reward adunit_exposure app_clear_data app_exception app_install "
    "app_remove app_store_refund app_update app_upgrade dynamic_link_app_open dynamic_link_app_update "
    "dynamic_link_first_open error firebase_campaign first_open first_visit os_update session_start user_engagement "
    "ad_impression screen_view in_app_purchase".split()  # the last three exist in app streams only
)
_RESERVED_PREFIXES = ("firebase_in_app_message_", "notification_")
_RESERVED_PARAMETERS = ("firebase_", "ga_", "google_", "gtag.", "_")  # prefixes; firebase_conversion is one of them

MAX_AGE = timedelta(hours=72)
MAX_EVENTS = 25
MAX_BODY_BYTES = 130_000
MAX_PARAMETERS = 25
MAX_NAME = 40  # characters, of an event and of a parameter
MAX_VALUE = 100
MAX_VALUE_360 = 500
MAX_ITEMS = 200
MAX_USER_ID = 256
_MAX_OF = {"page_location": 1000, "page_referrer": 420, "page_title": 300}

_WITH_TRANSACTION = frozenset({"purchase", "refund"})
# Properties that would pass by a rule for a field of ours, or stand against what TrackLayer sets itself.
_OURS = frozenset(
    "value currency transaction_id items session_id engagement_time_msec page_location debug_mode".split()
)
_PERSONAL = frozenset(
    "email e-mail e_mail mail email_address emailaddress user_email useremail customer_email phone phone_number "
    "phonenumber tel telephone mobile name first_name firstname fname given_name last_name lastname lname surname "
    "family_name full_name fullname".split()
)
_ADDRESS = re.compile(r"[^\s/?#&=@]+(@|%40)[^\s/?#&=@]+\.[A-Za-z]{2,}", re.IGNORECASE)
_COOKIE = re.compile(r"GA\d+\.[\d-]+\.(\d+\.\d+)")
_NAME = re.compile(rf"[A-Za-z][A-Za-z0-9_]{{0,{MAX_NAME - 1}}}")


def _email(value: str, settings: Settings) -> str | None:
    return Matchable.read(value).email_sha256("google")


def _phone(value: str, settings: Settings) -> str | None:
    return Matchable.read(value).phone_sha256("e164", settings.get("default_country"))


def _without(categories: str, value: str) -> str | None:
    """Lower case, without characters of these Unicode categories; inner spaces stay."""
    text = value.lower()
    if not text.isalpha():
        text = "".join(c for c in text if unicodedata.category(c)[0] not in categories)
    return text.strip() or None


def _is_digest(value: str) -> bool:
    return len(value) >= 32 and (normalise.is_sha256(value) or normalise.is_foreign_digest(value))


def _name_sha256(value: str) -> str | None:
    """Of letters and spaces alone."""
    is_foreign = len(value) >= 32 and normalise.is_foreign_digest(value)
    return None if is_foreign else normalise.hashed(value, lambda text: _without("NPS", text))


def _street_sha256(value: str) -> str | None:
    """Of letters, digits and spaces."""
    is_foreign = len(value) >= 32 and normalise.is_foreign_digest(value)
    return None if is_foreign else normalise.hashed(value, lambda text: _without("PS", text))


def _place(value: str) -> str | None:
    """Plain: a digest would be no place."""
    return None if _is_digest(value) else _without("NPS", value)


def _zip(value: str) -> str | None:
    return None if _is_digest(value) else value.replace(".", "").replace("~", "").strip() or None


def _country(value: str) -> str | None:
    code = normalise.country(value)
    return code.upper() if code else None


def _client_id(value: str) -> str | None:
    """``1234567890.1794000000``, also where the whole ``_ga`` cookie was given. Never made up."""
    text = value.strip()
    cookie = _COOKIE.fullmatch(text)
    if cookie:
        return cookie[1]
    return text if FORMATS["ga_client_id"].is_right(text) else None


def _user_id(value: str) -> str | None:
    """As it is, unless it is an address: Google forbids personal data here."""
    return None if holds_email(value) or len(value) > MAX_USER_ID else value


def _session_id(value: str) -> str | None:
    return value.strip() if FORMATS["ga_session_id"].is_right(value) else None


def _ip(value: str) -> str | None:
    return value.strip() if is_ip(value) else None


# Key of an address, field of user_data, rule.
_ADDRESS_PARTS: tuple[tuple[str, str, normalise.Rule], ...] = (
    ("sha256_first_name", "first_name", _name_sha256),
    ("sha256_last_name", "last_name", _name_sha256),
    ("sha256_street", "street", _street_sha256),
    ("city", "city", _place),
    ("region", "state", _place),
    ("postal_code", "zip", _zip),
    ("country", "country", _country),
)


def _alone(rule: normalise.Rule) -> Callable[[str, Settings], str | None]:
    return lambda value, settings: rule(value)


NORMALISE: dict[str, Callable[[str, Settings], str | None]] = {
    "email": _email,
    "phone": _phone,
    **{name: _alone(rule) for _, name, rule in _ADDRESS_PARTS},
    "external_id": _alone(_user_id),
    "client_ip": _alone(_ip),
    "client_user_agent": _alone(normalise.trimmed),
    "ga_client_id": _alone(_client_id),
    "ga_session_id": _alone(_session_id),
}

_TEMPORARY = Explanation(
    "A temporary fault at Google.",
    "Nothing to do: it is tried again. An event other than a purchase may then be counted twice.",
)
_NOT_KNOWN = Explanation(
    "Google refused the request, though it documents no such answer.",
    "Make a new API secret in Admin, Data streams, and set it on the destination with the measurement ID.",
)
_MALFORMED = Explanation("Google refused the request.", "Compare the event with the field table of this page.")
EXPLANATIONS: Mapping[str, Explanation] = {
    "VALUE_INVALID": Explanation("A value is of the wrong form.", "Correct the field that the message names."),
    "VALUE_REQUIRED": Explanation("A value that GA4 needs is missing.", "Send the field that the message names."),
    "NAME_INVALID": Explanation(
        "A name has characters that GA4 does not take.", "Use letters, digits and _, a letter first.", "event_name"
    ),
    "NAME_RESERVED": Explanation("A name is reserved by Google.", "Choose another name.", "event_name"),
    "VALUE_OUT_OF_BOUNDS": Explanation("A value is too large, too small or too long.", "Send a shorter value."),
    "EXCEEDED_MAX_ENTITIES": Explanation(
        "Too many parameters or items.", "Send fewer properties.", "custom_data.properties"
    ),
    "NAME_DUPLICATED": Explanation("A name is there twice.", "Send each property once.", "custom_data.properties"),
    **dict.fromkeys(("400", "404"), _MALFORMED),
    "413": Explanation("A single event was too large.", "Send fewer contents.", "custom_data.contents"),
    **dict.fromkeys(("401", "403"), _NOT_KNOWN),
    "429": Explanation("Too many requests.", "Nothing to do: TrackLayer waits and goes on by itself."),
    **dict.fromkeys(("408", "500", "502", "503", "504"), _TEMPORARY),
}

_NAME_OK = RuleVerdict("event_name", True, "an event that GA4 knows", "event_name")
_NAME_CUSTOM = RuleVerdict("event_name", True, "goes out as a custom event", "event_name")
_AGE_OK = RuleVerdict("event_age", True, "at most 72 hours old", "occurred_at")
_CLIENT_OK = RuleVerdict("identifiers", True, "has the client id of the site's tag", "user_data.ga_client_id")
_NO_SESSION = RuleVerdict(
    "session", True, "without a session id it is missing from session reports", "user_data.ga_session_id"
)
_DENIED = RuleVerdict("consent", False, "customer data left out: its use for ads is denied", "consent.ad_user_data")
_NO_LIMITED_USE = RuleVerdict("limited_data_use", False, "left out: GA4 takes no such flag", "consent.limited_data_use")


def map_event(event: Event, settings: Settings, now: datetime) -> Mapped | Refused:
    """A whole body with one event in it; its group stands for all but the event, which a request has only once."""
    verdicts = Verdicts()
    name = EVENT_NAMES.get(event.event_name)
    if name is not None:
        verdicts.ok(_NAME_OK)
    else:
        name = _custom_name(event.event_name)
        if not _NAME.fullmatch(name):
            message = "GA4 takes names that begin with a letter from A to Z"
            return verdicts.refuse(DropReason.INVALID_FIELD, "event_name", "event_name", message)
        if name in _RESERVED_NAMES or name.startswith(_RESERVED_PREFIXES):
            message = "Google keeps this name for itself"
            return verdicts.refuse(DropReason.UNSUPPORTED_EVENT, "event_name", "event_name", message)
        verdicts.ok(_NAME_CUSTOM)
        if name != event.event_name:
            verdicts.left_out("event_name", "event_name", f"sent as {name}: GA4 takes A to Z, digits and _, 40 at most")
    if now - event.occurred_at > MAX_AGE:
        message = "older than the 72 hours that GA4 takes: it would move the event to a wrong time"
        return verdicts.refuse(DropReason.EVENT_TOO_OLD, "event_age", "occurred_at", message)
    verdicts.ok(_AGE_OK)
    given = event.custom_data
    if given.value is not None and given.currency is None:
        message = "GA4 takes no value without its currency"
        return verdicts.refuse(DropReason.INVALID_FIELD, "currency", "custom_data.currency", message)
    if given.order_id is None and name in _WITH_TRANSACTION:
        message = f"a {name} without order id: nothing would tell it from its own repeat"
        return verdicts.refuse(DropReason.INVALID_FIELD, "order_id", "custom_data.order_id", message)
    limit = MAX_VALUE_360 if settings.get("analytics_360") is True else MAX_VALUE
    if given.order_id is not None and len(given.order_id) > limit:
        message = f"GA4 takes {limit} characters of an order id, and cut it would be another order's"
        return verdicts.refuse(DropReason.INVALID_FIELD, "order_id", "custom_data.order_id", message)
    person = event.user_data
    client_id = _client_id(person.ga_client_id) if person.ga_client_id is not None else None
    if client_id is None:
        message = "GA4 wants the client id of the site's tag, from the _ga cookie; without it the event is lost"
        field = "user_data.ga_client_id"
        return verdicts.refuse(DropReason.MISSING_IDENTIFIERS, "identifiers", field, message)
    verdicts.ok(_CLIENT_OK)
    if event.consent.limited_data_use:
        verdicts.ok(_NO_LIMITED_USE)
    body = {"client_id": client_id, **_shared(event, settings, verdicts)}
    group = normalise.sha256_hex(orjson.dumps(body).decode())
    body["events"] = [
        {
            "name": name,
            "timestamp_micros": unix_seconds(event.occurred_at) * 1_000_000 + event.occurred_at.microsecond,
            "params": _params(event, settings, limit, verdicts),
        }
    ]
    return Mapped(body, tuple(verdicts.rules), group)


def build_request(group: str, items: Sequence[dict[str, Any]], settings: Settings) -> PlatformRequest:
    """One person's body with all the events. The API secret travels in the query: it is kept out of the URL here."""
    host = "region1.google-analytics.com" if settings.get("eu_endpoint") is True else "www.google-analytics.com"
    path = "/mp/collect"
    body = {key: value for key, value in items[0].items() if key != "events"}
    if settings.get("validate_only") is True:
        path = "/debug/mp/collect"
        body["validation_behavior"] = "ENFORCE_RECOMMENDATIONS"  # the default lets nearly everything pass
    body["events"] = [event for item in items for event in item["events"]]
    url = f"https://{host}{path}?measurement_id={settings['measurement_id']}"
    return PlatformRequest(url, body, QueryToken("api_secret", str(settings.get("api_secret", ""))))


def read_reply(reply: PlatformReply, count: int) -> Verdict:
    """2xx means received, never valid. Only the validation server says what is wrong, for the request as a whole."""
    if 200 <= reply.status < 300:
        body = reply.json if isinstance(reply.json, Mapping) else {}
        messages = body.get("validationMessages")
        if not isinstance(messages, list) or not messages:
            return [Acknowledged(reply.status)] * count
        first = messages[0] if isinstance(messages[0], Mapping) else {}
        code = first.get("validationCode")
        shown = code if isinstance(code, str) and code in EXPLANATIONS else "VALUE_INVALID"
        words = (plain_words(first.get(key)) for key in ("fieldPath", "description"))
        outcome: Outcome = Rejected(
            shown, safe_message(": ".join(filter(None, words))) or "no reason given", reply.status
        )
    elif reply.status == 503:
        # Sent back at the door: the one server error after which nothing can have been counted.
        message = "Google takes no events at the moment"
        outcome = Unreachable(message, 503, retry_after(reply), may_have_arrived=False, code="503")
    else:
        outcome = by_status(reply)
    return BatchRejected(outcome) if isinstance(outcome, Rejected) and count > 1 else [outcome] * count


def _copy_memory(event_name: str, action_source: str) -> timedelta | None:
    name = EVENT_NAMES.get(event_name) or _custom_name(event_name)
    return timedelta.max if name == "purchase" else None


def _custom_name(given: str) -> str:
    """As it is where GA4 takes it; else with _ for every other character, and cut."""
    return given if _NAME.fullmatch(given) else re.sub(r"[^A-Za-z0-9_]", "_", given)[:MAX_NAME]


def _shared(event: Event, settings: Settings, verdicts: Verdicts) -> dict[str, Any]:
    """What stands in a body once: who it was, with what, and what they agreed to."""
    person = event.user_data
    found: dict[str, Any] = {}

    def put(key: str, name: str, rule: normalise.Rule, switch: str) -> None:
        value = getattr(person, name)
        if value is None or settings.get(switch) is False:
            return
        result = rule(value)
        if result is not None:
            found[key] = result
        else:
            verdicts.left_out(name, f"user_data.{name}", f"left out: nothing that GA4 takes as {key}")

    put("user_id", "external_id", _user_id, "send_user_id")
    if event.consent.ad_user_data == "denied":
        verdicts.ok(_DENIED)
    elif settings.get("send_user_data") is not False:
        user_data = _user_data(person, settings, verdicts)
        if user_data:
            found["user_data"] = user_data
    put("ip_override", "client_ip", _ip, "send_ip")
    put("user_agent", "client_user_agent", normalise.trimmed, "send_user_agent")
    consent = {
        name: state.upper()
        for name in ("ad_user_data", "ad_personalization")
        if (state := getattr(event.consent, name)) in ("granted", "denied")
    }
    if consent:
        found["consent"] = consent
    return found


def _user_data(person: UserData, settings: Settings, verdicts: Verdicts) -> dict[str, Any]:
    found: dict[str, Any] = {}
    email = person.email.email_sha256("google") if person.email is not None else None
    phone = None
    if person.phone is not None:
        phone = person.phone.phone_sha256("e164", settings.get("default_country"))
    for key, name, digest in (("sha256_email_address", "email", email), ("sha256_phone_number", "phone", phone)):
        if digest is not None:
            found[key] = [digest]
        elif getattr(person, name) is not None:
            verdicts.left_out(name, f"user_data.{name}", f"left out: nothing that GA4 takes as {key}")
    address = {}
    for key, name, rule in _ADDRESS_PARTS:
        value = getattr(person, name)
        if value is None:
            continue
        part = rule(value)
        if part is not None:
            address[key] = part
        else:
            verdicts.left_out(name, f"user_data.{name}", f"left out: nothing that GA4 takes as {key}")
    if address:
        found["address"] = [address]
    return found


def _params(event: Event, settings: Settings, limit: int, verdicts: Verdicts) -> dict[str, Any]:
    """At most 25 parameters, ours first. GA4 gets text, numbers and flags; text is cut to what GA4 takes."""
    given = event.custom_data
    params: dict[str, Any] = {}

    def put_text(key: str, field: str, value: Any) -> None:
        if isinstance(value, str) and value:
            if holds_email(value):
                verdicts.left_out(key, field, "left out: an address may not be sent to GA4 in plain text")
            else:
                params[key] = _cut(value, _MAX_OF.get(key, limit), key, field, verdicts)

    session_id = event.user_data.ga_session_id
    if session_id is not None and (digits := _session_id(session_id)):
        params["session_id"] = digits
    elif session_id is not None:
        verdicts.left_out("session", "user_data.ga_session_id", "left out: must be digits only")
    else:
        verdicts.ok(_NO_SESSION)
    params["engagement_time_msec"] = 1  # without it the event is missing from realtime reports
    put_text("page_location", "event_source_url", _page(event.event_source_url, "event_source_url", verdicts))
    referrer = given.properties.get("referrer_url", given.properties.get("page_referrer"))
    field = "custom_data.properties.referrer_url"
    put_text("page_referrer", field, _page(referrer, field, verdicts))
    if given.currency is not None:
        params["currency"] = given.currency
    if given.value is not None:
        params["value"] = number(given.value)
    if given.order_id is not None:
        params["transaction_id"] = given.order_id
    items = _items(event, limit, verdicts)
    if items:
        params["items"] = items
    put_text("search_term", "custom_data.search_string", given.search_string)
    for key in ("content_name", "content_category", "status"):
        put_text(key, f"custom_data.{key}", getattr(given, key))
    if given.predicted_ltv is not None:
        params["predicted_ltv"] = number(given.predicted_ltv)
    if settings.get("debug_mode") is True:
        params["debug_mode"] = True
    for key, value in given.properties.items():
        field = f"custom_data.properties.{key}"
        if key in ("referrer_url", "page_referrer"):
            continue
        wrong = _wrong_property(key, value, params)
        if wrong:
            verdicts.left_out("properties", field, f"left out: {wrong}")
        elif isinstance(value, str):
            put_text(key, field, value)
        else:
            params[key] = number(value) if isinstance(value, Decimal) else value
    return params


def _wrong_property(key: str, value: Any, params: Mapping[str, Any]) -> str | None:
    """Why GA4 would not take a property, as the end of a sentence."""
    if value is None or not isinstance(value, str | int | float | Decimal):
        return "GA4 takes text, numbers, true and false"
    if key in _OURS or key in params:
        return "the name belongs to a field of TrackLayer"
    if key.startswith(_RESERVED_PARAMETERS):
        return "the name is reserved by Google"
    if key.lower() in _PERSONAL:
        return "the name promises personal data, which may not be sent in plain text"
    if not _NAME.fullmatch(key):
        return f"a name has a letter first, then letters, digits and _, {MAX_NAME} at most"
    return f"GA4 takes {MAX_PARAMETERS} parameters of an event" if len(params) >= MAX_PARAMETERS else None


def _items(event: Event, limit: int, verdicts: Verdicts) -> list[dict[str, Any]]:
    given = event.custom_data
    contents = given.contents or tuple(Content(product_id) for product_id in given.product_ids)
    if len(contents) > MAX_ITEMS:
        verdicts.left_out("contents", "custom_data.contents", f"left out: all but the first {MAX_ITEMS}")

    def cut(value: str | None, field: str) -> str | None:
        return _cut(value, limit, "contents", f"custom_data.contents.{field}", verdicts) if value else None

    return [
        omit_empty(
            {
                "item_id": cut(content.id, "id"),
                "item_name": cut(content.title, "title"),
                "item_brand": cut(content.brand, "brand"),
                "item_category": cut(content.category, "category"),
                "price": number(content.item_price),
                "quantity": content.quantity if given.contents else None,
            }
        )
        for content in contents[:MAX_ITEMS]
    ]


def _cut(value: str, limit: int, rule: str, field: str, verdicts: Verdicts) -> str:
    if len(value) > limit:
        verdicts.left_out(rule, field, f"cut to the {limit} characters that GA4 takes")
    return value[:limit]


def _page(url: Any, field: str, verdicts: Verdicts) -> str | None:
    """The URL without what names a person: known query parameters, and addresses wherever they stand."""
    if url is None:
        return None
    if not isinstance(url, str) or not is_web_url(url):
        verdicts.left_out("page", field, "left out: not an absolute http(s) URL")
        return None
    if "?" not in url and "@" not in url and "%40" not in url:
        return url
    parts = urlsplit(url)
    kept = [part for part in parts.query.split("&") if unquote_plus(part.partition("=")[0]).lower() not in _PERSONAL]
    rest = urlunsplit(("", "", parts.path, "&".join(kept), parts.fragment))
    cleaned = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{_ADDRESS.sub('redacted', rest)}"
    if cleaned.rstrip("?#") == url.rstrip("?#"):
        return url
    verdicts.left_out("page", field, "sent without the parts that may name a person")
    return cleaned


def _check_measurement_id(value: Any) -> str | None:
    fits = isinstance(value, str) and re.fullmatch(r"G-[A-Z0-9]{1,20}", value)
    return None if fits else "must look like G-ABC123DEF4; the old UA-... ids do not work"


def _flag(value: Any) -> str | None:
    return None if isinstance(value, bool) else "must be true or false"


def _switch(name: str, label: str, help: str, example: bool) -> Setting:
    return Setting(name, label, help, required=False, example=example, check=_flag)


MAPPER = Mapper(
    title="Google Analytics 4",
    settings=(
        Setting(
            "measurement_id",
            "Measurement ID",
            "Google Analytics, Admin, Data streams, the web stream: Measurement ID at the top right. It begins with G-.",
            example="G-ABC123DEF4",
            check=_check_measurement_id,
        ),
        Setting(
            "api_secret",
            "API secret",
            "The same page, Measurement Protocol API secrets, Create. It belongs to this stream alone, and no call can "
            "tell whether it is right: look into Realtime after the first events.",
            secret=True,
            example="sandbox-access-token",
        ),
        _switch("eu_endpoint", "Collect in the EU", "True: events go to Google's servers in the EU.", False),
        _switch("send_ip", "Send IP address", "False: client_ip stays here. Without it GA4 knows no place.", True),
        _switch("send_user_agent", "Send user agent", "False: client_user_agent stays here.", True),
        _switch("send_user_data", "Send customer data", "False: email, phone, name and address stay here.", True),
        _switch("send_user_id", "Send user ID", "False: external_id stays here.", True),
        _switch(
            "analytics_360",
            "Analytics 360",
            "True for properties of Analytics 360, which take values of 500 characters instead of 100.",
            False,
        ),
        _switch(
            "debug_mode",
            "Debug mode",
            "True: events show up in Admin, DebugView, as well. They still count: remove it for production.",
            False,
        ),
        _switch(
            "validate_only",
            "Validation only",
            "True: Google checks the form of every event and records none. Remove it for production.",
            False,
        ),
        *COMMON_SETTINGS,
    ),
    event_names=EVENT_NAMES,
    batch_size=MAX_EVENTS,
    max_event_age=MAX_AGE,
    normalise=NORMALISE,
    explanations=EXPLANATIONS,
    map_event=map_event,
    build_request=build_request,
    read_reply=read_reply,
    deduplication="Google recognises a copy of a purchase only, by its transaction id; any other event that arrives twice counts twice.",
    copy_memory=_copy_memory,
    supports_test_events=True,
    test_mode={"validate_only": True},
    max_batch_bytes=MAX_BODY_BYTES,
)
