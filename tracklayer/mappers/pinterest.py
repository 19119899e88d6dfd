"""Pinterest API for Conversions, v5. Merchant's page: pinterest.md. Its answers are read in pinterest_answers.py.

Source: pinterest/api-description, v5/openapi.json 5.23.0 and what 5.28 adds, operation events/create;
Pinterest developer guide, "Use Limited Data Processing flag". Read 2026-11-28.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from tracklayer.domain import normalise
from tracklayer.domain.delivery import BearerToken, DropReason, PlatformRequest
from tracklayer.domain.event import NO_DEVICE, Content, CustomData, Device, Event
from tracklayer.domain.identifiers import is_uuid, is_web_url, machine_address, usable
from tracklayer.domain.normalise import Matchable, hashed
from tracklayer.mappers.base import (
    COMMON_SETTINGS,
    CONSENT_OK,
    Mapped,
    Mapper,
    NoPlace,
    Refused,
    RuleVerdict,
    Setting,
    Settings,
    Verdicts,
    click_id,
    has_fractions,
    of_apps_only,
    omit_empty,
    unix_seconds,
    within,
    wrong_with_flag,
)
from tracklayer.mappers.pinterest_answers import EXPLANATIONS, read_reply

_Rule = Callable[[str, str | None], str | None]  # (value, the person's country) -> what Pinterest gets

EVENT_NAMES = {  # any other name but Refund goes out as "custom"
    "Purchase": "checkout",
    "AddToCart": "add_to_cart",
    "InitiateCheckout": "initiate_checkout",
    "AddPaymentInfo": "add_payment_info",
    "Lead": "lead",
    "CompleteRegistration": "signup",
    "ViewContent": "view_content",
    "Search": "search",
    "Subscribe": "subscribe",
    "StartTrial": "start_trial",
    "AddToWishlist": "add_to_wishlist",
    "Contact": "contact",
    "PageView": "page_visit",
}
_PINTEREST_NAMES = frozenset(EVENT_NAMES.values()) | frozenset(
    "custom app_install view_category watch_video app_open customize_product find_location schedule "
    "submit_application".split()
)
MAX_OWN_NAMES = 15  # per advertiser

MAX_AHEAD = timedelta(minutes=5)  # Pinterest names no limit
LATE = timedelta(hours=1)  # after that Pinterest reports a web or app event as offline

_DECIMALS = {  # ISO 4217: digits after the point of the currencies that do not have two
    **dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0),
    **dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3),
    **dict.fromkeys("CLF UYW".split(), 4),
}
_STEPS = {places: Decimal(1).scaleb(-places) for places in (0, 2, 3, 4)}
_ANDROID = re.compile(r"\bAndroid\b", re.IGNORECASE)
_IOS = re.compile(r"\b(iPhone|iPad|iPod|iOS|CFNetwork)\b", re.IGNORECASE)


_LANGUAGE = re.compile(r"([A-Za-z]{2})(?:[_-].*)?")
_APP_FIELDS = {  # of an app's event: key of Pinterest's, field of device
    "app_id": "app_id",
    "app_name": "app_name",
    "app_version": "app_version",
    "device_carrier": "carrier",
    "device_model": "model",
    "os_version": "os_version",
}


def _letters_and_digits(value: str) -> str | None:
    """Lower case; letters and digits of every script, accents kept and composed; neither spaces nor punctuation."""
    text = normalise.composed(value.strip().lower())
    return "".join(c for c in text if c.isalnum() or unicodedata.category(c)[0] == "M") or None


def _zip_digits(value: str, country: str | None) -> str | None:
    """Digits alone, the first five in the US; a code of letters and digits loses its letters."""
    digits = re.sub(r"[^0-9]", "", normalise.zip_code(value, country) or "")
    return (digits[:5] if country and normalise.country(country) == "us" else digits) or None


def _digest(rule: _Rule) -> _Rule:
    """MD5 and SHA-1 are no identifiers here, and hashing them once more would only hide that."""
    return lambda value, country: (
        None if normalise.is_foreign_digest(value) else hashed(value, lambda v: rule(v, country))
    )


def _of_value(rule: normalise.Rule) -> _Rule:
    return _digest(lambda value, country: rule(value))


def _trimmed(value: str, country: str | None) -> str | None:
    return normalise.trimmed(value)


# Field of user_data -> key of Pinterest's, rule. A digest goes out in a list, plain text as it is.
_HASHED: Mapping[str, tuple[str, _Rule]] = {
    "first_name": ("fn", _of_value(normalise.lower_composed)),
    "last_name": ("ln", _of_value(normalise.lower_composed)),
    "gender": ("ge", _of_value(normalise.gender_or_neither)),
    "date_of_birth": ("db", _of_value(normalise.date_of_birth_digits)),
    "city": ("ct", _of_value(_letters_and_digits)),
    "state": ("st", _digest(lambda value, country: normalise.state(value, country or "US"))),
    "zip": ("zp", _digest(_zip_digits)),
    "country": ("country", _of_value(normalise.country)),
    # The one hashed field whose case counts, and which may look like an MD5 and still be an id.
    "external_id": ("external_id", lambda value, country: hashed(value, normalise.trimmed)),
}
_PLAIN: Mapping[str, tuple[str, _Rule]] = {
    "client_ip": ("client_ip_address", lambda value, country: machine_address(value)),
    "client_user_agent": ("client_user_agent", _trimmed),
}


def _click_id(value: str) -> str | None:
    return usable("epik", value)


def _email(given: Matchable) -> str | None:
    return given.email_sha256("basic")


def _phone(given: Matchable, settings: Settings) -> str | None:
    if given.plain is not None and normalise.is_foreign_digest(given.plain):
        return None
    return given.phone_sha256("digits", settings.get("default_country"))


def _alone(rule: _Rule) -> Callable[[str, Settings], str | None]:
    return lambda value, settings: None if normalise.is_placeholder(value) else rule(value, None)


NORMALISE: dict[str, Callable[[str, Settings], str | None]] = {
    "email": lambda value, settings: _email(Matchable.read(value)),
    "phone": lambda value, settings: _phone(Matchable.read(value), settings),
    **{name: _alone(rule) for name, (_, rule) in (*_HASHED.items(), *_PLAIN.items())},
    "epik": lambda value, settings: _click_id(value),
}

_OPTED_OUT = RuleVerdict(
    "opt_out", True, "personalised ads are denied: sent with opt_out", "consent.ad_personalization"
)
_NOT_TRACKED = RuleVerdict("opt_out", True, "tracking is not allowed: sent with opt_out", "device.tracking_allowed")
_NO_SYSTEM = RuleVerdict(
    "action_source",
    True,
    "nothing tells whether the app runs on iOS or Android: sent as offline, of which Pinterest recognises no copies",
    "device.os",
)
_WHOLE_PIECES = RuleVerdict(
    "contents", True, "Pinterest counts whole pieces: a quantity with a fraction is rounded", "custom_data.contents"
)
_NAME_OK = RuleVerdict("event_name", True, "an event that Pinterest knows", "event_name")
_NAME_CUSTOM = RuleVerdict("event_name", True, "unknown to Pinterest: goes out as custom", "event_name")
_NAME_SET = RuleVerdict("event_name", True, "named as the setting custom_event_names says", "event_name")
_IDENTIFIERS_OK = RuleVerdict("identifiers", True, "enough to be matched with a person", "user_data")
_LATE = RuleVerdict("event_age", True, "more than an hour old: Pinterest reports it as offline", "occurred_at")
_NO_PLACE = RuleVerdict(
    "limited_data_use", True, "Pinterest also wants the person's state and country", "user_data.state"
)


def map_event(event: Event, settings: Settings, now: datetime) -> Mapped | Refused:
    """One element of ``data``: whole Unix seconds, money as text in major units, identifiers hashed."""
    verdicts = Verdicts()
    if event.consent.ad_user_data == "denied":
        return verdicts.refuse_denied()
    verdicts.ok(CONSENT_OK)
    no_refund = "Pinterest has no refund that would take back a checkout"
    if refused := verdicts.refuse_refund(event.event_name, settings, "custom_event_names", no_refund):
        return refused
    name, verdict = _name(event.event_name, settings)
    verdicts.ok(verdict)
    source = _action_source(event)
    if source is None:
        source = "offline"
        verdicts.ok(_NO_SYSTEM)
    if source != "offline" and now - event.occurred_at > LATE:
        verdicts.ok(_LATE)
    user_data = _user_data(event, settings, verdicts)
    if (
        "em" not in user_data
        and "hashed_maids" not in user_data
        and not user_data.keys() >= {"client_ip_address", "client_user_agent"}
    ):
        return verdicts.refuse(
            DropReason.MISSING_IDENTIFIERS,
            "identifiers",
            "user_data",
            "no acceptable identifier: Pinterest wants an email, an advertising id, or IP address and user agent together",
        )
    verdicts.ok(_IDENTIFIERS_OK)
    item: dict[str, Any] = {
        "event_name": name,
        "action_source": source,
        "event_time": unix_seconds(event.occurred_at),
        "event_id": event.event_id,
    }
    if source == "web" and event.event_source_url is not None:
        if is_web_url(event.event_source_url):
            item["event_source_url"] = event.event_source_url
        else:
            verdicts.left_out("event_source_url", "event_source_url", "left out: not an absolute http(s) URL")
    item["opt_out"] = False
    if event.consent.ad_personalization == "denied":
        item["opt_out"] = True
        verdicts.ok(_OPTED_OUT)
    elif event.device.tracking_allowed is False:
        item["opt_out"] = True
        verdicts.ok(_NOT_TRACKED)
    if settings.get("partner_name"):
        item["partner_name"] = settings["partner_name"]
    item["user_data"] = user_data
    custom_data = _custom_data(event.custom_data, verdicts)
    if event.consent.limited_data_use:
        custom_data["opt_out_type"] = "LDP"
        if not user_data.keys() >= {"st", "country"}:
            verdicts.ok(_NO_PLACE)
    if custom_data:
        item["custom_data"] = custom_data
    if source in ("app_ios", "app_android") and event.device is not NO_DEVICE:
        item.update(_app(event.device))
    return Mapped(item, tuple(verdicts), _group(event, source, settings))


def build_request(group: str, items: Sequence[dict[str, Any]], settings: Settings) -> PlatformRequest:
    """``{"data": [...]}``, whatever the group; ``?test=true`` has it checked and not recorded."""
    url = f"https://api.pinterest.com/v5/ad_accounts/{settings['ad_account_id']}/events"
    if settings.get("test") is True:
        url += "?test=true"
    return PlatformRequest(url, {"data": list(items)}, BearerToken(str(settings.get("access_token", ""))))


def _name(event_name: str, settings: Settings) -> tuple[str, RuleVerdict]:
    names: Mapping[str, str] = settings.get("custom_event_names") or {}
    chosen = names.get(event_name) or names.get("*")
    if chosen:
        return chosen, _NAME_SET
    known = EVENT_NAMES.get(event_name)
    return (known, _NAME_OK) if known else ("custom", _NAME_CUSTOM)


def _action_source(event: Event) -> str | None:
    """None for an app of which neither device, user agent nor the property ``os`` names the system.

    What is neither website nor app counts as offline.
    """
    if event.action_source == "website":
        return "web"
    if event.action_source != "app":
        return "offline"
    if (system := event.device.system) is not None:
        return f"app_{system}"
    agent = event.user_data.client_user_agent or ""
    if _ANDROID.search(agent):
        return "app_android"
    if _IOS.search(agent):
        return "app_ios"
    named = event.custom_data.properties.get("os")
    system = Device(os=named).system if isinstance(named, str) else None
    return system and f"app_{system}"


def _app(device: Device) -> dict[str, str]:
    """What Pinterest's schema has of an app and its device."""
    found = {key: value for key, name in _APP_FIELDS.items() if (value := getattr(device, name))}
    if language := _LANGUAGE.fullmatch(device.locale or ""):
        found["language"] = language[1].lower()
    return found


def _copy_memory(event_name: str, action_source: str) -> timedelta | None:
    return timedelta(hours=48) if action_source in ("website", "app") else None  # all others count as offline


def _group(event: Event, source: str, settings: Settings) -> str:
    """In test mode each event travels alone, since Pinterest handles only the first 20 of a test request.

    Offline events keep to themselves: Pinterest counts their copies, so no neighbour's fault may repeat them.
    """
    if settings.get("test") is True:
        return f"test:{event.event_id}"
    return "offline" if source == "offline" else ""


def _user_data(event: Event, settings: Settings, verdicts: Verdicts) -> dict[str, Any]:
    person = event.user_data
    found: dict[str, Any] = {}
    if person.email is not None:
        _put_digest(found, verdicts, "em", "email", _email(person.email))
    if person.emails:
        _put_further(found, verdicts, "em", "emails", [_email(one) for one in person.emails])
    if person.phone is not None:
        _put_digest(found, verdicts, "ph", "phone", _phone(person.phone, settings))
    if person.phones:
        _put_further(found, verdicts, "ph", "phones", [_phone(one, settings) for one in person.phones])
    given = vars(person)  # of an event that was read only what was sent
    if not _HASHED.keys().isdisjoint(given):
        for name, (key, rule) in _HASHED.items():
            value = given.get(name)
            if value is not None:
                _put_digest(found, verdicts, key, name, rule(value, person.country))
    for name, (key, rule) in _PLAIN.items():
        value = given.get(name)
        if value is None:
            continue
        plain = rule(value, None)
        if plain is not None:
            found[key] = plain
        else:
            _leave_out(verdicts, key, name)
    why = "left out: nothing that Pinterest could use as click_id"
    click = click_id(person, "epik", event.clicked_url, _click_id, verdicts, why)
    if click is not None:
        found["click_id"] = click
    if event.device is not NO_DEVICE and event.device.advertising_id is not None:
        _put_advertising_id(found, event.device, event.device.advertising_id, verdicts)
    return found


def _leave_out(verdicts: Verdicts, key: str, name: str) -> None:
    verdicts.left_out(name, f"user_data.{name}", f"left out: nothing that Pinterest could use as {key}")


def _put_digest(found: dict[str, Any], verdicts: Verdicts, key: str, name: str, digest: str | None) -> None:
    if digest is not None:
        found[key] = [digest]
    else:
        _leave_out(verdicts, key, name)


def _put_further(found: dict[str, Any], verdicts: Verdicts, key: str, name: str, digests: Sequence[str | None]) -> None:
    """What one person has more than one of, each once."""
    for place, digest in enumerate(digests):
        if digest is None:
            _leave_out(verdicts, key, f"{name}.{place}")
        elif digest not in (known := found.setdefault(key, [])):
            known.append(digest)


def _put_advertising_id(found: dict[str, Any], device: Device, given: str, verdicts: Verdicts) -> None:
    """In lower case, hashed."""
    if device.tracking_allowed is False:
        message = "left out: the person does not allow tracking"
    elif not is_uuid(given):
        message = "left out: an advertising id is a UUID"
    else:
        found["hashed_maids"] = [normalise.sha256_hex(given.strip().lower())]
        return
    verdicts.left_out("advertising_id", "device.advertising_id", message)


# Fields of ours that have the same name and form at Pinterest.
_SAME_NAMES = frozenset("currency content_name content_category num_items order_id search_string".split())


def _custom_data(given: CustomData, verdicts: Verdicts) -> dict[str, Any]:
    """Only what Pinterest's schema names: it is closed."""
    found = {name: value for name, value in vars(given).items() if name in _SAME_NAMES and value is not None}
    if (value := _money("value", given.value, given.currency, verdicts)) is not None:
        found["value"] = value
    contents = given.contents
    if contents:
        found["contents"] = [_content(content, given.currency, verdicts) for content in contents]
        if has_fractions(contents):
            verdicts.ok(_WHOLE_PIECES)
    content_ids = list(given.product_ids) or [content.id for content in contents]
    if content_ids:
        found["content_ids"] = content_ids
    if (predicted := _money("predicted_ltv", given.predicted_ltv, given.currency, verdicts)) is not None:
        found["predicted_ltv"] = predicted
    if given.properties:
        brand = given.properties.get("content_brand")
        is_text = isinstance(brand, str)
        if is_text and brand:
            found["content_brand"] = brand
        verdicts.own_left_out(given.properties, "Pinterest", ("content_brand",) if is_text else ())
    return found


def _content(content: Content, currency: str | None, verdicts: Verdicts) -> dict[str, Any]:
    return omit_empty(
        {
            "id": content.id,
            "item_price": _money("contents", content.item_price, currency, verdicts),
            "quantity": content.whole_quantity,
            "item_name": content.title,
            "item_category": content.category,
            "item_brand": content.brand,
        }
    )


def _money(field: str, amount: Decimal | None, currency: str | None, verdicts: Verdicts) -> str | None:
    """``149.90``: as many decimals as the currency has; two at least, none cut off, where there is none."""
    if amount is None:
        return None
    if amount < 0:
        verdicts.left_out(field, f"custom_data.{field}", "left out: Pinterest takes no amount below zero")
        return None
    decimals = _DECIMALS.get(currency or "", 2)
    rounded = abs(amount).quantize(_STEPS[decimals], ROUND_HALF_UP)  # abs: zero may have a minus
    if rounded == amount:
        return f"{rounded:f}"
    if currency is None:
        return f"{abs(amount):f}"
    message = (
        f"rounded to the {decimals} decimals that {currency} has"
        if decimals
        else f"rounded: {currency} has no decimals"
    )
    told = RuleVerdict(field, True, message, f"custom_data.{field}")
    if told not in verdicts:  # of the lines once
        verdicts.ok(told)
    return f"{rounded:f}"


def _digits(value: Any) -> str | None:
    is_good = re.fullmatch(r"[0-9]{1,20}", str(value)) is not None
    return None if is_good else "must be digits only, as the address of Ads Manager shows it"


def _names(value: Any) -> str | None:
    if not isinstance(value, Mapping) or not value or not all(isinstance(name, str) and name for name in value):
        return 'must map event names to names of Pinterest, such as {"QuoteRequested": "quote_requested"}'
    names = [name if isinstance(name, str) else "" for name in value.values()]
    if not all(re.fullmatch(r"[A-Za-z0-9_-]{1,100}", name) for name in names):
        return "must give names of at most 100 characters: letters A to Z, digits, _ and -"
    if len({name.lower() for name in names} - _PINTEREST_NAMES) > MAX_OWN_NAMES:
        return f"must name at most {MAX_OWN_NAMES} events of your own: Pinterest keeps no more per advertiser"
    return None


def _partner(value: Any) -> str | None:
    is_good = re.fullmatch(r"ss-[a-z0-9][a-z0-9_-]{0,96}", str(value)) is not None
    return None if is_good else "must be the name Pinterest gave you as a partner, such as ss-company"


_of_apps_only = of_apps_only(
    "Pinterest", within("device", "os os_version app_id app_name app_version model locale carrier")
)
_NO_PAGE = NoPlace(frozenset({"event_source_url"}), "left out: Pinterest takes it of a website's event only")


def _no_place_in(event: Event, mapped: Mapped) -> Sequence[NoPlace]:
    found = _of_apps_only(event, mapped)
    return found if mapped.item["action_source"] == "web" else (*found, _NO_PAGE)


MAPPER = Mapper(
    title="Pinterest",
    settings=(
        Setting(
            "ad_account_id",
            "Ad account ID",
            "The number in the address of Ads Manager, in your browser.",
            example="549755885175",
            check=_digits,
        ),
        Setting(
            "access_token",
            "Conversion token",
            "Generate a conversion token in Ads Manager; or give an OAuth token with the scope ads:write.",
            secret=True,
            example="sandbox-access-token",
        ),
        Setting(
            "test",
            "Test mode",
            "True: Pinterest checks every event and records none. It stands on no page of Pinterest; remove "
            "it for production.",
            required=False,
            example=False,
            check=wrong_with_flag,
        ),
        Setting(
            "custom_event_names",
            "Event names",
            "Our event name -> Pinterest's, where your Pinterest tag sends others than the standard ones or "
            "you have events of your own. * stands for every other event name, the standard ones too.",
            required=False,
            example={"QuoteRequested": "quote_requested"},
            check=_names,
        ),
        Setting(
            "partner_name",
            "Partner name",
            "Only for partners to whom Pinterest gave a name such as ss-company; leave it out otherwise.",
            required=False,
            example="ss-company",
            check=_partner,
        ),
        *COMMON_SETTINGS,
    ),
    event_names=EVENT_NAMES,
    batch_size=1000,
    max_event_age=None,
    normalise=NORMALISE,
    explanations=EXPLANATIONS,
    map_event=map_event,
    build_request=build_request,
    read_reply=read_reply,
    identifiers=(
        "email",
        "phone",
        "first_name",
        "last_name",
        "date_of_birth",
        "gender",
        "city",
        "state",
        "zip",
        "country",
        "external_id",
        "client_ip",
        "client_user_agent",
        "epik",
    ),
    no_place_for=within("user_data", "street lead_id job_title company_name")
    | within("custom_data", "content_type status")
    | within("custom_data.contents", "variant coupon discount")
    | within("device", "time_zone screen_width screen_height vendor_id"),
    no_place_in=_no_place_in,
    deduplication="Pinterest recognises a copy of a web or app event for 48 hours; a copy of an offline event counts twice.",
    copy_memory=_copy_memory,
    max_ahead=MAX_AHEAD,
    supports_test_events=True,
    test_mode={"test": True},
    test_effect="Pinterest checks every event and records none, so that no conversion is counted.",
    max_batch_bytes=2_000_000,  # Pinterest publishes none; connectors keep to 2 MB
)
